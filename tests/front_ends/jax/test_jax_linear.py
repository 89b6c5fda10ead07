"""crossent.jax.linear_cross_entropy: the loss of all logits, from chunks of them; memory of the chunks alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import crossent as ce
import crossent.jax as cj
from jax_cases import precision

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(2)
N, D, K = 11, 3, 7
H, V, B = RNG.normal(size=(N, D)), RNG.normal(size=(K, D)), RNG.normal(size=K)
Y = RNG.integers(0, K, N)
Q = RNG.dirichlet(np.ones(K), N)
W = RNG.uniform(0, 2, N) * (np.arange(N) != 4)
SPARSE = (np.array([RNG.permutation(K)[:3] for _ in range(N)]), RNG.dirichlet(np.ones(3), N))
CHUNKS = 3 * 2 * K * 8  # three rows at once: the last chunk is padded
OPTIONS: list[dict[str, Any]] = [
    {},
    {"label_smoothing": 0.1, "class_weight": np.arange(K) + 1.0},
    {"reduction": "sum", "softcap": 3.0, "z_loss": 0.1, "temperature": 2.0, "entropy_weight": 0.1},
    {"reduction": "none", "unit": "bit"},
    {"class_weight": "balanced"},
]


def close(ours: Any, exact: Any) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-13), ours, exact)


@pytest.mark.parametrize(
    ("options", "targets", "limit"),
    [(options, "labels", CHUNKS) for options in OPTIONS]
    + [(OPTIONS[1], "soft", CHUNKS), (OPTIONS[2], "sparse", CHUNKS), (OPTIONS[3], "soft", CHUNKS), ({}, "soft", None)],
    ids=str,
)
def test_values_and_gradients_are_those_of_numpy(options: dict[str, Any], targets: str, limit: int | None) -> None:
    t = {"labels": Y, "soft": Q, "sparse": SPARSE}[targets]
    if targets == "sparse":
        options = {name: value for name, value in options.items() if name != "class_weight"}
    exact = ce.LinearCrossEntropy(**options).value_and_grad(t, hidden=H, weight=V, bias=B, sample_weight=W)

    def total(h: Any, v: Any, b: Any) -> Any:
        value = cj.linear_cross_entropy(h, v, t, bias=b, sample_weight=W, memory_limit=limit, **options)
        return value.sum(), value

    with precision(np.float64):
        grads, value = jax.jit(jax.grad(total, (0, 1, 2), has_aux=True))(H, V, B)
    close(value, exact.value)
    close(grads, (exact.hidden, exact.weight, exact.bias))


@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_every_derivative_is_that_of_all_logits(reduction: Any) -> None:
    """By hidden, weight, bias, targets and sample weights, to the second order, of either mode over reverse."""
    dense = cj.loss(ce.CrossEntropy(reduction=reduction))

    def chunked(h: Any, v: Any, b: Any, q: Any, w: Any) -> Any:
        loss = cj.linear_cross_entropy(h, v, q, bias=b, sample_weight=w, reduction=reduction, memory_limit=CHUNKS)
        return jnp.sum(loss * jnp.sin(1.0 + jnp.arange(loss.size)).reshape(loss.shape))

    def whole(h: Any, v: Any, b: Any, q: Any, w: Any) -> Any:
        loss = dense(h @ v.T + b, q, sample_weight=w)
        return jnp.sum(loss * jnp.sin(1.0 + jnp.arange(loss.size)).reshape(loss.shape))

    every = (0, 1, 2, 3, 4)
    args = (H, V, B, Q, W + 0.1)
    with precision(np.float64):
        outer = jax.jacfwd if reduction == "mean" else jax.jacrev
        for op in (lambda f: jax.grad(f, every), lambda f: outer(jax.grad(f, every), every)):
            close(jax.jit(op(chunked))(*args), jax.jit(op(whole))(*args))


def test_rows_of_any_shape_under_vmap() -> None:
    h, y = H[:10].reshape(2, 5, D), Y[:10].reshape(2, 5)
    with precision(np.float64):
        f = lambda h, y: cj.linear_cross_entropy(h, V, y, reduction="none", memory_limit=CHUNKS)  # noqa: E731
        flat = f(H[:10], Y[:10])
        close(f(h, y).reshape(-1), flat)
        close(jax.vmap(f)(h, y).reshape(-1), flat)
        close(f(H[0], Y[0]), flat[0])
        close(jax.vmap(jax.grad(lambda h, y: f(h, y)))(H[:10], Y[:10]), jax.grad(lambda h: f(h, Y[:10]).sum())(H[:10]))


def test_rows_that_leave_are_not_read() -> None:
    h = H.copy()
    h[4] = np.nan
    y = np.where(np.arange(N) == 4, -100, Y)
    kept = np.arange(N) != 4
    with precision(np.float64):
        f = jax.value_and_grad(
            lambda h, v: cj.linear_cross_entropy(h, v, y, ignore_index=-100, memory_limit=CHUNKS), (0, 1)
        )
        g = jax.value_and_grad(lambda h, v: cj.linear_cross_entropy(h, v, Y[kept], memory_limit=CHUNKS), (0, 1))
        value, (dh, dv) = f(h, V)
        expected, (eh, ev) = g(H[kept], V)
    dh = np.asarray(dh)
    close((value, dh[kept], dv), (expected, eh, ev))
    assert not dh[4].any()


def test_labels_that_are_no_class_and_no_rows() -> None:
    assert np.isnan(cj.linear_cross_entropy(H, V, np.full(N, K)))
    assert np.isnan(cj.linear_cross_entropy(H[:0], V, Y[:0]))
    assert cj.linear_cross_entropy(H[:0], V, Y[:0], reduction="sum") == 0
    assert cj.linear_cross_entropy(H[:0], V, Y[:0], reduction="none").shape == (0,)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_adds_up_in_float32(dtype: Any) -> None:
    rng = np.random.default_rng(0)
    h, v = (jnp.asarray(rng.normal(size=shape), dtype) for shape in ((200, 16), (50, 16)))
    y = rng.integers(0, 50, 200)
    f = lambda h, v: cj.linear_cross_entropy(h, v, y, memory_limit=8 * 2 * 50 * 4)  # noqa: E731
    value, grads = jax.value_and_grad(f, (0, 1))(h, v)
    exact, wide = jax.value_and_grad(f, (0, 1))(h.astype(jnp.float32), v.astype(jnp.float32))
    assert value.dtype == jnp.float32
    assert [g.dtype for g in grads] == [dtype, dtype]
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    u = float(jnp.finfo(dtype).eps)
    for g, e in zip(grads, wide, strict=True):  # each product's terms are rounded once, not each sum
        assert np.max(np.abs(g.astype(jnp.float32) - e)) < 2 * u * np.max(np.abs(e))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_rounded_once_after_the_mean(dtype: Any) -> None:
    """Gradients of the sum, beyond float16's 65504 here, are divided by the mass before they are rounded."""
    rng = np.random.default_rng(1)
    args = [jnp.asarray(rng.normal(size=shape), dtype) for shape in ((40, 4), (64, 4), 64)]
    y, w = np.zeros(40, int), np.full(40, 9000.0)
    f = lambda h, v, b: cj.linear_cross_entropy(h, v, y, bias=b, sample_weight=w)  # noqa: E731
    grads = jax.grad(f, (0, 1, 2))(*args)
    wide = jax.grad(f, (0, 1, 2))(*(x.astype(jnp.float32) for x in args))
    assert np.max(np.abs(wide[2])) * w.sum() > 65504
    assert [g.dtype for g in grads] == [dtype] * 3
    np.testing.assert_array_equal(grads[2], wide[2].astype(dtype))  # no product before it: one rounding is all
    u = float(jnp.finfo(dtype).eps)
    for g, e in zip(grads, wide, strict=True):
        assert np.max(np.abs(g.astype(jnp.float32) - e)) < 2 * u * np.max(np.abs(e))


