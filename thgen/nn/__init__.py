"""Backbones and layers that several papers cite. They know no paper."""
