"""One table per file, as `python -m thgen evaluate NAME` writes it."""
