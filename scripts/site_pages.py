"""A hook of MkDocs: documents that lie beside the source become pages, and links lead to where a page lies in the site.

README and others stay where readers of the repository look for them, and are written once.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]

PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples.md",
    "engines/README.md": "engines.md",
}
"""Page of the site by document of the repository; what lies in docs/ keeps its name."""

_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^]]*)\]\((?P<target>[^)#\s:]+)(?P<anchor>#[^)]*)?\)")
_NOT_RUN = re.compile(r"^<!-- not run: .+? -->\n", re.MULTILINE)


def on_files(files: Files, config: Any) -> Files:
    """Add the documents that are not in docs/."""
    for document, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / document).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turn links between documents into links between pages."""
    uri = page.file.src_uri
    document = next((name for name, generated in PAGES.items() if generated == uri), f"docs/{uri}")

    def moved(link: re.Match[str]) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(document), link["target"]))
        target = PAGES.get(path) or (path.removeprefix("docs/") if path.startswith("docs/") else None)
        if target is None:
            # Of the repository, not of the site.
            return f"`{path}`" if link["text"].strip("`") == path else f"{link['text']} (`{path}`)"
        relative = posixpath.relpath(target, posixpath.dirname(uri) or ".")
        return f"{link['image']}[{link['text']}]({relative}{link['anchor'] or ''})"

    # An HTML comment before a fence keeps Markdown from seeing the fence as a block of its own.
    return _LINK.sub(moved, _NOT_RUN.sub("", markdown))
