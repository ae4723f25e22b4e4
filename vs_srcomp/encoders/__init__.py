"""Frames to packets: encoder settings, encoders in a library or behind a pipe."""
