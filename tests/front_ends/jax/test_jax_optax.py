"""crossent.jax has optax' signatures, shapes, dtypes and, where optax is right, its values and derivatives."""

import inspect
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import crossent.jax as cj
from jax_cases import precision

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(5)
Z = RNG.normal(size=(6, 7)) * 3
Y = RNG.integers(0, 7, 6)
Q = RNG.dirichlet(np.ones(7), 6)
ONE_HOT = np.eye(7)[Y]
LOG_Q = np.log(RNG.dirichlet(np.ones(7), 6))
LOSSES: dict[str, tuple[Any, ...]] = {
    "softmax_cross_entropy": (Z, Q),
    "safe_softmax_cross_entropy": (Z, Q),
    "softmax_cross_entropy_with_integer_labels": (Z, Y),
    "poly_loss_cross_entropy": (Z, Q),
    "sigmoid_binary_cross_entropy": (Z, Q),
    "sigmoid_focal_loss": (Z, Q),
    "kl_divergence": (LOG_Q, Q),
    "kl_divergence_with_log_targets": (LOG_Q, np.log(Q)),
    "generalized_kl_divergence": (LOG_Q, 2 * Q),
    "smooth_labels": (Q, 0.1),
}


def both(name: str) -> tuple[Any, Any]:
    """Ours and optax' function of a name."""
    return getattr(cj, name), getattr(optax.losses, name)


def close(ours: Any, theirs: Any) -> None:
    """Trees of float64 arrays that agree."""
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-12), ours, theirs)


@pytest.mark.parametrize("name", LOSSES)
def test_signatures(name: str) -> None:
    """The same parameters in the same order, of the same kind, with the same defaults."""
    ours, theirs = (inspect.signature(f).parameters.values() for f in both(name))
    assert [(p.name, p.kind, p.default) for p in ours] == [(p.name, p.kind, p.default) for p in theirs]


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", LOSSES)
def test_values_and_derivatives_by_both_arguments(name: str, order: int) -> None:
    """The Hessian with its mixed blocks; labels are differentiated where they are no indices."""
    argnums = (0,) if name.endswith("integer_labels") else (0, 1)
    with precision(np.float64):
        close(*(derivative(f, order, argnums)(*LOSSES[name]) for f in both(name)))


def derivative(f: Any, order: int, argnums: Any) -> Any:
    """The losses themselves, the gradient of their sum, or its Hessian; compiled."""

    def total(*args: Any) -> Any:
        return f(*args).sum()

    return jax.jit([f, jax.grad(total, argnums), jax.hessian(total, argnums)][order])


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("labels", [Q, ONE_HOT])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_focal(gamma: float, labels: Any, alpha: float | None) -> None:
    with precision(np.float64):
        for order in (0, 1, 2):
            close(*(
                derivative(lambda z, g, f=f: f(z, labels, gamma=g, alpha=alpha), order, 0)(Z, gamma)
                for f in both("sigmoid_focal_loss")
            ))  # fmt: skip


@pytest.mark.parametrize("epsilon", [-1.0, 0.0, 2.0, np.float64(1.5)])
def test_poly(epsilon: Any) -> None:
    with precision(np.float64):
        f, g = both("poly_loss_cross_entropy")
        for order in (0, 1):
            close(*(derivative(lambda z, h=h: h(z, Q, epsilon=epsilon), order, 0)(Z) for h in (f, g)))
        close(*(jax.jit(lambda z, e, h=h: h(z, Q, epsilon=e))(Z, epsilon) for h in (f, g)))


AXES = [0, -1, (0, 2), (-1, 0), None]
MASKED = [
    (name, axis, masked)
    for name in ("softmax_cross_entropy", "poly_loss_cross_entropy", "kl_divergence")
    for axis in AXES
    for masked in (None, "rows", "classes")
    if masked != "rows" or (axis is not None and name != "kl_divergence")  # one row; optax takes no mask of rows there
]


@pytest.mark.parametrize(("name", "axis", "masked"), MASKED, ids=str)
def test_axes_and_masks(name: str, axis: Any, masked: str | None) -> None:
    rng = np.random.default_rng(0)
    z, q = rng.normal(size=(3, 4, 5)), rng.dirichlet(np.ones(5), (3, 4))
    where = rng.random((3, 4, 5)) < 0.7
    where[0, 0, 0] = True
    if masked == "rows":
        where = where.any(axis=axis)
        where = np.where(np.arange(where.size).reshape(where.shape) == 1, False, where)
    kwargs = {"axis": axis, "where": None if masked is None else jnp.asarray(where)}
    with precision(np.float64):
        f, g = both(name)
        if masked is not None and name != "kl_divergence":  # optax has 0 * inf there
            g = partial(optax_without_infinities, name)
        for order in (0, 1):
            close(*(derivative(lambda z, h=h: h(z, q, **kwargs), order, 0)(z) for h in (f, g)))


def optax_without_infinities(name: str, z: Any, q: Any, *, where: Any, axis: Any) -> Any:
    """Optax' function with what is masked written into logits and targets, at a finite distance."""
    kept = jnp.broadcast_to(where if where.ndim == z.ndim else jnp.expand_dims(where, axis), z.shape)
    low = jnp.where(kept, z, jnp.where(kept.any(axis=axis, keepdims=True), -1e9, 0.0))
    return getattr(optax.losses, name)(low, jnp.where(kept, q, 0.0), axis=axis)


