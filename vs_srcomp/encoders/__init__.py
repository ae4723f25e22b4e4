"""Encoders.

`settings` is the registry. `library` encodes with FFmpeg's libraries, `pipe` with another program; `feed` sends the
frames of a clip to either.
"""
