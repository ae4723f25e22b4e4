"""Comparison of the systems of the papers: upscaling methods, experiments, and the report."""
