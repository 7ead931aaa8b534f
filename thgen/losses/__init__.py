"""Losses that several papers cite."""
