"""compile, fit, evaluate, predict, save and load with every loss and metric; class and sample weights, masks."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import crossent as ce
import crossent.keras as ck
from keras_tools import BACKEND, array

pytestmark = [
    pytest.mark.frameworks,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of Keras' own training loops
]

RNG = np.random.default_rng(12)
X = RNG.normal(size=(48, 6)).astype(np.float32)  # batches divide 48: each further size compiles everything again
LABELS = np.argmax(X[:, :3], axis=1)
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]
BITS = (X[:, :3] > 0).astype(np.float32)
TASKS: dict[str, tuple[Any, str, dict[str, Any]]] = {
    "BinaryCrossentropy": (BITS, "sigmoid", {"label_smoothing": 0.1}),
    "BinaryFocalCrossentropy": (BITS, "linear", {"from_logits": True, "apply_class_balancing": True}),
    "CategoricalCrossentropy": (ONE_HOT, "softmax", {"clip": 1e-7}),
    "CategoricalFocalCrossentropy": (ONE_HOT, "linear", {"from_logits": True, "alpha": [0.5, 0.25, 0.25]}),
    "KLDivergence": (0.9 * ONE_HOT + 1 / 30, "softmax", {}),
    "SparseCategoricalCrossentropy": (LABELS, "linear", {"from_logits": True, "ignore_class": 7}),
}


def model(activation: str, loss: Any, metrics: Any = (), **options: Any) -> Any:
    """A compiled model of one layer, the same weights every time."""
    keras.utils.set_random_seed(1)
    net = keras.Sequential([keras.layers.Input((6,)), keras.layers.Dense(3, activation=activation)])
    net.compile(optimizer=keras.optimizers.SGD(0.5), loss=loss, metrics=list(metrics), **options)
    return net


@pytest.mark.parametrize("name", TASKS)
def test_fit_evaluate_save_load(name: str, tmp_path: Path) -> None:
    targets, activation, options = TASKS[name]
    loss = getattr(ck, name)(**options)
    shared = {key: value for key, value in options.items() if key in ("from_logits", "ignore_class", "clip")}
    metrics = [getattr(ck.metrics, name)(name="metric", **shared)] if hasattr(ck.metrics, name) else []
    net = model(activation, loss, metrics)
    history = net.fit(X, targets, batch_size=16, epochs=6, verbose=0).history
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    found = net.evaluate(X, targets, batch_size=48, verbose=0, return_dict=True)
    predicted = net.predict(X, batch_size=48, verbose=0)
    want = float(array(loss(targets, predicted)))
    np.testing.assert_allclose(found["loss"], want, rtol=1e-5)
    if metrics and not options.get("label_smoothing"):
        np.testing.assert_allclose(found["metric"], want, rtol=1e-5)
    path = tmp_path / "model.keras"
    net.save(path)
    again = keras.saving.load_model(path)
    assert type(again.loss) is type(loss)
    assert again.loss.get_config() == loss.get_config()
    np.testing.assert_allclose(
        again.evaluate(X, targets, batch_size=48, verbose=0, return_dict=True)["loss"], want, rtol=1e-5
    )
    again.fit(X, targets, batch_size=16, epochs=1, verbose=0)


@pytest.mark.parametrize("name", TASKS)
def test_configs_make_the_same_objects(name: str) -> None:
    _, _, options = TASKS[name]
    loss = getattr(ck, name)(**options, reduction="sum", name="mine", dtype="float64")
    copy = type(loss).from_config(loss.get_config())
    assert copy.get_config() == loss.get_config()
    assert (copy.name, copy.reduction, copy.dtype) == ("mine", "sum", "float64")
    for key, value in options.items():
        assert getattr(copy, key) == value
    rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(loss))
    assert type(rebuilt) is type(loss)
    if hasattr(ck.metrics, name):
        metric = getattr(ck.metrics, name)(name="mine")
        rebuilt = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(metric))
        assert type(rebuilt) is type(metric)
        assert rebuilt.get_config() == metric.get_config()


@pytest.mark.parametrize("name", TASKS)
def test_signatures_are_keras_with_clip_behind(name: str) -> None:
    import inspect

    pairs = [(getattr(ck.losses, name), getattr(keras.losses, name))]
    function = "".join("_" + c.lower() if c.isupper() else c for c in name).strip("_").replace("k_l_", "kl_")
    pairs.append((getattr(ck, function), getattr(keras.losses, function)))
    if hasattr(ck.metrics, name):
        pairs.append((getattr(ck.metrics, name), getattr(keras.metrics, name)))
    for ours, theirs in pairs:
        got, want = ([(p.name, p.default) for p in inspect.signature(f).parameters.values()] for f in (ours, theirs))
        assert [p for p in got if p in want] == want
        more = [p for p in got if p not in want]
        lately = [("ignore_class", None), ("axis", -1)]  # Keras 3.8 has neither in all its sparse classes
        assert [p for p in more if p not in lately] == [("clip", None)]


def test_class_and_sample_weights_reach_the_loss() -> None:
    weights = {0: 1.0, 1: 3.0, 2: 0.0}
    sample = np.linspace(0, 2, 48).astype(np.float32)
    for extra in ({"class_weight": weights}, {"sample_weight": sample}):
        got = []
        for where in (ck, keras.losses):
            net = model("linear", where.SparseCategoricalCrossentropy(from_logits=True))
            got.append(net.fit(X, LABELS, batch_size=16, epochs=2, verbose=0, shuffle=False, **extra).history["loss"])
        np.testing.assert_allclose(got[0], got[1], rtol=1e-5)


def test_masks_of_an_embedding_reach_the_loss() -> None:
    words = np.array([[1, 2, 3, 0], [4, 0, 0, 0], [5, 6, 0, 0]])
    tags = np.array([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0]])
    got = []
    for where in (ck, keras.losses):
        keras.utils.set_random_seed(2)
        net = keras.Sequential([keras.layers.Embedding(8, 4, mask_zero=True), keras.layers.Dense(2)])
        net.compile(optimizer="sgd", loss=where.SparseCategoricalCrossentropy(from_logits=True))
        got.append(net.fit(words, tags, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(got[0], got[1], rtol=1e-5)


def test_a_saturated_softmax_trains_on() -> None:
    """Inputs of size 1e4 make softmax 0 where it should be 1; the weights stay finite on every backend."""
    net = model("softmax", ck.SparseCategoricalCrossentropy())
    net.optimizer.learning_rate = 1e-4
    net.fit(1e3 * X, LABELS, batch_size=16, epochs=3, verbose=0)
    assert all(np.isfinite(w).all() for w in net.get_weights())
    if BACKEND != "jax":  # there the logits do not show behind the probabilities
        assert np.isfinite(net.evaluate(1e3 * X, LABELS, batch_size=16, verbose=0))


# ---------------------------------------------------------------- metrics


def test_metrics_give_keras_values() -> None:
    p = np.exp(X[:, :3]) / np.exp(X[:, :3]).sum(axis=1, keepdims=True)
    sample = np.linspace(0, 2, 48).astype(np.float32)
    for name in ck.metrics.__all__[:4]:
        targets = LABELS if name.startswith("Sparse") else ONE_HOT
        for weight in (None, sample):
            ours, theirs = (getattr(where, name)() for where in (ck.metrics, keras.metrics))
            for metric in (ours, theirs):
                metric.update_state(targets, p, weight)
                metric.update_state(targets, p[::-1].copy(), weight)
            assert ours.name == theirs.name
            rtol = 1e-4 if name == "KLDivergence" else 2e-6  # Keras moves zeros of the targets to 1e-7
            np.testing.assert_allclose(array(ours.result()), array(theirs.result()), rtol=rtol)
            ours.reset_state()
            assert float(array(ours.result())) == 0


def test_a_metric_leaves_ignored_rows_out() -> None:
    metric = ck.metrics.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    metric.update_state(np.array([0, -1, -1]), np.zeros((3, 2), np.float32))
    np.testing.assert_allclose(array(metric.result()), np.log(2), rtol=1e-6)
    weight = np.array([3.0, 0.0, 1.0], np.float32)
    metric.update_state(np.array([0, 1, -1]), np.array([[-100.0, 0.0]] * 3, np.float32), sample_weight=weight)
    np.testing.assert_allclose(array(metric.result()), (np.log(2) + 3 * 100) / 4, rtol=1e-6)


# ---------------------------------------------------------------- lifted losses


@pytest.mark.parametrize(
    "kind",
    [
        ce.CrossEntropy(label_smoothing=0.1, class_weight=[1.0, 2.0, 0.5]),
        ce.CrossEntropy(temperature=2.0, softcap=20.0, z_loss=1e-3, ignore_index=1),
        ce.Focal(gamma=1.5, alpha=[0.5, 1.0, 2.0]),
        ce.Poly1(epsilon=0.5),
        ce.GeneralizedCrossEntropy(q=0.7),
        ce.SymmetricCrossEntropy(),
        ce.LogitAdjusted(priors=[5, 3, 1]),
        ce.Bootstrap(beta=0.8, hard=True),
        ce.Bootstrap(beta=0.8),
    ],
    ids=lambda kind: type(kind).__name__,
)  # fmt: skip
def test_lifted_losses_over_classes(kind: Any) -> None:
    z = X[:, :3]
    lifted = ck.loss(kind, from_logits=True, reduction="none")
    want = type(kind)(**{**_options(kind), "reduction": "none"})
    np.testing.assert_allclose(array(lifted(LABELS, z)), want(LABELS, logits=z), rtol=1e-5, atol=1e-7)
    if kind.ignore_index is None:
        np.testing.assert_allclose(array(lifted(ONE_HOT, z)), want(ONE_HOT, logits=z), rtol=1e-5, atol=1e-7)
    again = type(lifted).from_config(lifted.get_config())
    np.testing.assert_array_equal(array(again(LABELS, z)), array(lifted(LABELS, z)))


def _options(kind: Any) -> dict[str, Any]:
    import dataclasses

    return {field.name: getattr(kind, field.name) for field in dataclasses.fields(kind)}


@pytest.mark.parametrize("from_logits", [True, False])
def test_lifted_losses_of_independent_labels(from_logits: bool) -> None:
    z = X[:, :3] if from_logits else 1 / (1 + np.exp(-X[:, :3]))
    for kind in (
        ce.BinaryCrossEntropy(pos_weight=[1.0, 2.0, 3.0], label_smoothing=0.1),
        ce.BinaryFocal(gamma=1.0, alpha=0.3, class_weight=[1.0, 2.0]),
    ):
        lifted = ck.loss(kind, from_logits=from_logits, reduction="none")
        want = type(kind)(**{**_options(kind), "reduction": "none"})
        rows = want(BITS, **{"logits" if from_logits else "probs": z}).mean(axis=1)
        np.testing.assert_allclose(array(lifted(BITS, z)), rows, rtol=1e-5)


def test_a_lifted_loss_trains_and_loads(tmp_path: Path) -> None:
    net = model("linear", ck.loss(ce.Poly1(epsilon=0.5), from_logits=True))
    history = net.fit(X, LABELS, batch_size=16, epochs=6, verbose=0).history
    assert history["loss"][-1] < 0.85 * history["loss"][0]
    net.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    got, want = (which.evaluate(X, LABELS, batch_size=48, verbose=0) for which in (again, net))
    np.testing.assert_allclose(got, want, rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (ce.CrossEntropy(reduction="sum"), ce.UnsupportedError, "reduction belongs to the Keras loss"),
        (ce.CrossEntropy(class_weight="balanced"), ce.UnsupportedError, "balanced_weights"),
        (ce.CrossEntropy(unit="bit"), ce.UnsupportedError, "unit is 'bit', which a Keras loss does not take"),
        (ce.CrossEntropy(temperature=2.0), ce.UnsupportedError, "temperature is for logits"),
        (ce.LinearCrossEntropy(), ce.UnsupportedError, "LinearCrossEntropy is no loss of a model's output"),
        (ce.Focal, ce.OptionError, "an object such as"),
        (keras.losses.BinaryCrossentropy(), ce.OptionError, "an object such as"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_lifted(options: Any, error: Any, text: str) -> None:
    with pytest.raises(error, match=text):
        ck.loss(options)
