"""The family's public face: every parameter's range, messages, functions that are the objects, equality, pickles."""

import dataclasses
import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import crossent as ce
from crossent import family, shorthands

Z = np.array([[0.5, 1.0, -0.25], [4.0, -1.0, 0.5], [-3.0, 3.5, 3.0]])
Y = np.array([0, 2, 1])
PAIRS: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "focal": (ce.focal, ce.Focal, {"gamma": 1.5, "alpha": [0.5, 1.0, 2.0]}),
    "poly1": (ce.poly1, ce.Poly1, {"epsilon": -0.5}),
    "generalized_cross_entropy": (ce.generalized_cross_entropy, ce.GeneralizedCrossEntropy, {"q": 0.3}),
    "symmetric_cross_entropy": (
        ce.symmetric_cross_entropy,
        ce.SymmetricCrossEntropy,
        {"alpha": 0.3, "beta": 2.0, "log_zero": -6.0},
    ),
    "logit_adjusted": (ce.logit_adjusted, ce.LogitAdjusted, {"priors": [5, 3, 2], "tau": 0.7}),
    "bootstrap": (ce.bootstrap, ce.Bootstrap, {"beta": 0.7, "hard": True}),
    "binary_focal": (ce.binary_focal, ce.BinaryFocal, {"gamma": 1.5, "alpha": 0.25}),
}
LOSSES = {name: pair[1](**pair[2]) for name, pair in PAIRS.items()}


def labels(name: str) -> Any:
    return (Y[:, None] == np.arange(3)).astype(float) if name == "binary_focal" else Y


# ---------------------------------------------------------------- functions and objects


@pytest.mark.parametrize("name", PAIRS)
def test_functions_are_the_objects(name: str) -> None:
    function, kind, own = PAIRS[name]
    y, w = labels(name), np.array([1.0, 0.0, 2.5])
    for more in ({}, {"reduction": "none", "unit": "bit"}, {"label_smoothing": 0.2, "reduction": "sum"}):
        np.testing.assert_array_equal(function(y, logits=Z, **own, **more), kind(**own, **more)(y, logits=Z))
        weighted = function(y, logits=Z, sample_weight=w, **own, **more)
        np.testing.assert_array_equal(weighted, kind(**own, **more)(y, logits=Z, sample_weight=w))
    defaults = {field.name: field.default for field in dataclasses.fields(kind)}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in own and parameter.name != "priors":
            assert parameter.default == defaults[parameter.name]


def test_every_loss_has_its_function() -> None:
    assert {pair[1].__name__ for pair in PAIRS.values()} == set(family.__all__)
    assert set(PAIRS) == set(shorthands.__all__)


@pytest.mark.parametrize("name", PAIRS)
def test_objects_hold_options_and_nothing_else(name: str) -> None:
    """Frozen, equal by value, with a hash of it, picklable, and shown by their options."""
    _, kind, own = PAIRS[name]
    loss = kind(**own, reduction="sum")
    with pytest.raises(dataclasses.FrozenInstanceError):
        loss.reduction = "mean"
    assert loss == kind(**own, reduction="sum")
    assert hash(loss) == hash(kind(**own, reduction="sum"))
    assert loss != kind(**own)
    assert loss != ce.CrossEntropy(reduction="sum")
    again = pickle.loads(pickle.dumps(loss))
    assert again == loss
    np.testing.assert_array_equal(again(labels(name), logits=Z), loss(labels(name), logits=Z))
    assert repr(loss).startswith(kind.__name__ + "(")
    for field, value in own.items():
        other = {"hard": False, "priors": [5, 3, 3], "alpha": 0.5, "log_zero": -1.0}.get(field, 0.9)
        assert kind(**{**own, field: other}) != kind(**own), field
        assert f"{field}={value}" in repr(loss)


def test_own_options_may_be_positional_and_shared_ones_not() -> None:
    assert ce.Focal(1.0, 0.5) == ce.Focal(gamma=1.0, alpha=0.5)
    assert ce.LogitAdjusted([1, 2], 0.5) == ce.LogitAdjusted(priors=[1, 2], tau=0.5)
    with pytest.raises(TypeError):
        ce.Poly1(1.0, -1)


