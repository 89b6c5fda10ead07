"""From probabilities: nothing clipped unless asked, confident rows kept, and the logits behind a softmax or sigmoid."""

from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

import crossent.keras as ck
from keras_tools import BACKEND, WAYS, answer, array, tensor

pytestmark = pytest.mark.frameworks

CLIP = 1e-7
RNG = np.random.default_rng(3)
WILD = RNG.dirichlet(np.full(4, 0.02), 40) * RNG.uniform(0.5, 2, (40, 1))
WILD = WILD.astype(np.float32)  # many below 1e-7, sums far from 1; in float64 Keras' bounds are float32's on torch
LABELS = RNG.integers(0, 4, 40)
ONE_HOT = np.eye(4, dtype=np.float32)[LABELS]


def test_the_truth_at_probability_0_costs_inf() -> None:
    p = np.array([[1.0, 0.0], [0.5, 0.5]], np.float32)
    bits = np.array([[0.0, 1.0], [0.0, 1.0]], np.float32)
    for got in (
        ck.sparse_categorical_crossentropy(np.array([1, 1]), p),
        ck.categorical_crossentropy(bits, p),
        ck.kl_divergence(bits, p),
        ck.binary_crossentropy(bits, p),
    ):
        assert np.isposinf(array(got)[0])
        np.testing.assert_allclose(array(got)[1], np.log(2), rtol=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_clip_gives_keras_values(way: str) -> None:
    assert (WILD.min(axis=1) < CLIP).mean() > 0.5
    p = np.clip(WILD, 0, 1)
    for name, targets in (
        ("categorical_crossentropy", ONE_HOT),
        ("categorical_focal_crossentropy", ONE_HOT),
        ("binary_crossentropy", ONE_HOT),
        ("binary_focal_crossentropy", ONE_HOT),
        ("kl_divergence", ONE_HOT),
    ):
        x = WILD if name.startswith("categorical") else p
        got = answer(lambda x, n=name, y=targets: getattr(ck, n)(tensor(y), x, clip=CLIP), x, way)
        want = answer(lambda x, n=name, y=targets: getattr(keras.losses, n)(tensor(y), x), x, way)
        np.testing.assert_allclose(got.losses, want.losses, rtol=2e-6, atol=2e-7, err_msg=name)
    # Keras' sparse loss does not divide by the sum on TensorFlow, and normalises after clipping.
    sparse = array(ck.sparse_categorical_crossentropy(LABELS, tensor(WILD), clip=CLIP))
    np.testing.assert_allclose(
        sparse, array(keras.losses.categorical_crossentropy(ONE_HOT, tensor(WILD))), rtol=2e-6, atol=2e-7
    )


@pytest.mark.parametrize("way", WAYS)
def test_rows_are_divided_by_their_sum_and_confident_ones_kept(way: str) -> None:
    p = np.array([[3.0, 1.0], [1.0, 4e-18], [2.0, 6e-30], [1e-30, 0.0]], np.float32)
    got = answer(lambda p: ck.sparse_categorical_crossentropy(np.zeros(4, int), p), p, way)
    rest = p[:, 1].astype(np.float64) / p[:, 0]
    np.testing.assert_allclose(got.losses, np.log1p(rest), rtol=2e-5)  # |log p| roundings
    exact = np.stack([-rest / (1 + rest) / p[:, 0], 1 / (1 + rest) / p[:, 0]], axis=1)
    np.testing.assert_allclose(got.grad[:3], exact[:3], rtol=2e-5)


@pytest.mark.parametrize("way", WAYS)
def test_underflow_in_front_of_a_loss_is_no_nan_in_the_weights(way: str) -> None:
    """A softmax that Keras does not mark; the logits' gaps reach from where 1 / p overflows to where p is 0."""
    gaps = np.array([0.0, 50.0, 86.0, 88.0, 95.0, 102.0, 104.0, 200.0], np.float32)
    z = np.stack([gaps, 0 * gaps], axis=1)

    def softmax(z: Any) -> Any:
        e = ops.exp(z - ops.max(z, axis=-1, keepdims=True))
        return e / ops.sum(e, axis=-1, keepdims=True)

    y = np.tile(np.float32([0.0, 1.0]), (8, 1))
    for name in ("categorical_crossentropy", "binary_crossentropy"):
        got = answer(lambda z, name=name: getattr(ck, name)(y, softmax(z)), z, way)
        assert np.isfinite(got.grad).all()
        assert np.isposinf(got.losses[-1])
        np.testing.assert_allclose(got.losses[0], np.log(2), rtol=1e-6)
        if name == "categorical_crossentropy":
            np.testing.assert_allclose(got.losses[1:3], gaps[1:3], rtol=1e-6)
            np.testing.assert_allclose(got.grad[1:3], [[1, -1], [1, -1]], rtol=1e-5)


# ---------------------------------------------------------------- the logits behind

MARKS = [way for way in WAYS if BACKEND != "jax"]  # JAX' tracers carry no marks


@pytest.mark.parametrize("way", MARKS or ["XLA"])
def test_keras_activations_give_their_logits(way: str) -> None:
    """Where tensors carry marks a softmax in front of the loss costs nothing; elsewhere it works as well as it can."""
    gaps = np.array([0.0, 10.0, 18.0, 40.0, 200.0], np.float32)
    z = np.stack([gaps, -gaps], axis=1)
    bits = np.tile(np.float32([0.0, 1.0]), (5, 1))
    for name, activation in (
        ("categorical_crossentropy", keras.activations.softmax),
        ("categorical_focal_crossentropy", keras.activations.softmax),
        ("binary_crossentropy", keras.activations.sigmoid),
        ("binary_focal_crossentropy", keras.activations.sigmoid),
    ):
        f = getattr(ck, name)
        for y in (bits, 1 - bits):
            got = answer(lambda z, f=f, y=y, a=activation: f(y, a(z)), z, way)
            want = answer(lambda z, f=f, y=y: f(y, z, from_logits=True), z, way)
            rows = slice(None) if MARKS else slice(0, 2)
            np.testing.assert_allclose(got.losses[rows], want.losses[rows], rtol=1e-6 if MARKS else 2e-3, err_msg=name)
            np.testing.assert_allclose(got.grad[rows], want.grad[rows], rtol=1e-6 if MARKS else 2e-3, err_msg=name)


@pytest.mark.parametrize("way", WAYS)
def test_another_activation_than_the_loss_undoes_is_taken_as_it_is(way: str) -> None:
    """A sigmoid in front of a loss over classes, a softmax over another axis; on TensorFlow Keras is mistaken."""
    z = RNG.normal(size=(3, 4)).astype(np.float32)
    y = np.eye(3, 4, dtype=np.float32)
    s = 1 / (1 + np.exp(-z))
    got = answer(lambda z: ck.categorical_crossentropy(y, keras.activations.sigmoid(z)), z, way)
    np.testing.assert_allclose(got.losses, -np.log((s * y).sum(1) / s.sum(1)), rtol=1e-5)
    got = answer(lambda z: ck.categorical_crossentropy(y, keras.activations.softmax(z, axis=0)), z, way)
    p = np.exp(z) / np.exp(z).sum(axis=0)
    np.testing.assert_allclose(got.losses, -np.log((p * y).sum(1) / p.sum(1)), rtol=1e-5)
    got = answer(lambda z: ck.binary_crossentropy(y, keras.activations.softmax(z)), z, way)
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(got.losses, -np.log(np.where(y > 0, p, 1 - p)).mean(axis=1), rtol=1e-5)


@pytest.mark.parametrize("way", WAYS)
def test_equal_logits_do_not_tell_a_softmax_from_a_sigmoid(way: str) -> None:
    y = np.array([[0.0, 1.0]], np.float32)
    z = np.zeros((1, 2), np.float32)
    got = answer(lambda z: ck.binary_crossentropy(y, keras.activations.softmax(z)), z, way)
    np.testing.assert_allclose(got.grad, [[0.5, -0.5]], rtol=1e-6)
    got = answer(lambda z: ck.categorical_crossentropy(y, keras.activations.sigmoid(z)), z, way)
    np.testing.assert_allclose(got.grad, [[0.25, -0.25]], rtol=1e-6)


def test_logits_that_are_probabilities_are_warned_of() -> None:
    p = keras.activations.softmax(tensor(np.zeros((1, 2), np.float32)))
    for name in ("categorical_crossentropy", "binary_crossentropy"):
        with pytest.warns(UserWarning, match="second softmax"):
            getattr(ck, name)(np.eye(1, 2), p, from_logits=True)


@pytest.mark.parametrize("p", [1.5, -0.25, np.nan])
def test_what_is_no_probability_gives_nan(p: float) -> None:
    for y in (0.0, 1.0):
        assert np.isnan(array(ck.binary_crossentropy([[y]], np.float32([[p]])))[0])
    if not p > 1:
        assert np.isnan(array(ck.categorical_crossentropy([[1.0, 0.0]], np.float32([[0.5, p]])))[0])
        assert np.isnan(array(ck.kl_divergence([[1.0, 0.5]], np.float32([[0.5, p]])))[0])


def test_divergence_of_near_distributions() -> None:
    p = np.array([[0.25, 0.75]], np.float32)
    q = np.array([[0.25 + 2e-7, 0.75 - 2e-7]], np.float32)
    wide, other = p.astype(np.float64), q.astype(np.float64)
    terms = wide * np.log1p((wide - other) / other)
    got = array(ck.kl_divergence(p, q))
    np.testing.assert_allclose(got, terms.sum(axis=1), atol=4e-7 * np.abs(terms).max())
