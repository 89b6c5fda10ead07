"""crossent.jax on hard rows against the oracle: (K + 20 + D) u of the loss, of the gradient's terms, of the Hessian's.

D is the row's largest difference of logits up to 1100, u half the spacing of 1; XLA's CPU compiler takes numbers below
the normal range for 0, of each class, so (K + 8) of the smallest normal number are allowed besides.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import crossent.jax as cj
import oracle
import oracle_binary
from cases import hard_cases
from closeness import assert_close, worst_ulps
from crossent.core.shapes import Shape
from formula_bounds import rows_bound
from jax_cases import hard_rows, precision
from oracle_family import family_answers
from shapes import SHAPES, words
from wide import Wide

pytestmark = pytest.mark.frameworks

DTYPES = (np.float32, np.float64)
CASES = [(K, dtype) for K in (1, 2, 3, 10, 64, 300) for dtype in DTYPES]


def row_bound(z: Any, dtype: Any) -> tuple[Any, float]:
    """The bound of this file's head: a share for each row, and what is allowed besides."""
    numbers = np.finfo(dtype)
    spread = np.minimum((z.max(axis=1) - z.min(axis=1)).astype(np.float64), 1100)
    return (z.shape[1] + 20 + spread) * float(numbers.eps) / 2, (z.shape[1] + 8) * float(numbers.tiny)


def values_and_gradients(function: Any, z: Any, targets: Any) -> tuple[Any, Any]:
    """Row losses, and the gradient of their sum: each compiled."""
    total = jax.jit(jax.grad(lambda z: function(z, targets).sum()))
    return np.asarray(jax.jit(function)(z, targets)), np.asarray(total(z))


@pytest.mark.parametrize(("K", "dtype"), CASES)
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_softmax_rows(kind: str, K: int, dtype: Any) -> None:
    z, y, q = hard_rows(K, dtype)
    targets = y if kind == "labels" else q
    function = cj.softmax_cross_entropy_with_integer_labels if kind == "labels" else cj.softmax_cross_entropy
    with precision(dtype):
        loss, grad = values_and_gradients(function, z, targets)
    share, more = row_bound(z, dtype)
    exact = oracle.row_losses(targets, logits=z)
    assert_close(loss, exact, bound=share * np.abs(Wide.of(exact).to_float()) + more, dtype=dtype)
    scale = Wide.of(oracle.gradient_scale(targets, logits=z, reduction="none")).to_float()
    exact = oracle.gradient(targets, logits=z, reduction="none")
    assert_close(grad, exact, bound=share[:, None] * scale + more, dtype=dtype)


@pytest.mark.parametrize("K", [2, 10])
def test_optax_is_not_so_close(K: int) -> None:
    """What the forms are for: of confident rows optax keeps no digit."""
    z, y, _ = hard_rows(K, np.float32)
    exact = oracle.row_losses(y, logits=z)
    above = Wide.of(exact).to_float() > 1e-30
    ours, theirs = (
        worst_ulps(np.asarray(module.softmax_cross_entropy_with_integer_labels(z, y))[above], exact[above])
        for module in (cj, optax)
    )
    assert ours < 100 < 1e6 < theirs


@pytest.mark.parametrize(("K", "dtype"), [(4, np.float64), (10, np.float32)])
@pytest.mark.parametrize("kind", ["labels", "soft"])
def test_infinite_logits(kind: str, K: int, dtype: Any) -> None:
    """A ruled out target costs inf, a certain one 0; gradients hold no NaN."""
    z, y, q = (np.concatenate(parts) for parts in zip(*(
        (case.logits, case.targets, np.eye(K, dtype=dtype)[case.targets])
        for case in hard_cases(K, dtype) if case.name in ("ruled out", "one +inf")
    ), strict=True))  # fmt: skip
    targets = y if kind == "labels" else q
    function = cj.softmax_cross_entropy_with_integer_labels if kind == "labels" else cj.softmax_cross_entropy
    with precision(dtype):
        loss, grad = values_and_gradients(function, z, targets)
    assert_close(loss, oracle.row_losses(y, logits=z), rtol=1e-5 if dtype == np.float32 else 1e-13)
    assert_close(grad, oracle.gradient(y, logits=z, reduction="none"), bound=1e-6 if dtype == np.float32 else 1e-15)


