"""The report in a browser: opened from the disk, looked at, and used with mouse, keys and fingers."""

import base64
import io
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.compare.browser import Page, chromium
from tests.compare.conftest import embedded

SCREENSHOTS = os.environ.get("SRCOMP_SCREENSHOTS")
"""A folder that gets the screenshots, for people to look at."""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium")) as page:
        yield page


@pytest.fixture
def page(browser: Page, report: Path) -> Iterator[Page]:
    browser.events.clear()
    browser.resize(1280, 900)
    browser.open(report.as_uri() + "#zoom=1")
    yield browser
    assert browser.complaints() == []
    requests = browser.requests()
    assert report.as_uri() in requests
    assert all(address.startswith(("file:", "data:", "about:")) for address in requests)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(SCREENSHOTS) if SCREENSHOTS else tmp_path


def stage(page: Page) -> NDArray[np.uint8]:
    """What the canvas shows, height x width x 3; (0, 0, 0) where it shows nothing."""
    uri = page.run("document.querySelector('canvas.view').toDataURL('image/png')")
    picture = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGBA")
    pixels = np.asarray(picture)
    return np.where(pixels[..., 3:] > 0, pixels[..., :3], 0).astype(np.uint8)


def crops(report: Path, number: int) -> list[NDArray[np.uint8]]:
    """The pictures of the frame ``number``, one for each side."""
    html = report.read_text("utf-8")
    index = [shown["number"] for shown in json.loads(embedded(html, "report"))["shown"]].index(number)
    return [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))
        for uri in json.loads(embedded(html, "pictures"))[index]["crops"]
    ]


