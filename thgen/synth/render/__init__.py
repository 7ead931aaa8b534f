"""Rasterisers, light and camera."""
