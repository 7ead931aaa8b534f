"""Synthesised and recorded voices, and the lips that belong to them."""
