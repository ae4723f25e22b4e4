"""The models, as package data of ``vs_srcomp``; see README.md beside this file."""