def temporaries(rows: int, limit: int, *, differentiate: bool, soft: bool = False) -> float:
    """Bytes beside arguments and results, as the compiled program says; 32 features, 4000 classes."""
    S = jax.ShapeDtypeStruct
    f = lambda h, v, b, y: cj.linear_cross_entropy(h, v, y, bias=b, memory_limit=limit)  # noqa: E731
    function = jax.jit(jax.value_and_grad(f, (0, 1, 2)) if differentiate else f)
    y = S((rows, 4000), jnp.float32) if soft else S((rows,), jnp.int32)
    shapes = (S((rows, 32), jnp.float32), S((4000, 32), jnp.float32), S((4000,), jnp.float32), y)
    return float(function.lower(*shapes).compile().memory_analysis().temp_size_in_bytes)


@pytest.mark.parametrize("differentiate", [False, True])
def test_memory_holds_chunks_only(differentiate: bool) -> None:
    """16 times the rows, 131 MB of logits instead of 8: a few numbers a row and feature more, no logit."""
    limit = 2_000_000
    few, many = (temporaries(rows, limit, differentiate=differentiate) for rows in (512, 8192))
    layer = 4000 * 33 * 4
    assert few < 2 * limit + 3 * layer
    assert many - few < 8192 * (2 * 32 + 64) * 4
    assert many < 8192 * 4000 * 4 / 10


def test_soft_targets_are_not_differentiated_unasked() -> None:
    """Their gradient is as large as they are; who does not want it has no array for it."""
    limit, size = 2_000_000, 2048 * 4000 * 4
    assert temporaries(2048, limit, differentiate=True, soft=True) < 2.5 * size  # the checked and the padded targets


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: cj.linear_cross_entropy(H, V.T, Y), ce.ShapeError, r"\[\.\.\., D\] and \[K, D\]"),
        (lambda: cj.linear_cross_entropy(H, V, Y, bias=B[:3]), ce.ShapeError, "bias has shape"),
        (lambda: cj.linear_cross_entropy(H, V, (SPARSE[0],)), ce.ShapeError, "tuple of 1"),
        (lambda: cj.linear_cross_entropy(H, V, (SPARSE[0], SPARSE[1][:, :2])), ce.ShapeError, "indices have shape"),
        (lambda: cj.linear_cross_entropy(H, V, SPARSE, ignore_index=0), ce.UnsupportedError, "ignore_index"),
        (lambda: cj.linear_cross_entropy(H, V, Y, memory_limit=0), ce.OptionError, "memory_limit"),
        (lambda: cj.linear_cross_entropy(Y[:, None], V, Y), ce.DtypeError, "hidden has dtype"),
        (lambda: cj.linear_cross_entropy(H, V, Y, reduction="max"), ce.OptionError, "reduction"),
    ],
)
def test_errors(call: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        call()


def test_a_loss_object_lifts_to_it() -> None:
    f = cj.loss(ce.LinearCrossEntropy(label_smoothing=0.1))
    assert f(H, V, Y, bias=B) == cj.linear_cross_entropy(H, V, Y, bias=B, label_smoothing=0.1)
    with pytest.raises(ce.UnsupportedError, match="classes names targets"):
        cj.loss(ce.LinearCrossEntropy(classes=["a", "b"]))
