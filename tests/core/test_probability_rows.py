"""Probability rows on native code: exact on every instruction set, the same bits in every layout, no copies."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import crossent as ce
import oracle
from bits import assert_same
from closeness import assert_close
from crossent.core import formula
from crossent.core.shapes import Shape
from crossent.core.terms import Terms
from entries import LAYOUTS, hard_entries, laid_out

DTYPES = (np.float32, np.float64)
KINDS = ("probs", "log_probs")


def as_kind(p: Any, kind: str) -> Any:
    """The entries, or their logarithms."""
    with np.errstate(divide="ignore"):
        return p if kind == "probs" else np.log(p)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_hard_entries_at_the_target(dtype: Any, kind: str, isa: str) -> None:
    """-log p within 1 ulp, -1/p within 1 ulp, in every lane."""
    p = as_kind(hard_entries(dtype), kind)
    rows = np.stack([p, np.zeros_like(p)], axis=1)
    y = np.zeros(len(p), np.int64)
    got = ce.CrossEntropy(reduction="none", check="entries").value_and_grad(y, **{kind: rows})
    assert_close(got.value, oracle.row_losses(y, **{kind: rows}), ulps=1, dtype=dtype)
    exact = oracle.gradient(y, **{kind: rows}, reduction="none")
    assert_close(got.grad, exact, ulps=1, dtype=dtype, label="gradient")
    assert not np.signbit(got.value).any()


SOFT: dict[str, dict[str, Any]] = {
    "soft": {},
    "smoothed": {"label_smoothing": 0.1},
    "weighted": {"class_weight": True},
    "all": {"label_smoothing": 0.3, "class_weight": True, "unit": "bit"},
    "uniform": {"label_smoothing": 1.0},
}


@pytest.mark.parametrize("targets", ["soft", "index"])
@pytest.mark.parametrize("options", SOFT, ids=str)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 3, 33])
def test_dense_targets(K: int, dtype: Any, kind: str, options: str, targets: str, isa: str) -> None:
    """Values within 4 ulp, gradients within 8, over entries of every size; weights and left-out rows included."""
    given = dict(SOFT[options])
    if given.pop("class_weight", None):
        given["class_weight"] = np.linspace(0, 2, K) if K > 1 else np.array([0.5])
    rng = np.random.default_rng(K)
    entries = hard_entries(dtype)
    p = as_kind(rng.choice(entries, (24, K)), kind)
    q = rng.dirichlet(np.ones(K), 24)
    q[::3] = np.eye(K)[np.arange(8) % K]
    y = q.astype(dtype) if targets == "soft" else np.arange(24) % K
    w = np.resize([1.0, 0.5, 0.0, 3.0], 24)
    call = {kind: p, "sample_weight": w}
    got = ce.CrossEntropy(reduction="none", check="entries", **given).value_and_grad(y, **call)
    assert_close(got.value, oracle.row_losses(y, **call, **given), ulps=4, dtype=dtype)
    exact = oracle.gradient(y, **call, reduction="none", **given)
    assert_close(got.grad, exact, ulps=8, dtype=dtype, label="gradient")
    assert_same(ce.cross_entropy(y, **call, reduction="none", check="entries", **given), got.value)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("kind", KINDS)
def test_native_agrees_with_the_definition(kind: str, smoothing: float) -> None:
    rng = np.random.default_rng(3)
    K = 70
    p, q = as_kind(rng.dirichlet(np.ones(K), 50), kind), rng.dirichlet(np.ones(K), 50)
    dense = formula.dense_targets(np, q, Terms(), smoothing=smoothing)
    loss = formula.row_prob_loss if kind == "probs" else formula.row_log_prob_loss
    gradient = formula.row_prob_gradient if kind == "probs" else formula.row_log_prob_gradient
    got = ce.CrossEntropy(reduction="none", label_smoothing=smoothing).value_and_grad(q, **{kind: p})
    assert_close(got.value, loss(np, p, dense, Shape()), rtol=(K + 6) * 2.0**-52)
    assert_close(got.grad, gradient(np, p, dense, Shape()), ulps=4)


# ---------------------------------------------------------------- bits


@pytest.mark.parametrize("targets", ["index", "smoothed", "soft"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 2, 9, 40])
def test_bits_depend_on_the_row_only(K: int, dtype: Any, kind: str, targets: str, isa: str) -> None:
    """Any order, neighbours, layout; alone or with gradient; looked at or not; in place."""
    rng = np.random.default_rng(K)
    p = as_kind(rng.dirichlet(np.ones(K), 150).astype(dtype), kind)
    y: Any = np.arange(150) % K if targets != "soft" else rng.dirichlet(np.ones(K), 150).astype(dtype)
    loss = ce.CrossEntropy(reduction="none", label_smoothing=0.1 * (targets == "smoothed"))
    want = loss.value_and_grad(y, **{kind: p})
    order = rng.permutation(150)
    moved = loss.value_and_grad(y[order], **{kind: p[order]})
    assert_same(moved.value, want.value[order])
    assert_same(moved.grad, want.grad[order])
    for first, end in ((0, 1), (3, 20), (64, 129), (149, 150)):
        part = loss.value_and_grad(y[first:end], **{kind: p[first:end]})
        assert_same(part.value, want.value[first:end])
        assert_same(part.grad, want.grad[first:end])
    for layout in LAYOUTS:
        other = laid_out(p, layout)
        assert_same(loss(y, **{kind: other}), want.value)
        assert_same(loss.value_and_grad(y, **{kind: other}).grad, want.grad)
    for check in ("rows", "entries"):
        assert_same(ce.cross_entropy(y, **{kind: p}, reduction="none", check=check,
                                     label_smoothing=loss.label_smoothing), want.value)  # fmt: skip
    assert_same(loss.value_and_grad(y, **{kind: p}, out=p).grad, want.grad)


@pytest.mark.parametrize("look", ["auto", "rows"])
@pytest.mark.parametrize("dtype", [np.float16, *DTYPES])
def test_classes_on_an_inner_axis(dtype: Any, look: str) -> None:
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.ones(5), (3, 7, 2)).astype(dtype)
    y = rng.integers(0, 5, (3, 7, 2))
    flat = ce.CrossEntropy(reduction="none", check=look).value_and_grad(y, probs=p)  # type: ignore[arg-type]
    loss = ce.CrossEntropy(reduction="none", axis=1, check=look)  # type: ignore[arg-type]
    inner = np.ascontiguousarray(np.moveaxis(p, -1, 1))
    got = loss.value_and_grad(y, probs=inner)
    assert_same(got.value, flat.value)
    assert_same(loss(y, probs=inner), flat.value)
    assert_same(got.grad, np.moveaxis(flat.grad, -1, 1))


def test_wide_targets_beside_narrow_probabilities() -> None:
    """float64 distributions are exact numbers: the loss of float32 rows uses all of them, and is rounded once."""
    rng = np.random.default_rng(5)
    p, q = rng.dirichlet(np.ones(6), 40).astype(np.float32), rng.dirichlet(np.ones(6), 40)
    got = ce.CrossEntropy(reduction="none").value_and_grad(q, probs=p)
    assert_close(got.value, oracle.row_losses(q, probs=p), ulps=1, dtype=np.float32)
    assert_close(got.grad, oracle.gradient(q, probs=p, reduction="none"), ulps=1, dtype=np.float32)
    assert ce.cross_entropy(q, probs=p, reduction="sum") == np.sum(got.value, dtype=np.float64)


def test_means_do_not_depend_on_the_layout_or_threads(set_threads: Any) -> None:
    rng = np.random.default_rng(6)
    p = rng.dirichlet(np.ones(30), 20_000)
    y, w = rng.integers(-1, 30, 20_000), rng.random(20_000)
    loss = ce.CrossEntropy(ignore_index=-1, class_weight=np.linspace(0, 1, 30))
    results = set()
    for threads in (1, 2, 5):
        set_threads(threads)
        for layout in ("C", "Fortran", "big-endian"):
            given = laid_out(p, layout)
            results |= {loss(y, probs=given, sample_weight=w), loss.value_and_grad(y, probs=given, sample_weight=w)[0]}
    assert len(results) == 1
    assert results.pop() == pytest.approx(float(oracle_mean(y, p, w)), rel=1e-14)


def oracle_mean(y: Any, p: Any, w: Any) -> Any:
    """The weighted mean in long double."""
    kept = y >= 0
    cw = np.linspace(0, 1, 30)[y[kept]] * w[kept].astype(np.longdouble)
    losses = -np.log(p[kept, y[kept]].astype(np.longdouble))
    return (cw * losses).sum() / cw.sum()


# ---------------------------------------------------------------- what is refused and noted


@pytest.mark.parametrize("layout", ["C", "strided"])
@pytest.mark.parametrize("targets", ["index", "smoothed", "soft"])
def test_the_lowest_bad_row_is_reported(targets: str, layout: str, set_threads: Any) -> None:
    """Whatever is wrong with it, whatever the threads, and as it was given, even in place."""
    K, N = 3, 150_000
    y: Any = np.zeros(N, np.int64) if targets != "soft" else np.eye(K)[np.zeros(N, np.int64)]
    for threads in (1, 3):
        set_threads(threads)
        p = np.full((N, K), 1 / K)
        p[[90_000, 140_000], 0] = 1.5
        p[100_000] = 0.5
        loss = ce.CrossEntropy(check="rows", label_smoothing=0.1 * (targets == "smoothed"))
        given = laid_out(p, layout)
        with pytest.raises(ce.ProbabilityError, match=r"probs\[90000, 0\] is 1\.5"):
            loss(y, probs=given)
        with pytest.raises(ce.ProbabilityError, match=r"probs\[90000, 0\] is 1\.5"):
            loss.value_and_grad(y, probs=given, out=given)
        p[[90_000, 140_000], 0] = 1 / K
        with pytest.raises(ce.ProbabilityError, match=r"probs\[100000, :\] sum to 1\.5"):
            loss(y, probs=laid_out(p, layout))
    if targets != "soft":
        y[[80_000, 120_000]] = K
        with pytest.raises(ce.LabelError, match=r"targets\[80000\] is 3"):
            loss(y, probs=laid_out(p, layout))


def test_entries_that_no_target_uses_are_looked_at_with_rows_only() -> None:
    q = np.array([[1.0, 0.0, 0.0]])
    p = [[0.5, np.nan, -3.0]]
    assert ce.cross_entropy(q, probs=p, check="entries") == np.log(2)
    with pytest.raises(ce.ProbabilityError, match=r"probs\[0, 1\] is nan"):
        ce.cross_entropy(q, probs=p)


@pytest.mark.parametrize("p", [[[np.nan, 7.0, -1.0]], [[0.1, 0.1, 0.1]]])
def test_rows_without_mass_are_not_looked_at(p: Any) -> None:
    """They leave entirely, soft targets as index targets."""
    for targets in ([0], [[1.0, 0.0, 0.0]]):
        for clip in (None, 1e-6):
            given: dict[str, Any] = {"class_weight": [0, 1, 1], "label_smoothing": 0.1, "clip": clip}
            got = ce.CrossEntropy(check="rows", reduction="none", **given).value_and_grad(targets, probs=p)
            assert got.value.tolist() == [0]
            assert got.grad.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("layout", ["C", "strided"])
def test_notes_add_up_over_blocks(layout: str) -> None:
    p = np.full((200_000, 2), 0.5)
    p[[5, 70_000, 199_999], 1] = 0.501, 0.495, 0.509
    with pytest.warns(ce.RowSumWarning, match=r"probs: sums off 1 in 3 rows, 0\.995\.\.1\.009; used as given"):
        ce.cross_entropy(np.zeros(200_000, int), probs=laid_out(p, layout), check="rows")


@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_no_rows(kind: str, shape: tuple[int, ...]) -> None:
    p = np.zeros(shape)
    got = ce.CrossEntropy(reduction="none").value_and_grad(np.zeros(shape[:-1], int), **{kind: p})
    assert got.value.shape == shape[:-1]
    assert got.grad.shape == shape
    assert ce.cross_entropy(p, **{kind: p}, reduction="sum") == 0
    with pytest.raises(ce.EmptyBatchError):
        ce.cross_entropy(p, **{kind: p})


def test_all_integer_labels_agree() -> None:
    rng = np.random.default_rng(8)
    p, y = rng.dirichlet(np.ones(7), 300), rng.integers(0, 7, 300)
    want = ce.cross_entropy(y, probs=p, reduction="none")
    for dtype in ("b", "B", "h", "H", "i", "I", "q", "Q"):
        assert_same(ce.cross_entropy(y.astype(dtype), probs=p, reduction="none"), want)
        assert_same(ce.cross_entropy(y.astype(dtype), probs=np.asfortranarray(p), reduction="none"), want)


@pytest.mark.parametrize("case", ["index", "strided", "half", "rows", "soft"])
def test_no_temporary_is_as_large_as_the_input(case: str) -> None:
    """64 MB of probabilities take less than 8 MB beside them."""
    N, K = 8_000, 1000
    p = np.full((N, K), 1 / K, np.float16 if case == "half" else np.float64)
    y: Any = p if case == "soft" else np.zeros(N, np.int64)
    given = np.full((K, N), 1 / K).T if case == "strided" else p
    check: Any = "rows" if case == "rows" else "auto"
    ce.cross_entropy(y[:10], probs=given[:10], check=check)
    tracemalloc.start()
    try:
        ce.cross_entropy(y, probs=given, check=check)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.5}])
def test_minus_zero_is_zero(options: Any, dtype: Any, isa: str) -> None:
    """Index and dense targets: the loss is inf and falls with p, whatever the sign of the zero."""
    loss = ce.CrossEntropy(reduction="none", **options)
    for y in (np.array([0]), np.array([[1, 0]], dtype)):
        got = loss.value_and_grad(y, probs=np.array([[-0.0, 1.0]], dtype))
        assert got.value.tolist() == [np.inf]
        assert got.grad[0, 0] == -np.inf
