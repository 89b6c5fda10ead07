"""Binary cross-entropy from logits against the oracle: the contract, on every instruction set."""

from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

import crossent as ce
import oracle_binary
from closeness import assert_close
from isas import ISAS, using_isa
from wide import Wide

DTYPES = (np.float32, np.float64)


@cache
def hard_logits(dtype: Any) -> Any:
    """0, magnitudes from 1e-30 to 1e4, infinities, and where exp(-|z|) becomes subnormal or vanishes."""
    rng = np.random.default_rng(3)
    edge = 88.0 if dtype == np.float32 else 709.0
    size = np.concatenate(
        [
            10.0 ** np.linspace(-30, 4, 35),
            rng.uniform(0, 3, 40),
            np.log(2) * np.arange(1, 12),
            np.linspace(edge - 2, edge + 40, 30),
            [0.0, np.inf, 15.0, 16.6355, 36.7368, 1e30, float(np.finfo(dtype).smallest_subnormal)],
        ]
    ).astype(dtype)
    z = np.concatenate([size, -size])
    with np.errstate(under="ignore"):
        small = np.exp(-np.abs(z))
    assert ((small > 0) & (small < np.finfo(dtype).tiny)).sum() > 4, "no subnormal result"
    return z


def labels_for(kind: str, size: int) -> Any:
    """Hard labels, or soft ones that include the ends and tiny distances from them."""
    if kind == "hard":
        return np.resize([0.0, 1.0, 1.0, 0.0, 1.0], size)
    return np.resize([0.5, 0.0, 1.0, 0.25, 1e-6, 1 - 2.0**-20, 0.9, 0.1], size)


CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "hard": ("hard", {}),
    "soft": ("soft", {}),
    "smoothed": ("hard", {"label_smoothing": 0.1}),
    "smoothed soft": ("soft", {"label_smoothing": 1.0}),
    "positive weight": ("hard", {"pos_weight": 3.7}),
    "positive weight, soft": ("soft", {"pos_weight": 0.3}),
    "no positives": ("hard", {"pos_weight": 0.0}),
    "class weights": ("hard", {"class_weight": [0.3, 2.5]}),
    "negatives left out": ("hard", {"class_weight": [0.0, 2.5]}),
    "bit": ("hard", {"unit": "bit"}),
    "all": ("soft", {"class_weight": [0.3, 2.5], "pos_weight": 3.7, "label_smoothing": 0.2, "unit": "bit"}),
}


def assert_contract(z: Any, y: Any, options: dict[str, Any], sample_weight: Any = None, *, hard: bool) -> None:
    """4 ulp for losses, 8 ulp for gradients (of their own value where labels are hard), 8 for the Hessian."""
    weight = sample_weight
    if weight is not None and np.ndim(weight) < np.ndim(z):
        weight = np.broadcast_to(np.asarray(weight)[..., None], z.shape)
    asked = {"logits": z, "sample_weight": weight, **options}
    value = Wide.of(oracle_binary.binary_cross_entropy(y, reduction="none", **asked))
    grad = Wide.of(oracle_binary.binary_gradient(y, reduction="none", **asked))
    hess = Wide.of(oracle_binary.binary_hessian(y, **asked))
    scale = None if hard else Wide.of(oracle_binary.binary_gradient_scale(y, reduction="none", **asked))
    loss = ce.BinaryCrossEntropy(reduction="none", **options)
    targets = np.asarray(y).astype(z.dtype)
    for isa in ISAS:
        with using_isa(isa):
            got = loss.value_and_grad(targets, logits=z, sample_weight=sample_weight)
            alone = loss(targets, logits=z, sample_weight=sample_weight)
            second = loss.grad_and_hess(targets, logits=z, sample_weight=sample_weight)
        assert_close(got.value, value, ulps=4, dtype=z.dtype, label=f"{isa} loss")
        assert_close(got.grad, grad, ulps=8, of=scale, dtype=z.dtype, label=f"{isa} gradient")
        assert_close(second.hess, hess, ulps=8, dtype=z.dtype, label=f"{isa} hessian")
        np.testing.assert_array_equal(alone, got.value)
        np.testing.assert_array_equal(second.grad, got.grad)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_contract(dtype: Any, case: str) -> None:
    kind, options = CASES[case]
    z = hard_logits(dtype)
    y = labels_for(kind, z.size).astype(dtype)
    assert_contract(z, y, options, hard=kind == "hard" and "label_smoothing" not in options)


