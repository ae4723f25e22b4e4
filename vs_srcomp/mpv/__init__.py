"""The player's side: what mpv's filter runs, and how it gets where mpv looks for scripts."""
