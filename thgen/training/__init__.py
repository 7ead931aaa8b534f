"""One training loop for all methods. It knows no paper."""
