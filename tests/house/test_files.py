"""Files and functions stay short, and the first line of every file says why it exists."""

from pathlib import Path

import pytest

from file_rules import troubles

ROOT = Path(__file__).parents[2]
FOLDERS = ("src/crossent", "native", "tests", "benchmarks", "docs", "examples")


def files(*patterns: str) -> list[Path]:
    """The project's own files."""
    found = [p for folder in FOLDERS for pattern in patterns for p in (ROOT / folder).rglob(pattern)]
    return sorted(p for p in found if "_build" not in p.parts)


@pytest.mark.parametrize("path", files("*.py", "*.cpp", "*.hpp"), ids=lambda p: p.relative_to(ROOT).as_posix())
def test_file_is_short_and_says_why_it_exists(path: Path) -> None:
    assert troubles(path.name, path.read_text(encoding="utf-8")) == []
