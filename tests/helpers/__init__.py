"""Helpers for tests of several packages: networks, pictures, films, processes, a backend that stores engines."""
