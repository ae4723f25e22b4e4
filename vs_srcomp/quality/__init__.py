"""How close a file is to a reference, and whether it has all that its source has."""
