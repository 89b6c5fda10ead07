"""Losses of probabilities and their logarithms: exact values, refusals, notes, clipping, gradients."""

import warnings
from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
import oracle_binary
from closeness import assert_close

DTYPES = (np.float16, np.float32, np.float64)
KINDS = ("probs", "log_probs")


def compute_dtype(dtype: Any) -> Any:
    """The dtype of the losses."""
    return np.float64 if dtype == np.float64 else np.float32


def probability_rows(K: int, dtype: Any, kind: str, N: int = 40) -> Any:
    """Rows with entries from 1e-30 to 1 - 1e-12, certainties and zeros; sums as the dtype rounds them."""
    rng = np.random.default_rng([K, len(kind)])
    p = rng.dirichlet(np.ones(K), N)
    if K > 1:
        sizes = 10.0 ** rng.uniform(-30 if dtype != np.float16 else -4, -1, N // 2)
        p[: N // 2] *= (sizes / (1 - p[: N // 2, 0]))[:, None]
        p[: N // 2, 0] = 1 - sizes
        p[-1], p[-1, 1] = 0, 1
    if kind == "probs":
        return p.astype(dtype)
    with np.errstate(divide="ignore"):
        return np.log(p).astype(dtype)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 3, 10, 200])
def test_row_losses_of_indices(K: int, dtype: Any, kind: str) -> None:
    """4 ulp of the exact value for the given numbers; p = 0 at the target gives exactly inf."""
    p = probability_rows(K, dtype, kind)
    y = np.arange(len(p)) % K
    got = ce.cross_entropy(y, **{kind: p}, reduction="none")
    assert_close(got, oracle.row_losses(y, **{kind: p}), ulps=4, dtype=compute_dtype(dtype))
    if K == 3:
        assert np.isposinf(got).any()


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"unit": "bit"}], ids=["plain", "smoothed", "bit"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [2, 10, 200])
def test_row_losses_and_gradients_of_soft_targets(K: int, dtype: Any, kind: str, options: Any) -> None:
    p = probability_rows(K, dtype, kind)
    q = np.random.default_rng(K).dirichlet(np.ones(K), len(p))
    q[::3] = np.eye(K)[np.arange(len(q[::3])) % K]
    q = q.astype(compute_dtype(dtype))
    got = ce.CrossEntropy(reduction="none", **options).value_and_grad(q, **{kind: p})
    assert_close(got.value, oracle.row_losses(q, **{kind: p}, **options), ulps=4, dtype=compute_dtype(dtype))
    exact = oracle.gradient(q, **{kind: p}, reduction="none", **options)
    assert_close(got.grad, exact, ulps=1 if dtype == np.float16 else 4, dtype=dtype, label="gradient")


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_units_and_reductions(kind: str, reduction: str) -> None:
    p = probability_rows(5, np.float64, kind)[:-1]
    y = np.arange(len(p)) % 5
    w = np.resize([0.0, 1.0, 0.5, 2.0], len(p))
    options = {"class_weight": [1.0, 0.0, 2.0, 0.5, 3.0], "unit": "bit", "ignore_index": 4, "reduction": reduction}
    want = oracle.cross_entropy(y, **{kind: p}, sample_weight=w, **options)
    got = ce.CrossEntropy(**options).value_and_grad(y, **{kind: p}, sample_weight=w)
    assert_close(got.value, want, rtol=1e-15, label="value")
    assert_close(got.grad, oracle.gradient(y, **{kind: p}, sample_weight=w, **options), ulps=4, label="gradient")
    assert ce.cross_entropy(y, **{kind: p}, sample_weight=w, **options) == pytest.approx(got.value, rel=0, abs=0)


