"""What the compact presets of all methods share."""