@pytest.mark.parametrize("columns", [1, 3, 5, 17])
@pytest.mark.parametrize("weights", ["element", "row", None])
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_by_element_and_row_and_label(dtype: Any, weights: str | None, columns: int) -> None:
    """pos_weight by label of the last axis, sample weights (some 0) by element or by row."""
    rng = np.random.default_rng(4)
    finite = hard_logits(dtype)
    z = rng.permutation(finite)[: finite.size // columns * columns].reshape(-1, columns)
    y = labels_for("hard", z.size).reshape(z.shape)
    pos_weight = np.resize([3.0, 0.5, 1.0, 0.0, 2.0], columns)
    w = None
    if weights is not None:
        w = rng.choice([0.0, 0.5, 1.0, 3.0], z.shape if weights == "element" else z.shape[:1])
    assert_contract(z, y, {"pos_weight": pos_weight}, w, hard=True)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("case", CASES)
def test_reductions(case: str, dtype: Any, reduction: str, isa: str) -> None:
    kind, options = CASES[case]
    rng = np.random.default_rng(6)
    z = (rng.normal(size=(11, 3)) * 5).astype(dtype)
    y = labels_for(kind, z.size).reshape(z.shape).astype(dtype)
    w = rng.choice([0.0, 0.5, 1.0, 3.0], z.shape)
    asked = {"logits": z, "sample_weight": w, "reduction": reduction, **options}
    got = ce.BinaryCrossEntropy(reduction=reduction, **options).value_and_grad(y, logits=z, sample_weight=w)
    assert isinstance(got.value, float)
    assert_close(
        got.value, oracle_binary.binary_cross_entropy(y, **asked), rtol=4 * float(np.finfo(dtype).eps), label="value"
    )
    scale = oracle_binary.binary_gradient_scale(y, **asked)
    assert_close(got.grad, oracle_binary.binary_gradient(y, **asked), ulps=8, of=scale, dtype=dtype, label="gradient")


@pytest.mark.parametrize("dtype", DTYPES)
def test_sums_and_means_are_those_of_the_returned_losses(dtype: Any, isa: str) -> None:
    rng = np.random.default_rng(9)
    z = (rng.normal(size=(30_001, 5)) * 10.0 ** rng.uniform(-2, 2, (30_001, 1))).astype(dtype)
    y = rng.integers(0, 2, z.shape)
    losses = ce.binary_cross_entropy(y, logits=z, reduction="none")
    exact = mpmath.fsum(map(float, losses.ravel()))
    assert_close(ce.binary_cross_entropy(y, logits=z, reduction="sum"), exact, rtol=1e-14)
    assert_close(ce.binary_cross_entropy(y, logits=z), exact / z.size, rtol=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [*range(35), 64, 65])
def test_tails(size: int, dtype: Any, isa: str) -> None:
    """An element's bits do not depend on how many stand beside it."""
    z = hard_logits(dtype)[20:120]
    y = labels_for("soft", z.size).astype(dtype)
    loss = ce.BinaryCrossEntropy(reduction="none")
    whole, part = loss.value_and_grad(y, logits=z), loss.value_and_grad(y[:size], logits=z[:size])
    np.testing.assert_array_equal(part.value, whole.value[:size])
    np.testing.assert_array_equal(part.grad, whole.grad[:size])


@pytest.mark.parametrize("weight", [9.0, 1e6, 1e-3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_weights_do_not_magnify_the_rounding_of_small_losses(dtype: Any, weight: float) -> None:
    """exp(-|z|) may lie among the subnormal numbers where its product with a weight does not."""
    z = -np.linspace(80, 110, 61).astype(dtype) * (8 if dtype == np.float64 else 1)
    assert_contract(z, np.zeros(z.size), {}, np.full(z.size, weight), hard=True)
    assert_contract(z, np.zeros(z.size), {"class_weight": [weight, 1.0]}, hard=True)


def test_zero_weighted_elements_leave_entirely(isa: str) -> None:
    """Even where logit and label are NaN."""
    z, y, w = np.array([np.nan, 1.0, 2.0]), np.array([np.nan, 1.0, 0.0]), [0, 1, 3]
    got = ce.BinaryCrossEntropy().value_and_grad(y, logits=z, sample_weight=w)
    want = ce.BinaryCrossEntropy().value_and_grad(y[1:], logits=z[1:], sample_weight=w[1:])
    assert got.value == want.value
    np.testing.assert_array_equal(got.grad, [0.0, *want.grad])


def test_zero_weighted_elements_leave_balanced_weights_too() -> None:
    z, y, w = np.array([np.nan, 1.0, 2.0, 1.0]), np.array([np.nan, 1.0, 0.0, 1.0]), [0, 1, 3, 1]
    got = ce.binary_cross_entropy(y, logits=z, sample_weight=w, class_weight="balanced")
    want = ce.binary_cross_entropy(y[1:], logits=z[1:], sample_weight=w[1:], class_weight="balanced")
    assert got == want


def test_balanced_weights() -> None:
    y, z = np.array([1, 0, 0, 0]), np.array([0.5, 1.0, -1.0, 3.0])
    got = ce.binary_cross_entropy(y, logits=z, class_weight="balanced", reduction="none")
    want = ce.binary_cross_entropy(y, logits=z, class_weight=[4 / 6, 2.0], reduction="none")
    np.testing.assert_allclose(got, want, rtol=1e-15)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint64, np.float16, np.float64, ">f4"])
def test_label_dtypes_give_the_same_bits(dtype: Any) -> None:
    z = np.linspace(-3, 3, 40, dtype=np.float32)
    y = labels_for("hard", 40)
    want = ce.BinaryCrossEntropy().value_and_grad(y.astype(np.float32), logits=z)
    got = ce.BinaryCrossEntropy().value_and_grad(y.astype(dtype), logits=z)
    assert got.value == want.value
    np.testing.assert_array_equal(got.grad, want.grad)


def test_two_classes_softmax_agree(isa: str) -> None:
    """BCE is cross-entropy of logits [0, z]."""
    z = np.linspace(-30, 30, 101)
    y = np.arange(101) % 2
    both = np.stack([np.zeros_like(z), z], axis=1)
    binary = ce.BinaryCrossEntropy(reduction="none").value_and_grad(y, logits=z)
    softmax = ce.CrossEntropy(reduction="none").value_and_grad(y, logits=both)
    np.testing.assert_allclose(binary.value, softmax.value, rtol=1e-15)
    np.testing.assert_allclose(binary.grad, softmax.grad[:, 1], rtol=2e-15)


def test_weights_that_are_no_arrays_are_refused_by_name() -> None:
    """Rows of several lengths, and masked arrays, some of which NumPy cannot even copy."""
    y = z = np.zeros((2, 3))
    with pytest.raises(ce.ShapeError, match="sample_weight is no array"):
        ce.binary_cross_entropy(y, logits=z, sample_weight=[[1], [2, 3]])
    masked = np.ma.masked_array(np.ones(3, np.float16))
    with pytest.raises(ce.UnsupportedError, match="pos_weight is a masked array"):
        ce.binary_cross_entropy(y, logits=z, pos_weight=masked)
