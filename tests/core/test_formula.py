"""Native code against the array formula, and the formula against the oracle, within the formula's stated bound."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
import oracle_binary
from cases import hard_cases, soft_targets
from closeness import assert_close
from crossent.core import formula
from formula_bounds import gradient_bound, loss_bound, unit

DTYPES = (np.float32, np.float64)
CASES = ["normal 1", "normal 1e-3", "normal 30", "all equal", "ties", "ascending", "late maximum", "huge spread"]


def finite_rows(K: int, dtype: Any) -> tuple[Any, Any, Any]:
    """(logits, dense targets one-hot and soft in turn, class weights)."""
    cases = [c for c in hard_cases(K, dtype, infinite=False) if c.name in CASES]
    z = np.concatenate([c.logits for c in cases])
    q = np.concatenate([soft_targets(c) for c in cases]).astype(dtype)
    return z, q, np.linspace(0.5, 2, K).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40])
def test_formula_against_oracle(K: int, dtype: Any) -> None:
    z, q, _ = finite_rows(K, dtype)
    z, q = z[::3], q[::3]
    assert_close(
        formula.logit_loss(np, z, q), oracle.row_losses(q, logits=z), bound=loss_bound(z, q, dtype), dtype=dtype
    )
    exact = oracle.gradient(q, logits=z, reduction="none")
    assert_close(formula.logit_gradient(np, z, q), exact, bound=gradient_bound(z, q, dtype), dtype=dtype)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 40, 200])
def test_native_against_formula(K: int, dtype: Any, weighted: bool, smoothing: float, isa: str) -> None:
    """Twice the formula's bound: native code is closer than that to the truth."""
    z, q, cw = finite_rows(K, dtype)
    a = formula.dense_targets(np, q, class_weight=cw if weighted else None, smoothing=dtype(smoothing))
    loss = ce.CrossEntropy(reduction="none", label_smoothing=smoothing, class_weight=cw if weighted else None)
    got = loss.value_and_grad(q, logits=z)
    np.testing.assert_array_less(
        np.abs(got.value - formula.logit_loss(np, z, a)), 2 * loss_bound(z, a, dtype) + unit(dtype) * 1e-30
    )
    np.testing.assert_array_less(
        np.abs(got.grad - formula.logit_gradient(np, z, a)), 2 * gradient_bound(z, a, dtype) + 1e-300
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_hot_formula_agrees_with_index_targets(dtype: Any, isa: str) -> None:
    z, _, _ = finite_rows(10, dtype)
    y = np.arange(len(z)) % 10
    q = formula.one_hot(np, y, 10, dtype)
    assert q.dtype == dtype
    got = ce.cross_entropy(y, logits=z, reduction="none")
    assert (np.abs(got - formula.logit_loss(np, z, q)) <= 2 * loss_bound(z, q, dtype)).all()


def test_the_maximum_of_a_tie_is_its_first() -> None:
    """A maximum that shared its gradient would be wrong at all-zero logits."""
    m, d, e, top = formula.softmax_parts(np, np.zeros((1, 3)))
    assert top.tolist() == [[True, False, False]]
    assert (m.tolist(), d.tolist(), e.tolist()) == ([[0.0]], [[0.0] * 3], [[0.0, 1.0, 1.0]])
    q = np.array([[0.0, 1.0, 0.0]])
    np.testing.assert_allclose(formula.logit_gradient(np, np.zeros((1, 3)), q), [[1 / 3, -2 / 3, 1 / 3]], rtol=1e-15)


def test_formula_of_probabilities_against_oracle() -> None:
    rng = np.random.default_rng(0)
    p, q = rng.dirichlet(np.ones(6), 30), rng.dirichlet(np.ones(6), 30)
    q[:10] = np.eye(6)[np.arange(10) % 6]
    assert_close(formula.prob_loss(np, p, q), oracle.row_losses(q, probs=p), ulps=4)
    assert_close(formula.prob_gradient(np, p, q), oracle.gradient(q, probs=p, reduction="none"), ulps=1)
    logs = np.log(p)
    assert_close(formula.log_prob_loss(np, logs, q), oracle.row_losses(q, log_probs=logs), ulps=4)


def test_formula_of_infinite_logarithms_is_silent() -> None:
    """0 log 0 = 0: nothing invalid is computed on the way."""
    with np.errstate(all="raise"):
        assert formula.log_prob_loss(np, np.array([[-np.inf, 0.0]]), np.array([[0.0, 1.0]])).tolist() == [0.0]
        assert formula.prob_loss(np, np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]])).tolist() == [0.0]


@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_formula_against_oracle_and_native(dtype: Any, isa: str) -> None:
    z = np.concatenate([np.linspace(-80, 80, 161), 10.0 ** np.linspace(-20, 4, 50)]).astype(dtype)
    y = np.resize([0.0, 1.0, 0.25, 0.9], z.size).astype(dtype)
    options = {"label_smoothing": 0.1, "class_weight": [0.5, 2.0], "pos_weight": 3.0}
    A, B = formula.binary_weights(y, smoothing=dtype(0.1), pos_weight=dtype(3), negative=dtype(0.5), positive=dtype(2))
    asked = {"logits": z, "reduction": "none", **options}
    scale = np.array(oracle_binary.binary_gradient_scale(y, **asked), dtype=np.float64)
    exact, slope = oracle_binary.binary_cross_entropy(y, **asked), oracle_binary.binary_gradient(y, **asked)
    got = ce.BinaryCrossEntropy(reduction="none", **options).value_and_grad(y, logits=z)
    value, grad = formula.binary_logit_loss(np, z, A, B), formula.binary_logit_gradient(np, z, A, B)
    assert value.dtype == grad.dtype == dtype
    assert_close(value, exact, rtol=12 * unit(dtype))
    bound = (np.abs(z) + 12) * unit(dtype) * (np.asarray(A) + np.asarray(B))
    assert_close(grad, slope, bound=bound.astype(np.float64))
    assert_close(got.value, exact, ulps=4)
    assert_close(got.grad, slope, ulps=8, of=scale)
