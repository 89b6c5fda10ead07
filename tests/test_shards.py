"""Shards of a vocabulary: any number of them, in any order and grouping, against the exact loss of whole rows."""

import itertools
import pickle
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from cases import soft_targets
from closeness import assert_close
from crossent.shards import ShardStatistics, merge_shards, shard_statistics, shard_value_and_grad
from family_cases import allowed
from isas import ISAS, using_isa
from oracle_family import family_answers
from tables.softmax_rows import some_rows

OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "class weights": {"class_weight": [2.0, 0.0, 0.3, 1.0, 3.5]},
    "smoothed class weights": {"class_weight": [2.0, 0.0, 0.3, 1.0, 3.5], "label_smoothing": 0.2},
    "ignored": {"ignore_index": 0},
    "temperature": {"temperature": 0.7},
    "softcap": {"softcap": 30.0, "temperature": 1.3},
    "z_loss": {"z_loss": 0.01},
    "entropy": {"entropy_weight": -0.2},
    "all": {
        "class_weight": [2.0, 0.3, 1.0], "label_smoothing": 0.1, "softcap": 20.0, "z_loss": 0.1, "entropy_weight": 0.3,
    },
}  # fmt: skip
CUTS: dict[str, Any] = {
    "one": lambda K: [],
    "two": lambda K: [K // 2],
    "first alone": lambda K: [1],
    "last alone": lambda K: [K - 1],
    "uneven": lambda K: sorted({1, 3, K // 2, K - 2} & set(range(1, K))),
    "every class": lambda K: list(range(1, K)),
}


class Shard(NamedTuple):
    """Columns first .. first + width of rows."""

    first: int
    logits: Any
    targets: Any
    K: int

    @property
    def call(self) -> dict[str, Any]:
        return {"logits": self.logits, "first_class": self.first, "classes": self.K}


def cut(z: Any, targets: Any, cuts: list[int]) -> list[Shard]:
    """The rows' columns between the cuts."""
    K = z.shape[-1]
    ends = itertools.pairwise([0, *cuts, K])
    return [Shard(a, z[..., a:b], targets if targets.ndim < z.ndim else targets[..., a:b], K) for a, b in ends]


def sharded(shards: list[Shard], loss: Any = None, weight: Any = None, *, in_place: bool = False) -> Any:
    """Statistics of each, sent as pickles and merged; value and all gradients side by side."""
    more = {"loss": loss, "sample_weight": weight}
    parts = [shard_statistics(s.targets, **s.call, **more) for s in shards]
    parts = pickle.loads(pickle.dumps(parts))
    merged = merge_shards(parts)
    outs = [s.logits.copy() if in_place else None for s in shards]
    calls = [{**s.call, "logits": s.logits if o is None else o} for s, o in zip(shards, outs, strict=True)]
    got = [
        shard_value_and_grad(s.targets, statistics=merged, **call, **more, out=out)
        for s, call, out in zip(shards, calls, outs, strict=True)
    ]
    for one in got[1:]:
        np.testing.assert_array_equal(one.value, got[0].value)
    return ce.LossGrad(got[0].value, np.concatenate([one.grad for one in got], axis=-1))


def rows_for(K: int, dtype: Any, kind: str) -> tuple[Any, Any]:
    """Hard rows (short ones with a +inf among them) with index or soft targets."""
    rows = some_rows(K, np.dtype(dtype), of_each=2, odd=4)
    return rows.logits, soft_targets(rows).astype(dtype) if kind == "soft" else rows.targets


def resized(options: dict[str, Any], K: int) -> dict[str, Any]:
    options = dict(options)
    if "class_weight" in options:
        options["class_weight"] = np.resize(options["class_weight"], K)
    return options


def assert_shards(z: Any, y: Any, options: dict[str, Any], cuts: list[list[int]], weight: Any = None) -> None:
    """The contract of whole rows: 4 ulp for plain losses, 8 with options of the logits; gradients 8 and 16 ulp."""
    exact = family_answers(y, logits=z, sample_weight=weight, **options)
    loss = ce.CrossEntropy(reduction="none", **options)
    changed = {"temperature", "softcap", "z_loss", "entropy_weight"} & options.keys()
    heaviest = 50.0
    values = np.float64 if z.dtype == np.float64 else np.float32
    bounds = [
        allowed(8 if changed else 4, exact.loss, exact.loss_scale, values, heaviest=heaviest),
        allowed(16 if changed else 8, exact.grad, exact.grad_scale, z.dtype, rounded=True, heaviest=heaviest),
    ]
    for where in cuts:
        for isa in ISAS if len(where) == 1 else ISAS[-1:]:
            with using_isa(isa):
                got = sharded(cut(z, y, where), loss, weight)
            assert_close(got.value, exact.loss, bound=bounds[0], dtype=values, label=f"{isa} {where} loss")
            assert_close(got.grad, exact.grad, bound=bounds[1], dtype=z.dtype, label=f"{isa} {where} gradient")


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", ["index", "soft"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_any_cut_gives_the_whole_loss(dtype: Any, kind: str, name: str) -> None:
    if kind == "soft" and name == "ignored":
        kind = "index"
    for K in (2, 10) if kind == "index" else (10,):
        z, y = rows_for(K, dtype, kind)
        weight = np.resize([1.0, 0.0, 2.5], len(z)) if name == "all" else None
        assert_shards(z, y, resized(OPTIONS[name], K), [CUTS[c](K) for c in CUTS], weight)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision(dtype: Any) -> None:
    z, y = rows_for(10, np.dtype(dtype), "index")
    assert_shards(z, y, {}, [[5], [1, 2, 9]])


@pytest.mark.slow
@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("kind", ["index", "soft"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_many_classes(dtype: Any, kind: str, name: str) -> None:
    kind = "index" if name == "ignored" else kind
    for K, cuts in ((40, [[33], list(range(1, 40))]), (500, [[100, 101, 377], list(range(5, 500, 5))])):
        z, y = rows_for(K, dtype, kind)
        z, y = (z, y) if K == 40 else (z[::4], y[::4])
        assert_shards(z, y, resized(OPTIONS[name], K), cuts)


@pytest.mark.parametrize("name", OPTIONS)
def test_order_and_grouping_of_merges_do_not_matter(name: str) -> None:
    """Shuffled, two by two, one after another, from the right: within rounding of each other."""
    K = 12
    z, y = rows_for(K, np.float64, "index")
    options = resized(OPTIONS[name], K)
    loss = ce.CrossEntropy(reduction="none", **options)
    shards = cut(z, y, [2, 3, 7, 11])
    parts = [shard_statistics(s.targets, **s.call, loss=loss) for s in shards]
    a, b, c, d, e = parts
    groupings = [
        parts[::-1], [c, e, a, d, b], [merge_shards([a, b]), merge_shards([c, d, e])], [a, merge_shards([b, c]), d, e],
        [merge_shards([merge_shards([merge_shards([merge_shards([a, b]), c]), d]), e])],
        [merge_shards([a, merge_shards([b, merge_shards([c, merge_shards([d, e])])])])],
    ]  # fmt: skip
    exact = family_answers(y, logits=z, **options)
    bound = allowed(8, exact.loss, exact.loss_scale, np.float64, heaviest=50.0)
    slope = allowed(16, exact.grad, exact.grad_scale, np.float64, heaviest=50.0)
    for grouping in groupings:
        merged = merge_shards(grouping)
        got = [shard_value_and_grad(s.targets, statistics=merged, **s.call, loss=loss) for s in shards]
        assert_close(got[0].value, exact.loss, bound=bound)
        assert_close(np.concatenate([one.grad for one in got], axis=1), exact.grad, bound=slope)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("kind", ["index", "soft"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reductions_weights_and_units(dtype: Any, kind: str, reduction: str) -> None:
    """As the loss of whole rows; class and sample weights of any size."""
    rng = np.random.default_rng(3)
    z = (rng.normal(size=(9, 6)) * 4).astype(dtype)
    y: Any = np.arange(9) % 6
    if kind == "soft":
        y = rng.dirichlet(np.ones(6), 9).astype(dtype)
    eps = 40 * float(np.finfo(dtype).eps)
    for scale in (1.0, 1e-30, 2.0**70):
        w = np.array([1, 0, 2, 3, 1, 0.5, 1, 1, 1]) * (scale if reduction == "mean" else 1.0)
        loss = ce.CrossEntropy(
            reduction=reduction, class_weight=np.array([1, 2, 0.5, 0, 1, 3]) * scale, label_smoothing=0.1, unit="bit"
        )
        want = loss.value_and_grad(y, logits=z, sample_weight=w)
        got = sharded(cut(z, y, [1, 4]), loss, w)
        np.testing.assert_allclose(got.value, want.value, rtol=eps)
        np.testing.assert_allclose(got.grad, want.grad, rtol=0, atol=eps * np.abs(want.grad).max())


def test_float64_distributions_beside_float32_logits() -> None:
    """Computed in float64, as whole rows are."""
    z = np.random.default_rng(1).normal(size=(7, 6)).astype(np.float32)
    q = np.random.default_rng(2).dirichlet(np.ones(6), 7)
    want = ce.CrossEntropy(reduction="none").value_and_grad(q, logits=z)
    got = sharded(cut(z, q, [2, 5]), ce.CrossEntropy(reduction="none"))
    assert got.grad.dtype == np.float32
    np.testing.assert_allclose(got.value, want.value, rtol=1e-7)
    np.testing.assert_allclose(got.grad, want.grad, rtol=0, atol=1e-7)


def test_balanced_class_weights() -> None:
    z, y = np.random.default_rng(0).normal(size=(9, 6)), np.array([0, 0, 0, 0, 1, 1, 2, 2, 5])
    loss = ce.CrossEntropy(class_weight="balanced")
    want, got = loss.value_and_grad(y, logits=z), sharded(cut(z, y, [2, 3]), loss)
    np.testing.assert_allclose(got.value, want.value, rtol=1e-14)
    np.testing.assert_allclose(got.grad, want.grad, rtol=1e-12, atol=1e-17)


def test_in_place_and_other_layouts() -> None:
    z, y = rows_for(10, np.float64, "index")
    want = sharded(cut(z, y, [4]))
    for layout in (np.asfortranarray(z), np.repeat(z, 2, axis=1)[:, ::2]):
        got = sharded(cut(layout, y, [4]))
        np.testing.assert_array_equal(got.grad, want.grad)
    placed = sharded(cut(z, y, [4]), in_place=True)
    assert placed.value == want.value
    np.testing.assert_array_equal(placed.grad, want.grad)
    turned = z[:12].reshape(3, 4, 10)
    loss = ce.CrossEntropy(reduction="none")
    got = sharded(cut(turned, y[:12].reshape(3, 4), [4]), loss)
    assert got.value.shape == (3, 4)
    np.testing.assert_array_equal(got.grad.reshape(12, 10), sharded(cut(z[:12], y[:12], [4]), loss).grad)


def test_classes_on_another_axis() -> None:
    z, y = rows_for(10, np.float64, "index")
    loss = ce.CrossEntropy(axis=0)
    parts = [(0, z[:, :3].T), (3, z[:, 3:].T)]
    merged = merge_shards(shard_statistics(y, logits=p, first_class=k, classes=10, loss=loss) for k, p in parts)
    want = sharded(cut(z, y, [3]))
    for k, p in parts:
        got = shard_value_and_grad(y, statistics=merged, logits=p, first_class=k, classes=10, loss=loss)
        assert got.value == want.value
        np.testing.assert_array_equal(got.grad, want.grad[:, k : k + len(p)].T)


# ---------------------------------------------------------------- edges


def both(z: Any, y: Any, cuts: list[int], **options: Any) -> None:
    """Sharded and whole: the same within 1e-14."""
    loss = ce.CrossEntropy(reduction="none", **options)
    z, y = np.array(z, np.float64), np.array(y)
    want, got = loss.value_and_grad(y, logits=z), sharded(cut(z, y, cuts), loss)
    np.testing.assert_allclose(got.value, want.value, rtol=1e-14)
    np.testing.assert_allclose(got.grad, want.grad, rtol=1e-14, atol=1e-300)


INF = np.inf


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.1}, {"softcap": 5.0}, {"entropy_weight": 0.5}])
@pytest.mark.parametrize("cuts", [[2], [1, 2, 3], [3]])
def test_ties_infinite_logits_and_shards_without_a_class(cuts: list[int], options: dict[str, Any]) -> None:
    for y in range(4):
        both([[1.0, 1, 1, 1], [3, 0, 3, 0], [0, 3, 3, -1]], [y] * 3, cuts, **options)  # ties across shards
        both([[-INF, -INF, 1, 2], [1, 2, -INF, -INF], [-INF, 0, -INF, -INF]], [y] * 3, cuts, **options)
        both([[INF, 0, 1, 2], [0, 1, INF, -INF], [-INF, -INF, -INF, INF]], [y] * 3, cuts, **options)


def test_confident_rows_keep_their_loss() -> None:
    """A lead of 700 over classes of other shards: 1e-304, and its gradient."""
    for lead in (40.0, 400.0, 700.0, 740.0):
        z = np.array([[0.0, lead, 1.0, -3.0]])
        want, got = ce.CrossEntropy().value_and_grad([1], logits=z), sharded(cut(z, np.array([1]), [1, 2, 3]))
        assert got.value > 0
        np.testing.assert_allclose(got.value, want.value, rtol=2e-15, atol=1e-318)
        np.testing.assert_allclose(got.grad, want.grad, rtol=4e-15, atol=1e-318)


@pytest.mark.parametrize("cuts", [[2], [1, 2, 3]])
def test_rows_without_a_softmax(cuts: list[int]) -> None:
    """Several +inf in different shards, or -inf in all of them: known only when all are merged."""
    for row in ([INF, 0, INF, 1], [-INF] * 4):
        z, y = np.array([[0.0, 1, 2, 3], row, row]), np.array([0, 1, 2])
        with pytest.raises(ce.NonFiniteError, match=r"logits\[1, :\] of all shards are all -inf, or several are \+inf"):
            sharded(cut(z, y, cuts))
        loss = ce.CrossEntropy(reduction="none")
        got = sharded(cut(z, y, cuts), loss, np.array([1.0, 0.0, 0.0]))  # rows that are left out may hold anything
        np.testing.assert_allclose(got.value, [loss([0], logits=z[:1])[0], 0, 0])
        assert not got.grad[1:].any()
    with pytest.raises(ce.NonFiniteError, match=r"logits\[0, 0\] and logits\[0, 1\] are both \+inf"):
        sharded(cut(np.array([[INF, INF, 0.0, 1]]), np.array([0]), [2]))
    with pytest.raises(ce.NonFiniteError, match=r"logits\[1, 0\] is nan"):  # of that shard's columns
        sharded(cut(np.array([[0.0, 1, 2, 3], [0, 1, np.nan, 3]]), np.array([0, 1]), [2]))


def test_nothing_left() -> None:
    z, y = np.zeros((2, 4)), np.array([3, 3])
    with pytest.raises(ce.EmptyBatchError):
        sharded(cut(z, y, [2]), ce.CrossEntropy(ignore_index=3))
    got = sharded(cut(z, y, [2]), ce.CrossEntropy(ignore_index=3, empty="zero"))
    assert got.value == 0
    assert not got.grad.any()
    empty = sharded(cut(np.zeros((0, 4)), np.zeros(0, int), [2]), ce.CrossEntropy(reduction="none"))
    assert empty.value.shape == (0,)
    assert empty.grad.shape == (0, 4)


# ---------------------------------------------------------------- statistics


def test_statistics_are_what_their_names_say() -> None:
    z, y = np.array([[0.5, 2.0, -1.0, 4.0], [1.0, 1.0, 0.0, -2.0]]), np.array([1, 3])
    whole = merge_shards(shard_statistics(s.targets, **s.call) for s in cut(z, y, [2]))
    np.testing.assert_array_equal(whole.maximum, [4.0, 1.0])
    np.testing.assert_allclose(whole.others, np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1) - 1, rtol=1e-15)
    np.testing.assert_allclose(whole.target_logit, z[[0, 1], y], rtol=1e-15)
    np.testing.assert_allclose(whole.log_sum_exp, ce.logsumexp(z), rtol=1e-15)
    assert whole.dtype == "float64"
    assert whole.shape == (2,)
    first = shard_statistics(y, logits=z[:, :2], first_class=0, classes=4)
    assert first.target_logit[0] == 2.0
    assert np.isnan(first.target_logit[1])


def test_statistics_travel() -> None:
    one = shard_statistics([1], logits=np.zeros((1, 2), np.float32), first_class=0, classes=2)
    again = pickle.loads(pickle.dumps(one))
    assert isinstance(again, ShardStatistics)
    np.testing.assert_array_equal(again.states, one.states)
    assert (again.shape, again.dtype) == (one.shape, one.dtype) == ((1,), "float32")


# ---------------------------------------------------------------- refusals

Z2 = np.zeros((2, 3))
GOOD: dict[str, Any] = {"targets": [0, 5], "logits": Z2, "first_class": 3, "classes": 6}
REFUSALS: list[tuple[dict[str, Any], Any, str]] = [
    ({"targets": [0, 6]}, ce.LabelError, r"targets\[1\] is 6, but the prediction has 6 classes"),
    ({"targets": [-1, 0]}, ce.LabelError, r"targets\[0\] is -1"),
    ({"first_class": 4}, ce.ShapeError, r"logits of shape \(2, 3\) as classes 4..6 do not lie in 0..5"),
    ({"first_class": -1}, ce.ShapeError, "do not lie in 0..5"),
    ({"first_class": 1.0}, ce.OptionError, "first_class is 1.0; a whole number is allowed"),
    ({"classes": True}, ce.OptionError, "classes is True; a whole number is allowed"),
    ({"classes": None}, ce.OptionError, "classes is None"),
    ({"targets": [0, 1, 2]}, ce.ShapeError, "targets"),
    ({"targets": np.eye(6)[:2]}, ce.ShapeError, "targets"),
    ({"logits": np.zeros((2, 0))}, ce.ShapeError, "no classes on axis 1"),
    ({"logits": 1.0}, ce.ShapeError, "single number"),
    ({"loss": ce.CrossEntropy(axis=3)}, ce.ShapeError, "axis=3 is outside logits"),
    ({"sample_weight": [1.0]}, ce.ShapeError, "sample_weight has shape"),
    ({"loss": ce.Focal()}, ce.OptionError, "loss is Focal; a CrossEntropy with its options is allowed"),
    ({"loss": "mean"}, ce.OptionError, "loss is str"),
    ({"loss": ce.CrossEntropy(classes=list("abcdef"))}, ce.UnsupportedError, "classes= names columns"),
    ({"loss": ce.CrossEntropy(normalize_targets=True)}, ce.UnsupportedError, "normalize_targets needs whole rows"),
    ({"loss": ce.CrossEntropy(class_weight=[1, 2, 3])}, ce.ShapeError, r"class_weight has shape \(3,\), but there are"),
    (
        {"loss": ce.CrossEntropy(class_weight="balanced"), "targets": np.full((2, 3), 1 / 6)},
        ce.UnsupportedError,
        "counts whole distributions",
    ),
]


@pytest.mark.parametrize(("wrong", "error", "message"), REFUSALS)
def test_what_does_not_fit_is_refused(wrong: dict[str, Any], error: Any, message: str) -> None:
    call = {**GOOD, **wrong}
    with pytest.raises(error, match=message):
        shard_statistics(call.pop("targets"), **call)


def test_statistics_of_other_rows_are_refused() -> None:
    one = shard_statistics([0, 1], logits=Z2, first_class=0, classes=6)
    other = shard_statistics([0], logits=Z2[:1], first_class=3, classes=6)
    narrow = shard_statistics([0, 1], logits=Z2.astype(np.float32), first_class=3, classes=6)
    with pytest.raises(ce.OptionError, match="statistics is empty"):
        merge_shards([])
    for wrong in (other, narrow):
        with pytest.raises(ce.ShapeError, match=r"statistics of rows of shape .* do not merge"):
            merge_shards([one, wrong])
    with pytest.raises(ce.ShapeError, match=r"statistics are of rows of shape \(1,\), logits of \(2,\)"):
        shard_value_and_grad([0, 1], statistics=other, logits=Z2, first_class=0, classes=6)


def test_any_number_of_threads_gives_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    z, y = rng.normal(size=(50_000, 8)), rng.integers(0, 8, 50_000)
    before, results = ce.get_num_threads(), []
    try:
        for threads in (1, 2, 5):
            ce.set_num_threads(threads)
            results.append(sharded(cut(z, y, [3])))
    finally:
        ce.set_num_threads(before)
    for other in results[1:]:
        assert other.value == results[0].value
        np.testing.assert_array_equal(other.grad, results[0].grad)
