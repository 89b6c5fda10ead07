"""BinaryFocal from logits against the oracle: every dtype, weight and instruction set within its bounds; edges.

loss (4 + 3 gamma) ulp, gradient (16 + 3 gamma) ulp of A s(p) (1 - p) + B s(1 - p) p,
Hessian (24 + 3 gamma) ulp of the sum of its terms; float64 below 1e-300: 1e-318 times the weights more
"""

from functools import cache
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from bits import assert_same
from closeness import assert_close
from entries import LAYOUTS, laid_out
from family_cases import GRADIENT, HESSIAN, allowed
from isas import ISAS, using_isa
from oracle_shapes import binary_answers

DTYPES = {
    "float32": np.float32,
    "float64": np.float64,
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
}


@cache
def hard_logits(dtype: Any) -> Any:
    """0, sizes from 1e-30 to 1e4, infinities, and where exp(-|z|) and its powers leave the normal numbers."""
    rng = np.random.default_rng(3)
    edge = 709.0 if dtype == np.float64 else 88.0
    size = [
        10.0 ** np.linspace(-30, 4, 18), rng.uniform(0, 3, 25), np.log(2) * np.arange(1, 8),
        np.linspace(edge / 4, edge + 40, 18), np.linspace(edge - 2, edge + 38, 9), [0.0, np.inf, 15.0, 36.7368, 6e4],
    ]  # fmt: skip
    z = np.concatenate([*size, *(-np.asarray(s) for s in size)])
    with np.errstate(over="ignore"):
        return z.astype(dtype)


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
    "no positives": ("hard", {"pos_weight": 0.0}),
    "class weights": ("hard", {"class_weight": [0.3, 2.5]}),
    "negatives left out": ("soft", {"class_weight": [0.0, 2.5]}),
    "all": ("soft", {"class_weight": [0.3, 2.5], "pos_weight": 3.7, "label_smoothing": 0.2}),
}
SHAPES: dict[str, tuple[float, Any]] = {
    "gamma 2": (2.0, None),
    "gamma 2, alpha 0.25": (2.0, 0.25),
    "gamma 0.5": (0.5, None),
    "gamma 3.7, alpha 1": (3.7, 1.0),
    "gamma 1, alpha 0": (1.0, 0.0),
    "alpha 0.75": (0.0, 0.75),
}


def assert_contract(z: Any, y: Any, shape: str, options: dict[str, Any], weight: Any = None) -> None:
    """Loss, gradient, both Hessians on every instruction set; the same bits for the value alone."""
    gamma, alpha = SHAPES[shape]
    exact = binary_answers(
        y,
        logits=z,
        shape=("focal", 1.0, gamma) if gamma else ("log", 1.0),
        alpha=alpha,
        sample_weight=None if weight is None or np.ndim(weight) == np.ndim(z) else np.asarray(weight)[..., None],
        **options,
    )
    if weight is not None and np.ndim(weight) == np.ndim(z):
        exact = binary_answers(
            y, logits=z, shape=("focal", 1.0, gamma) if gamma else ("log", 1.0), alpha=alpha, sample_weight=weight,
            **options,
        )  # fmt: skip
    loss, more = ce.BinaryFocal(gamma, alpha, reduction="none", **options), 3 * gamma
    values, heaviest = np.float64 if z.dtype == np.float64 else np.float32, 100.0
    targets = np.asarray(y, values)

    def held(got: Any, want: Any, scale: Any, ulps: float, what: str) -> None:
        dtype = values if what == "loss" else z.dtype
        bound = allowed(ulps + more, want, scale, dtype, rounded=what != "loss", heaviest=heaviest)
        assert_close(got, want, bound=bound, dtype=dtype, label=f"{isa} {what}")

    for isa in ISAS:
        with using_isa(isa):
            call = {"logits": z, "sample_weight": weight}
            got, alone = loss.value_and_grad(targets, **call), loss(targets, **call)
            both, upper = loss.grad_and_hess(targets, **call), loss.grad_and_hess(targets, **call, curvature="upper")
        held(got.value, exact.loss, exact.loss, 4, "loss")
        held(got.grad, exact.grad, exact.grad_scale, GRADIENT, "gradient")
        held(both.hess, exact.hess, exact.hess_scale, HESSIAN, "Hessian")
        held(upper.hess, exact.upper, exact.upper, HESSIAN, "upper bound")
        assert np.all(upper.hess >= 0)
        assert_same([alone, both.grad, upper.grad], [got.value, got.grad, got.grad])


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_contract(dtype: str, shape: str, case: str) -> None:
    kind, options = CASES[case]
    z = hard_logits(DTYPES[dtype])
    assert_contract(z, labels_for(kind, z.size).astype(DTYPES[dtype]), shape, options)


