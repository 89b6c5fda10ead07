"""LinearCrossEntropy: the exact answers within what products round, the plain loss of the same logits, any chunks."""

import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

import crossent as ce
from cases import hard_cases
from closeness import assert_close
from linear_cases import LinearCase, case_of, with_least_limit
from oracle_linear import Answers, bounds, mp, mpf, softmax_answers

DTYPES = (np.float32, np.float64)
KINDS = ("index", "soft", "sparse")
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "smoothed": {"label_smoothing": 0.1},
    "class weights": {"class_weight": [0.5, 2.0, 1.0, 0.0, 3.0, 1.0, 1.0]},
    "both": {"label_smoothing": 0.25, "class_weight": [1.5, 2.0, 1.0, 1.0, 3.0, 0.25, 1.0]},
}


def targets_of(case: LinearCase, kind: str) -> tuple[Any, Any]:
    """Targets as an argument, and dense for the oracle."""
    if kind == "index":
        return case.labels, case.onehot
    if kind == "soft":
        return case.soft.astype(np.float32), case.soft.astype(np.float32)
    return case.sparse(np.float32), case.soft.astype(np.float32)


def weights_of(z: Any, q: Any, options: dict[str, Any], sample_weight: Any, factor: float) -> Any:
    """`scale` of oracle_linear.bounds: sw factor (Q p + q~), in float64."""
    a, cw = options.get("label_smoothing", 0.0), np.asarray(options.get("class_weight", np.ones(q.shape[1])))
    q = np.asarray(q, np.float64)
    weighted = cw * ((1 - a) * q + a / q.shape[1])
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    sw = np.ones(len(q)) if sample_weight is None else sample_weight
    return abs(factor) * sw[:, None] * (weighted.sum(axis=1, keepdims=True) * p + weighted)


def answers(case: LinearCase, q: Any, options: dict[str, Any], **more: Any) -> Answers:
    """Of the oracle."""
    return softmax_answers(q, case.hidden, case.weight, case.bias, **options, **more)


def check(case: LinearCase, q: Any, options: dict[str, Any], got: Any, reduction: str, **more: Any) -> None:
    """A LinearLossGrad against the oracle, each part within its bound."""
    upstream, sample_weight = more.get("upstream"), more.get("sample_weight")
    exact = answers(case, q, options, sample_weight=sample_weight)
    factor = 1 / exact.mass if reduction == "mean" else mpf(1)
    exact = answers(case, q, options, sample_weight=sample_weight, upstream=upstream, factor=factor)
    dtype = np.result_type(case.hidden, case.weight)
    z = case.hidden.astype(np.float64) @ case.weight.T.astype(np.float64) + case.bias
    scale = weights_of(z, q, options, sample_weight, float(factor))
    limits = bounds(scale, case.hidden, case.weight, case.bias, dtype, losses=exact.losses, upstream=upstream)
    if reduction == "none":
        assert_close(got.value, exact.losses, bound=limits.losses, dtype=dtype, label="value")
    else:
        assert_close(got.value, mp.fsum(exact.losses), bound=limits.losses.sum(), label="value")
    for part in ("hidden", "weight", "bias"):
        limit = getattr(limits, part)
        assert np.all(limit < 1e9 * np.finfo(dtype).eps)  # a bound that forgives everything is none
        assert_close(getattr(got, part), getattr(exact, part), bound=limit, dtype=dtype, label=part)


# ---------------------------------------------------------------- the exact answers


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_value_and_gradients(dtype: Any, kind: str, options: str, reduction: str) -> None:
    case = case_of(dtype, N=6, K=7, D=4)
    targets, q = targets_of(case, kind)
    loss = ce.LinearCrossEntropy(reduction=reduction, **OPTIONS[options])
    whole = loss.value_and_grad(targets, **case.layer)
    check(case, q, OPTIONS[options], whole, reduction)
    small = with_least_limit(loss, targets, **case.layer)
    in_chunks = small.value_and_grad(targets, **case.layer)
    check(case, q, OPTIONS[options], in_chunks, reduction)
    np.testing.assert_array_equal(small(targets, **case.layer), in_chunks.value)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rows", [1, 2, 5])
