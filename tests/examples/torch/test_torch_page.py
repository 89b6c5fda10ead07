"""Every line of docs/frameworks.md runs, in an environment that has all frameworks."""

import doctest
from pathlib import Path

import pytest

pytestmark = pytest.mark.frameworks
PAGE = Path(__file__).parents[3] / "docs" / "frameworks.md"


def test_page_examples() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 15
    assert result.failed == 0
