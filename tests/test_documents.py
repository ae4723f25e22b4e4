"""Every command and script that the documents print, run as printed by a shell, in a checkout with clips in it.

A block that cannot run here is marked in the text itself, with the reason, by ``<!-- not run: REASON -->`` in the line
before it; in the heads of scripts, where commands are indented, by ``(not run: REASON)`` behind the command.
"""

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import imageio_ffmpeg
import pytest
from PIL import Image

from tests.helpers.films import Studio
from vs_srcomp.mpv.options import _READERS

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for pattern in (
        "*.md",
        "docs/**/*.md",
        "examples/*.md",
        "examples/*.vpy",
        "examples/*.py",
        "engines/*.md",
    )
    for path in ROOT.glob(pattern)
)

PAGES = [document for document in DOCUMENTS if document.suffix == ".md"]

# Folders of a checkout that commands read.
PARTS = ("examples", "benchmarks", "docs", "engines", "train", "vs_srcomp")

SECONDS = 300

LONGEST_LINE = 120
"""As of the source; tables and commands cannot be broken."""

_FENCE = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?(?P<indent> *)```(?P<language>\w*)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
_HEAD = re.compile(
    r"^(?:#   |    )(?P<command>(?:vspipe|python) .*?)(?:  +\((?:not run: (?P<reason>.+)|.*)\))?$", re.MULTILINE
)


@dataclass(frozen=True)
class Block:
    """What a document shows as one piece."""

    language: Literal["sh", "python"]
    text: str
    not_run: str | None
    """Why not."""


def blocks(document: Path) -> list[Block]:
    """The blocks of a document, in order."""
    text = (ROOT / document).read_text("utf-8")
    if document.suffix == ".md":
        found = [match.group("language", "text", "reason") for match in _FENCE.finditer(text)]
    else:
        # A pipe goes on in the comment's next line.
        text = text.replace("|\n#     ", "| ")
        found = [("sh", *match.group("command", "reason")) for match in _HEAD.finditer(text)]
    unknown = [language for language, _, _ in found if language not in ("sh", "python", "json", "text")]
    assert not unknown, f"{document}: blocks in {unknown}: say sh, python, json or text"
    return [Block(language, body, reason) for language, body, reason in found if language in ("sh", "python")]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two frames of AV1 with sound, in the names that documents use."""
    studio = Studio(tmp_path_factory.mktemp("clips"))
    picture = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25:duration=0.08")
    tone = ("-f", "lavfi", "-i", "sine=duration=0.08")
    video = ("-c:v", "libsvtav1", "-preset", "12", "-crf", "30", "-svtav1-params", "lp=1")
    for name in ("in.mkv", "in.mp4", "in.webm", "b.webm", "clips/one.mkv", "clips/deep/two.mp4", "a/three.mp4"):
        (studio.folder / name).parent.mkdir(parents=True, exist_ok=True)
        studio.make(*picture, *tone, *video, "-c:a", "libopus", "-ac", "2", name)
    photo = Image.radial_gradient("L").resize((96, 64)).convert("RGB")
    for name in ("photo.avif", "photo.jpg", "photos/one.jpg", "frames/00001.png"):
        (studio.folder / name).parent.mkdir(parents=True, exist_ok=True)
        photo.save(studio.folder / name)
    return studio.folder


@pytest.fixture
def checkout(clips: Path, tmp_path: Path) -> Path:
    """A folder like a checkout, with clips in it."""
    subprocess.run(["cp", "-r", f"{clips}/.", str(tmp_path)], check=True)
    for name in PARTS:
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the programs that documents name, as an environment with this checkout has them."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    command = folder / "vs-srcomp"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m vs_srcomp "$@"\n')
    command.chmod(0o755)
    return folder


# What vspipe would do with a script.
FRAME_OF_EACH_OUTPUT = """
import vapoursynth
for output in vapoursynth.get_outputs().values():
    output.clip.get_frame(0).close()
"""


RUNNABLE = [document for document in DOCUMENTS if any(block.not_run is None for block in blocks(document))]


def test_documents_print_what_runs() -> None:
    assert {*RUNNABLE} >= {Path("README.md"), Path("docs", "batch.md"), Path("examples", "upscale.vpy")}


@pytest.mark.usefixtures("configured_vapoursynth")
@pytest.mark.parametrize("document", RUNNABLE, ids=str)
def test_what_a_document_prints_runs(
    document: Path, checkout: Path, programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.pathsep.join([str(programs), str(Path(sys.executable).parent), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MPV_HOME", str(checkout / "mpv"))
    script = ""
    for block in blocks(document):
        if block.not_run:
            continue
        if block.language == "sh":
            run(document, block.text, ["bash", "-eu", "-o", "pipefail", "-c", block.text], checkout)
        else:
            # Later blocks use the names of earlier ones.
            script += block.text
            run(document, block.text, [sys.executable, "-c", script + FRAME_OF_EACH_OUTPUT], checkout)


def run(document: Path, text: str, command: list[str], folder: Path) -> None:
    done = subprocess.run(
        # As a shell has it that went there.
        ["env", f"PWD={folder}", *command],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{document}: exit code {done.returncode} of\n{text}\n{done.stdout}\n{done.stderr}")


def test_reasons_are_reported() -> None:
    marked = [(document, block) for document in DOCUMENTS for block in blocks(document) if block.not_run is not None]
    assert marked
    assert all(len(block.not_run or "") > 8 for _, block in marked)


def test_nothing_escapes_by_being_indented() -> None:
    loose = re.compile(r"^    (?:vs-srcomp|vspipe|python|mpv|make|pip) ", re.MULTILINE)
    for document in PAGES:
        assert not loose.search((ROOT / document).read_text("utf-8")), f"{document}: put commands between fences"


@pytest.mark.parametrize("document", PAGES, ids=str)
def test_lines_are_short_outside_tables(document: Path) -> None:
    text = _FENCE.sub("", (ROOT / document).read_text("utf-8"))
    long = [line for line in text.splitlines() if len(line) > LONGEST_LINE and not line.startswith("|")]
    assert not long, f"{document}: break {long}"


@pytest.mark.parametrize("document", PAGES, ids=str)
def test_links_lead_to_files_and_headings_that_there_are(document: Path) -> None:
    text = _FENCE.sub("", (ROOT / document).read_text("utf-8"))
    for target, anchor in re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", text):
        if target.startswith(("https://", "http://")):
            continue
        path = (ROOT / document).parent / target if target else ROOT / document
        assert path.exists(), f"{document}: {target} is not there"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text("utf-8"), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("document", PAGES, ids=str)
def test_files_of_the_project_that_a_document_names_are_there(document: Path) -> None:
    if document.name == "CHANGELOG.md":
        return  # It also names what has gone.
    text = _FENCE.sub("", (ROOT / document).read_text("utf-8"))
    named = re.findall(r"`((?:vs_srcomp|train|tests|benchmarks|examples|engines|docs|scripts)/[\w./-]+)`", text)
    # NAME stands for what the reader adds.
    assert [name for name in named if "NAME" not in name and not (ROOT / name).exists()] == []


def test_the_options_of_the_player_are_listed() -> None:
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    table = text[text.index("| option | default | |") :].partition("\n\n")[0]
    assert set(re.findall(r"(?m)^\| `(\w+)` \|", table)) == set(_READERS)
