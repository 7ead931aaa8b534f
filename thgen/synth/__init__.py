"""The renderer of heads with known truth."""
