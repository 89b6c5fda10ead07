"""Plain TensorFlow around crossent.keras: tapes, functions with sizes that are not known yet."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

import crossent as ce
import crossent.keras as ck

pytestmark = pytest.mark.frameworks

Z = np.random.default_rng(4).normal(size=(2, 3, 5)).astype(np.float32)
LABELS = np.array([[0, 1, 4], [2, 2, 3]])


def softmax(z: Any) -> Any:
    """In float64."""
    e = np.exp(z.astype(np.float64))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("jit", [False, True])
def test_sizes_of_batch_and_time_may_be_unknown(jit: bool) -> None:
    loss = ck.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")

    @tf.function(
        jit_compile=jit,
        input_signature=[tf.TensorSpec((None, None), tf.int64), tf.TensorSpec((None, None, 5), tf.float32)],
    )
    def step(labels: Any, z: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(labels, z)
        return value, tape.gradient(value, z)

    value, grad = step(LABELS, Z)
    p = softmax(Z)
    np.testing.assert_allclose(grad, p - np.eye(5)[LABELS], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(value, -np.log(np.take_along_axis(p, LABELS[..., None], -1)).sum(), rtol=1e-6)


def test_the_number_of_classes_must_be_known() -> None:
    step = tf.function(
        lambda labels, z: ck.sparse_categorical_crossentropy(labels, z, from_logits=True),
        input_signature=[tf.TensorSpec((None,), tf.int64), tf.TensorSpec((None, None), tf.float32)],
        autograph=False,
    )
    with pytest.raises(ce.ShapeError, match="whose number of classes"):
        step(LABELS[0], Z[0])


def test_labels_and_weights_of_any_tensor_dtype() -> None:
    want = ck.sparse_categorical_crossentropy(LABELS, Z, from_logits=True)
    for dtype in (tf.int32, tf.int64, tf.uint8, tf.float32):
        got = ck.sparse_categorical_crossentropy(tf.constant(LABELS, dtype), tf.constant(Z), from_logits=True)
        np.testing.assert_array_equal(got, want)
    weight = tf.constant([[1, 0, 2], [1, 1, 1]])
    got = ck.SparseCategoricalCrossentropy(from_logits=True, reduction="none")(LABELS, Z, sample_weight=weight)
    np.testing.assert_allclose(got, want.numpy() * weight.numpy(), rtol=1e-6)