def test_probability_zero_at_the_target_is_exactly_infinite() -> None:
    p = [[0.0, 1.0], [0.5, 0.5]]
    got = ce.CrossEntropy(reduction="none").value_and_grad([0, 0], probs=p)
    assert got.value.tolist() == [np.inf, np.log(2)]
    assert got.grad.tolist() == [[-np.inf, 0.0], [-2.0, 0.0]]
    assert ce.cross_entropy([0, 0], probs=p) == np.inf
    assert ce.cross_entropy([0, 1], log_probs=[[-np.inf, 0.0], [-np.inf, 0.0]], reduction="none").tolist() == [
        np.inf,
        0,
    ]
    assert ce.cross_entropy([[0.0, 1.0]], probs=[[0.0, 1.0]]) == 0.0  # 0 log 0 = 0


@pytest.mark.parametrize("weight", [[0, 1], [0.0, 2.0]])
@pytest.mark.parametrize("kind", KINDS)
def test_left_out_rows_are_not_looked_at(kind: str, weight: Any) -> None:
    """Weight 0: neither NaN nor nonsense in prediction or target matters, to value, gradient or mean."""
    p = np.array([[np.nan, 7.0], [0.25, 0.75]])
    if kind == "log_probs":
        p[1] = np.log(p[1])
    for targets in ([9, 1], np.array([[np.nan, 1.0], [0.0, 1.0]])):
        got = ce.CrossEntropy().value_and_grad(targets, **{kind: p}, sample_weight=weight)
        assert got.value == pytest.approx(-np.log(0.75), rel=1e-15)
        assert got.grad[0].tolist() == [0.0, 0.0]
        assert ce.cross_entropy(targets, **{kind: p}, sample_weight=weight) == got.value


def test_rows_without_mass_leave_even_where_their_loss_would_be_infinite() -> None:
    """Smoothing gives the row weight on p = 0, but its class weight took it out."""
    loss = ce.CrossEntropy(class_weight=[0, 1, 1], label_smoothing=0.1, reduction="none")
    q, p = np.eye(3)[[0, 1]], [[1.0, 0.0, 0.0], [0.2, 0.4, 0.4]]
    for targets in (q, [0, 1]):
        got = loss.value_and_grad(targets, probs=p)
        assert got.value[0] == 0
        assert got.value[1] > 0
        assert got.grad[0].tolist() == [0, 0, 0]


# ---------------------------------------------------------------- clip and eps


def test_clip_moves_probabilities_and_says_how_many_rows() -> None:
    p = [[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]]
    with pytest.warns(ce.ClippedWarning, match=r"clip=0\.001 changed probabilities in 2 of 3 rows\."):
        got = ce.cross_entropy([0, 0, 0], probs=p, clip=1e-3, reduction="none")
    np.testing.assert_allclose(got, [-np.log(1e-3), np.log(2), -np.log1p(-1e-3)], rtol=1e-14)
    with pytest.warns(ce.ClippedWarning, match="1 of 2 rows"), np.errstate(divide="ignore"):
        got = ce.cross_entropy([0, 0], log_probs=np.log(p[:2]), clip=1e-3, reduction="none")
    np.testing.assert_allclose(got, [-np.log(1e-3), np.log(2)], rtol=1e-14)


def test_clip_flattens_the_gradient_where_it_acts() -> None:
    with pytest.warns(ce.ClippedWarning, match="1 of 2 rows"):
        got = ce.CrossEntropy(clip=1e-3, reduction="none").value_and_grad([0, 0], probs=[[0.0, 1.0], [0.5, 0.5]])
    assert got.grad.tolist() == [[0.0, 0.0], [-2.0, 0.0]]


def test_clip_that_changes_nothing_is_silent() -> None:
    assert ce.cross_entropy([0], probs=[[0.5, 0.5]], clip=1e-7) == np.log(2)


def test_binary_clip_and_its_count() -> None:
    with pytest.warns(ce.ClippedWarning, match="changed probabilities in 2 of 3 rows"):
        got = ce.binary_cross_entropy([1, 0, 1], probs=[0.0, 1.0, 0.5], clip=1e-3, reduction="none")
    np.testing.assert_allclose(got, [-np.log(1e-3), -np.log(1e-3), np.log(2)], rtol=1e-12)


