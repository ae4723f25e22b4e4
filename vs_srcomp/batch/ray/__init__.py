"""A pool of workers on a Ray cluster."""
