"""Every Python line of docs/boosting.md runs and prints what the page says."""

import doctest
from pathlib import Path

from boosters import need

need("xgboost")
need("lightgbm")
PAGE = Path(__file__).parents[2] / "docs" / "boosting.md"


def test_examples_of_the_page() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0
