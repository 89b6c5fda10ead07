"""Class weights from counts and softened targets: exact values, properties, and errors that say what to do."""

from fractions import Fraction
from typing import Any

import mpmath
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import crossent as ce
from closeness import assert_close

mp = mpmath.mp

counts_of = st.lists(st.one_of(st.just(0), st.integers(1, 10**9), st.floats(1e-3, 1e9)), min_size=1, max_size=9)
betas = st.one_of(st.just(0.0), st.floats(0, 1 - 2**-53), st.sampled_from([0.9, 0.99, 0.9999, 1 - 1e-12]))


def exact_weights(counts: Any, beta: float | None) -> list[Any]:
    """The definition: fractions for the limit, 1 400 digits of what cancels otherwise."""
    n = [Fraction(c) for c in counts]
    present = [x for x in n if x]
    if beta is None:
        return [sum(present) / (len(present) * x) if x else Fraction(0) for x in n]
    with mp.workdps(400):
        b = mp.mpf(beta)
        raw = [(1 - b) / (1 - b ** (mp.mpf(x.numerator) / x.denominator)) if x else mp.mpf(0) for x in n]
        return [len(present) * w / mp.fsum(raw) for w in raw]


@given(counts=counts_of, beta=st.one_of(st.none(), betas))
def test_balanced_weights_are_the_definition(counts: Any, beta: float | None) -> None:
    assume(any(counts))
    assert_close(ce.balanced_weights(counts, beta=beta), exact_weights(counts, beta), ulps=16, dtype=np.float64)


@given(counts=counts_of, beta=betas)
def test_balanced_weights_keep_their_scale(counts: Any, beta: float) -> None:
    """Their sum is the number of classes that occur; without beta a row weighs 1 on average; rare never weighs less."""
    assume(any(counts))
    n = np.array(counts, dtype=float)
    w, inverse = ce.balanced_weights(counts, beta=beta), ce.balanced_weights(counts)
    assert w.sum() == pytest.approx(np.count_nonzero(n), rel=1e-14)
    assert (n * inverse).sum() == pytest.approx(n.sum(), rel=1e-14)
    assert np.all((w > 0) == (n > 0))
    order = np.argsort(n[n > 0])
    assert np.all(np.diff(w[n > 0][order]) <= 1e-14 * w.max())


def test_balanced_weights_at_both_ends() -> None:
    assert ce.balanced_weights([5, 0, 1000], beta=0).tolist() == [1, 0, 1]
    near, limit = ce.balanced_weights([5, 1, 1000], beta=1 - 2**-53), ce.balanced_weights([5, 1, 1000])
    np.testing.assert_allclose(near / near[0], limit / limit[0], rtol=1e-12)
    y = [0, 0, 0, 1, 1, 2]
    z = np.random.default_rng(0).normal(size=(6, 3))
    ours = ce.CrossEntropy(class_weight=ce.balanced_weights(np.bincount(y)), reduction="none")(y, logits=z)
    np.testing.assert_allclose(
        ours, ce.CrossEntropy(class_weight="balanced", reduction="none")(y, logits=z), rtol=1e-15
    )
    sizes = np.array([1e8, 1e8, 1]) * (1 + 2e-8) / 3
    assert ce.balanced_weights([1e300, 1e300, 1e308]).tolist() == pytest.approx(sizes.tolist(), rel=1e-14)


