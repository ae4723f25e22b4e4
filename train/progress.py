"""Simple progress bars, on standard error: standard output has the results of a command."""

from collections.abc import Iterable


def tracked[T](items: Iterable[T], task: str, total: int | None = None) -> Iterable[T]:
    """``items``, with a bar that says how many of them are done; ``total`` if they have no length."""
    from rich.console import Console
    from rich.progress import track

    return track(items, task, total=total, console=Console(stderr=True))
