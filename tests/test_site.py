"""The site of the documents and the API, built as ``make docs`` builds it: every warning is an error."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import vs_srcomp

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a freshly built site."""
    for package in ("material", "mkdocstrings"):
        pytest.importorskip(package, reason="the site needs pip install '.[docs]'", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_api_page_has_the_public_names_and_no_others(site: Path) -> None:
    page = (site / "api.html").read_text("utf-8")
    documented = re.findall(r'<h3 id="(?:[\w.]+\.)?(\w+)"', page)
    backends = {name: kind for name, kind in vars(vs_srcomp.Backend).items() if not name.startswith("_")}
    assert sorted(documented) == sorted({*vs_srcomp.__all__, *backends} - {"Backend"})
    for name, kind in backends.items():
        # Settings, and none of the methods that the package calls.
        settings = re.findall(rf'<h4 id="[\w.]+\.{name}\.(\w+)"', page)
        assert settings == [field.name for field in dataclasses.fields(kind)]


def test_documents_beside_the_source_are_pages_with_their_pictures(site: Path) -> None:
    start = (site / "index.html").read_text("utf-8")
    pages = re.findall(r'href="([\w/-]+\.html)(?:#[^"]*)?"', start)
    assert {"contributing.html", "changelog.html", "examples.html", "engines.html", "glossary.html"} <= set(pages)
    assert all((site / page).is_file() for page in pages)
    pictures = re.findall(r'<img[^>]* src="([^"]+)"', start)
    assert pictures
    assert all((site / picture).is_file() for picture in pictures)


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = [*site.rglob("*.html")]
    assert site / "index.html" in pages
    for page in pages:
        loaded = re.findall(r'<(?:script|link|img|iframe)[^>]* (?:src|href)="(https?:[^"]+)"', page.read_text("utf-8"))
        assert not loaded, page
