"""docs/statistics.md: its examples run, and it names every statistic that a Score has."""

import doctest
from dataclasses import fields
from pathlib import Path

import crossent as ce
from crossent import plots
from crossent.scoring.loss_summary import FEW_ROWS

PAGE = Path(__file__).parents[1] / "docs" / "statistics.md"
TEXT = PAGE.read_text(encoding="utf-8")


def test_examples_of_the_page() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert result.attempted > 20
    assert result.failed == 0


def test_every_statistic_is_in_the_table() -> None:
    plain = {"kind", "classes", "n", "effective_n", "method", "clustered", "baseline_of", "notes"}
    rows = [line for line in TEXT.splitlines() if line.startswith("| `")]
    named = " ".join(row.split("|")[1] for row in rows)
    whole = {field.name for field in fields(ce.Score)} - plain - {"reliability", "reliability_of", "top"}
    assert [name for name in sorted(whole) if f"`{name}`" not in named] == []


def test_every_picture_of_a_score_is_shown() -> None:
    learning = {"learning_curves", "learning_page", "loss_surface", "training"}
    assert [name for name in plots.__all__ if name not in learning and f"plots.{name}(" not in TEXT] == []


def test_numbers_of_the_page() -> None:
    assert f"fewer than {FEW_ROWS} rows" in " ".join(TEXT.split())
