"""The network that reads a face, and its training."""
