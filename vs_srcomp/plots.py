"""Plots: what is checked before any work, and how they are written. matplotlib is an option."""

from pathlib import Path
from typing import TYPE_CHECKING

from vs_srcomp.errors import error
from vs_srcomp.files import atomic_path, cannot_write
from vs_srcomp.named_files import already_there

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def check_plot(target: Path) -> None:
    """Raise an error if nothing can be drawn to ``target``.

    Raises:
        vs.Error: matplotlib is not installed, or has no such format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise error("--plot needs matplotlib, which is not installed", "pip install 'vs-srcomp[plot]'") from None
    if target.suffix.lower()[1:] not in Figure().canvas.get_supported_filetypes():
        raise error(f"{str(target)!r} is not a kind of picture to draw", "give another name, such as out.png")


def write_plot(figure: "Figure", target: Path, *, overwrite: bool) -> None:
    """Write ``figure`` to ``target``, which appears only when it is whole.

    Raises:
        vs.Error: It cannot be written, or exists although ``overwrite`` is false.
    """
    try:
        with atomic_path(target, overwrite=overwrite) as temporary:
            figure.savefig(temporary, dpi=120)
    except FileExistsError:
        raise already_there(target) from None
    except OSError as reason:
        raise cannot_write(target, reason.errno) from reason
