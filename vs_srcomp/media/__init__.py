"""What files hold besides pictures.

`containers` is the registry of containers that can be written. `streams` plans what becomes of each stream, for which
`muxer_probe` tries FFmpeg's muxers; `mux` writes the file from the encoded video and from `copies` of the rest.
`picture` describes the pictures, `timeline` and `section` say when they are shown, and `losses` what no output keeps.
"""
