"""``vs-srcomp mpv``: the player's side."""

import os

import click

from vs_srcomp.cli.reports import CONTEXT_SETTINGS, HintingGroup, debug_option, say


@click.group(cls=HintingGroup, context_settings=CONTEXT_SETTINGS, short_help="Upscale what mpv plays.")
def mpv() -> None:
    """Let mpv upscale what it plays. It must have the vapoursynth filter; vs-srcomp doctor checks it.

    \b
    Examples:
      vs-srcomp mpv install
      vs-srcomp mpv remove
      mpv --vf=vapoursynth=file="$(vs-srcomp mpv path)":concurrent-frames=2 clip.mkv
    """


@mpv.command(short_help="Put the script where mpv looks for it.")
@click.option("--force", is_flag=True, help="Replace another script of the same name.")
@debug_option
def install(force: bool) -> None:
    """Put the script where mpv looks for it: from then on mpv upscales what it plays.

    That is the folder that MPV_HOME names, or mpv's in XDG_CONFIG_HOME or ~/.config. What is there of an older release
    is replaced; the file of options, script-opts/srcomp.conf, is written only if there is none.

    \b
    Examples:
      vs-srcomp mpv install
      MPV_HOME=~/players/mpv vs-srcomp mpv install
    """
    from vs_srcomp.mpv.install import install as put
    from vs_srcomp.mpv.install import mpv_folder, options

    folder = mpv_folder(os.environ)
    for path in put(folder, overwrite=force):
        say(f"written: {path}")
    say("In mpv, Ctrl+u switches it on and off, Alt+u shows what is done. Options, for script-opts/srcomp.conf:")
    width = max(len(f"{name}={default}") for name, default, _ in options())
    for name, default, meaning in options():
        say(f"  {f'{name}={default}':<{width}}  {meaning}")
    say("vs-srcomp doctor checks whether this mpv can run it")


@mpv.command(short_help="Take it away again.")
@debug_option
def remove() -> None:
    """Take the script away again. Options that were changed stay.

    \b
    Examples:
      vs-srcomp mpv remove
    """
    from vs_srcomp.mpv.install import mpv_folder
    from vs_srcomp.mpv.install import remove as take

    folder = mpv_folder(os.environ)
    found = take(folder)
    for path in found:
        say(f"removed: {path}")
    if not found:
        say(f"there is nothing to remove in {folder}")


@mpv.command(short_help="Print where the filter's script is.")
@debug_option
def path() -> None:
    """Print the path of the filter's script, for mpv's command line or configuration.

    \b
    Examples:
      mpv --vf=vapoursynth=file="$(vs-srcomp mpv path)":concurrent-frames=2 clip.mkv
    """
    from vs_srcomp.mpv.install import FILTER

    click.echo(FILTER)
