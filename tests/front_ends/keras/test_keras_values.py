"""Values and gradients: Keras' own in float64 where Keras is right, the oracle on hard rows."""

from typing import Any

import keras
import numpy as np
import pytest

import crossent.keras as ck
import oracle
import oracle_shapes
from cases import Case, hard_batch, hard_cases, soft_targets
from closeness import assert_close
from formula_bounds import gradient_bound, loss_bound, unit
from keras_tools import BACKEND, WAYS, answer, array, tensor

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(5)
Z = RNG.normal(size=(6, 5)) * 3
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
S = 1 / (1 + np.exp(-Z))
LABELS = RNG.integers(0, 5, 6)
ONE_HOT = np.eye(5)[LABELS]
SOFT = RNG.dirichlet(np.ones(5), 6)
BITS = (RNG.random((6, 5)) < 0.5).astype(np.float64)
FUNCTIONS = {
    "binary_crossentropy": (BITS, S, [{}, {"label_smoothing": 0.2}, {"axis": 0}]),
    "binary_focal_crossentropy": (
        BITS, S, [{}, {"apply_class_balancing": True, "gamma": 1.5}, {"label_smoothing": 0.2}, {"gamma": 0.0}],
    ),
    "categorical_crossentropy": (ONE_HOT, P, [{}, {"label_smoothing": 0.1}]),
    "categorical_focal_crossentropy": (
        ONE_HOT, P, [{}, {"alpha": [0.125, 0.25, 0.375, 0.5, 0.75], "gamma": 3.0}, {"label_smoothing": 0.1}],
    ),
    "sparse_categorical_crossentropy": (LABELS, P, [{}, {"ignore_class": 2}]),
}  # fmt: skip
SUMS = 4  # of the bound of formula.row_gradient, which does not add 1 - r / s up from its parts as autodiff does
CASES = [(name, options) for name, (_, _, choices) in FUNCTIONS.items() for options in choices]


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_functions_give_keras_values(name: str, options: dict[str, Any], from_logits: bool) -> None:
    targets, probs, _ = FUNCTIONS[name]
    x = Z if from_logits else probs
    ours = answer(lambda x: getattr(ck, name)(tensor(targets), x, from_logits=from_logits, **options), x)
    keras_ = answer(lambda x: getattr(keras.losses, name)(tensor(targets), x, from_logits=from_logits, **options), x)
    assert ours.losses.dtype == np.float64
    assert np.ptp(keras_.losses) > 0.05
    single = name.startswith("binary") and BACKEND != "tensorflow"  # where Keras' means of float64 are float32's
    np.testing.assert_allclose(ours.losses, keras_.losses, rtol=2e-7 if single else 1e-13, atol=1e-15)
    right = ~np.isnan(keras_.grad)
    assert right.all() or "ignore_class" in options  # older Keras: NaN
    np.testing.assert_allclose(ours.grad[right], keras_.grad[right], rtol=2e-7 if single else 1e-11, atol=1e-14)
    np.testing.assert_array_equal(ours.grad[~right], 0)


def test_soft_targets_and_divergence_give_keras_values() -> None:
    for name in ("categorical_crossentropy", "kl_divergence"):
        ours = answer(lambda x, name=name: getattr(ck, name)(tensor(SOFT), x), P)
        theirs = answer(lambda x, name=name: getattr(keras.losses, name)(tensor(SOFT), x), P)
        np.testing.assert_allclose(ours.losses, theirs.losses, rtol=1e-13)
        np.testing.assert_allclose(ours.grad, theirs.grad, rtol=1e-12, atol=1e-14)


def test_the_class_axis_may_stand_anywhere() -> None:
    z = RNG.normal(size=(2, 4, 3, 5))
    labels = RNG.integers(0, 4, (2, 3, 5))
    q = np.moveaxis(np.eye(4)[labels], -1, 1)
    want = array(ck.sparse_categorical_crossentropy(labels, np.moveaxis(z, 1, -1), from_logits=True))
    assert want.shape == (2, 3, 5)
    for got in (
        ck.sparse_categorical_crossentropy(labels[:, None], z, from_logits=True, axis=1),
        ck.categorical_crossentropy(q, z, from_logits=True, axis=-3),
    ):
        np.testing.assert_allclose(array(got), want, rtol=1e-14)


# ---------------------------------------------------------------- hard rows, against the oracle


def rounding(z: Any, q: Any, dtype: Any) -> Any:
    """The formula's bound of a loss; XLA and TensorFlow take each term below the normal numbers as 0."""
    return loss_bound(z, q, dtype) + z.shape[1] * float(np.finfo(dtype).tiny)


def slopes(z: Any, q: Any, dtype: Any) -> Any:
    """The same of a gradient."""
    return gradient_bound(z, q, dtype) + z.shape[1] * float(np.finfo(dtype).tiny)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("K", [3, 24])
