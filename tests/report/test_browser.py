"""The report page in Chromium: desktop and phone, light and dark, scripts on and off; nothing but the file is read."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossent.report import write_page
from crossent.scoring import Tally
from programs import need_program
from results import compare_of, score_of

pytestmark = pytest.mark.browser

LABELS = ["<script>alert('x')</script>", "\u202egnissim", "x" * 10_000, "owl"]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    targets, z = rng.integers(0, 4, 300), rng.normal(size=(300, 4)) * 2
    tally = Tally(LABELS, kind="logits", by=("city",))
    cities = np.array([*LABELS, "x"])[rng.integers(0, 5, 300)]
    tally.update(targets, z, source="preds.parquet", by={"city": cities})
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, tally.result(), model={"trace": [1.4, 0.9, 0.7], "solver": "lbfgs"}, title="</title><b>x")
    return path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    program = need_program("chromium", "chromium-browser", "google-chrome", install="apt-get install chromium")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=quiet)
        yield browser
        browser.close()


@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (360, 740)], ids=["desktop", "phone"])
def test_page_opens_cleanly(
    chromium: Any, page_file: Path, width: int, height: int, scheme: str, scripts: bool
) -> None:
    context = chromium.new_context(
        viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=scripts
    )
    asked: list[str] = []
    complaints: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(page_file.as_uri())
    assert complaints == []
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert page.locator("h1").count() == 1
    assert page.locator("svg").count() >= 3
    assert page.locator("h1").bounding_box()["width"] <= width
    if scripts:
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0
    context.close()


def test_colours_follow_the_scheme(chromium: Any, page_file: Path) -> None:
    """Light text on dark, dark on light: the two differ by far."""
    lightness = {}
    for scheme in ("light", "dark"):
        page = chromium.new_page(color_scheme=scheme)
        page.goto(page_file.as_uri())
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        lightness[scheme] = sum(int(part) for part in colour.strip("rgba()").split(",")[:3]) / 3
        page.close()
    assert lightness["light"] > 200
    assert lightness["dark"] < 60


@pytest.mark.parametrize("width", [1280, 360])
def test_a_notebook_piece_stays_inside_and_quiet(chromium: Any, width: int) -> None:
    complaints: list[str] = []
    page = chromium.new_page(viewport={"width": width, "height": 800})
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.set_content("".join(result._repr_html_() for result in (score_of(LABELS), compare_of(segments=3))))
    assert complaints == []
    assert page.locator("svg").count() == 3
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    page.close()
