"""SPEAK."""
