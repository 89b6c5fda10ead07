"""`import crossent` loads NumPy and the standard library only, in less than 1.3 times NumPy's own import."""

import pytest

from import_cost import cost_ratio, foreign_modules

LIMIT = 1.3


def test_nothing_but_numpy_is_loaded() -> None:
    assert foreign_modules("import crossent") == []


def test_the_import_costs_less_than_numpy_by_a_third() -> None:
    ratio = cost_ratio("import crossent", limit=LIMIT)
    assert ratio < LIMIT, f"import crossent takes {ratio:.2f} times as long as import numpy"


@pytest.mark.parametrize("name", ["cross_entropy", "CrossEntropy", "softmax", "entropy", "__version__"])
def test_the_core_is_there_after_the_import(name: str) -> None:
    assert foreign_modules(f"import crossent; crossent.{name}") == []
