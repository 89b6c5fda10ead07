"""The array formula of a row against the oracle on hard rows and against native code, within the bounds of its head."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
from cases import hard_cases, soft_targets
from closeness import assert_close
from crossent.core import formula
from crossent.core.shapes import Shape
from crossent.core.terms import Terms
from formula_bounds import gradient_bound, loss_bound, rows_bound, unit
from oracle_family import family_answers, log_prior
from shapes import SHAPES, allowed_ulps, hard_probabilities, words

DTYPES = (np.float32, np.float64)
PLAIN = Terms()
RULES: dict[str, dict[str, Any]] = {
    "plain": {},
    "temperature": {"temperature": 0.3},
    "softcap": {"softcap": 30.0},
    "small softcap": {"softcap": 0.5, "temperature": 2.0},
    "prior": {"log_prior": True},
    "entropy": {"entropy_weight": 0.3},
    "confidence penalty": {"entropy_weight": -2.0},
    "z_loss": {"z_loss": 0.01},
    "all": {"z_loss": 0.5, "entropy_weight": -1.5, "softcap": 5.0, "temperature": 0.7, "log_prior": True},
}
EVERY = [(shape, rules) for shape in SHAPES for rules in ("plain", "all")]
EVERY += [(shape, rules) for shape in SHAPES[:12:3] for rules in list(RULES)[1:-1]]


def options(name: str, K: int) -> dict[str, Any]:
    """Rules by name; priors as numbers that both dtypes hold."""
    rules = dict(RULES[name])
    if "log_prior" in rules:
        rules["log_prior"] = [-float(k % 5) / 4 for k in range(K)]
    return rules


def terms_of(shape: Shape, given: dict[str, Any]) -> Terms:
    """The same in the package's words: [2, K] priors, the second part what rounding lost."""
    given = dict(given)
    b = given.pop("log_prior", None)
    return Terms(shape, **given, prior=None if b is None else np.stack([b, np.zeros_like(b)]))


