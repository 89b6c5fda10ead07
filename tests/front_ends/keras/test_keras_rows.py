"""What counts: weights, masks, ignored classes, reductions; what is refused: shapes, labels, options."""

from typing import Any

import keras
import numpy as np
import pytest

import crossent as ce
import crossent.keras as ck
from keras_tools import GRAPHS, answer, array, compiled, tensor

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(8)
Z = RNG.normal(size=(4, 3)).astype(np.float32) * 2
LABELS = np.array([0, 2, 1, 2])
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
LOSSES = {
    "BinaryCrossentropy": ONE_HOT,
    "BinaryFocalCrossentropy": ONE_HOT,
    "CategoricalCrossentropy": ONE_HOT,
    "CategoricalFocalCrossentropy": ONE_HOT,
    "KLDivergence": np.full((4, 3), 1 / 3, np.float32),
    "SparseCategoricalCrossentropy": LABELS,
}
REDUCTIONS = ["sum_over_batch_size", "mean", "sum", "mean_with_sample_weight", "none", None]


def probs(z: Any) -> Any:
    """softmax."""
    e = np.exp(z - z.max(-1, keepdims=True))
    return (e / e.sum(-1, keepdims=True)).astype(z.dtype)


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weight", [None, [1.0, 2.0, 0.0, 0.5], [[1.0], [2.0], [0.0], [0.5]]])
def test_every_reduction_is_keras_own(name: str, weight: Any) -> None:
    weight = None if weight is None else np.array(weight, np.float32)
    for reduction in REDUCTIONS:
        ours, theirs = (getattr(where, name)(reduction=reduction) for where in (ck, keras.losses))
        got, want = (array(loss(LOSSES[name], probs(Z), sample_weight=weight)) for loss in (ours, theirs))
        assert got.dtype == want.dtype
        np.testing.assert_allclose(got, want.reshape(got.shape), rtol=2e-6, err_msg=str(reduction))


def test_masked_steps_leave() -> None:
    """Keras' means divide by the steps that count."""
    z = np.random.default_rng(1).normal(size=(2, 3, 4)).astype(np.float32)
    labels, steps = np.array([[0, 1, 2], [3, 0, 0]]), np.array([[True, True, False], [True, False, False]])
    for name in ("SparseCategoricalCrossentropy", "CategoricalCrossentropy", "BinaryCrossentropy"):
        targets = labels if name.startswith("Sparse") else np.eye(4, dtype=np.float32)[labels]
        for reduction in ("sum_over_batch_size", "sum", "mean_with_sample_weight"):
            for weight in (None, np.array([[1.0, 2.0, 3.0], [0.5, 0.0, 1.0]], np.float32)):
                got = []
                for where in (ck, keras.losses):
                    pred = tensor(z)
                    keras.src.backend.set_keras_mask(pred, tensor(steps))
                    loss = getattr(where, name)(from_logits=True, reduction=reduction)
                    got.append(float(array(loss(targets, pred, sample_weight=weight))))
                np.testing.assert_allclose(got[0], got[1], rtol=2e-6, err_msg=f"{name} {reduction}")


def test_ignored_classes_leave_and_means_divide_by_the_rest() -> None:
    labels = np.array([0, 255, 1, 255])
    for reduction in ("sum_over_batch_size", "sum", "none"):
        options: dict[str, Any] = {"from_logits": True, "ignore_class": 255, "reduction": reduction}
        ours = ck.SparseCategoricalCrossentropy(**options)(labels, Z)
        theirs = keras.losses.SparseCategoricalCrossentropy(**options)(labels, Z)
        np.testing.assert_allclose(array(ours), array(theirs), rtol=2e-6)
    all_ignored = ck.SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)(np.full(4, 255), Z)
    assert float(array(all_ignored)) == 0


