"""``vs-srcomp engines``: compiled networks that TensorRT keeps on disk."""

from pathlib import Path

import click

from vs_srcomp.cli.reports import CONTEXT_SETTINGS, HintingGroup, debug_option, say


@click.group(cls=HintingGroup, context_settings=CONTEXT_SETTINGS, short_help="List and remove compiled networks.")
def engines() -> None:
    """TensorRT compiles a network once for each card and size, which takes minutes, and keeps it on disk.

    The files are in the user's cache, or in the folder that SRCOMP_CACHE_DIR names.

    \b
    Examples:
      vs-srcomp engines list
      vs-srcomp engines remove
    """


@engines.command("list", short_help="List them.")
@debug_option
def list_engines() -> None:
    """List the files of compiled networks, with their sizes. Sizes in names are those of the planes that they take.

    \b
    Example:
      vs-srcomp engines list
    """
    from rich.filesize import decimal

    from vs_srcomp.backends.engine_store import engines_folder

    for path in (found := [path for path in _files() if path.suffix == ".engine"]):
        click.echo(f"{decimal(path.stat().st_size):>10}  {path.name}")
    say(f"{len(found)} in {engines_folder()}")


@engines.command(short_help="Remove all of them.")
@debug_option
def remove() -> None:
    """Remove all compiled networks. Scripts compile again what they need.

    \b
    Example:
      vs-srcomp engines remove
    """
    from vs_srcomp.backends.engine_store import engines_folder

    found = _files()
    for path in found:
        path.unlink(missing_ok=True)
    say(f"{sum(path.suffix == '.engine' for path in found)} removed from {engines_folder()}")


def _files() -> list[Path]:
    from vs_srcomp.backends.engine_store import VARIABLE, stored_files
    from vs_srcomp.errors import error

    try:
        return stored_files()
    except OSError as reason:
        raise error(
            f"the folder of compiled networks cannot be read: {reason}", f"set {VARIABLE} to another folder"
        ) from reason
