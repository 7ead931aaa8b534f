"""Rendered clips as training data: access, batches, cached features."""
