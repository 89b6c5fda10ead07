"""Independent labels with probabilities, on native code: exact near 0, 1/2 and 1, labels of any type, the same bits."""

import tracemalloc
from typing import Any

import mpmath
import numpy as np
import pytest

import crossent as ce
import oracle_binary
from bits import assert_same
from closeness import assert_close
from crossent.core import formula_elements
from crossent.core.engine_probability import BinaryProbabilityJob, run_binary_probability
from crossent.core.shapes import Shape
from crossent.core.terms import BinaryTerms
from entries import LAYOUTS, hard_entries, laid_out
from isas import ISAS, using_isa

DTYPES = (np.float32, np.float64)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.2},
    "weighted": {"pos_weight": 3.0, "class_weight": [0.5, 2.0]},
    "one-sided": {"pos_weight": 0.0},
    "bit": {"unit": "bit"},
}


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("label", [0.0, 1.0, 0.3])
@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_entries(dtype: Any, label: float, options: str) -> None:
    """-log p and -log(1 - p) at every size of p, on every instruction set; gradients too."""
    p = hard_entries(dtype)
    p = p[(p > 0) & (p < 1)]  # these two: test_certainties
    y = np.full(len(p), label, dtype)
    asked = {"probs": p, "reduction": "none", **OPTIONS[options]}
    losses, scale = oracle_binary.binary_cross_entropy(y, **asked), oracle_binary.binary_gradient_scale(y, **asked)
    exact = oracle_binary.binary_gradient(y, **asked)
    plain = options == "plain" and label in (0, 1)
    for isa in ISAS:
        with using_isa(isa):
            got = ce.BinaryCrossEntropy(reduction="none", **OPTIONS[options]).value_and_grad(y, probs=p)
        assert_close(got.value, losses, ulps=1.5 if plain else 4, dtype=dtype, label=isa)
        assert_close(got.grad, exact, ulps=1.5 if plain else 8, of=scale, dtype=dtype, label=f"gradient, {isa}")
        assert not np.signbit(got.value).any()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("label", [0.0, 1.0, 0.5])
def test_certainties(label: float, dtype: Any, isa: str) -> None:
    """p = 0 and p = 1: exactly 0 or inf, with the sign of the ascent; a term of weight 0 is skipped."""
    p = np.resize(np.array([0, 1], dtype), 40)
    got = ce.BinaryCrossEntropy(reduction="none").value_and_grad(np.full(40, label), probs=p)
    sure, wrong = (0, np.inf) if label != 0.5 else (np.inf, np.inf)
    at_0, at_1 = (wrong, sure) if label else (sure, wrong)
    assert_same(got.value, np.resize(np.array([at_0, at_1], dtype), 40))
    slopes = {0.0: [1, np.inf], 1.0: [-np.inf, -1], 0.5: [-np.inf, np.inf]}[label]
    assert_same(got.grad, np.resize(np.array(slopes, dtype), 40))