def test_hard_rows_of_logits(K: int, dtype: Any) -> None:
    z, labels = hard_batch(K, dtype, infinite=False)
    got = answer(lambda z: ck.sparse_categorical_crossentropy(tensor(labels), z, from_logits=True), z)
    exact = oracle.row_answers(labels, logits=z)
    q = np.eye(K)[labels]
    with np.errstate(over="ignore"):
        assert_close(got.losses, exact.loss, bound=rounding(z, q, dtype), dtype=dtype)
        assert_close(got.grad, exact.grad, bound=SUMS * slopes(z, q, dtype), dtype=dtype)


@pytest.mark.parametrize("way", WAYS)
def test_hard_rows_compiled(way: str) -> None:
    z, labels = hard_batch(10, np.float32, infinite=False)
    q = np.eye(10, dtype=np.float32)[labels]
    got = answer(lambda z: ck.categorical_crossentropy(q, z, from_logits=True), z, way)
    exact = oracle.row_answers(labels, logits=z)
    with np.errstate(over="ignore"):
        assert_close(got.losses, exact.loss, bound=rounding(z, q, np.float32))
        assert_close(got.grad, exact.grad, bound=SUMS * slopes(z, q, np.float32))


def test_soft_targets_of_hard_rows() -> None:
    z, labels = hard_batch(10, np.float64, infinite=False)
    q = soft_targets(Case("all", z, labels))
    got = answer(lambda z: ck.categorical_crossentropy(tensor(q), z, from_logits=True), z)
    exact = oracle.row_answers(q, logits=z)
    assert_close(got.losses, exact.loss, bound=rounding(z, q, np.float64))
    assert_close(got.grad, exact.grad, bound=SUMS * slopes(z, q, np.float64))


@pytest.mark.parametrize("name", ["ruled out", "one +inf"])
def test_infinite_logits(name: str) -> None:
    case = next(case for case in hard_cases(10, np.float32) if case.name == name)
    got = answer(lambda z: ck.sparse_categorical_crossentropy(tensor(case.targets), z, from_logits=True), case.logits)
    exact = oracle.row_answers(case.targets, logits=case.logits)
    assert np.isinf(got.losses).any()
    assert_close(got.losses, exact.loss, ulps=16)
    assert_close(got.grad, exact.grad, bound=1e-6)


@pytest.mark.parametrize("way", WAYS)
def test_a_confident_row_keeps_its_loss_and_gradient(way: str) -> None:
    z = np.array([[40.0, 0.0, -1.0], [0.0, 40.0, -300.0]], np.float32)
    got = answer(lambda z: ck.sparse_categorical_crossentropy(np.array([0, 0]), z, from_logits=True), z, way)
    exact = oracle.row_answers(np.array([0, 0]), logits=z)
    assert_close(got.losses, exact.loss, ulps=4)
    assert got.losses[0] < 1e-17
    assert_close(got.grad[:, :2], exact.grad[:, :2], ulps=8)
    assert got.grad[0, 0] < 0


@pytest.mark.parametrize("way", WAYS)
def test_equal_logits_have_the_right_gradient(way: str) -> None:
    got = answer(
        lambda z: ck.sparse_categorical_crossentropy(np.array([1]), z, from_logits=True), np.zeros((1, 4)), way
    )
    np.testing.assert_allclose(got.grad, [[0.25, -0.75, 0.25, 0.25]], rtol=1e-15)
    for name in ("binary_crossentropy", "binary_focal_crossentropy"):
        binary = answer(lambda z, name=name: getattr(ck, name)(np.eye(2), z, from_logits=True), np.zeros((2, 2)), way)
        sign = np.array([[-1, 1], [1, -1]])
        size = 0.25 if name == "binary_crossentropy" else 0.25 * (0.25 + np.log(2) / 2)
        np.testing.assert_allclose(binary.grad, sign * size, rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("from_logits", [True, False])
def test_hard_elements(from_logits: bool, gamma: float, dtype: Any) -> None:
    sizes = np.concatenate([np.linspace(0, 60, 61), [1e-3, 80.0]])
    z = np.concatenate([sizes, -sizes]).astype(dtype)
    x = z if from_logits else (1 / (1 + np.exp(-z.astype(np.float64)))).astype(dtype)
    for y in (0.0, 1.0):
        targets = np.full(x.shape, y)
        got = answer(
            lambda x, y=targets: ck.binary_focal_crossentropy(y[:, None], x, gamma=gamma, from_logits=from_logits),
            x[:, None],
        )
        exact = oracle_shapes.binary_answers(
            targets, shape=("focal", 1.0, gamma), **{"logits" if from_logits else "probs": x}
        )
        share = (1 + gamma) * (16 + np.minimum(np.abs(z), 1100)) * unit(dtype)
        size = np.array([float(v) for v in exact.loss.hi * 2.0**exact.loss.exp])
        tiny = 4 * float(np.finfo(dtype).tiny)
        finite = np.isfinite(size)
        assert_close(got.losses[finite], exact.loss[finite], bound=(share * size + tiny)[finite])
        assert np.isinf(got.losses[~finite]).all()