def inside(canvas: NDArray[np.uint8], crop: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The part of a canvas that a smaller picture in its middle covers."""
    height, width, _ = crop.shape
    top, left = round((canvas.shape[0] - height) / 2), round((canvas.shape[1] - width) / 2)
    return canvas[top : top + height, left : left + width]


def hash_of(page: Page) -> str:
    page.wait("new URLSearchParams(location.hash.slice(1)).has('frame')")
    return str(page.run("new Promise(done => setTimeout(() => done(location.hash), 250))"))


def test_it_has_no_external_address(report: Path) -> None:
    html = report.read_text("utf-8")
    own = re.sub(r"data:image/webp;base64,[A-Za-z0-9+/=]+", "", html)
    assert "://" not in own
    assert re.findall(r"""(?:src|href|action|srcset)\s*=\s*["']?(?!data:)[^"'\s>]+""", own.partition("<main>")[0]) == []
    assert "@import" not in own
    assert set(re.findall(r"url\(([^)]*)\)", own)) == set()
    assert "default-src 'none'" in own


def test_names_are_text_and_nothing_else(page: Page) -> None:
    assert page.run("document.querySelectorAll('main b b, tbody b').length") == 0
    names = page.run("[...document.querySelectorAll('.figures tbody th')].map(e => e.textContent)")
    assert names == ["</script><b>bad", 'good "&amp;" {{ 7 * 7 }}']
    assert page.run("document.querySelector('#a').options[0].text") == "1 </script><b>bad"
    assert page.run("document.title") == "A film & its copies"


def test_the_slider_moves(page: Page, report: Path) -> None:
    number = int(page.run("document.body.dataset.frame"))
    bad, good, _ = crops(report, number)
    shown = inside(stage(page), bad)
    half = bad.shape[1] // 2
    assert np.array_equal(shown[:, : half - 1], bad[:, : half - 1])
    assert np.array_equal(shown[:, half + 1 :], good[:, half + 1 :])
    x, y = page.center("#handle")
    page.drag((x, y), (x + 40, y), (x + 100, y))
    shown = inside(stage(page), bad)
    assert np.array_equal(shown[:, : half + 99], bad[:, : half + 99])
    assert np.array_equal(shown[:, half + 101 :], good[:, half + 101 :])
    page.run("document.querySelector('#handle').focus()")
    page.key("Home")
    assert np.array_equal(inside(stage(page), good)[:, 1:], good[:, 1:])
    assert page.run("document.querySelector('#handle').getAttribute('aria-valuenow')") == "0"


def test_keys_flip(page: Page, report: Path) -> None:
    pictures = crops(report, int(page.run("document.body.dataset.frame")))
    for index, picture in enumerate(pictures):
        page.key(str(index + 1))
        assert np.array_equal(inside(stage(page), picture), picture)
    page.key(" ")
    assert np.array_equal(inside(stage(page), pictures[1]), pictures[1])
    page.key(" ")
    assert np.array_equal(inside(stage(page), pictures[2]), pictures[2])
    page.key("9")
    assert np.array_equal(inside(stage(page), pictures[2]), pictures[2])
    assert page.run("document.querySelector('#numbers [aria-pressed=\"true\"]').textContent").startswith("3")


def test_the_difference_is_that_of_the_pixels(page: Page, report: Path) -> None:
    bad, good, _ = crops(report, int(page.run("document.body.dataset.frame")))
    page.key("d")
    wanted = np.minimum(np.abs(bad.astype(int) - good) * 4, 255)
    assert np.array_equal(inside(stage(page), bad), wanted)
    page.run(
        "(() => { const g = document.querySelector('#gain'); g.value = 1; g.dispatchEvent(new Event('change')); })()"
    )
    assert np.array_equal(inside(stage(page), bad), np.abs(bad.astype(int) - good))


def test_zoom_is_nearest_neighbour_and_the_same_for_all(page: Page, report: Path) -> None:
    pictures = crops(report, int(page.run("document.body.dataset.frame")))
    page.key("a")
    assert page.run("document.querySelectorAll('canvas.view').length") == 3
    page.key("1")
    for _ in range(9):
        page.key("+")
    assert page.run("document.querySelector('#zoom').textContent") == "8\N{MULTIPLICATION SIGN}"
    for index, picture in enumerate(pictures):
        page.key(str(index + 1))
        canvas = stage(page)
        # Whole pixels of the picture are squares of one colour, wherever the first whole one begins.
        rows, columns = canvas.shape[0] // 8 - 1, canvas.shape[1] // 8 - 1
        parts = [canvas[top:, left:][: 8 * rows, : 8 * columns] for top in range(8) for left in range(8)]
        found = [part[::8, ::8] for part in parts if np.array_equal(part, np.kron(part[::8, ::8], np.ones((8, 8, 1))))]
        assert found
        top, left = (side // 2 for side in picture.shape[:2])
        places = [
            picture[top - rows // 2 + down :, left - columns // 2 + right :][:rows, :columns]
            for down in range(-2, 3)
            for right in range(-2, 3)
        ]
        assert any(np.array_equal(part, place) for part in found for place in places)
    page.key("-")
    assert page.run("document.querySelector('#zoom').textContent") == "7\N{MULTIPLICATION SIGN}"


def test_values_of_the_pixel_under_the_pointer(page: Page, report: Path) -> None:
    number = int(page.run("document.body.dataset.frame"))
    pictures = crops(report, number)
    x, y = page.center("#stage")
    page.mouse("mouseMoved", (x + 20, y + 10))
    rows = page.run(
        "[...document.querySelectorAll('#pixel tbody tr')].map(r => [...r.cells].slice(1).map(c => +c.textContent))"
    )
    place = page.run("document.querySelector('#at').textContent")
    shown = next(s for s in json.loads(embedded(report.read_text(), "report"))["shown"] if s["number"] == number)
    left, top = (int(part) for part in re.findall(r"\d+", place))
    column, row = left - shown["crop"][0], top - shown["crop"][1]
    assert abs(column - pictures[0].shape[1] // 2 - 20) <= 1
    assert abs(row - pictures[0].shape[0] // 2 - 10) <= 1
    assert rows == [picture[row, column].tolist() for picture in pictures]


def test_a_link_opens_the_same_view(page: Page, report: Path) -> None:
    page.key(".")
    page.key(".")
    page.key("3")
    for _ in range(3):
        page.key("+")
    x, y = page.center("#stage")
    page.drag((x, y), (x - 30, y - 20), (x - 90, y - 40))
    address, before = hash_of(page), stage(page)
    assert "zoom=4" in address
    page.open(report.as_uri() + address)
    assert page.run("document.body.dataset.mode") == "flip"
    assert np.array_equal(stage(page), before)
    page.open(report.as_uri() + "#frame=nonsense&zoom=99&a=77&mode=x&x=-5")
    assert page.run("document.querySelector('#zoom').textContent") == "8\N{MULTIPLICATION SIGN}"


def test_a_click_in_the_graph_shows_that_frame(page: Page, report: Path) -> None:
    data = json.loads(embedded(report.read_text(), "report"))
    for shown in (data["shown"][-1], data["shown"][1]):
        page.center(".u-over")
        left, top, width, height = page.run(
            "(() => { const b = document.querySelector('.u-over').getBoundingClientRect();"
            " return [b.left, b.top, b.width, b.height]; })()"
        )
        share = min(0.995, shown["time"] / data["times"][-1])
        page.drag((left + share * width, top + height / 2))
        page.wait(f"document.body.dataset.frame === '{shown['number']}'")
        current = page.run("document.querySelector('#strip [aria-current=\"true\"] span').firstChild.textContent")
        assert current == f"Frame {shown['number']}"


def test_fingers_drag_pinch_and_tap(browser: Page, report: Path) -> None:
    browser.events.clear()
    browser.resize(390, 844, pixels=3, touch=True)
    browser.open(report.as_uri() + "#mode=flip&a=1&b=2")
    x, y = browser.center("#stage")
    browser.touch("touchStart", (x - 20, y), (x + 20, y))
    for away in (30, 50, 80):
        browser.touch("touchMove", (x - away, y), (x + away, y))
    browser.touch("touchEnd")
    assert browser.run("document.querySelector('#zoom').textContent") == "4\N{MULTIPLICATION SIGN}"
    before = browser.run("location.hash")
    browser.touch("touchStart", (x, y))
    browser.touch("touchMove", (x - 60, y - 30))
    browser.touch("touchEnd")
    assert hash_of(browser) != before
    assert browser.run("document.querySelector('#a').value") == "0"
    browser.touch("touchStart", (x, y))
    browser.touch("touchEnd")
    assert browser.run("document.querySelector('#a').value") == "1"
    assert browser.complaints() == []


@pytest.mark.parametrize(("width", "height", "pixels"), [(1280, 900, 1), (390, 844, 2)])
@pytest.mark.parametrize("look", ["light", "dark"])
def test_it_fits_and_has_two_looks(
    browser: Page, report: Path, folder: Path, width: int, height: int, pixels: int, look: str
) -> None:
    browser.events.clear()
    browser.resize(width, height, pixels=pixels, touch=width < 700)
    browser.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": look}])
    browser.open(report.as_uri())
    assert browser.run("document.documentElement.scrollWidth") == width
    picture = Image.open(io.BytesIO(browser.screenshot(folder / f"report-{width}-{look}.png"))).convert("L")
    brightness = picture.getpixel((2 * pixels, 2 * pixels))
    assert brightness < 60 if look == "dark" else brightness > 200  # type: ignore[operator]
    browser.click("#theme")
    after = browser.run("getComputedStyle(document.body).backgroundColor")
    assert int(re.findall(r"\d+", after)[0]) > 200 if look == "dark" else int(re.findall(r"\d+", after)[0]) < 60
    browser.call("Emulation.setEmulatedMedia", features=[])
    assert browser.complaints() == []


def test_everything_that_can_be_used_has_a_name(page: Page) -> None:
    nodes = page.call("Accessibility.getFullAXTree")["nodes"]
    used = {"button", "slider", "combobox", "radio", "application", "image", "table", "radiogroup"}
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored")
        and node.get("role", {}).get("value") in used
        and not node.get("name", {}).get("value")
        # The tables of figures and facts are named by the headings of their sections.
        and node["role"]["value"] != "table"
    ]
    assert nameless == []
