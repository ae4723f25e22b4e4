"""mpv: its Lua script, the script of its VapourSynth filter with the Python part, and their installation."""