def test_upstream_gradients_of_any_sign(dtype: Any, rows: int) -> None:
    case = case_of(dtype, N=8, K=7, D=3)
    upstream, weight = np.array([1.0, -2.5, 0.0, 1e-3, 30.0, -1.0, 0.5, 2.0]), np.array([1, 0.5, 1, 2, 1, 0, 1, 3.0])
    loss = ce.LinearCrossEntropy(reduction="none", label_smoothing=0.1)
    inputs = {**case.layer, "sample_weight": weight, "upstream": upstream}
    got = with_least_limit(loss, case.labels, rows=rows, **inputs).value_and_grad(case.labels, **inputs)
    check(case, case.onehot, {"label_smoothing": 0.1}, got, "none", upstream=upstream, sample_weight=weight)
    assert not got.hidden[2].any()
    assert not got.hidden[5].any()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_one_upstream_number_multiplies_a_mean_or_a_sum(reduction: str) -> None:
    case = case_of(np.float64)
    loss = ce.LinearCrossEntropy(reduction=reduction)
    one, scaled = (loss.value_and_grad(case.labels, **case.layer, upstream=u) for u in (None, -0.25))
    assert scaled.value == one.value
    for part in ("hidden", "weight", "bias"):
        np.testing.assert_allclose(getattr(scaled, part), -0.25 * getattr(one, part), rtol=1e-13, atol=1e-16)


@pytest.mark.parametrize("dtype", DTYPES)
def test_log_sum_exp_of_every_row_that_stays(dtype: Any) -> None:
    case = case_of(dtype, N=6, K=7, D=4)
    exact = answers(case, case.onehot, {})
    limit = bounds(np.ones((6, 7)), case.hidden, case.weight, case.bias, dtype, losses=exact.losses).lse
    for loss in (ce.LinearCrossEntropy(unit="bit"), ce.LinearCrossEntropy(unit="bit", memory_limit=400)):
        value, lse = loss.value_and_lse(case.labels, **case.layer)
        assert_close(lse, exact.lse, bound=limit, dtype=dtype)
        assert value == loss(case.labels, **case.layer)
        value, lse = loss.value_and_lse(case.labels, **case.layer, sample_weight=[1, 1, 0, 1, 1, 1])
        assert np.flatnonzero(np.isnan(lse)).tolist() == [2]
        assert value == loss(case.labels, **case.layer, sample_weight=[1, 1, 0, 1, 1, 1])


def test_gradients_by_differences() -> None:
    case = case_of(np.float64, N=7, K=6, D=4)
    loss = ce.LinearCrossEntropy(label_smoothing=0.1, class_weight=np.arange(1.0, 7), memory_limit=400)
    got, rng, step = loss.value_and_grad(case.labels, **case.layer), np.random.default_rng(3), 1e-6
    for part in ("hidden", "weight", "bias"):
        given = case.layer[part]
        way = rng.normal(size=given.shape)
        up, down = (loss(case.labels, **{**case.layer, part: given + sign * step * way}) for sign in (1, -1))
        slope = float((getattr(got, part) * way).sum())
        assert abs(slope) > 1e-3
        assert (up - down) / (2 * step) == pytest.approx(slope, rel=1e-7)