def test_a_row_of_weight_0_leaves_whatever_it_holds() -> None:
    z = Z.copy()
    z[1], z[2, 0] = np.nan, np.inf
    weight = np.array([1.0, 0.0, 0.0, 1.0], np.float32)
    for name, targets in LOSSES.items():
        if name == "KLDivergence":
            continue
        loss = getattr(ck, name)(from_logits=True)
        got = answer(lambda z, loss=loss, targets=targets: loss(targets, z, sample_weight=weight), z)
        want = answer(lambda z, loss=loss, targets=targets: loss(targets, z, sample_weight=weight), Z * weight[:, None])
        assert np.isfinite(got.losses)
        np.testing.assert_allclose(got.losses, want.losses, rtol=1e-6)
        np.testing.assert_array_equal(got.grad[1:3], 0)
        np.testing.assert_allclose(got.grad, want.grad, rtol=1e-6)
    impossible = np.array([[0.0, 1.0], [0.5, 0.5]], np.float32)
    loss = ck.SparseCategoricalCrossentropy(reduction="sum")
    half = loss(np.array([0, 0]), impossible, sample_weight=np.array([0.0, 1.0]))
    np.testing.assert_allclose(float(array(half)), np.log(2), rtol=1e-6)


def test_weights_of_samples_count_for_all_their_losses() -> None:
    z = RNG.normal(size=(2, 2, 3)).astype(np.float32)
    labels = np.array([[0, 1], [2, 2]])
    rows = array(ck.sparse_categorical_crossentropy(labels, z, from_logits=True))
    options: dict[str, Any] = {"from_logits": True, "reduction": "mean_with_sample_weight"}
    got = ck.SparseCategoricalCrossentropy(**options)(labels, z, sample_weight=np.array([1.0, 3.0]))
    np.testing.assert_allclose(float(array(got)), (rows[0].sum() + 3 * rows[1].sum()) / 8, rtol=1e-6)


@pytest.mark.parametrize("labels", [np.uint8, np.int32, np.int64, np.float32, np.bool_])
def test_labels_of_any_dtype(labels: Any) -> None:
    y = np.array([0, 1, 1, 0]).astype(labels)
    want = array(ck.sparse_categorical_crossentropy(np.array([0, 1, 1, 0]), Z, from_logits=True))
    np.testing.assert_array_equal(array(ck.sparse_categorical_crossentropy(y, Z, from_logits=True)), want)
    got = ck.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(y[:, None], Z)
    np.testing.assert_array_equal(array(got), want)


def test_half_precision_keeps_labels_and_computes_in_float32() -> None:
    """Keras rounds label 2049 to 2048 where the loss' dtype is float16."""
    z = np.zeros((1, 4096), np.float16)
    z[0, 2049] = 9
    exact = float(array(ck.sparse_categorical_crossentropy([2049], z.astype(np.float32), from_logits=True))[0])
    for x in (z, z.astype(np.float32)):
        for dtype in ("float16", "bfloat16"):
            got = ck.SparseCategoricalCrossentropy(from_logits=True, dtype=dtype)(np.array([2049]), x)
            assert keras.backend.standardize_dtype(got.dtype) == dtype
            np.testing.assert_allclose(float(array(keras.ops.cast(got, "float32"))), exact, rtol=4e-3)
    got = ck.sparse_categorical_crossentropy(np.array([2049]), tensor(z), from_logits=True)
    assert array(got).dtype == np.float32
    np.testing.assert_allclose(array(got)[0], exact, rtol=1e-6)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("name", "y", "x", "text"),
    [
        ("sparse_categorical_crossentropy", [0, 3], Z[:2], r"y_true\[1\] is 3, but y_pred has 3 classes \(labels 0"),
        ("sparse_categorical_crossentropy", [1, 3], Z[:2], "labels look 1-based"),
        ("sparse_categorical_crossentropy", [0, -1], Z[:2], r"y_true\[1\] is -1.*ignore_class=-1"),
        ("sparse_categorical_crossentropy", [0.0, 1.5], Z[:2], r"y_true\[1\] is 1.5"),
        ("categorical_crossentropy", [[1.0, -0.5, 0.5]], Z[:1], r"y_true\[0, 1\] is -0.5.*sparse loss"),
        ("categorical_crossentropy", [[1.0, np.nan, 0.5]], Z[:1], r"y_true\[0, 1\] is nan"),
        ("binary_crossentropy", [[1.0, -1.0, 1.0]], Z[:1], r"y_true\[0, 1\] is -1.*look like -1 and 1"),
        ("binary_focal_crossentropy", [[1.0, 2.0, 1.0]], Z[:1], r"y_true\[0, 1\] is 2"),
    ],
)  # fmt: skip
def test_impossible_labels_are_named(name: str, y: Any, x: Any, text: str) -> None:
    with pytest.raises(ce.LabelError, match=text):
        getattr(ck, name)(np.array(y), x, from_logits=True)


