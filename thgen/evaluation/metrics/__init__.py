"""Measures: pure functions of predictions and truth."""
