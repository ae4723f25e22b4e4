"""``vs-srcomp mpv``: install the scripts for mpv."""

import os

import click

from vs_srcomp.cli.reports import CONTEXT_SETTINGS, HintingGroup, debug_option, print_line


@click.group(cls=HintingGroup, context_settings=CONTEXT_SETTINGS, short_help="Upscale what mpv plays.")
def mpv() -> None:
    """Let mpv upscale what it plays. mpv needs the vapoursynth filter; vs-srcomp doctor checks that.

    \b
    Examples:
      vs-srcomp mpv install
      vs-srcomp mpv remove
      mpv --vf=vapoursynth=file="$(vs-srcomp mpv path)":concurrent-frames=2 clip.mkv
    """


@mpv.command(short_help="Install the script in mpv's folder.")
@click.option("--force", is_flag=True, help="Replace another script of the same name.")
@debug_option
def install(force: bool) -> None:
    """Install the script in mpv's folder, so that mpv upscales what it plays.

    The folder is MPV_HOME, or mpv in XDG_CONFIG_HOME or ~/.config. Scripts of an older release are replaced. The file
    of options, script-opts/srcomp.conf, is written only if it does not exist.

    \b
    Examples:
      vs-srcomp mpv install
      MPV_HOME=~/players/mpv vs-srcomp mpv install
    """
    from vs_srcomp.mpv.install import install as put
    from vs_srcomp.mpv.install import mpv_folder, options

    folder = mpv_folder(os.environ)
    for path in put(folder, overwrite=force):
        print_line(f"written: {path}")
    print_line("In mpv, Ctrl+u switches it on and off, Alt+u shows its state. Options, for script-opts/srcomp.conf:")
    width = max(len(f"{name}={default}") for name, default, _ in options())
    for name, default, meaning in options():
        print_line(f"  {f'{name}={default}':<{width}}  {meaning}")
    print_line("vs-srcomp doctor checks whether this mpv can run it")


@mpv.command(short_help="Remove the script from mpv's folder.")
@debug_option
def remove() -> None:
    """Remove the script from mpv's folder. Changed options stay.

    \b
    Examples:
      vs-srcomp mpv remove
    """
    from vs_srcomp.mpv.install import mpv_folder
    from vs_srcomp.mpv.install import remove as take

    folder = mpv_folder(os.environ)
    found = take(folder)
    for path in found:
        print_line(f"removed: {path}")
    if not found:
        print_line(f"there is nothing to remove in {folder}")


@mpv.command(short_help="Print the path of the filter's script.")
@debug_option
def path() -> None:
    """Print the path of the filter's script, for mpv's command line or configuration.

    \b
    Examples:
      mpv --vf=vapoursynth=file="$(vs-srcomp mpv path)":concurrent-frames=2 clip.mkv
    """
    from vs_srcomp.mpv.install import FILTER

    click.echo(FILTER)
