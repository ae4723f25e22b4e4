"""What files hold besides pictures: containers, streams, timestamps, tags, subtitles, HDR metadata."""