@pytest.mark.parametrize("axis", [0, 1, -1, (0, 2), (2, 0)], ids=str)
@pytest.mark.parametrize("masked", [False, True])
def test_integer_labels_on_any_axis(axis: Any, masked: bool) -> None:
    rng = np.random.default_rng(1)
    z = rng.normal(size=(3, 4, 5))
    rest = tuple(n for a, n in enumerate(z.shape) if a not in {b % 3 for b in np.atleast_1d(axis)})
    y = rng.integers(0, z.size // int(np.prod(rest)), rest)
    where = jnp.asarray(rng.random(rest) < 0.6) if masked else None
    with precision(np.float64):
        f, g = both("softmax_cross_entropy_with_integer_labels")
        args = {"axis": axis, "where": where}
        ours = f(z, y, **args), jax.grad(lambda z: f(z, y, **args).sum())(z)
        if isinstance(axis, tuple) and masked:  # optax fails for such a mask; it is a mask of the losses
            theirs = jnp.where(where, g(z, y, axis=axis), 0), jax.grad(lambda z: (g(z, y, axis=axis) * where).sum())(z)
        else:
            theirs = (
                g(z, y, **args),
                jax.grad(lambda z: (g(z, y, axis=axis) * (1 if where is None else where)).sum())(z),
            )
    close(ours, theirs)


@pytest.mark.parametrize("logits", [jnp.float32, jnp.bfloat16, jnp.float16])
@pytest.mark.parametrize("labels", [jnp.float32, jnp.bfloat16, jnp.float16, jnp.int32])
@pytest.mark.parametrize("name", ["softmax_cross_entropy", "sigmoid_binary_cross_entropy", "sigmoid_focal_loss"])
def test_result_dtypes(name: str, logits: Any, labels: Any) -> None:
    ours, theirs = (f(jnp.asarray(Z, logits), jnp.asarray(ONE_HOT, labels)) for f in both(name))
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours.astype(jnp.float32), theirs.astype(jnp.float32), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_computed_in_float32(dtype: Any) -> None:
    z = jnp.asarray(Z, dtype)
    half = cj.softmax_cross_entropy_with_integer_labels(z, Y)
    single = cj.softmax_cross_entropy_with_integer_labels(z.astype(jnp.float32), Y)
    assert half.dtype == dtype
    assert jnp.all(half == single.astype(dtype))
    grad = jax.grad(lambda z: cj.softmax_cross_entropy_with_integer_labels(z, Y).sum())(z)
    assert grad.dtype == dtype


def test_broadcasting_is_optax() -> None:
    with precision(np.float64):
        close(*(f(Z, Q[0]) for f in both("softmax_cross_entropy")))
        close(*(f(Z[0], Q) for f in both("softmax_cross_entropy")))
        close(*(f(Z, 1.0) for f in both("sigmoid_binary_cross_entropy")))
        close(*(jax.grad(lambda z, f=f: f(z, Q).sum())(Z[0]) for f in both("softmax_cross_entropy")))


@pytest.mark.parametrize(
    "name", ["softmax_cross_entropy", "softmax_cross_entropy_with_integer_labels", "kl_divergence"]
)
def test_dtypes_that_optax_refuses(name: str) -> None:
    for f in both(name):
        with pytest.raises(TypeError):
            f(jnp.zeros((2, 3), jnp.int32), jnp.zeros(2, jnp.int32) if name.endswith("labels") else jnp.zeros((2, 3)))
    with pytest.raises(TypeError, match=r"labels have dtype float32; class indices"):
        cj.softmax_cross_entropy_with_integer_labels(jnp.zeros((2, 3)), jnp.zeros(2))


def test_labels_that_are_no_class() -> None:
    """NaN on both sides, where optax counts -1 from the end; no row is trained by it, also not by masking it later."""
    y = jnp.array([7, -1, 100, 3, -100, 0])
    loss = cj.softmax_cross_entropy_with_integer_labels(Z, y)
    known = (y >= 0) & (y < 7)
    assert (jnp.isnan(loss) == ~known).all()

    def masked(z: Any) -> Any:
        return jnp.where(known, cj.softmax_cross_entropy_with_integer_labels(z, y), 0.0).sum()

    def left_out(z: Any) -> Any:
        return cj.softmax_cross_entropy_with_integer_labels(z, y, where=known).sum()

    for f in (masked, left_out):
        grad = jax.grad(f)(Z)
        assert np.isfinite(f(Z))
        assert (np.abs(grad).sum(axis=1) > 0).tolist() == known.tolist()


def test_zero_times_infinity_is_zero() -> None:
    """Where optax has NaN."""
    z, q = jnp.array([0.0, -jnp.inf, 1.0]), jnp.array([0.5, 0.0, 0.5])
    assert np.isfinite(cj.softmax_cross_entropy(z, q))
    by_both = jax.grad(lambda z, q: cj.softmax_cross_entropy(z, q), (0, 1))(z, q)
    assert all(np.isfinite(g).all() for g in by_both)
    assert np.isfinite(cj.kl_divergence(z - 1, q))
    assert all(np.isfinite(g).all() for g in jax.grad(cj.kl_divergence, (0, 1))(z - 1, q))
    assert np.isfinite(cj.kl_divergence_with_log_targets(z, z))


def test_nearly_equal_rows_keep_their_digits() -> None:
    """t (e^y - 1 - y) with y = 1e-5: 5e-11 t, of which optax keeps nothing in float32."""
    t = np.array([0.2, 0.3, 0.5], np.float32)
    a = (np.log(t) + np.float32(1e-5)).astype(np.float32)
    y = a.astype(np.float64) - np.log(t.astype(np.float64))
    exact = np.sum(t * (np.expm1(y) - y))
    assert abs(float(cj.generalized_kl_divergence(a, t)) / exact - 1) < 0.05  # log t is rounded once
    assert abs(float(optax.losses.generalized_kl_divergence(a, t)) / exact - 1) > 0.5
