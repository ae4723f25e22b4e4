"""Comparison of a finished file with its source."""