@pytest.mark.parametrize("bad", [[np.inf, 1.0, np.inf], [-np.inf, -np.inf, -np.inf], [0.0, np.nan, 1.0]])
def test_rows_without_an_answer_are_nan(bad: list[float]) -> None:
    z = np.array([bad, [0.0, 1.0, 2.0]], np.float32)
    loss, grad = values_and_gradients(cj.softmax_cross_entropy_with_integer_labels, z, np.array([1, 1]))
    assert np.isnan(loss[0])
    assert np.isnan(grad[0]).any()
    assert np.isfinite(loss[1])
    assert np.isfinite(grad[1]).all()


@pytest.mark.parametrize("order", ["forward over reverse", "reverse over reverse"])
@pytest.mark.parametrize("kind", ["labels", "soft"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_hessians_of_hard_rows(dtype: Any, kind: str, order: str) -> None:
    """The whole matrix at ties and confident rows too: Q (diag p - p p'), each element within its own size."""
    z, y, q = hard_rows(4, dtype, each=3)
    targets = y if kind == "labels" else q
    function = cj.softmax_cross_entropy_with_integer_labels if kind == "labels" else cj.softmax_cross_entropy
    outer = jax.jacfwd if order == "forward over reverse" else jax.jacrev
    with precision(dtype):
        hessian = np.asarray(jax.jit(jax.vmap(outer(jax.grad(function))))(z, targets))
    share, more = row_bound(z, dtype)
    exact = oracle.hessian(targets, logits=z)
    size = np.abs(Wide.of(exact).to_float())
    diagonal = np.diagonal(hessian, axis1=1, axis2=2)
    assert_close(diagonal, exact, bound=8 * share[:, None] * size + 8 * more, dtype=dtype)
    p = Wide.of(oracle.softmax(z)).to_float()
    off = -p[:, :, None] * p[:, None, :]
    off[:, range(4), range(4)] = diagonal
    assert np.all(np.abs(hessian - off) <= 8 * share[:, None, None] * np.abs(off) + 8 * more + 1e-15 * np.abs(off))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_family_rows(shape: Shape, dtype: Any) -> None:
    """Any member, through a loss object that has its shape."""
    from crossent.core.terms import Terms
    from crossent.jax.rows import row_loss

    z, _, q = hard_rows(5, dtype, each=3)
    terms = Terms(shape)
    exact = family_answers(q, logits=z, shape=words(shape))
    with precision(dtype):
        loss, grad = values_and_gradients(lambda z, q: row_loss(z, q, terms), jnp.asarray(z), jnp.asarray(q))
    bound, more = rows_bound(z, terms, dtype), 100 * float(np.finfo(dtype).tiny)
    assert_close(loss, exact.loss, bound=bound * exact.loss_scale.to_float() + more)
    assert_close(grad, exact.grad, bound=bound[:, None] * exact.grad_scale.to_float() + more)


@pytest.mark.parametrize("dtype", DTYPES)
def test_independent_labels(dtype: Any) -> None:
    """12 u of the loss, and of the gradient's terms; the curvature too."""
    steps = np.concatenate([np.linspace(-80, 80, 81), [0.0, -0.0, 1e-30, 1e4, -1e4, 1e30]])
    z = np.repeat(steps, 3).astype(dtype)
    y = np.tile([0.0, 1.0, 0.25], len(steps)).astype(dtype)
    with precision(dtype):
        loss, grad = values_and_gradients(cj.sigmoid_binary_cross_entropy, z, y)
        bend = np.asarray(jax.vmap(jax.grad(jax.grad(cj.sigmoid_binary_cross_entropy)))(z, y))
    u, tiny = float(np.finfo(dtype).eps) / 2, 8 * float(np.finfo(dtype).tiny)
    spread = 12 + np.minimum(np.abs(z.astype(np.float64)), 1100)
    exact = oracle_binary.binary_cross_entropy(y, logits=z, reduction="none")
    assert_close(loss, exact, bound=12 * u * np.abs(Wide.of(exact).to_float()) * spread / 12 + tiny, dtype=dtype)
    scale = Wide.of(oracle_binary.binary_gradient_scale(y, logits=z, reduction="none")).to_float()
    assert_close(grad, oracle_binary.binary_gradient(y, logits=z, reduction="none"), bound=spread * u * scale + tiny)
    exact = oracle_binary.binary_hessian(y, logits=z)
    assert_close(bend, exact, bound=8 * spread * u * Wide.of(exact).to_float() + 8 * tiny)