def test_arrays_are_the_losses_own() -> None:
    """Whoever changes theirs later does not change the loss."""
    alpha, priors = np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0])
    losses = ce.Focal(2.0, alpha), ce.LogitAdjusted(priors)
    before = [loss(Y, logits=Z) for loss in losses]
    alpha[:] = priors[:] = 7
    assert [loss(Y, logits=Z) for loss in losses] == before


def test_classes_name_the_keys_of_alpha() -> None:
    named = ce.Focal(1.0, {"a": 2.0, "c": 0.5}, classes=["a", "b", "c"])
    assert named(["a", "c", "b"], logits=Z) == ce.Focal(1.0, [2.0, 1.0, 0.5])(Y, logits=Z)


# ---------------------------------------------------------------- ranges

NOT_NUMBERS: list[Any] = ["1", None, [1.0], True, np.array([1.0]), np.array([1.0, 2.0]), 1j, float("nan")]
RANGES: dict[tuple[Any, str], tuple[list[Any], list[Any]]] = {
    (ce.Focal, "gamma"): ([0, 0.0, 5, 1e100, np.float32(2)], [-1e-9, np.inf, -np.inf, 1e101]),
    (ce.Focal, "alpha"): ([0.25, 4, None, [1.0, 0.0, 2.0]], [0.0, -1.0, np.inf]),
    (ce.BinaryFocal, "gamma"): ([0, 2.5], [-0.1, np.inf]),
    (ce.BinaryFocal, "alpha"): ([0, 1, 0.25, None], [-0.1, 1.1, [0.5, 0.5], "x"]),
    (ce.Poly1, "epsilon"): ([-1, 0, 3], [-1.0001, np.inf]),
    (ce.GeneralizedCrossEntropy, "q"): ([1, 1e-100, 0.5], [0, -0.5, 1.0001, 1e-101]),
    (ce.SymmetricCrossEntropy, "alpha"): ([0, 1, 7.5], [-1, np.inf]),
    (ce.SymmetricCrossEntropy, "beta"): ([0, 1, 7.5], [-1, np.inf]),
    (ce.SymmetricCrossEntropy, "log_zero"): ([-4, -1e-9], [0, 1.0, -np.inf]),
    (ce.LogitAdjusted, "tau"): ([0, 1, 2.5], [-1, np.inf]),
    (ce.Bootstrap, "beta"): ([0, 1, 0.5], [-0.01, 1.01]),
    (ce.Bootstrap, "hard"): ([True, False], [0, 1, None, "yes"]),
    (ce.CrossEntropy, "temperature"): ([1, 1e-100, 1e100], [0, -1.0, np.inf, 1e-101]),
    (ce.CrossEntropy, "softcap"): ([None, 1e-100, 30], [0, -30.0, np.inf]),
    (ce.CrossEntropy, "z_loss"): ([0, 1e-4, 5], [-1e-4, np.inf]),
    (ce.CrossEntropy, "entropy_weight"): ([0, -1.0, 1.0], [np.inf, -np.inf, 1e101]),
}


@pytest.mark.parametrize(("kind", "name"), RANGES)
def test_ranges(kind: Any, name: str) -> None:
    """What is allowed works; what is not is an OptionError that says the name, the value and the range."""
    good, bad = RANGES[kind, name]
    own = {"priors": [1.0, 2.0, 3.0]} if kind is ce.LogitAdjusted else {}
    if kind is ce.SymmetricCrossEntropy:
        own = {"alpha": 1.0, "beta": 1.0}
    y = labels("binary_focal") if kind is ce.BinaryFocal else Y
    for value in good:
        assert np.isfinite(kind(**{**own, name: value})(y, logits=Z))
    wrong = [x for x in NOT_NUMBERS if not (name in ("alpha", "softcap") and x is None)]
    wrong = [x for x in wrong if not (name == "hard" and x is True) and not (kind is ce.Focal and name == "alpha")]
    for value in [*bad, *wrong]:
        with pytest.raises(ce.OptionError, match=rf"{name} is .*; .* is allowed") as caught:
            kind(**{**own, name: value})
        assert repr(value) in str(caught.value)


