"""Datasets and models, reproduced by commands: ``python -m train --help``."""