# ---------------------------------------------------------------- logits without rounding: the plain loss, bit for bit


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("K", [1, 3, 64, 2048])
def test_hard_rows_have_the_bits_of_the_plain_loss(dtype: Any, K: int) -> None:
    """hidden is the identity, so the product returns the logits, and the weight's gradient is that of the logits."""
    for case in hard_cases(K, dtype, infinite=False):
        N = len(case.targets)
        layer = {"hidden": np.eye(N, dtype=dtype), "weight": np.ascontiguousarray(case.logits.T)}
        plain = ce.CrossEntropy(reduction="none").value_and_grad(case.targets, logits=case.logits)
        for limit in (None, 4 * K * (8 + 2 * N) + 8 * N):
            loss = ce.LinearCrossEntropy(reduction="none", memory_limit=limit)
            got = loss.value_and_grad(case.targets, **layer)
            np.testing.assert_array_equal(got.value, plain.value, err_msg=case.name)
            np.testing.assert_array_equal(got.weight, plain.grad.T, err_msg=case.name)
            np.testing.assert_array_equal(loss(case.targets, **layer), plain.value, err_msg=case.name)
            assert got.bias is None


def test_a_bias_of_minus_infinity_rules_a_class_out() -> None:
    case = case_of(np.float64)
    case.labels[:2] = 4
    bias = np.where(np.arange(11) == 4, -np.inf, case.bias)
    z = case.hidden @ case.weight.T + bias
    plain = ce.CrossEntropy(reduction="none").value_and_grad(case.labels, logits=z)
    got = ce.LinearCrossEntropy(reduction="none").value_and_grad(
        case.labels, hidden=case.hidden, weight=case.weight, bias=bias
    )
    np.testing.assert_allclose(got.value, plain.value, rtol=1e-13)
    np.testing.assert_array_equal(np.isinf(got.value), case.labels == 4)
    np.testing.assert_allclose(got.weight, plain.grad.T @ case.hidden, rtol=1e-12, atol=1e-14)


# ---------------------------------------------------------------- chunks, threads, layouts, dtypes


@pytest.mark.parametrize("dtype", DTYPES)
def test_any_budget_gives_the_same_within_rounding(dtype: Any) -> None:
    case = case_of(dtype, N=200, K=300, D=16)
    loss = ce.LinearCrossEntropy(reduction="none")
    whole = dataclasses.replace(loss, memory_limit=10**9).value_and_grad(case.labels, **case.layer)
    z = case.hidden.astype(np.float64) @ case.weight.T.astype(np.float64) + case.bias
    limits = bounds(weights_of(z, case.onehot, {}, None, 1.0), *case.layer.values(), dtype, losses=whole.value)
    for rows in (1, 3, 17, 64, 199):
        some = with_least_limit(loss, case.labels, rows=rows, **case.layer).value_and_grad(case.labels, **case.layer)
        for part, limit in zip(("value", "hidden", "weight", "bias"), limits[:4], strict=True):
            assert_close(getattr(some, part), getattr(whole, part), bound=2 * limit, label=part)


def test_threads_of_ours_change_nothing() -> None:
    case = case_of(np.float32, N=400, K=2000, D=8)
    before = ce.get_num_threads()
    try:
        found = []
        for threads in (1, 2, 5):
            ce.set_num_threads(threads)
            found.append(ce.LinearCrossEntropy(reduction="none").value_and_grad(case.sparse(), **case.layer))
    finally:
        ce.set_num_threads(before)
    for each in found[1:]:
        for one, other in zip(found[0], each, strict=True):
            np.testing.assert_array_equal(one, other)


def _strided(a: Any) -> Any:
    wide = np.full((*a.shape[:-1], 2 * a.shape[-1]), np.nan, a.dtype)
    wide[..., ::2] = a
    return wide[..., ::2]