def test_a_loss_must_be_left() -> None:
    with pytest.raises(ce.OptionError, match="alpha and beta are both 0, which leaves no loss"):
        ce.SymmetricCrossEntropy(0, 0)


@pytest.mark.parametrize(
    ("priors", "error", "message"),
    [
        ([1.0, 2.0], ce.ShapeError, "priors has 2 numbers, but there are 3 classes"),
        ([[1.0, 2.0, 3.0]], ce.ShapeError, r"priors has shape \(1, 3\); one number for each class"),
        (5.0, ce.ShapeError, r"priors has shape \(\)"),
        ([], ce.ShapeError, "priors has shape"),
        ([1.0, 0.0, 2.0], ce.WeightError, r"priors\[1\] is 0.0; finite numbers > 0 are allowed. Add 1 to every count"),
        ([1.0, 2.0, -1.0], ce.WeightError, r"priors\[2\] is -1.0"),
        ([1.0, np.nan, 1.0], ce.WeightError, r"priors\[1\] is nan"),
        ([np.inf, 1.0, 1.0], ce.WeightError, r"priors\[0\] is inf"),
        ([1.0, 1e-305, 1.0], ce.WeightError, r"priors\[1\] is .* of their sum; 1e-300 is the least"),
        (["a", "b", "c"], ce.WeightError, "priors has dtype"),
        (None, ce.WeightError, "priors has dtype"),
    ],
)
def test_priors(priors: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ce.LogitAdjusted(priors)(Y, logits=Z)


@pytest.mark.parametrize(
    ("alpha", "error", "message"),
    [
        ([1.0, 2.0], ce.ShapeError, r"alpha has shape \(2,\), but there are 3 classes"),
        ([1.0, -2.0, 1.0], ce.WeightError, r"alpha\[1\] is -2.0; finite weights >= 0"),
        ([1.0, np.nan, 1.0], ce.WeightError, r"alpha\[1\] is nan"),
        ({7: 1.0}, ce.WeightError, "alpha names 7, which is not a class"),
        ("x", ce.CrossentError, "alpha"),
    ],
)
def test_alpha_of_classes(alpha: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        ce.Focal(2.0, alpha)(Y, logits=Z)


def test_scales_of_priors_do_not_matter() -> None:
    want = ce.LogitAdjusted([0.5, 0.25, 0.25])(Y, logits=Z)
    for scale in (1e-200, 4.0, 2.0**900):
        assert ce.LogitAdjusted(np.array([2.0, 1.0, 1.0]) * scale)(Y, logits=Z) == want


# ---------------------------------------------------------------- what is for logits only

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.2, 0.5, 0.3]])
OF_LOGITS: dict[str, Any] = {
    "temperature": ce.CrossEntropy(temperature=2.0),
    "softcap": ce.CrossEntropy(softcap=30.0),
    "z_loss": ce.CrossEntropy(z_loss=1e-4),
    "entropy_weight": ce.CrossEntropy(entropy_weight=-0.1),
    "temperature of Focal": ce.Focal(temperature=2.0),
}


@pytest.mark.parametrize("name", OF_LOGITS)
@pytest.mark.parametrize("kind", ["probs", "log_probs"])
def test_options_of_logits_are_refused_beside_probabilities(kind: str, name: str) -> None:
    x = P if kind == "probs" else np.log(P)
    for call in (OF_LOGITS[name], OF_LOGITS[name].value_and_grad):
        with pytest.raises(ce.UnsupportedError, match=rf"{name.split()[0]} is for logits; {kind} are past it"):
            call(Y, **{kind: x})


@pytest.mark.parametrize("name", PAIRS)
def test_curvature_is_one_of_two_words_and_needs_logits(name: str) -> None:
    loss, y = LOSSES[name], labels(name)
    for wrong in ("residual", None, 1):
        with pytest.raises(ce.OptionError, match=r"curvature is .*; one of 'exact', 'upper' is allowed"):
            loss.grad_and_hess(y, logits=Z, curvature=wrong)
    with pytest.raises(TypeError, match="probs"):
        loss.grad_and_hess(y, probs=P)
