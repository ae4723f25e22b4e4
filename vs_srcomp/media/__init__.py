"""Containers, streams and metadata.

`containers` is the registry of containers that can be written. `streams` decides what happens to each stream, for which
`muxer_probe` tries FFmpeg's muxers; `mux` writes the file from the encoded video and from `copies` of other streams.
`picture` describes the video, `timeline` and `section` its times, and `losses` reports what outputs cannot keep.
"""
