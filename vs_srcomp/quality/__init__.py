"""How close a file is to a reference (`measure`), and whether it has all that its source has (`verify`)."""
