"""`import crossent` loads NumPy and the standard library only, in less than 1.3 times NumPy's own import."""

from pathlib import Path

import pytest

from import_cost import cost_ratio, foreign_modules, wanted_modules
from programs import need_program

LIMIT = 1.3
ROOT = Path(__file__).parents[2]
FRAMEWORKS = {"torch", "jax", "keras", "tensorflow", "optax", "ml_dtypes"}


def test_nothing_but_numpy_is_loaded() -> None:
    assert foreign_modules("import crossent") == []


def test_no_framework_is_even_looked_for() -> None:
    assert not wanted_modules("import crossent, crossent.boosting") & FRAMEWORKS
    assert wanted_modules("import importlib.util as u; u.find_spec('jax')") & FRAMEWORKS == {"jax"}


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("module", "framework"), [("crossent", None), ("crossent.torch", "torch"), ("crossent.jax", "jax")]
)
def test_only_the_framework_asked_for_is_loaded(module: str, framework: str | None) -> None:
    """Where all of them are installed. (What Keras loads is its own affair, that JAX loads ml_dtypes is JAX's.)"""
    python = need_program(str(ROOT / ".venv-frameworks" / "bin" / "python"), install="make frameworks")
    loaded = set(foreign_modules(f"import {module}", python)) & FRAMEWORKS
    assert loaded - {"ml_dtypes"} == ({framework} if framework else set())
    assert framework or not loaded


def test_the_import_costs_less_than_numpy_by_a_third() -> None:
    ratio = cost_ratio("import crossent", limit=LIMIT)
    assert ratio < LIMIT, f"import crossent takes {ratio:.2f} times as long as import numpy"


@pytest.mark.parametrize("name", ["cross_entropy", "CrossEntropy", "softmax", "entropy", "__version__"])
def test_the_core_is_there_after_the_import(name: str) -> None:
    assert foreign_modules(f"import crossent; crossent.{name}") == []
