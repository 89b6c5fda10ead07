"""docs/solvers.md: its example runs, its table has every solver, and its numbers are those of the code."""

import doctest
import importlib.util
import re
from pathlib import Path

import pytest
from sklearn.datasets import load_digits

from crossent.learn.solvers import SOLVERS, SolverOptions, auto, newton, preconditioner, stochastic, watch
from crossent.learn.solvers.rules import RULES

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "solvers.md"
TEXT = " ".join(PAGE.read_text(encoding="utf-8").split())


def test_the_example_of_the_page() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted >= 5
    assert result.failed == 0


def test_every_solver_is_in_the_table() -> None:
    cells = re.findall(r"^\| (`.*?) \|", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(cells)) == list(SOLVERS)


@pytest.mark.parametrize(
    "sentence",
    [
        f"at least twice {auto.LEAST_ROWS:,} rows, and twice {auto.ROWS_PER_PARAMETER} rows for each parameter",
        f"With `l1` and at most {newton.LARGEST_HESSIAN_L1:,} parameters it is `newton`",
        f"models with more than {preconditioner.LARGEST_WIDTH:,} parameters a logit",
        f"at most {newton.LARGEST_HESSIAN} parameters ({newton.LARGEST_HESSIAN_L1:,} with `l1`)",
        f"a {stochastic._BATCHES}th of the rows, between {stochastic._LEAST_BATCH} and {stochastic._BATCH}",
        f"a rate of {RULES['sgd'].rate:g} (`sgd`), {RULES['momentum'].rate} (`momentum`, `nesterov`, `adam`), "
        f"{RULES['rmsprop'].rate} (`rmsprop`) or {RULES['adagrad'].rate} (`adagrad`)",
        f"raise it by {stochastic._GROW} after",
        f"the gap is at most {SolverOptions().tol:.0e} times F (of {watch.LEAST_LOSS:.0e}, if F is lower)".replace(
            "e-0", "e-"
        ),
    ],
)
def test_numbers_of_the_solvers(sentence: str) -> None:
    assert sentence in TEXT


def test_rates_that_share_a_number_and_halving() -> None:
    assert RULES["momentum"].rate == RULES["nesterov"].rate == RULES["adam"].rate
    assert stochastic._SHRINK == 0.5
    assert "halve it after one in which F rose" in TEXT


def test_numbers_of_the_pictures() -> None:
    path = ROOT / "examples" / "compare_solvers.py"
    spec = importlib.util.spec_from_file_location("compare_solvers_of_the_page", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    digits, images = example.on_digits(max_iter=1), load_digits()
    assert images.data.shape[1] == 64
    assert len(images.target_names) == 10
    assert f"Images of digits: {digits.rows} to fit, 64 features, ten classes, `l2=1e-3`" in TEXT
    assert digits.l2 == 1e-3
    assert {curve.solver for curve in digits.curves} == set(SOLVERS) - {"auto"}
    assert "path of gd, momentum, adam, lbfgs and newton" in TEXT
    _, _, paths = example.on_two_features(max_iter=1)
    assert [curve.solver for curve in paths.curves] == ["gd", "momentum", "adam", "lbfgs", "newton"]


def test_a_pass_of_mini_batches_counts_with_the_one_that_computes_f() -> None:
    from crossent.learn import compare_solvers

    X, y = [[0.0], [1.0], [2.0], [3.0]], [0, 1, 0, 1]
    (curve,) = compare_solvers(X, y, solvers=["sgd"], held_out=0, options=SolverOptions(max_iter=5, tol=0)).curves
    assert [b - a for a, b in zip(curve.passes, curve.passes[1:], strict=False)] == [2.0] * 5