@pytest.mark.parametrize(
    ("counts", "beta", "error", "message"),
    [
        ([3, -1], None, ce.WeightError, r"counts\[1\] is -1.0; finite numbers >= 0"),
        ([3, np.nan], 0.9, ce.WeightError, r"counts\[1\] is nan"),
        ([np.inf, 1], None, ce.WeightError, r"counts\[0\] is inf"),
        ([0, 0], None, ce.WeightError, "all 0"),
        ([5e-324, 1e300], None, ce.WeightError, r"counts\[0\] is 5e-324, too small"),
        ([], None, ce.ShapeError, r"shape \(0,\)"),
        ([[1, 2]], None, ce.ShapeError, r"shape \(1, 2\)"),
        (["a"], None, ce.WeightError, "dtype"),
        ([1, 2], 1.0, ce.OptionError, "beta is 1.0; a number from 0 to below 1, or None"),
        ([1, 2], -0.1, ce.OptionError, "beta is -0.1"),
        ([1, 2], True, ce.OptionError, "beta is True"),
        ([1, 2], "0.9", ce.OptionError, "beta is '0.9'"),
        ([1, 2], np.nan, ce.OptionError, "beta is nan"),
    ],
)
def test_balanced_weights_refuse(counts: Any, beta: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ce.balanced_weights(counts, beta=beta)


# ---------------------------------------------------------------- soften


def exact_soft(q: Any, S: Any, amount: float) -> list[list[Fraction]]:
    """(1 - a) q_j + a sum_i q_i S_ij / sum_k S_ik in fractions."""
    a = Fraction(amount)
    rows = [[Fraction(x) / sum(map(Fraction, row)) for x in row] for row in S]
    return [
        [(1 - a) * Fraction(t[j]) + a * sum(Fraction(t[i]) * rows[i][j] for i in range(len(t))) for j in range(len(t))]
        for t in q
    ]


@st.composite
def similarities(draw: st.DrawFn) -> Any:
    K = draw(st.integers(1, 6))
    entry = st.one_of(st.just(0.0), st.floats(1e-9, 1e9), st.integers(0, 5).map(float))
    S = np.array(draw(st.lists(entry, min_size=K * K, max_size=K * K))).reshape(K, K)
    S[np.arange(K), draw(st.lists(st.integers(0, K - 1), min_size=K, max_size=K))] += 1
    return S


@given(S=similarities(), amount=st.floats(0, 1), data=st.data())
def test_soften_is_the_definition(S: Any, amount: float, data: Any) -> None:
    """Labels and distributions, within a few ulp of sums of terms >= 0; rows sum to 1; a one-hot row is its label."""
    K = len(S)
    y = np.array(data.draw(st.lists(st.integers(0, K - 1), min_size=1, max_size=4)))
    onehot = np.eye(K)[y].tolist()
    got = ce.soften(y, similarity=S, amount=amount)
    assert_close(got, exact_soft(onehot, S.tolist(), amount), ulps=K + 6, dtype=np.float64)
    np.testing.assert_allclose(got.sum(axis=1), 1, rtol=1e-14)
    np.testing.assert_allclose(ce.soften(np.array(onehot), similarity=S, amount=amount), got, rtol=1e-14)
    q = np.array(data.draw(st.lists(st.integers(1, 8), min_size=K, max_size=K)), dtype=float)
    q = (q / q.sum())[None]
    assert_close(ce.soften(q, similarity=S, amount=amount), exact_soft(q.tolist(), S.tolist(), amount), ulps=2 * K + 6)


@given(K=st.integers(1, 6), amount=st.floats(0, 1), seed=st.integers(0, 99))
def test_without_similarity_it_is_label_smoothing(K: int, amount: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    y, z = rng.integers(0, K, 5), rng.normal(size=(5, K)) * 3
    smooth = ce.CrossEntropy(label_smoothing=amount)
    assert ce.cross_entropy(ce.soften(y, classes=K, amount=amount), logits=z) == pytest.approx(
        smooth(y, logits=z), rel=1e-13
    )
    q = rng.dirichlet(np.ones(K), 5)
    assert ce.cross_entropy(ce.soften(q, amount=amount), logits=z) == pytest.approx(smooth(q, logits=z), rel=1e-13)


def test_an_ordinal_scale_makes_blunders_dearer() -> None:
    """exp(-distance / width), normalised; the same number of steps is the same ratio."""
    q = ce.soften([2], scale="ordinal", classes=5, amount=1.0, width=0.5)[0]
    raw = np.exp(-np.abs(np.arange(5) - 2) / 0.5)
    np.testing.assert_allclose(q, raw / raw.sum(), rtol=1e-15)
    np.testing.assert_array_equal(ce.soften([2], scale=np.arange(5), width=0.5, amount=1.0)[0], q)
    apart = ce.soften([0], scale=[-1.0, 0.0, 10.0], amount=0.5)[0]
    assert apart[0] > apart[1] > 1e3 * apart[2] > 0
    far = ce.soften([0], scale=[-1.7e308, 1.7e308], amount=0.5, width=1e-300)
    assert far.tolist() == [[1.0, 0.0]]
    target = ce.soften([2], scale="ordinal", classes=5, amount=0.5)
    near_miss, blunder = (
        ce.cross_entropy(target, probs=[p]) for p in ([0.1, 0.6, 0.1, 0.1, 0.1], [0.6, 0.1, 0.1, 0.1, 0.1])
    )
    assert near_miss < blunder


def test_shapes_and_names() -> None:
    S = [[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [0.0, 0.0, 1.0]]
    grid = ce.soften([[0, 1], [2, 2]], similarity=S)
    assert grid.shape == (2, 2, 3)
    assert grid.dtype == np.float64
    np.testing.assert_array_equal(grid[0, 1], ce.soften([1], similarity=S)[0])
    assert ce.soften(1, similarity=S).shape == (3,)
    assert ce.soften(np.zeros((0,), int), similarity=S).shape == (0, 3)
    names = ["cat", "dog", "owl"]
    np.testing.assert_array_equal(ce.soften(["dog"], similarity=S, classes=names), grid[0, 1:])
    np.testing.assert_array_equal(ce.soften(np.eye(3, dtype=bool), similarity=S), ce.soften([0, 1, 2], similarity=S))
    np.testing.assert_array_equal(ce.soften(np.float16([[0, 1, 0]]), similarity=S), grid[0, 1:])
    np.testing.assert_allclose(ce.soften([0], similarity=np.multiply(S, 1.5e308 / 2)), ce.soften([0], similarity=S))
    assert ce.soften([0, 1], classes=3, amount=0).tolist() == [[1, 0, 0], [0, 1, 0]]
    given = np.array([[0.25, 0.75]])
    assert ce.soften(given, amount=0) is not given


BAD: list[tuple[Any, dict[str, Any], type[Exception], str]] = [
    ([0], {}, ce.UnsupportedError, "number of classes is not known. Pass classes="),
    ([3], {"classes": 3}, ce.LabelError, r"targets\[0\] is 3, but there are 3 classes \(labels 0..2\)"),
    ([[0], [-1]], {"classes": 3}, ce.LabelError, r"targets\[1, 0\] is -1"),
    ([0.5], {"classes": 3}, ce.ShapeError, "1 for targets"),
    ([[0.5, 0.4]], {}, ce.LabelError, r"targets\[0\] is \[0.5, 0.4\] with sum 0.9"),
    ([[1.5, -0.5]], {}, ce.LabelError, r"targets\[0\] is \[1.5, -0.5\]"),
    ([0.0, 2.0], {"similarity": np.eye(2)}, ce.LabelError, "Pass class indices as integers"),
    (0.5, {"classes": 3}, ce.ShapeError, r"float64 of shape \(\), which are distributions"),
    ([[0, 1, 0], [1, 0, 0]], {"classes": 3}, ce.LabelError, "look one-hot"),
    (["cat"], {"classes": ["dog"]}, ce.LabelError, "'cat', which is not among classes"),
    (["cat"], {"classes": 2}, ce.LabelError, "targets are names"),
    ([1j], {"classes": 2}, ce.DtypeError, "dtype complex128; integers, names or floats"),
    ([0], {"similarity": np.ones((2, 3))}, ce.ShapeError, r"similarity has shape \(2, 3\)"),
    ([0], {"similarity": [1.0, 2.0]}, ce.ShapeError, r"shape \(2,\)"),
    ([0], {"similarity": np.ones((2, 2)), "classes": 3}, ce.ShapeError, "3 for classes and 2 for similarity"),
    ([[0.5, 0.5]], {"scale": [1, 2, 4]}, ce.ShapeError, "2 for targets and 3 for scale"),
    ([0], {"similarity": [[1, -0.5], [0, 1]]}, ce.WeightError, r"similarity\[0, 1\] is -0.5"),
    ([0], {"similarity": [[1, np.inf], [0, 1]]}, ce.WeightError, r"similarity\[0, 1\] is inf"),
    ([0], {"similarity": [[1, 0], [0, 0]]}, ce.WeightError, r"similarity\[1\] sums to 0.*Put 1 at similarity\[1, 1\]"),
    ([0], {"similarity": np.eye(2), "scale": [0, 1]}, ce.UnsupportedError, "give one of them"),
    ([0], {"scale": "linear", "classes": 2}, ce.OptionError, "scale is 'linear'; 'ordinal'"),
    ([0], {"scale": [0, np.nan]}, ce.OptionError, r"scale\[1\] is nan"),
    ([0], {"scale": [[0, 1]]}, ce.ShapeError, r"scale has shape \(1, 2\)"),
    ([0], {"scale": "ordinal", "classes": 2, "width": 0.0}, ce.OptionError, "width is 0.0; a finite number > 0"),
    ([0], {"classes": 2, "amount": 1.5}, ce.OptionError, "amount is 1.5; a number from 0 to 1"),
    ([0], {"classes": 2, "amount": True}, ce.OptionError, "amount is True"),
    ([0], {"classes": 0}, ce.OptionError, "classes is 0"),
    ([0], {"classes": True}, ce.OptionError, "classes is True"),
    ([0], {"classes": {"a", "b"}}, ce.OptionError, "classes is set"),
    (np.ma.masked_array([0]), {"classes": 2}, ce.UnsupportedError, "masked"),
]


@pytest.mark.parametrize(("targets", "options", "error", "message"), BAD, ids=lambda v: v if isinstance(v, str) else "")
def test_soften_refuses(targets: Any, options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        ce.soften(targets, **options)
