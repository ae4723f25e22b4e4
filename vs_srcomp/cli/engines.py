"""``vs-srcomp engines``: compiled networks on disk."""

import click

from vs_srcomp.cli.reports import debug_option, print_line


@click.command(short_help="List or remove compiled networks.")
@click.option("--remove", is_flag=True, help="Remove them. Scripts compile again those that they need.")
@debug_option
def engines(remove: bool) -> None:
    """List the networks that TensorRT has compiled, once for each card and size.

    The files are in the user's cache, or in the folder SRCOMP_CACHE_DIR. Their names contain the size and the bits of
    the input planes.

    \b
    Examples:
      vs-srcomp engines
      vs-srcomp engines --remove
    """
    from rich.filesize import decimal

    from vs_srcomp.backends.engine_files import VARIABLE, engines_folder, stored_files
    from vs_srcomp.errors import error

    try:
        folder, found = engines_folder(), stored_files()
    except OSError as reason:
        raise error(
            f"the folder of compiled networks cannot be read: {reason}", f"set {VARIABLE} to another folder"
        ) from reason
    for path in found:
        if remove:
            path.unlink(missing_ok=True)
        elif path.suffix == ".engine":
            click.echo(f"{decimal(path.stat().st_size):>10}  {path.name}")
    count = sum(path.suffix == ".engine" for path in found)
    print_line(f"{count} {'removed from' if remove else 'in'} {folder}")