@pytest.mark.parametrize("call", ["function", "object", "gradient"])
def test_warnings_point_at_the_caller(call: str) -> None:
    loss = ce.CrossEntropy(clip=1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        if call == "function":
            ce.cross_entropy([0], probs=[[0.0, 1.0]], clip=1e-3)
        elif call == "object":
            loss([0], probs=[[0.0, 1.0]])
        else:
            loss.value_and_grad([0], probs=[[0.0, 1.0]])
    assert [w.filename for w in caught] == [__file__]


def test_eps_is_added_inside_the_logarithm() -> None:
    p = np.array([[0.0, 1.0], [0.7, 0.3]])
    got = ce.CrossEntropy(eps=1e-10, reduction="none").value_and_grad([0, 0], probs=p)
    np.testing.assert_allclose(got.value, -np.log(p[:, 0] + 1e-10), rtol=1e-15)
    np.testing.assert_allclose(got.grad, [[-1e10, 0], [-1 / (0.7 + 1e-10), 0]], rtol=1e-15)


@pytest.mark.parametrize("label", [0, 1])
def test_binary_eps(label: int) -> None:
    """At both ends: p = 0 and p = 1 lose nothing of eps."""
    p = np.array([0.0, 1.0, 0.5, 1e-9, 1 - 1e-9, 0.2, 0.9])
    got = ce.BinaryCrossEntropy(eps=1e-10, reduction="none").value_and_grad(np.full(7, label), probs=p)
    asked = {"probs": p, "eps": 1e-10, "reduction": "none"}
    exact = oracle_binary.binary_cross_entropy(np.full(7, label), **asked)
    assert_close(got.value, exact, bound=np.maximum(1e-15 * np.abs(exact.astype(float)), 3e-16))
    assert_close(got.grad, oracle_binary.binary_gradient(np.full(7, label), **asked), rtol=1e-15)


def test_clip_and_eps_belong_to_probabilities() -> None:
    for option in ({"clip": 1e-3}, {"eps": 1e-3}):
        for loss, z in ((ce.CrossEntropy, [[0.0, 1.0]]), (ce.BinaryCrossEntropy, [0.0])):
            with pytest.raises(ce.UnsupportedError, match="is for probabilities"):
                loss(**option)([0], logits=z)
    with pytest.raises(ce.UnsupportedError, match="pass probs="):
        ce.cross_entropy([0], log_probs=[[0.0, -1.0]], eps=1e-3)
    with pytest.raises(ce.UnsupportedError, match="eps is not for BinaryFocal"):
        ce.BinaryFocal(eps=1e-3)([0], probs=[0.5])


# ---------------------------------------------------------------- entries and row sums


@pytest.mark.parametrize("bad", [-0.25, 1.5, np.nan, np.inf])
def test_entries_outside_0_1_are_refused_always(bad: float) -> None:
    p = [[0.5, 0.5], [bad, 0.5]]
    for options in ({}, {"check": "rows"}, {"check": "entries"}, {"clip": 1e-3}, {"eps": 1e-3}):
        with pytest.raises(ce.ProbabilityError, match=r"probs\[1, 0\] is .*lie in \[0, 1\].*pass logits="):
            ce.cross_entropy([0, 0], probs=p, **options)
    with pytest.raises(ce.ProbabilityError, match=r"probs\[1\] is .*lie in \[0, 1\].*pass logits="):
        ce.binary_cross_entropy([0, 0], probs=[0.5, bad])


@pytest.mark.parametrize("bad", [0.25, np.nan, np.inf])
def test_logarithms_above_0_are_refused_always(bad: float) -> None:
    with pytest.raises(ce.ProbabilityError, match=r"log_probs\[1, 0\] is .*are <= 0.*pass logits="):
        ce.cross_entropy([0, 0], log_probs=[[-0.5, -1.0], [bad, -0.5]])
    with pytest.raises(ce.ProbabilityError, match=r"log_probs\[1\] is .*are <= 0.*pass logits="):
        ce.binary_cross_entropy([0, 0], log_probs=[-0.5, bad])


def test_row_sums_silent_noted_refused() -> None:
    """Within 1e-5 silent, within 0.01 one note, above an error with the hint."""
    y = [0, 0]
    rows = {"check": "rows", "reduction": "none"}
    assert ce.cross_entropy(y, probs=[[0.5, 0.5], [0.5, 0.500009]], **rows).tolist() == [np.log(2)] * 2
    with pytest.warns(ce.RowSumWarning, match=r"probs: sums off 1 in 1 row, 1\.009\.\.1\.009; used as given"):
        got = ce.cross_entropy(y, probs=[[0.5, 0.5], [0.5, 0.509]], **rows)
    assert got.tolist() == [np.log(2)] * 2
    message = (
        r"probs\[1, :\] sum to 1\.02, .* sums to 1 \(within 0\.01\).*look like logits: pass logits= instead of probs="
    )
    with pytest.raises(ce.ProbabilityError, match=message):
        ce.cross_entropy(y, probs=[[0.5, 0.5], [0.5, 0.52]], **rows)
    with pytest.raises(ce.ProbabilityError, match=r"log_probs\[0, :\]\) sum to 0\.73"):
        ce.cross_entropy(y, log_probs=[[-1.0, -1.0], [-1.0, -1.0]], **rows)


def test_row_sums_of_left_out_rows_do_not_count() -> None:
    got = ce.cross_entropy([0, 0], probs=[[0.5, 0.9], [0.5, 0.5]], check="rows", sample_weight=[0, 1])
    assert got == np.log(2)


def test_who_looks_at_row_sums() -> None:
    """auto: distributions as targets and gradients do; plain index losses look at the gathered entry only."""
    short = [[0.5, 0.2]]
    assert ce.cross_entropy([0], probs=short) == np.log(2)
    assert ce.cross_entropy([0], probs=[[0.5, 9.0]]) == np.log(2)
    with pytest.raises(ce.ProbabilityError, match=r"sum to 0\.7"):
        ce.CrossEntropy().value_and_grad([0], probs=short)
    with pytest.raises(ce.ProbabilityError, match=r"sum to 0\.7"):
        ce.cross_entropy([[1.0, 0.0]], probs=short)
    assert ce.CrossEntropy(check="entries").value_and_grad([0], probs=short).value == np.log(2)


@pytest.mark.parametrize("targets", [[0], [[1.0, 0.0]]], ids=["smoothed", "soft"])
def test_check_entries_never_looks_at_row_sums(targets: Any) -> None:
    smoothing = 0.1 if targets == [0] else 0.0
    loss = ce.CrossEntropy(check="entries", label_smoothing=smoothing)
    want = -(1 - smoothing / 2) * np.log(0.5) - smoothing / 2 * np.log(0.2)
    assert loss(targets, probs=[[0.5, 0.2]]) == pytest.approx(want, rel=1e-15)


@pytest.mark.parametrize("dtype", [np.float16, "bfloat16"])
def test_row_sums_of_half_precision_rows_are_silent(dtype: Any) -> None:
    """The rounding of a half-precision row is no news."""
    import ml_dtypes

    p = np.random.default_rng(2).dirichlet(np.ones(10), 50)
    half = p.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    loss = ce.cross_entropy(np.zeros(50, int), probs=half, check="rows", reduction="none")
    assert_close(loss, -np.log(half[:, 0].astype(np.float64)), ulps=1, dtype=np.float32)


def test_the_lowest_row_is_named_over_many_blocks() -> None:
    p = np.full((500_000, 2), 0.5)
    p[[400_000, 260_001, 300_000], 0] = 2.0
    with pytest.raises(ce.ProbabilityError, match=r"probs\[260001, 0\] is 2"):
        ce.cross_entropy(np.zeros(500_000, int), probs=p)


# ---------------------------------------------------------------- independent labels


@pytest.mark.parametrize(
    "options",
    [{}, {"label_smoothing": 0.2}, {"pos_weight": 3.0, "class_weight": [0.5, 2.0]}, {"unit": "bit"}],
    ids=["plain", "smoothed", "weighted", "bit"],
)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_binary_losses_and_gradients(dtype: Any, kind: str, options: Any) -> None:
    edge = float(np.finfo(dtype).eps)
    p = np.array([0.0, 1.0, 0.5, 0.3, 1e-4, edge, 1 - edge, 1 - edge / 2, 0.9999, 0.7] * 3).astype(dtype)
    if kind == "log_probs":
        with np.errstate(divide="ignore"):
            p = np.concatenate([np.log(p), [-1e-7, -1e-30, -80.0, -0.6931472, -0.6931471, -0.7]]).astype(dtype)
    y = np.concatenate([np.resize([1.0, 0.0], p.size // 2), np.resize([0.0, 1.0, 0.5], p.size - p.size // 2)])
    inside = (p < 0) & (p > -np.inf) if kind == "log_probs" else (p > 0) & (p < 1)  # 0 and 1 are tested below
    p, y = p[inside], y[inside]
    asked = {kind: p, "reduction": "none", **options}
    got = ce.BinaryCrossEntropy(reduction="none", **options).value_and_grad(y, **{kind: p})
    assert_close(got.value, oracle_binary.binary_cross_entropy(y, **asked), ulps=4, dtype=compute_dtype(dtype))
    scale = oracle_binary.binary_gradient_scale(y, **asked)
    exact = oracle_binary.binary_gradient(y, **asked)
    assert_close(got.grad, exact, ulps=8, of=scale, dtype=dtype, label="gradient")


def test_binary_certainties() -> None:
    """A sure thing that happens costs 0, one that does not costs inf; slopes have the sign of the ascent."""
    loss = ce.BinaryCrossEntropy(reduction="none")
    got = loss.value_and_grad([1, 0, 1, 0], probs=[0.0, 1.0, 1.0, 0.0])
    assert got.value.tolist() == [np.inf, np.inf, 0, 0]
    assert got.grad.tolist() == [-np.inf, np.inf, -1, 1]
    got = loss.value_and_grad([1, 0, 1, 0], log_probs=[-np.inf, 0.0, 0.0, -np.inf])
    assert got.value.tolist() == [np.inf, np.inf, 0, 0]
    assert got.grad.tolist() == [-1, np.inf, -1, 0]


def test_binary_left_out_elements_are_not_looked_at() -> None:
    for p in (1.0, np.nan, 7.0):
        got = ce.BinaryCrossEntropy().value_and_grad([0, 1], probs=[p, 0.5], sample_weight=[0, 1])
        assert got.value == np.log(2)
        assert got.grad.tolist() == [0.0, -2.0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("options", [{"eps": 1e-9}, {"clip": 1e-9}])
def test_soft_targets_are_read_only_where_they_lie(dtype: Any, options: Any) -> None:
    """Rows with weight 0 are left out without a write into the caller's targets; read-only ones will do."""
    q = np.array([[0.5, 0.5], [0.25, 0.75]], dtype)
    kept = q.copy()
    q.flags.writeable = False
    p = np.array([[0.5, 0.5], [0.9, 0.1]])
    with_weight = ce.cross_entropy(q, probs=p, sample_weight=[1, 0], **options)
    assert with_weight == pytest.approx(np.log(2), rel=1e-6)
    wide = np.broadcast_to(q[0], (2, 2))
    assert ce.cross_entropy(wide, probs=p[:1].repeat(2, axis=0), **options) == pytest.approx(np.log(2), rel=1e-6)
    np.testing.assert_array_equal(q, kept)