def _read_only(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


def _unaligned(a: Any) -> Any:
    view = np.zeros(a.nbytes + 1, np.uint8)[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


CLOTHES = {
    "read-only": _read_only,
    "Fortran order": np.asfortranarray,
    "strided": _strided,
    "reversed": lambda a: np.ascontiguousarray(a[::-1])[::-1],
    "columns of a larger array": lambda a: np.hstack([a, a])[:, : a.shape[1]],
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "unaligned": _unaligned,
    "lists": lambda a: a.tolist(),
}


@pytest.mark.parametrize("clothes", CLOTHES)
@pytest.mark.parametrize("limit", [None, 3000])
def test_arrays_in_any_clothes(clothes: str, limit: int | None) -> None:
    case = case_of(np.float64)
    loss = ce.LinearCrossEntropy(memory_limit=limit)
    want = loss.value_and_grad(case.labels, **case.layer)
    dressed = {"hidden": CLOTHES[clothes](case.hidden), "weight": CLOTHES[clothes](case.weight), "bias": case.bias}
    got = loss.value_and_grad(case.labels, **dressed)
    for part in ("hidden", "weight", "bias"):
        np.testing.assert_allclose(getattr(got, part), getattr(want, part), rtol=1e-12, atol=1e-15)
        assert getattr(got, part).dtype == np.float64
        assert getattr(got, part).flags.c_contiguous
    assert got.value == pytest.approx(want.value, rel=1e-14)


@pytest.mark.parametrize(
    ("hidden", "weight", "bias", "found"),
    [
        ("float32", "float32", "float32", ("float32", "float32", "float32", "float32")),
        ("float32", "float32", "float64", ("float32", "float32", "float32", "float64")),
        ("float32", "float64", "float32", ("float64", "float32", "float64", "float32")),
        ("float64", "float32", "float32", ("float64", "float64", "float32", "float32")),
        ("float16", "float16", "float16", ("float32", "float32", "float32", "float32")),
        ("float16", "float64", "float32", ("float64", "float32", "float64", "float32")),
        ("int64", "float32", "float32", ("float64", "float64", "float32", "float32")),
    ],
)
@pytest.mark.parametrize("limit", [None, 1200])
def test_dtypes(hidden: str, weight: str, bias: str, found: tuple[str, ...], limit: int | None) -> None:
    case = case_of(np.float64, K=7, D=3)
    h, w, b = (4 * case.hidden).astype(hidden), case.weight.astype(weight), case.bias.astype(bias)
    got = ce.LinearCrossEntropy(reduction="none", memory_limit=limit).value_and_grad(
        case.labels, hidden=h, weight=w, bias=b
    )
    assert tuple(str(each.dtype) for each in got) == found
    z = h.astype(np.float64) @ w.T.astype(np.float64) + b.astype(np.float64)
    plain = ce.CrossEntropy(reduction="none").value_and_grad(case.labels, logits=z)
    tolerance = 1e-12 if {"float64", "int64"} >= {hidden, weight, bias} else 3e-6
    np.testing.assert_allclose(got.value, plain.value, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(got.hidden, plain.grad @ w.astype(np.float64), rtol=tolerance, atol=10 * tolerance)
    np.testing.assert_allclose(got.weight, plain.grad.T @ h.astype(np.float64), rtol=tolerance, atol=30 * tolerance)
    np.testing.assert_allclose(got.bias, plain.grad.sum(axis=0), rtol=tolerance, atol=10 * tolerance)


def test_bfloat16_layers_are_computed_in_float32() -> None:
    bfloat16 = pytest.importorskip("ml_dtypes").bfloat16
    case = case_of(np.float32)
    rounded = {name: array.astype(bfloat16) for name, array in case.layer.items()}
    wide = {name: array.astype(np.float32) for name, array in rounded.items()}
    for limit in (None, 900):
        loss = ce.LinearCrossEntropy(memory_limit=limit)
        got, want = loss.value_and_grad(case.labels, **rounded), loss.value_and_grad(case.labels, **wide)
        assert got.value == pytest.approx(want.value, rel=1e-6)
        for part in ("hidden", "weight", "bias"):
            assert getattr(got, part).dtype == np.float32
            np.testing.assert_allclose(getattr(got, part), getattr(want, part), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("lead", [(), (9,), (3, 3), (1, 9, 1), (0,), (2, 0)])
@pytest.mark.parametrize("kind", KINDS)
def test_leading_axes_are_rows(lead: tuple[int, ...], kind: str) -> None:
    case = case_of(np.float64)
    N = int(np.prod(lead))
    hidden = np.resize(case.hidden, (*lead, 5))
    targets, q = targets_of(case, kind)
    shape = {"index": lead, "soft": (*lead, 11), "sparse": (*lead, 4)}[kind]
    cut = tuple(a[:N].reshape(shape) for a in targets) if kind == "sparse" else targets[:N].reshape(shape)
    loss = ce.LinearCrossEntropy(reduction="none")
    got = loss.value_and_grad(cut, hidden=hidden, weight=case.weight, upstream=np.full(lead, 2.0))
    flat = hidden.reshape(N, 5)
    want = ce.CrossEntropy(reduction="none").value_and_grad(q[:N], logits=flat @ case.weight.T)
    assert np.shape(got.value) == lead
    assert got.hidden.shape == hidden.shape
    np.testing.assert_allclose(np.reshape(got.value, -1), want.value, rtol=1e-6)
    np.testing.assert_allclose(got.hidden.reshape(N, 5), 2 * want.grad @ case.weight, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(got.weight, 2 * want.grad.T @ flat, rtol=1e-5, atol=1e-6)
    turned = np.swapaxes(np.ascontiguousarray(np.swapaxes(hidden, 0, -1)), 0, -1)  # another order in memory
    again = loss.value_and_grad(cut, hidden=turned, weight=case.weight, upstream=np.full(lead, 2.0))
    np.testing.assert_allclose(again.hidden, got.hidden, rtol=1e-12, atol=1e-15)


# ---------------------------------------------------------------- the object and its function


def test_the_function_is_the_object() -> None:
    case = case_of(np.float32)
    options = {"label_smoothing": 0.1, "unit": "bit", "ignore_index": int(case.labels[0]), "memory_limit": 2000}
    want = ce.LinearCrossEntropy(**options)(case.labels, **case.layer)
    assert ce.linear_cross_entropy(case.labels, **case.layer, **options) == want


def test_the_object_is_frozen_comparable_and_travels() -> None:
    loss = ce.LinearCrossEntropy(class_weight=[1.0, 2.0], memory_limit=1e6)
    assert loss == ce.LinearCrossEntropy(class_weight=[1.0, 2.0], memory_limit=1_000_000)
    assert loss != ce.LinearCrossEntropy(class_weight=[1.0, 2.0])
    assert pickle.loads(pickle.dumps(loss)) == loss
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.memory_limit = 5  # type: ignore[misc]
    for name in ("axis", "clip", "eps", "check"):
        with pytest.raises(TypeError, match=name):
            ce.LinearCrossEntropy(**{name: -1})


CHANGES: list[dict[str, Any]] = [{"temperature": 1.5}, {"softcap": 2.0}, {"z_loss": 0.01}, {"entropy_weight": -0.2}]


@pytest.mark.parametrize("options", CHANGES, ids=str)
@pytest.mark.parametrize("limit", [None, 4000])
def test_options_of_logits(options: dict[str, Any], limit: int | None) -> None:
    """The function takes them as the object does; the log-sum-exp is that of the logits as they are changed."""
    case = case_of(np.float64, N=8, K=9, D=4)
    z = case.hidden @ case.weight.T + case.bias
    loss = ce.LinearCrossEntropy(memory_limit=limit, **options)
    value, lse = loss.value_and_lse(case.labels, **case.layer)
    moved = z / options.get("temperature", 1.0)
    if "softcap" in options:
        moved = 2 * np.tanh(z / 2)
    np.testing.assert_allclose(lse, np.log(np.exp(moved).sum(axis=1)), rtol=1e-13)
    np.testing.assert_allclose(value, ce.CrossEntropy(**options)(case.labels, logits=z), rtol=1e-13)
    assert ce.linear_cross_entropy(case.labels, **case.layer, memory_limit=limit, **options) == value
