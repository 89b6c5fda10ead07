"""LinearBinaryCrossEntropy: the exact answers within what products round; sparse positives; rows that leave."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from closeness import assert_close
from linear_cases import LinearCase, case_of, offsets_of, with_least_limit
from oracle_linear import binary_answers, bounds, mp, mpf

DTYPES = (np.float32, np.float64)
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "pos_weight": {"pos_weight": 3.5},
    "pos_weights": {"pos_weight": [0.5, 2.0, 1.0, 0.0, 3.0, 1.0, 20.0]},
    "class weights": {"class_weight": [0.25, 2.0]},
    "smoothed": {"label_smoothing": 0.1},
    "all": {"label_smoothing": 0.3, "class_weight": [2.0, 0.5], "pos_weight": [0.5, 2.0, 1.0, 1.0, 3.0, 1.0, 9.0]},
}
WEIGHT = np.array([1.0, 0.5, 2.0, 0.0, 1.0, 3.0])


def targets_of(case: LinearCase, kind: str) -> Any:
    """The labels as an argument."""
    if kind == "offsets":
        return offsets_of(case.binary)
    return case.binary if kind == "bool" else case.binary.astype(kind)


def check(case: LinearCase, y: Any, options: dict[str, Any], got: Any, reduction: str, **more: Any) -> None:
    """A LinearLossGrad against the oracle, each part within its bound."""
    exact = binary_answers(y, *case.layer.values(), **options, sample_weight=more.get("sample_weight"))
    factor = 1 / exact.mass if reduction == "mean" else mpf(1)
    exact = binary_answers(y, *case.layer.values(), **options, factor=factor, **more)
    dtype = np.result_type(case.hidden, case.weight)
    w0, w1 = options.get("class_weight", (1.0, 1.0))
    sides = w1 * np.asarray(options.get("pos_weight", 1.0)) + w0  # what the smoothed sides cannot exceed
    sw = np.ones(len(y)) if more.get("sample_weight") is None else more["sample_weight"]
    scale = float(factor) * sw[:, None] * np.broadcast_to(sides, np.shape(y))
    limits = bounds(scale, *case.layer.values(), dtype, losses=exact.losses, upstream=more.get("upstream"))
    if reduction == "none":
        assert_close(got.value, exact.losses, bound=limits.losses, dtype=dtype, label="value")
    else:
        assert_close(got.value, mp.fsum(exact.losses), bound=limits.losses.sum(), label="value")
    for part in ("hidden", "weight", "bias"):
        limit = getattr(limits, part)
        assert np.all(limit < 1e9 * np.finfo(dtype).eps)
        assert_close(getattr(got, part), getattr(exact, part), bound=limit, dtype=dtype, label=part)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", ["offsets", "bool", "float32", "float64"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_value_and_gradients(dtype: Any, kind: str, options: str, reduction: str) -> None:
    case = case_of(dtype, N=6, K=7, D=4)
    targets = targets_of(case, kind)
    loss = ce.LinearBinaryCrossEntropy(reduction=reduction, **OPTIONS[options])
    inputs = {**case.layer, "sample_weight": WEIGHT}
    for each in (loss, with_least_limit(loss, targets, **inputs)):
        got = each.value_and_grad(targets, **inputs)
        check(case, case.binary, OPTIONS[options], got, reduction, sample_weight=WEIGHT)
        np.testing.assert_array_equal(each(targets, **inputs), got.value)


@pytest.mark.parametrize("dtype", DTYPES)
def test_probabilities_and_upstream_gradients(dtype: Any) -> None:
    case = case_of(dtype, N=6, K=7, D=4)
    y, upstream = np.random.default_rng(4).random((6, 7)), np.array([1.0, -2.0, 0.0, 0.5, 1.0, -1e-3])
    loss = ce.LinearBinaryCrossEntropy(reduction="none")
    for each in (loss, with_least_limit(loss, y, **case.layer, upstream=upstream)):
        check(case, y, {}, each.value_and_grad(y, **case.layer, upstream=upstream), "none", upstream=upstream)


def test_positives_do_not_cancel() -> None:
    """One positive among 20 000 labels, certain of all: the loss is that of the positive, to its last digits."""
    K = 20_000
    weight = np.full((K, 1), -60.0)
    weight[77] = 50.0
    targets = np.array([77]), np.array([0, 1])
    for reduction, share in (("sum", 1), ("mean", K)):
        got = ce.LinearBinaryCrossEntropy(reduction=reduction).value_and_grad(targets, hidden=[[1.0]], weight=weight)
        with mp.workprec(300):
            own, other = mp.log1p(mp.exp(-50)), mp.log1p(mp.exp(-60))
            assert_close(got.value, (own + (K - 1) * other) / share, rtol=1e-14)
            assert_close(got.weight[77, 0], -mp.exp(-50) / (1 + mp.exp(-50)) / share, rtol=1e-14)
            assert_close(got.weight[0, 0], mp.exp(-60) / (1 + mp.exp(-60)) / share, rtol=1e-14)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("limit", [None, "least"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_rows_of_weight_0_leave(sparse: bool, limit: Any, reduction: str) -> None:
    case, left = case_of(np.float64, N=16), np.isin(np.arange(16), [0, 5, 6, 15])
    hidden, weight = np.where(left[:, None], np.nan, case.hidden), np.where(left, 0, 1 + np.arange(16.0))
    indices, offsets = offsets_of(case.binary)
    gone = np.repeat(left, np.diff(offsets))
    assert gone.any()
    whole = (np.where(gone, 999, indices), offsets) if sparse else np.where(left[:, None], np.nan, case.binary)
    rest = offsets_of(case.binary[~left]) if sparse else case.binary[~left].astype(float)
    loss = ce.LinearBinaryCrossEntropy(reduction=reduction, class_weight=[0.5, 4.0])
    inputs = {"hidden": hidden, "weight": case.weight, "bias": case.bias, "sample_weight": weight}
    got = (with_least_limit(loss, whole, **inputs) if limit else loss).value_and_grad(whole, **inputs)
    want = loss.value_and_grad(rest, **{**inputs, "hidden": hidden[~left], "sample_weight": weight[~left]})
    assert not got.hidden[left].any()
    np.testing.assert_allclose(got.hidden[~left], want.hidden, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(got.weight, want.weight, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(got.bias, want.bias, rtol=1e-12, atol=1e-15)
    if reduction == "none":
        assert not got.value[left].any()
        np.testing.assert_allclose(got.value[~left], want.value, rtol=1e-13)
    else:
        assert got.value == pytest.approx(want.value, rel=1e-13)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("weights", [[0.0, 1.0], "balanced"])
def test_class_weights_as_the_plain_loss_has_them(sparse: bool, weights: Any) -> None:
    case = case_of(np.float64, N=16)
    targets = offsets_of(case.binary) if sparse else case.binary
    rows = np.random.default_rng(0).choice([0.0, 1.0, 2.0], 16)
    z = case.hidden @ case.weight.T + case.bias
    plain = ce.BinaryCrossEntropy(class_weight=weights).value_and_grad(case.binary, logits=z, sample_weight=rows)
    got = ce.LinearBinaryCrossEntropy(class_weight=weights).value_and_grad(targets, **case.layer, sample_weight=rows)
    assert got.value == pytest.approx(plain.value, rel=1e-13)
    np.testing.assert_allclose(got.weight, plain.grad.T @ case.hidden, rtol=1e-10, atol=1e-14)


def test_names_mean_negative_and_positive() -> None:
    case = case_of(np.float64)
    names = np.where(case.binary, "yes", "no")
    got = ce.linear_binary_cross_entropy(names, **case.layer, classes=["no", "yes"])
    assert got == ce.linear_binary_cross_entropy(case.binary, **case.layer)


@pytest.mark.parametrize("lead", [(), (9,), (3, 3), (1, 9, 1), (0,)])
@pytest.mark.parametrize("sparse", [True, False])
def test_leading_axes_are_rows(lead: tuple[int, ...], sparse: bool) -> None:
    case = case_of(np.float64)
    N = int(np.prod(lead))
    hidden, y = np.resize(case.hidden, (*lead, 5)), case.binary[:N]
    targets = offsets_of(y) if sparse else y.reshape(*lead, 11)
    loss = ce.LinearBinaryCrossEntropy(reduction="none")
    got = loss.value_and_grad(targets, hidden=hidden, weight=case.weight)
    plain = ce.BinaryCrossEntropy(reduction="none").value_and_grad(y, logits=hidden.reshape(N, 5) @ case.weight.T)
    assert np.shape(got.value) == lead
    np.testing.assert_allclose(np.reshape(got.value, -1), plain.value.sum(axis=1), rtol=1e-12)
    np.testing.assert_allclose(got.hidden.reshape(N, 5), plain.grad @ case.weight, rtol=1e-11, atol=1e-13)


def test_infinite_logits_are_sure_labels() -> None:
    """A bias of +-inf decides a label whatever the row."""
    layer = {"hidden": [[1.0]], "weight": [[0.0], [0.0], [0.0]], "bias": [np.inf, -np.inf, 0.0]}
    loss = ce.LinearBinaryCrossEntropy(reduction="sum")
    for targets in ([[1, 0, 1]], ([2, 0], [0, 2])):
        got = loss.value_and_grad(targets, **layer)
        assert got.value == pytest.approx(np.log(2))
        assert got.bias.tolist() == [0.0, 0.0, -0.5]
    assert loss(([1], [0, 1]), **layer) == np.inf


def test_batches_without_a_row() -> None:
    weight, nothing = np.ones((3, 2)), (np.zeros(0, int), np.zeros(1, int))
    for targets in (nothing, ([], [0]), np.zeros((0, 3))):
        with pytest.raises(ce.EmptyBatchError):
            ce.linear_binary_cross_entropy(targets, hidden=np.zeros((0, 2)), weight=weight)
        got = ce.LinearBinaryCrossEntropy(empty="zero").value_and_grad(targets, hidden=np.zeros((0, 2)), weight=weight)
        assert got.value == 0
        assert not got.weight.any()
    none = ce.linear_binary_cross_entropy(
        [[1, 0, 1]], hidden=[[1.0, 2.0]], weight=weight, sample_weight=[0], empty="nan"
    )
    assert np.isnan(none)


def test_the_function_is_the_object() -> None:
    case = case_of(np.float32)
    options: dict[str, Any] = {"pos_weight": 2.0, "unit": "bit", "label_smoothing": 0.1, "memory_limit": 3000}
    want = ce.LinearBinaryCrossEntropy(**options)(offsets_of(case.binary), **case.layer)
    assert ce.linear_binary_cross_entropy(offsets_of(case.binary), **case.layer, **options) == want
    for name in ("clip", "eps"):
        with pytest.raises(TypeError, match=name):
            ce.LinearBinaryCrossEntropy(**{name: 0.1})


def test_gradients_by_differences() -> None:
    case, step = case_of(np.float64, N=7, K=6, D=4), 1e-6
    loss = ce.LinearBinaryCrossEntropy(label_smoothing=0.1, pos_weight=np.arange(1.0, 7), memory_limit=600)
    got, rng = loss.value_and_grad(offsets_of(case.binary), **case.layer), np.random.default_rng(3)
    for part in ("hidden", "weight", "bias"):
        given = case.layer[part]
        way = rng.normal(size=given.shape)
        up, down = (loss(case.binary, **{**case.layer, part: given + sign * step * way}) for sign in (1, -1))
        slope = float((getattr(got, part) * way).sum())
        assert (up - down) / (2 * step) == pytest.approx(slope, rel=1e-6)
