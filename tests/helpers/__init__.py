"""What tests of several packages share: networks, pictures, films, and a backend that stores engines."""