@pytest.mark.parametrize("seed", range(3))
def test_between_a_quarter_and_a_half_nothing_of_1_minus_p_is_lost(seed: int, isa: str) -> None:
    """There 1 - p is rounded, and the logarithm gets back what was lost."""
    p = np.random.default_rng(seed).uniform(0.25, 0.55, 3000)
    got = ce.binary_cross_entropy(np.zeros(3000), probs=p, reduction="none")
    assert_close(got, oracle_binary.binary_cross_entropy(np.zeros(3000), probs=p, reduction="none"), ulps=1.5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_native_agrees_with_the_definition(smoothing: float) -> None:
    rng = np.random.default_rng(1)
    p, y = rng.random(500), np.where(rng.random(500) < 0.5, rng.integers(0, 2, 500), rng.random(500))
    A, B = formula_elements.element_weights(
        y, BinaryTerms(), smoothing=smoothing, pos_weight=2.0, negative=1.0, positive=1.0
    )
    loss = ce.BinaryCrossEntropy(reduction="none", label_smoothing=smoothing, pos_weight=2.0)
    got = loss.value_and_grad(y, probs=p)
    assert_close(got.value, formula_elements.element_prob_loss(np, p, A, B, Shape()), rtol=8 * 2.0**-52)
    assert_close(got.grad, formula_elements.element_prob_gradient(np, p, A, B, Shape()), ulps=8, of=A / p + B / (1 - p))


# ---------------------------------------------------------------- targets


@pytest.mark.parametrize("dtype", DTYPES)
def test_labels_of_every_type_agree(dtype: Any, isa: str) -> None:
    rng = np.random.default_rng(2)
    p, y = rng.random(1000).astype(dtype), rng.integers(0, 2, 1000)
    loss = ce.BinaryCrossEntropy(reduction="none")
    want = loss.value_and_grad(y, probs=p)
    for kind in ("b", "B", "h", "H", "i", "I", "q", "Q", "?", "e", "f", "d", ">i4", ">f8"):
        got = loss.value_and_grad(y.astype(kind), probs=p)
        assert_same(got.value, want.value)
        assert_same(got.grad, want.grad)
    truth = np.where(y, 9, 0).astype(np.uint8).view(bool)  # any byte but 0 is true
    assert_same(loss(truth, probs=p), want.value)


@pytest.mark.parametrize("kind", ["b", "i", "q", "Q", "f", "d", "e"])
def test_bad_labels_are_reported_lowest_first(kind: str, set_threads: Any) -> None:
    N = 300_000
    y = np.zeros(N, kind)
    y[[200_000, 250_000]] = 2
    for threads in (1, 3):
        set_threads(threads)
        with pytest.raises(ce.LabelError, match=r"targets\[200000\] is 2; labels 0 and 1"):
            ce.binary_cross_entropy(y, probs=np.full(N, 0.5))
    if kind == "Q":
        y[7] = 2**64 - 1
        with pytest.raises(ce.LabelError, match=r"targets\[7\] is 1\.84467e\+19"):
            ce.binary_cross_entropy(y, probs=np.full(N, 0.5))


@pytest.mark.parametrize("layout", ["C", "strided"])
def test_the_lowest_bad_element_is_reported(layout: str, set_threads: Any) -> None:
    """An entry before a label, across chunks, blocks and threads; in place nothing of it is overwritten."""
    for threads in (1, 3):
        set_threads(threads)
        p = np.full((100_000, 3), 0.5)
        y = np.zeros(p.shape)
        p[60_000, 1], p[60_000, 2], y[60_001, 0] = 1.5, -2.0, 0.5
        y[70_000, 2] = 7
        given = laid_out(p, layout)
        for out in (None, given):  # in place comes last
            with pytest.raises(ce.ProbabilityError, match=r"probs\[60000, 1\] is 1\.5"):
                ce.BinaryCrossEntropy(reduction="sum").value_and_grad(np.minimum(y, 1), probs=given, out=out)
        y[60_000, 0] = -1
        with pytest.raises(ce.LabelError, match=r"targets\[60000, 0\] is -1"):
            ce.binary_cross_entropy(y, probs=laid_out(p, layout))


def test_left_out_elements_are_not_looked_at() -> None:
    """By weight, and by a class weight of 0: NaN and nonsense there do not matter."""
    p, y = np.array([np.nan, 7.0, 0.25, np.nan]), np.array([np.nan, 5.0, 1.0, 0.0])
    loss = ce.BinaryCrossEntropy(class_weight=[0, 1])
    got = loss.value_and_grad(y, probs=p, sample_weight=[0, 0, 1, 1])
    assert got.value == -np.log(0.25)
    assert got.grad.tolist() == [0, 0, -4, 0]
    assert loss(y, probs=p, sample_weight=[0, 0, 1, 1]) == got.value
    for option in ({"clip": 1e-6}, {"eps": 1e-12}):
        other = ce.BinaryCrossEntropy(class_weight=[0, 1], **option)  # type: ignore[arg-type]
        assert other(y, probs=p, sample_weight=[0, 0, 1, 1]) == pytest.approx(got.value)


# ---------------------------------------------------------------- weights, bits, memory


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("weight", [None, "row", "element"])
@pytest.mark.parametrize("layout", ["C", "Fortran"])
def test_weights_of_rows_columns_and_elements(layout: str, weight: str | None, reduction: str, isa: str) -> None:
    rng = np.random.default_rng(9)
    p, y = rng.random((30, 5)), rng.integers(0, 2, (30, 5))
    given: dict[str, Any] = {"class_weight": [0.5, 2.0], "pos_weight": rng.uniform(0, 2, 5), "label_smoothing": 0.1}
    w = None if weight is None else rng.uniform(0, 2, 30) if weight == "row" else rng.uniform(0, 2, (30, 5))
    full = None if w is None else np.broadcast_to(w if w.ndim == 2 else w[:, None], p.shape)
    loss = ce.BinaryCrossEntropy(reduction=reduction, **given)  # type: ignore[arg-type]
    got = loss.value_and_grad(laid_out(y, layout), probs=laid_out(p, layout), sample_weight=w)
    asked = {"probs": p, "sample_weight": full, "reduction": reduction, **given}
    want = oracle_binary.binary_cross_entropy(y, **asked)
    assert_close(got.value, want, **({"ulps": 4} if reduction == "none" else {"rtol": 1e-14}))
    scale = oracle_binary.binary_gradient_scale(y, **asked)
    assert_close(got.grad, oracle_binary.binary_gradient(y, **asked), ulps=8, of=scale)
    assert_same(loss(y, probs=p, sample_weight=w), got.value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_bits_depend_on_the_element_only(dtype: Any, isa: str) -> None:
    """Order, tails, layouts, soft neighbours, with gradient or without, in place."""
    p = hard_entries(dtype)
    y = np.arange(len(p)) % 2
    loss = ce.BinaryCrossEntropy(reduction="none")
    want = loss.value_and_grad(y, probs=p)
    order = np.random.default_rng(0).permutation(len(p))
    moved = loss.value_and_grad(y[order], probs=p[order])
    assert_same(moved.value, want.value[order])
    assert_same(moved.grad, want.grad[order])
    for first, end in ((0, 1), (3, 20), (120, 259), (len(p) - 1, len(p))):
        assert_same(loss(y[first:end], probs=p[first:end]), want.value[first:end])
    mixed = y.astype(np.float64)
    mixed[::7] = 0.5
    hard = mixed == y
    soft = loss.value_and_grad(mixed, probs=p)
    assert_same(soft.value[hard], want.value[hard])
    assert_same(soft.grad[hard], want.grad[hard])
    for layout in LAYOUTS:
        twice = laid_out(np.stack([p, p]), layout)
        assert_same(loss(np.stack([y, y]), probs=twice), np.stack([want.value] * 2))
    assert_same(loss(y, probs=p), want.value)
    assert_same(loss.value_and_grad(y, probs=p, out=p).grad, want.grad)


@pytest.mark.parametrize("weighted", [False, True])
def test_sums_do_not_depend_on_threads(weighted: bool, set_threads: Any) -> None:
    rng = np.random.default_rng(3)
    p, y = rng.random(500_000), rng.integers(0, 2, 500_000, np.int8)
    w = rng.random(500_000) if weighted else None
    results = set()
    for threads in (1, 2, 5):
        set_threads(threads)
        results |= {ce.binary_cross_entropy(y, probs=p, sample_weight=w)}
        results |= {ce.BinaryCrossEntropy().value_and_grad(y, probs=p, sample_weight=w).value}
    assert len(results) == 1


@pytest.mark.parametrize("kind", [np.int8, np.int64, bool, np.float64])
def test_labels_are_read_where_they_lie(kind: Any) -> None:
    """Of 4 million elements nothing is copied."""
    p, y = np.full(4_000_000, 0.25), np.zeros(4_000_000, kind)
    ce.binary_cross_entropy(y[:10], probs=p[:10])
    tracemalloc.start()
    try:
        assert ce.binary_cross_entropy(y, probs=p) == pytest.approx(-np.log(0.75), rel=1e-15)
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(), (0,), (3, 0)])
def test_scalars_and_nothing(shape: tuple[int, ...]) -> None:
    p, y = np.full(shape, 0.25), np.ones(shape, int)
    got = ce.BinaryCrossEntropy(reduction="none").value_and_grad(y, probs=p)
    assert np.shape(got.value) == shape
    np.testing.assert_array_equal(got.value, -np.log(p))
    np.testing.assert_array_equal(got.grad, -1 / p)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("label", [1.0, 0.5])
