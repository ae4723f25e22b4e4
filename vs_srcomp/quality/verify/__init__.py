"""Whether a finished file has all that its source has."""