def rows(K: int, dtype: Any, *, infinite: bool = False) -> tuple[Any, Any]:
    """Hard rows, thinned out; one-hot and soft targets in turn."""
    z, q = [], []
    for case in hard_cases(K, dtype, infinite=infinite):
        if len(case.targets):
            some = slice(None, None, max(1, len(case.targets) // 4))
            onehot = formula.one_hot(np, case.targets, K, dtype)
            z.append(case.logits[some])
            q.append(np.where(np.arange(len(onehot))[:, None] % 2, soft_targets(case).astype(dtype), onehot)[some])
    return np.concatenate(z), np.concatenate(q)


def everything(z: Any, q: Any, terms: Terms) -> dict[str, Any]:
    """Loss, gradient and both Hessian diagonals by formula."""
    return {
        "loss": formula.row_loss(np, z, q, terms),
        "grad": formula.row_gradient(np, z, q, terms),
        "hess": formula.row_hessian(np, z, q, terms),
        "upper": formula.row_upper(np, z, q, terms),
    }


@pytest.mark.parametrize(("shape", "rules"), EVERY, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [*(pytest.param(K, marks=pytest.mark.slow) for K in (1, 2)), 5])
def test_rows_against_the_oracle(K: int, dtype: Any, shape: Shape, rules: str) -> None:
    z, q = rows(K, dtype)
    given = options(rules, K)
    terms = terms_of(shape, given)
    exact = family_answers(q, logits=z, shape=words(shape), **given)
    bound = rows_bound(z, terms, dtype)
    far = "ignore" if rules == "z_loss" and dtype == np.float32 else "raise"  # 1e30 squared
    with np.errstate(all="raise", under="ignore", over=far):
        got = everything(z, q, terms)
    for name, values in got.items():
        scale = getattr(exact, f"{name}_scale").to_float()
        allowed = bound.reshape(-1, *[1] * (values.ndim - 1)) * scale + 8 * float(np.finfo(dtype).tiny)
        assert_close(values, getattr(exact, name), bound=allowed, dtype=dtype, label=f"{name} of {rules}")
    assert np.all(got["upper"] >= 0)


@pytest.mark.parametrize("rules", ["plain", "softcap", "all"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_infinite_logits(shape: Shape, rules: str) -> None:
    """Ruled out and certain classes: no NaN, and what the oracle says; z_loss of a certain class is inf."""
    z, q = rows(4, np.float64, infinite=True)
    z, q = z[~np.isfinite(z).all(axis=1)], q[~np.isfinite(z).all(axis=1)]
    assert np.isposinf(z).any()
    assert (np.isneginf(z) & (q > 0)).any()
    given = options(rules, 4)
    terms = terms_of(shape, given)
    exact = family_answers(q, logits=z, shape=words(shape), **given)
    bound = rows_bound(z, terms, np.float64)
    for name, values in everything(z, q, terms).items():
        scale = getattr(exact, f"{name}_scale").to_float()
        allowed = bound.reshape(-1, *[1] * (values.ndim - 1)) * np.where(np.isfinite(scale), scale, 1.0)
        assert_close(values, getattr(exact, name), bound=allowed + 1e-300, label=name)


def test_confident_rows_of_small_gamma_do_not_overflow() -> None:
    """c grows like u^(gamma - 1); it is never taken alone."""
    z = np.array([[0.0, 100.0, 1.0], [0.0, 86.0, 85.9], [0.0, 0.0, 103.9]], np.float32)
    terms = Terms(Shape("focal", 1.0, 0.01))
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        for q in (np.eye(3, dtype=np.float32)[[1, 1, 2]], np.full((3, 3), 1 / 3, np.float32)):
            assert all(np.isfinite(values).all() for values in everything(z, q, terms).values())


def test_bootstrapped_targets_lean_to_the_first_largest_logit() -> None:
    z, q = np.array([[1.0, 3.0, 3.0], [0.0, 40.0, 50.0]]), np.array([[1.0, 0.0, 0.0], [0.5, 0.5, 0.0]])
    got = formula.bootstrapped(np, q, z, 0.25)
    assert got.tolist() == [[0.75, 0.25, 0.0], [0.375, 0.375, 0.25]]
    terms = Terms(hard=0.25, alpha=np.array([2.0, 4.0, 1.0]))
    weighed = formula.dense_targets(np, q, terms, smoothing=0.0, class_weight=[1.0, 0.5, 8.0], z=z)
    assert weighed.tolist() == [[1.5, 0.5, 0.0], [0.75, 0.75, 2.0]]


def test_priors_are_added_as_native_code_adds_them() -> None:
    """tau (high + low); the sum of both parts is the logarithm in float64."""
    loss = ce.LogitAdjusted([90, 9, 1], tau=0.75, reduction="none")
    terms = loss.terms(3)
    assert terms is not None
    np.testing.assert_allclose(terms.log_prior, np.array(log_prior([90, 9, 1], 0.75), float), rtol=1e-15)
    z, q = np.array([[0.3, -2.0, 1.5], [30.0, 0.0, 1.0]]), np.eye(3)[[2, 1]]
    got = loss.value_and_grad(q, logits=z)
    np.testing.assert_allclose(formula.row_loss(np, z, q, terms), got.value, rtol=1e-14)
    np.testing.assert_allclose(formula.row_gradient(np, z, q, terms), got.grad, rtol=1e-13)


def test_minus_zero_is_zero() -> None:
    """The loss is inf and falls with p, whatever the sign of the zero."""
    p, q = np.array([[-0.0, 1.0]]), np.array([[1.0, 0.0]])
    with np.errstate(divide="ignore"):
        assert formula.row_prob_loss(np, p, q, Shape()).tolist() == [np.inf]
        assert formula.row_prob_gradient(np, p, q, Shape()).tolist() == [[-np.inf, 0.0]]


def test_what_is_ruled_out_is_silent() -> None:
    """0 log 0 = 0: nothing invalid is computed on the way."""
    with np.errstate(all="raise"):
        q = np.array([[0.0, 1.0]])
        assert formula.row_log_prob_loss(np, np.array([[-np.inf, 0.0]]), q, Shape()).tolist() == [0.0]
        assert formula.row_prob_loss(np, np.array([[0.0, 1.0]]), q, Shape()).tolist() == [0.0]


@pytest.mark.parametrize("kind", ["probs", "log_probs"])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_probabilities_against_the_oracle(shape: Shape, kind: str) -> None:
    """Every entry as a row of its own, in float64 as these formulas are used."""
    with np.errstate(divide="ignore"):
        p = hard_probabilities(np.float64)
        x = np.stack([p if kind == "probs" else np.log(p), np.full(p.size, np.nan)], axis=1)
    q = np.tile([1.0, 0.0], (p.size, 1))
    exact = family_answers(q, shape=words(shape), **{kind: x})
    stem = "prob" if kind == "probs" else "log_prob"
    with np.errstate(divide="ignore", over="ignore", invalid="raise"):
        loss = getattr(formula, f"row_{stem}_loss")(np, x, q, shape)
        grad = getattr(formula, f"row_{stem}_gradient")(np, x, q, shape)
    assert_close(loss, exact.loss, ulps=allowed_ulps(shape))
    assert_close(grad, exact.grad, ulps=allowed_ulps(shape))


# ---------------------------------------------------------------- plain cross-entropy

CASES = ["normal 1", "normal 1e-3", "normal 30", "all equal", "ties", "ascending", "late maximum", "huge spread"]


def finite_rows(K: int, dtype: Any) -> tuple[Any, Any, Any]:
    """(logits, dense targets one-hot and soft in turn, class weights)."""
    cases = [c for c in hard_cases(K, dtype, infinite=False) if c.name in CASES]
    z = np.concatenate([c.logits for c in cases])
    q = np.concatenate([soft_targets(c) for c in cases]).astype(dtype)
    return z, q, np.linspace(0.5, 2, K).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40])
def test_plain_rows_against_the_oracle(K: int, dtype: Any) -> None:
    z, q, _ = finite_rows(K, dtype)
    z, q = z[::3], q[::3]
    assert_close(
        formula.row_loss(np, z, q, PLAIN), oracle.row_losses(q, logits=z), bound=loss_bound(z, q, dtype), dtype=dtype
    )
    exact = oracle.gradient(q, logits=z, reduction="none")
    assert_close(formula.row_gradient(np, z, q, PLAIN), exact, bound=gradient_bound(z, q, dtype), dtype=dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40, 200])
def test_native_against_formula(K: int, dtype: Any, weighted: bool, smoothing: float, isa: str) -> None:
    """Twice the formula's bound: native code is closer than that to the truth."""
    z, q, cw = finite_rows(K, dtype)
    a = formula.dense_targets(np, q, PLAIN, class_weight=cw if weighted else None, smoothing=dtype(smoothing))
    loss = ce.CrossEntropy(reduction="none", label_smoothing=smoothing, class_weight=cw if weighted else None)
    got = loss.value_and_grad(q, logits=z)
    np.testing.assert_array_less(
        np.abs(got.value - formula.row_loss(np, z, a, PLAIN)), 2 * loss_bound(z, a, dtype) + unit(dtype) * 1e-30
    )
    np.testing.assert_array_less(
        np.abs(got.grad - formula.row_gradient(np, z, a, PLAIN)), 2 * gradient_bound(z, a, dtype) + 1e-300
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_formula_agrees_with_index_targets(dtype: Any, isa: str) -> None:
    z, _, _ = finite_rows(10, dtype)
    y = np.arange(len(z)) % 10
    q = formula.one_hot(np, y, 10, dtype)
    assert q.dtype == dtype
    got = ce.cross_entropy(y, logits=z, reduction="none")
    assert (np.abs(got - formula.row_loss(np, z, q, PLAIN)) <= 2 * loss_bound(z, q, dtype)).all()


def test_the_maximum_of_a_tie_is_its_first() -> None:
    """A maximum that shared its gradient would be wrong at all-zero logits."""
    z, q = np.zeros((1, 3)), np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(formula.row_gradient(np, z, q, PLAIN), [[1 / 3, -2 / 3, 1 / 3]], rtol=1e-15)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_second_derivatives(dtype: Any) -> None:
    z, q = rows(5, dtype)
    got = everything(z, q, PLAIN)
    np.testing.assert_array_equal(got["upper"], 2 * got["hess"])
    assert np.all(got["hess"] >= 0)
