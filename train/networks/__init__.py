"""The networks that recipes can name."""
