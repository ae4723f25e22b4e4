"""Pictures in and out: one file, or numbered ones."""