def test_in_a_graph_an_impossible_label_is_nan() -> None:
    indices, bits = np.array([0, 3, -1, 1]), 2 * ONE_HOT[:, :1] * ONE_HOT
    negative = ONE_HOT - np.eye(4, 3, dtype=np.float32)
    for way in GRAPHS:
        got = compiled(lambda y: ck.sparse_categorical_crossentropy(y, Z, from_logits=True), indices, way)
        assert np.isnan(got).tolist() == [False, True, True, False]
        got = compiled(lambda y: ck.categorical_crossentropy(y, Z, from_logits=True), negative, way)
        assert np.isnan(got).tolist() == [bool(row.min() < 0) for row in negative]
        got = compiled(lambda y: ck.binary_crossentropy(y, Z, from_logits=True), bits, way)
        assert np.isnan(got).tolist() == [True, False, False, False]


@pytest.mark.parametrize(
    ("name", "y", "x", "text"),
    [
        ("categorical_crossentropy", np.eye(3)[:2], Z, r"y_true has shape \(2, 3\), y_pred \(4, 3\)"),
        ("categorical_crossentropy", LABELS, Z, "use the sparse loss"),
        ("categorical_crossentropy", LABELS[:, None], Z, "use the sparse loss"),
        ("sparse_categorical_crossentropy", ONE_HOT, Z, "go to the loss without Sparse"),
        ("sparse_categorical_crossentropy", LABELS[:2], Z, r"labels of shape \(4,\) are needed"),
        ("binary_crossentropy", np.zeros((4, 2)), Z, "One target"),
        ("kl_divergence", np.zeros((4, 2)), Z, "distributions over the last axis"),
        ("binary_crossentropy", 1.0, np.float32(0.5), "has no axis -1"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(name: str, y: Any, x: Any, text: str) -> None:
    with pytest.raises(ce.ShapeError, match=text):
        getattr(ck, name)(y, x)


def test_weights_that_do_not_fit() -> None:
    with pytest.raises(ce.ShapeError, match=r"sample_weight has shape \(3,\), the losses \(4,\)"):
        ck.CategoricalCrossentropy()(ONE_HOT, probs(Z), sample_weight=np.ones(3))
    with pytest.raises(ce.ShapeError, match="Give the prediction one more axis"):
        ck.BinaryCrossentropy()(np.ones(4), np.full(4, 0.5), sample_weight=np.ones(4))


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: ck.CategoricalCrossentropy(label_smoothing=1.5), "label_smoothing is 1.5"),
        (lambda: ck.CategoricalCrossentropy(axis=True), "axis is True"),
        (lambda: ck.CategoricalCrossentropy(clip=0.7), "clip is 0.7"),
        (lambda: ck.KLDivergence(clip=0.7), "clip is 0.7"),
        (lambda: ck.BinaryCrossentropy(from_logits=True, clip=1e-7), "clip is for probabilities"),
        (lambda: ck.BinaryCrossentropy(from_logits="yes"), "from_logits is 'yes'"),
        (lambda: ck.BinaryFocalCrossentropy(gamma=-1), "gamma is -1"),
        (lambda: ck.BinaryFocalCrossentropy(alpha=2.0, apply_class_balancing=True), "alpha is 2.0"),
        (lambda: ck.SparseCategoricalCrossentropy(ignore_class=0.5), "ignore_index is 0.5"),
        (lambda: ck.BinaryCrossentropy(reduction="average"), "reduction"),
    ],
)  # fmt: skip
def test_options_that_are_none(make: Any, text: str) -> None:
    with pytest.raises((ValueError, TypeError), match=text):
        make()
