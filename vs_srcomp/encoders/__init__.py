"""Frames to packets.

`settings` is the registry of encoders. `library` encodes with those in FFmpeg's libraries, `pipe` with another program;
`feed` gives either the frames of a clip.
"""