@pytest.mark.parametrize("shape", ["gamma 2, alpha 0.25", "gamma 0.5"])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype: str, shape: str) -> None:
    """float32 losses; gradients rounded once: the bits of float32 rows, which hold the contract."""
    z = hard_logits(np.dtype(DTYPES[dtype]))
    for kind in ("hard", "soft"):
        y = labels_for(kind, z.size).astype(np.float32)
        assert_contract(z, y, shape, {})
        loss = ce.BinaryFocal(*SHAPES[shape], reduction="none")
        got, want = loss.value_and_grad(y, logits=z), loss.value_and_grad(y, logits=z.astype(np.float32))
        with np.errstate(over="ignore"):
            assert_same(got, (want.value, want.grad.astype(DTYPES[dtype])))


@pytest.mark.parametrize("columns", [1, 3, 17])
@pytest.mark.parametrize("weights", ["element", "row", None])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_weights_by_element_and_row_and_label(dtype: str, weights: str | None, columns: int) -> None:
    """pos_weight by label of the last axis, sample weights (some 0) by element or by row."""
    rng = np.random.default_rng(4)
    finite = hard_logits(DTYPES[dtype])
    z = rng.permutation(finite)[: finite.size // columns * columns].reshape(-1, columns)
    y = labels_for("soft", z.size).reshape(z.shape).astype(DTYPES[dtype])
    pos_weight = np.resize([3.0, 0.5, 1.0, 0.0, 2.0], columns)
    w = None
    if weights is not None:
        w = rng.choice([0.0, 0.5, 1.0, 3.0], z.shape if weights == "element" else z.shape[:1])
    assert_contract(z, y, "gamma 2, alpha 0.25", {"pos_weight": pos_weight}, w)


@pytest.mark.parametrize("case", ["hard", "all"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_reductions(case: str, dtype: str, isa: str) -> None:
    """alpha and pos_weight are not in the divisor of a mean."""
    kind, options = CASES[case]
    z = (np.random.default_rng(6).normal(size=(11, 3)) * 5).astype(DTYPES[dtype])
    y = labels_for(kind, z.size).reshape(z.shape).astype(DTYPES[dtype])
    w = np.random.default_rng(7).choice([0.0, 0.5, 1.0, 3.0], z.shape)
    exact = binary_answers(y, logits=z, shape=("focal", 1.0, 2.0), alpha=0.25, sample_weight=w, **options)
    total, eps = sum(exact.loss.to_mpf().ravel()), float(np.finfo(DTYPES[dtype]).eps)
    for reduction, divisor in {"sum": 1, "mean": exact.mass}.items():
        loss = ce.BinaryFocal(2.0, 0.25, reduction=reduction, **options)
        got = loss.value_and_grad(y, logits=z, sample_weight=w)
        assert isinstance(got.value, float)
        assert_close(got.value, total / divisor, rtol=10 * eps)
        by = 1 / divisor
        assert_close(got.grad, exact.grad.scaled(by), ulps=24, of=exact.grad_scale.scaled(by))
    bits = ce.BinaryFocal(2.0, 0.25, reduction="none", unit="bit", **options)(y, logits=z)
    nats = ce.BinaryFocal(2.0, 0.25, reduction="none", **options)(y, logits=z)
    np.testing.assert_allclose(bits, nats / np.log(2), rtol=4 * eps)


# ---------------------------------------------------------------- bits, layouts


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_depend_on_the_element_only(dtype: str, isa: str) -> None:
    """How many stand beside it, in one column or several, in place, in any layout."""
    z = hard_logits(np.dtype(DTYPES[dtype]))
    y = labels_for("soft", z.size).astype(np.float32)
    loss = ce.BinaryFocal(1.5, 0.25, reduction="none")
    want = [*loss.value_and_grad(y, logits=z), loss.grad_and_hess(y, logits=z).hess]
    for size in (0, 1, 2, 7, 8, 9, 33):
        got = [*loss.value_and_grad(y[:size], logits=z[:size]), loss.grad_and_hess(y[:size], logits=z[:size]).hess]
        assert_same(got, [part[:size] for part in want])
    for columns in (2, 5, 16):
        n = z.size // columns * columns
        table = [part[:n].reshape(-1, columns) for part in (y, z)]
        for layout in LAYOUTS:
            if layout != "big-endian" or dtype != "bfloat16":
                got = loss.value_and_grad(table[0], logits=laid_out(table[1], layout))
                assert_same([part.ravel() for part in got], [part[:n] for part in want[:2]])
    placed = z.copy()
    assert_same(loss.value_and_grad(y, logits=placed, out=placed), want[:2])


# ---------------------------------------------------------------- limits and edges


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_without_gamma_and_alpha_it_is_binary_cross_entropy(dtype: str, isa: str) -> None:
    z = hard_logits(DTYPES[dtype])
    y = labels_for("soft", z.size).astype(DTYPES[dtype])
    for options in ({}, {"pos_weight": 2.0, "label_smoothing": 0.1}):
        losses = ce.BinaryFocal(0.0, **options), ce.BinaryCrossEntropy(**options)
        assert_same(*([*loss.value_and_grad(y, logits=z), *loss.grad_and_hess(y, logits=z)] for loss in losses))
    eps = float(np.finfo(DTYPES[dtype]).eps)
    half, whole = ce.BinaryFocal(0.0, 0.5, reduction="none"), ce.BinaryCrossEntropy(reduction="none")
    a, b = half.value_and_grad(y, logits=z), whole.value_and_grad(y, logits=z)
    np.testing.assert_allclose(2 * a.value, b.value, rtol=4 * eps, atol=1e-44)
    np.testing.assert_allclose(2 * a.grad, b.grad, rtol=4 * eps, atol=4 * eps)


def test_signs_of_logits_and_labels_may_be_exchanged(isa: str) -> None:
    """loss(z, y, alpha) = loss(-z, 1 - y, 1 - alpha)."""
    z, y = np.linspace(-30, 30, 101), np.arange(101) % 2
    one, other = ce.BinaryFocal(2.0, 0.25, reduction="none"), ce.BinaryFocal(2.0, 0.75, reduction="none")
    a, b = one.value_and_grad(y, logits=z), other.value_and_grad(1 - y, logits=-z)
    np.testing.assert_array_equal(a.value, b.value)
    np.testing.assert_array_equal(a.grad, -b.grad)


def test_two_classes_softmax_agree(isa: str) -> None:
    """It is the focal loss of logits [0, z], alpha by class."""
    z, y = np.linspace(-30, 30, 101), np.arange(101) % 2
    both = np.stack([np.zeros_like(z), z], axis=1)
    binary = ce.BinaryFocal(2.0, 0.25, reduction="none").value_and_grad(y, logits=z)
    softmax = ce.Focal(2.0, [0.75, 0.25], reduction="none").value_and_grad(y, logits=both)
    np.testing.assert_allclose(binary.value, softmax.value, rtol=4e-15)
    np.testing.assert_allclose(binary.grad, softmax.grad[:, 1], rtol=8e-15)


@pytest.mark.parametrize("gamma", [0.5, 2.0, 1500.0, 1e10, 1e100])
def test_infinite_logits_and_large_exponents(gamma: float, isa: str) -> None:
    """Certain and wrong: inf; certain and right: 0. A large gamma leaves nothing of what is not wrong."""
    loss = ce.BinaryFocal(gamma, reduction="none")
    z = np.array([np.inf, np.inf, -np.inf, -np.inf, -1.0, 1.0])
    value, grad = loss.value_and_grad(np.array([1, 0, 1, 0, 1, 0]), logits=z)
    np.testing.assert_array_equal(value[:4], [0, np.inf, np.inf, 0])
    np.testing.assert_array_equal(grad[:4], [0, 1, -1, 0])
    want = 1.3132616875182228 * (1 / (1 + np.exp(-1.0))) ** gamma
    np.testing.assert_allclose(value[4:], want, rtol=1e-12 + 1e-15 * min(gamma, 1e3), atol=1e-300)
    assert not np.isnan(loss.grad_and_hess(np.array([1, 0, 1, 0, 1, 0]), logits=z).hess).any()


@pytest.mark.parametrize("shape", SHAPES)
def test_bad_elements_are_named(shape: str, isa: str) -> None:
    loss = ce.BinaryFocal(*SHAPES[shape])
    z, y = np.zeros((3, 4)), np.zeros((3, 4))
    z[1, 2] = np.nan
    with pytest.raises(ce.NonFiniteError, match=r"logits\[1, 2\] is nan"):
        loss.value_and_grad(y, logits=z)
    w = np.ones((3, 4))
    w[1, 2] = 0
    assert np.isfinite(loss(y, logits=z, sample_weight=w))
    y[0, 3] = 1.5
    with pytest.raises(ce.LabelError, match=r"targets\[0, 3\] is 1.5"):
        loss(y, logits=z)
    with pytest.raises(ce.ShapeError):
        loss(y[:2], logits=z)