def test_minus_zero_is_zero(label: float, dtype: Any, isa: str) -> None:
    """The loss is inf and falls with p, whatever the sign of the zero."""
    got = ce.BinaryCrossEntropy(reduction="none").value_and_grad(np.array([label]), probs=np.array([-0.0], dtype))
    assert got.value.tolist() == [np.inf]
    assert got.grad.tolist() == [-np.inf]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("soft", [False, True])
def test_clamped_as_in_torch(dtype: Any, soft: bool, isa: str) -> None:
    """What crossent.torch asks of the kernel: -log at 100, p (1 - p) in the gradient at 1e-12 (a float)."""
    eps = float(np.finfo(dtype).eps)
    p = np.array([0.0, 1.0, 1e-45, 1e-40, 1e-30, 1e-13, 1e-11, 0.3, 0.75, 1 - eps], dtype)
    y = np.resize([0.0, 0.25, 0.75, 1.0] if soft else [0.0, 1.0], (40, len(p))).astype(dtype).T.copy()
    probs = np.broadcast_to(p[:, None], y.shape).copy()
    values, grad = np.empty_like(probs), np.empty_like(probs)
    job = BinaryProbabilityJob(probs, y, clamped=True)
    run_binary_probability(job, values=values, grad=grad)
    with mpmath.workdps(60):
        least = mpmath.mpf(float(np.float32(1e-12)))
        for i, j in np.ndindex(y.shape):
            chance, label = mpmath.mpf(float(probs[i, j])), mpmath.mpf(float(y[i, j]))
            sides = ((label, chance), (1 - label, 1 - chance))
            want = sum(w * (min(-mpmath.log(x), 100) if x else 100) for w, x in sides)
            assert_close(values[i, j], want, ulps=4)
            slope = (chance - label) / max(chance * (1 - chance), least)
            assert_close(grad[i, j], slope, ulps=8, of=max(abs(slope), chance, abs(label - chance)))
