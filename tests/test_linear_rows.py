"""Which rows of a linear loss count: ignored, weightless and massless ones leave entirely, empty batches, weights."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from linear_cases import LinearCase, case_of, with_least_limit

LIMITS = (None, "least")


def run(loss: Any, targets: Any, limit: Any, **inputs: Any) -> Any:
    """value_and_grad, with the smallest budget if asked for."""
    loss = loss if limit is None else with_least_limit(loss, targets, **inputs)
    return loss.value_and_grad(targets, **inputs)


def like_the_rest(loss: Any, targets: Any, case: LinearCase, left: Any, limit: Any, **more: Any) -> None:
    """The rows that left are as if never given: hidden is NaN there, its gradient 0."""
    hidden = np.where(left[:, None], np.nan, case.hidden)
    got = run(loss, targets, limit, hidden=hidden, weight=case.weight, bias=case.bias, **more)
    some = {name: array[~left] for name, array in more.items()}
    rest = tuple(a[~left] for a in targets) if isinstance(targets, tuple) else targets[~left]
    want = run(loss, rest, limit, hidden=case.hidden[~left], weight=case.weight, bias=case.bias, **some)
    assert not got.hidden[left].any()
    np.testing.assert_allclose(got.hidden[~left], want.hidden, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(got.weight, want.weight, rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(got.bias, want.bias, rtol=1e-12, atol=1e-15)
    if loss.reduction == "none":
        assert not got.value[left].any()
        np.testing.assert_allclose(got.value[~left], want.value, rtol=1e-13)
    else:
        assert got.value == pytest.approx(want.value, rel=1e-13)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_ignored_rows_leave(limit: Any, reduction: str) -> None:
    case, left = case_of(np.float64), np.isin(np.arange(9), [0, 3, 4, 8])
    targets = np.where(left, -100, case.labels)
    like_the_rest(ce.LinearCrossEntropy(ignore_index=-100, reduction=reduction), targets, case, left, limit)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", ["index", "soft", "sparse"])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_rows_of_weight_0_leave(limit: Any, kind: str, reduction: str) -> None:
    case, left = case_of(np.float64), np.isin(np.arange(9), [1, 2, 7])
    targets = {"index": np.where(left, 10**6, case.labels), "soft": np.where(left[:, None], np.nan, case.soft),
               "sparse": tuple(np.where(left[:, None], -5, a) for a in case.sparse())}[kind]  # fmt: skip
    weight = np.where(left, 0, 1 + np.arange(9.0))
    loss = ce.LinearCrossEntropy(reduction=reduction, label_smoothing=0.1)
    like_the_rest(loss, targets, case, left, limit, sample_weight=weight)


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("kind", ["index", "soft", "sparse"])
def test_rows_whose_classes_have_weight_0_leave(limit: Any, kind: str) -> None:
    case, left = case_of(np.float64), np.arange(9) % 3 == 1
    labels, soft = case.labels.copy(), case.soft.copy()
    labels[left], labels[~left] = 2, np.maximum(labels[~left], 4)
    soft[left], soft[~left, 2] = np.eye(11)[2], 0
    soft /= soft.sum(axis=1, keepdims=True)
    indices = np.argsort(-soft, axis=1, kind="stable")[:, :4]
    targets = {"index": labels, "soft": soft, "sparse": (indices, np.take_along_axis(soft, indices, 1))}[kind]
    loss = ce.LinearCrossEntropy(class_weight=np.where(np.arange(11) == 2, 0.0, 1.5), label_smoothing=0.1)
    like_the_rest(loss, targets, case, left, limit)


@pytest.mark.parametrize("limit", LIMITS)
def test_empty_rows_of_multi_hot_targets_leave_on_request(limit: Any) -> None:
    case, left = case_of(np.float64), np.arange(9) < 3
    multi = np.where(left[:, None], 0.0, 3.0 * case.soft)
    loss = ce.LinearCrossEntropy(normalize_targets=True, empty_rows="ignore")
    like_the_rest(loss, multi, case, left, limit)
    indices = np.argsort(-multi, axis=1, kind="stable")[:, :4]
    like_the_rest(loss, (indices, np.take_along_axis(multi, indices, 1)), case, left, limit)


@pytest.mark.parametrize("kind", ["index", "soft", "sparse"])
def test_balanced_weights_are_those_of_the_plain_loss(kind: str) -> None:
    case = case_of(np.float64, N=40, K=7)
    weight = np.random.default_rng(2).choice([0.0, 1.0, 2.5], 40)
    dense = case.onehot if kind == "index" else 2 * case.soft
    targets = {"index": case.labels, "soft": dense, "sparse": tuple(
        a * f for a, f in zip(case.sparse(), (1, 2), strict=True))}[kind]  # fmt: skip
    options: dict[str, Any] = {"class_weight": "balanced", "normalize_targets": kind != "index"}
    z = case.hidden @ case.weight.T + case.bias
    plain = ce.CrossEntropy(**options).value_and_grad(
        case.labels if kind == "index" else dense, logits=z, sample_weight=weight
    )
    got = ce.LinearCrossEntropy(**options).value_and_grad(targets, **case.layer, sample_weight=weight)
    assert got.value == pytest.approx(plain.value, rel=1e-12)
    np.testing.assert_allclose(got.bias, plain.grad.sum(axis=0), rtol=1e-9, atol=1e-13)


def test_names_and_weights_by_name() -> None:
    case = case_of(np.float64, K=3)
    names = ["cat", "dog", "owl"]
    loss = ce.LinearCrossEntropy(classes=names, class_weight={"owl": 3.0})
    got = loss([names[label] for label in case.labels], **case.layer)
    assert got == ce.LinearCrossEntropy(class_weight=[1.0, 1.0, 3.0])(case.labels, **case.layer)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_weights_of_extreme_size(scale: float) -> None:
    case = case_of(np.float32)
    plain = ce.LinearCrossEntropy().value_and_grad(case.labels, **case.layer, sample_weight=1 + np.arange(9.0))
    for limit in LIMITS:
        got = run(ce.LinearCrossEntropy(class_weight=np.full(11, 1 / scale)), case.labels, limit, **case.layer,
                  sample_weight=scale * (1 + np.arange(9.0)))  # fmt: skip
        assert got.value == pytest.approx(plain.value, rel=1e-5)
        np.testing.assert_allclose(got.weight, plain.weight, rtol=1e-4, atol=1e-6)


def test_float64_targets_keep_their_digits_beside_a_float32_layer() -> None:
    """1 - 1e-9 is 1 in float32; the rest of the target is what the gradient shows where the model is certain."""
    hidden, weight = np.ones((4, 1), np.float32), np.array([[40.0], [0.0], [0.0]], np.float32)
    dense = np.tile([1 - 1e-9, 1e-9, 0.0], (4, 1))
    sparse = (np.tile([1, 0], (4, 1)), np.tile([1e-9, 1 - 1e-9], (4, 1)))
    for targets in (dense, sparse):
        for limit in LIMITS:
            got = run(ce.LinearCrossEntropy(reduction="sum"), targets, limit, hidden=hidden, weight=weight)
            assert got.value == pytest.approx(4 * 40e-9, rel=1e-6)
            np.testing.assert_allclose(got.weight[:, 0], [4e-9, -4e-9, 4 * np.exp(-40.0)], rtol=1e-6)


# ---------------------------------------------------------------- no row at all


def _batches() -> dict[str, tuple[Any, dict[str, Any], dict[str, Any]]]:
    """name: targets, options, inputs."""
    case = case_of(np.float64)
    nothing = {"hidden": np.zeros((0, 5)), "weight": case.weight, "bias": case.bias}
    return {
        "no rows": (np.zeros(0, int), {}, nothing),
        "all ignored": (np.full(9, -1), {"ignore_index": -1}, case.layer),
        "no weight": (case.labels, {}, {**case.layer, "sample_weight": np.zeros(9)}),
        "no sparse rows": ((np.zeros((0, 2), int), np.zeros((0, 2))), {}, nothing),
    }


@pytest.mark.parametrize("name", _batches())
def test_batches_without_a_row(name: str) -> None:
    targets, options, inputs = _batches()[name]
    with pytest.raises(ce.EmptyBatchError, match="no row is left to average"):
        ce.LinearCrossEntropy(**options)(targets, **inputs)
    with pytest.raises(ce.EmptyBatchError, match="no row is left to average"):
        ce.LinearCrossEntropy(**options).value_and_grad(targets, **inputs)
    for empty, value in (("nan", np.nan), ("zero", 0.0)):
        got = ce.LinearCrossEntropy(empty=empty, **options).value_and_grad(targets, **inputs)
        np.testing.assert_equal(got.value, value)
        assert not any(part.any() for part in got[1:])
    assert ce.LinearCrossEntropy(reduction="sum", **options)(targets, **inputs) == 0.0
    rows = ce.LinearCrossEntropy(reduction="none", **options).value_and_grad(targets, **inputs)
    assert rows.value.shape == inputs["hidden"].shape[:1]
    assert not any(part.any() for part in rows)
    lse = ce.LinearCrossEntropy(reduction="sum", **options).value_and_lse(targets, **inputs).lse
    assert np.isnan(lse).all()


def test_no_features_and_one_class() -> None:
    bias = np.array([1.0, -1.0])
    got = ce.LinearCrossEntropy().value_and_grad([0, 1], hidden=np.zeros((2, 0)), weight=np.zeros((2, 0)), bias=bias)
    assert got.value == pytest.approx(np.log(np.exp(1) + np.exp(-1)))
    assert (got.hidden.shape, got.weight.shape) == ((2, 0), (2, 0))
    one = ce.LinearCrossEntropy(reduction="none").value_and_grad([0, 0], hidden=[[1.0], [2.0]], weight=[[3.0]])
    assert one.value.tolist() == [0.0, 0.0]
    assert not one.hidden.any()
