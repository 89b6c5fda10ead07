"""Every relative link of the documents leads to a file of the project, and every anchor to a heading."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
DOCUMENTS += sorted((ROOT / "docs").glob("*.md"))
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(\s*<?([^)\s>]+)")
HEADING = re.compile(r"^#+ +(.+?) *$", re.MULTILINE)


def links(text: str) -> list[str]:
    """Targets of links and images outside of code blocks."""
    return LINK.findall(FENCE.sub("", text))


def anchors(text: str) -> set[str]:
    """What headings are called in links, by GitHub's rule."""
    heads = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def dead_links(document: Path, root: Path) -> list[str]:
    """Relative links of a document that lead nowhere, or out of the project at `root`."""
    text = document.read_text(encoding="utf-8")
    dead = []
    for link in links(text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        found = target.is_relative_to(root) and target.exists()
        if not found or (anchor and anchor not in anchors(target.read_text(encoding="utf-8"))):
            dead.append(link)
    return dead


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_relative_links_lead_somewhere(document: Path) -> None:
    assert dead_links(document, ROOT) == []


def test_the_link_check_bites(tmp_path: Path) -> None:
    (tmp_path / "there.md").write_text("# Some Heading, here\n")
    (tmp_path / "a.md").write_text(
        "[a](there.md) [b](there.md#some-heading-here) [c](https://example.org) [d](#top)\n# Top\n"
        "```\n[in code](nowhere.md)\n```\n"
        "![e](missing.png) [f](there.md#other) [g](../outside.md) [h](#nothing)\n"
    )
    assert dead_links(tmp_path / "a.md", tmp_path) == ["missing.png", "there.md#other", "../outside.md", "#nothing"]
