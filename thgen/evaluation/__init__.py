"""Measures of methods: what is measured on, tables, pictures."""
