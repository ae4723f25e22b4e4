"""Metrics of a file against a reference (`measure`), and comparison of an output with its source (`verify`)."""
