"""crossent.jax.loss: every loss object gives in JAX what it gives in NumPy; under every transform."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import crossent as ce
import crossent.jax as cj
from jax_cases import precision

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(11)
Z = RNG.normal(size=(5, 7)) * 2
Y = RNG.integers(0, 7, 5)
Q = RNG.dirichlet(np.ones(7), 5)
W = np.array([1.0, 0.0, 2.0, 0.5, 3.0])
WEIGHTS = np.arange(7) + 1.0

OVER_CLASSES = [
    ce.CrossEntropy(),
    ce.CrossEntropy(reduction="none", unit="bit"),
    ce.CrossEntropy(label_smoothing=0.1, class_weight=WEIGHTS),
    ce.CrossEntropy(class_weight="balanced", reduction="sum"),
    ce.CrossEntropy(class_weight={0: 2.0, 3: 0.0}),
    ce.CrossEntropy(softcap=5.0, temperature=0.5, z_loss=0.1, entropy_weight=-0.2),
    ce.Focal(2.0, alpha=WEIGHTS),
    ce.Poly1(-1.0),
    ce.GeneralizedCrossEntropy(0.7, label_smoothing=0.2),
    ce.SymmetricCrossEntropy(),
    ce.LogitAdjusted(WEIGHTS),
    ce.Bootstrap(0.8),
    ce.Bootstrap(0.8, hard=True),
]
OF_LABELS = [
    ce.BinaryCrossEntropy(),
    ce.BinaryCrossEntropy(pos_weight=WEIGHTS, class_weight=[1, 3], label_smoothing=0.1, unit="bit"),
    ce.BinaryCrossEntropy(class_weight="balanced"),
    ce.BinaryFocal(2.0, 0.25, reduction="none"),
]


def agrees(of: Any, targets: Any, weight: Any, z: Any = Z) -> None:
    """Value and gradient of the sum of what the loss gives."""
    exact = of.value_and_grad(targets, logits=z, sample_weight=weight)

    def total(z: Any) -> Any:
        value = cj.loss(of)(z, targets, sample_weight=weight)
        return value.sum(), value

    with precision(np.float64):
        grad, value = jax.jit(jax.grad(total, has_aux=True))(z)
    np.testing.assert_allclose(value, exact.value, rtol=1e-13)
    np.testing.assert_allclose(grad, exact.grad, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("weight", [None, W], ids=["soft", "weighted labels"])
@pytest.mark.parametrize("of", OVER_CLASSES, ids=repr)
def test_over_classes(of: Any, weight: Any) -> None:
    agrees(of, Q if weight is None else Y, weight)


@pytest.mark.parametrize("weight", [None, W, np.abs(Z)], ids=["", "rows", "elements"])
@pytest.mark.parametrize("of", OF_LABELS, ids=repr)
def test_of_independent_labels(of: Any, weight: Any) -> None:
    agrees(of, Q if weight is None else (Q > 0.1).astype(int), weight)


def test_rows_that_leave() -> None:
    """Ignored, of weight 0, of mass 0: their logits may be NaN, as in NumPy."""
    z = Z.copy()
    z[1] = np.nan
    agrees(ce.CrossEntropy(ignore_index=-100), np.where(np.arange(5) == 1, -100, Y), None, z)
    agrees(ce.CrossEntropy(label_smoothing=0.1), Y, W, z)
    agrees(ce.Focal(2.0), Q, W, z)
    agrees(ce.BinaryCrossEntropy(), Q, W, z)
    none = Q * (np.arange(5) != 1)[:, None] * 3
    agrees(ce.CrossEntropy(normalize_targets=True, empty_rows="ignore"), none, None, z)
    agrees(ce.Focal(1.0, normalize_targets=True), 3 * Q, None)


def test_any_axis() -> None:
    z = RNG.normal(size=(3, 4, 5))
    agrees(ce.CrossEntropy(axis=1, reduction="none"), RNG.integers(0, 4, (3, 5)), None, z)
    agrees(ce.Focal(1.0, axis=0), RNG.dirichlet(np.ones(3), (4, 5)).transpose(2, 0, 1), None, z)


@pytest.mark.parametrize("empty", ["error", "nan", "zero"])
def test_a_mean_over_nothing(empty: Any) -> None:
    got, grad = jax.value_and_grad(cj.loss(ce.CrossEntropy(empty=empty)))(Z, Y, sample_weight=0 * W)
    assert np.isnan(got) == (empty != "zero")
    assert empty != "zero" or (got == 0 and not grad.any())


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_what_means_nothing_is_nan(smoothing: float) -> None:
    f = cj.loss(ce.CrossEntropy(label_smoothing=smoothing))
    assert np.isnan(f(Z, jnp.array([7, 0, 0, 0, 0])))
    assert np.isnan(f(Z, jnp.array([0, 0, -1, 0, 0])))
    assert np.isnan(f(Z, -Q))
    assert np.isnan(f(Z, Y, sample_weight=-W))
    assert np.isnan(cj.loss(ce.BinaryCrossEntropy())(Z, 2 * Q / Q.max()))
    assert np.isnan(cj.loss(ce.CrossEntropy(normalize_targets=True))(Z, 0 * Q))


@pytest.mark.parametrize("of", [ce.CrossEntropy(label_smoothing=0.1), ce.Focal(1.5), ce.BinaryFocal()], ids=repr)
def test_transforms_agree(of: Any) -> None:
    """vmap, jacfwd, jacrev, hessian in both orders, and a Hessian-vector product of the loss times another."""
    f = cj.loss(of)
    with precision(np.float64):
        each = jax.vmap(f)(Z[:, None], Q[:, None])
        np.testing.assert_allclose(each.mean(), f(Z, Q), rtol=1e-12)
        forward, backward = (jax.jit(jac(f, (0, 1)))(Z, Q) for jac in (jax.jacfwd, jax.jacrev))
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-14), forward, backward)
        h = jax.jit(jax.hessian(f, (0, 1)))(Z, Q)
        r = jax.jit(jax.jacrev(jax.grad(f, (0, 1)), (0, 1)))(Z, Q)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-13), h, r)
        v = RNG.normal(size=Z.shape)
        product = lambda z: f(z, Q) * jnp.sum(z**2)  # noqa: E731
        hvp = jax.jvp(jax.grad(product), (Z,), (v,))[1]
        step = 1e-6
        slope = (jax.grad(product)(Z + step * v) - jax.grad(product)(Z - step * v)) / (2 * step)
        np.testing.assert_allclose(hvp, slope, rtol=1e-4, atol=1e-6)


def test_third_derivatives() -> None:
    """Of log(1 + e^x), in both rows and elements: p (1 - p) (1 - 2 p)."""
    with precision(np.float64):
        row = cj.loss(ce.CrossEntropy())
        third = jax.grad(jax.grad(jax.grad(lambda x: row(jnp.stack([x, 0.0])[None], jnp.array([1])))))
        element = jax.grad(jax.grad(jax.grad(lambda x: cj.sigmoid_binary_cross_entropy(x, 0.0))))
        for x in (-30.0, -1.0, 0.0, 0.5):
            p = 1 / (1 + np.exp(-x))
            for f in (third, element):
                np.testing.assert_allclose(f(x), p * (1 - p) * (1 - 2 * p), rtol=1e-12, atol=1e-16)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32])
def test_half_precision_gives_float32(dtype: Any) -> None:
    z = jnp.asarray(Z, dtype)
    value, grad = jax.value_and_grad(cj.loss(ce.Focal(2.0)))(z, Y)
    assert value.dtype == jnp.float32
    assert grad.dtype == dtype
    exact = ce.Focal(2.0).value_and_grad(Y, logits=np.asarray(z, np.float32))
    np.testing.assert_allclose(value, exact.value, rtol=1e-5)


def test_what_cannot_be_lifted() -> None:
    for options, error, message in (
        (ce.CrossEntropy(classes=["a", "b"]), ce.UnsupportedError, "classes names targets"),
        (ce.CrossEntropy(clip=1e-7), ce.UnsupportedError, "clip is for probabilities"),
        (ce.LinearBinaryCrossEntropy(), ce.UnsupportedError, "pass BinaryCrossEntropy"),
        ("focal", ce.OptionError, "an object such as"),
        (ce.Focal, ce.OptionError, "an object such as"),
    ):
        with pytest.raises(error, match=message):
            cj.loss(options)
    f = cj.loss(ce.CrossEntropy(ignore_index=-1))
    with pytest.raises(ce.UnsupportedError, match="ignore_index is for class indices"):
        f(Z, Q)
    with pytest.raises(ce.ShapeError, match=r"labels have shape \(4,\), the logits \(5, 7\)"):
        f(Z, Y[:4])
    with pytest.raises(ce.ShapeError, match="sample_weight has shape"):
        f(Z, Y, sample_weight=W[:3])
    with pytest.raises(ce.DtypeError, match="logits has dtype int"):
        f(Y[None], Y[:1])
    with pytest.raises(ce.DtypeError, match="labels have dtype float"):
        f(Z, W)
    with pytest.raises(ce.ShapeError, match="each logit needs its own"):
        cj.loss(ce.BinaryCrossEntropy())(Z, Y)
