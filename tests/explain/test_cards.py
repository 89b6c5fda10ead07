"""The loss cards name what is there, and their formulas and every yes and no are true."""

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import crossent as ce
from crossent.explain import CARDS

PRIORS = np.array([0.6, 0.3, 0.1])
NAMES = [card.name for card in CARDS]
Rows = Callable[[Any, Any], Any]  # (targets, logits [N, 3]) -> losses [N]


def rows_of(name: str, **options: Any) -> Rows:
    """The loss of each row of logits, summed over independent labels."""
    if name == "LogitAdjusted":
        options = {"priors": PRIORS, **options}
    loss = getattr(ce, name)(reduction="none", **options)

    def rows(targets: Any, logits: Any) -> Any:
        if name.startswith("Linear"):
            return loss(targets, hidden=logits, weight=np.eye(3))
        losses = loss(targets, logits=logits)
        return losses if losses.ndim == 1 else losses.sum(axis=1)

    return rows


def is_binary(name: str) -> bool:
    return "Binary" in name


def truths(name: str) -> tuple[Any, Any]:
    """True probabilities [50, 3], and the logits at which the model says just these."""
    rng = np.random.default_rng(1)
    pi = rng.uniform(0.02, 0.98, (50, 3)) if is_binary(name) else 0.02 + 0.94 * rng.dirichlet(np.ones(3), 50)
    if is_binary(name):
        return pi, np.log(pi / (1 - pi))
    adjusted = np.log(PRIORS) if name == "LogitAdjusted" else 0.0
    return pi, np.log(pi) - adjusted


def slope(rows: Rows, targets: Any, z: Any) -> Any:
    """The gradient by central differences."""
    h = 1e-5
    return np.stack([(rows(targets, z + h * e) - rows(targets, z - h * e)) / (2 * h) for e in np.eye(3)], axis=1)


def is_proper(name: str, **options: Any) -> bool:
    """Whether no step from the truth makes the expected loss smaller: none along the slope, none at random."""
    rows, (pi, z) = rows_of(name, **options), truths(name)
    rng = np.random.default_rng(2)
    at_truth, g = rows(pi, z), slope(rows, pi, z)
    steps = [-t * g for t in (1.0, 0.1, 0.01)]
    steps += [t * rng.normal(size=z.shape) for t in (3.0, 1.0, 0.1, 0.01)]
    lower = np.min([rows(pi, z + step) - at_truth for step in steps], axis=0)
    if np.all(lower >= -1e-9):
        assert np.all(np.abs(g) < 1e-7)
        return True
    assert np.median(lower) < -1e-7, "neither clearly proper nor clearly not"
    return False


def is_convex(name: str, **options: Any) -> bool:
    """Whether second differences are >= 0: random directions, and the target's logit against the others."""
    rows, rng, N, h = rows_of(name, **options), np.random.default_rng(3), 6000, 0.05
    z = rng.normal(size=(N, 3)) * rng.choice([0.1, 1, 3, 6], size=(N, 1))
    z[:9] = 0
    labels = rng.integers(0, 2, (N, 3)) if is_binary(name) else rng.integers(0, 3, N)
    v = rng.normal(size=(N, 3))
    v[::2] = np.eye(3)[rng.integers(0, 3, N)[::2] if is_binary(name) else labels[::2]]
    second = (rows(labels, z + h * v) + rows(labels, z - h * v) - 2 * rows(labels, z)) / h**2
    if second.min() >= -1e-9:
        return True
    assert second.min() < -1e-7, "neither clearly convex nor clearly not"
    return False


def test_every_loss_of_the_package_has_a_card() -> None:
    losses = {n for n in ce.__all__ if inspect.isclass(getattr(ce, n)) and hasattr(getattr(ce, n), "value_and_grad")}
    assert set(NAMES) == losses
    assert len(NAMES) == len(losses)
    for card in CARDS:
        assert callable(getattr(ce, card.function))
        assert card.source
        assert card.use


@pytest.mark.parametrize("card", CARDS, ids=NAMES)
def test_sources_are_those_of_the_classes(card: Any) -> None:
    """The first author stands in the class's own docstring, unless that says that its source is another loss."""
    author = card.source.split(",")[0].split(" ")[0]
    own = getattr(ce, card.name).__doc__.split("Source:")[1]
    if card.name not in ("CrossEntropy", "BinaryCrossEntropy", "LinearBinaryCrossEntropy"):
        assert author in own


@pytest.mark.parametrize("card", CARDS, ids=NAMES)
def test_what_is_called_proper_is_and_nothing_else(card: Any) -> None:
    assert is_proper(card.name) == card.proper


@pytest.mark.parametrize("card", CARDS, ids=NAMES)
def test_what_is_called_convex_is_and_nothing_else(card: Any) -> None:
    assert is_convex(card.name) == card.convex


REMARKS: list[tuple[str, dict[str, Any], bool, bool]] = [  # options, proper, convex
    ("Focal", {"gamma": 0.0}, True, True),
    ("Focal", {"gamma": 0.25}, False, False),
    ("Focal", {"gamma": 5.0}, False, False),
    ("BinaryFocal", {"gamma": 0.0}, True, True),
    ("BinaryFocal", {"gamma": 0.5}, False, False),
    ("Poly1", {"epsilon": 0.0}, True, True),
    ("Poly1", {"epsilon": -1.0}, False, True),
    ("Poly1", {"epsilon": 1.25}, False, False),
    ("GeneralizedCrossEntropy", {"q": 0.1}, False, False),
    ("GeneralizedCrossEntropy", {"q": 1.0}, False, False),
    ("SymmetricCrossEntropy", {"beta": 0.0}, True, True),
    ("SymmetricCrossEntropy", {"beta": 0.25}, False, True),
    ("SymmetricCrossEntropy", {"beta": 0.3}, False, False),
    ("Bootstrap", {"beta": 1.0}, True, True),
    ("Bootstrap", {"beta": 0.68}, False, True),  # 0.68 >= 0.32 (1 + log 3)
    ("Bootstrap", {"beta": 0.3}, False, False),
    ("Bootstrap", {"hard": True}, False, False),
]


@pytest.mark.parametrize(("name", "options", "proper", "convex"), REMARKS, ids=str)
def test_remarks_are_true(name: str, options: dict[str, Any], proper: bool, convex: bool) -> None:
    assert is_proper(name, **options) == proper
    assert is_convex(name, **options) == convex


def test_the_bend_of_entropy_is_bounded_as_the_head_says() -> None:
    """beta Var - (1 - beta)(Var + third moment) >= 0 while beta >= (1 - beta)(1 + log K), also for many classes."""
    rng = np.random.default_rng(4)
    for K, beta in ((3, 0.68), (20, 0.8), (400, 0.875)):
        assert beta >= (1 - beta) * (1 + math.log(K))
        rows = ce.Bootstrap(beta=beta, reduction="none")
        z = rng.normal(size=(400, K)) * rng.choice([0.3, 1, 3], size=(400, 1))
        z[:200, 0] += rng.uniform(0, 8, 200)
        v = rng.normal(size=z.shape)
        v[::2] = np.eye(K)[0]
        y = np.zeros(400, int)
        second = rows(y, logits=z + 0.05 * v) + rows(y, logits=z - 0.05 * v) - 2 * rows(y, logits=z)
        assert second.min() > -1e-12


def test_the_formulas_are_those_of_the_losses() -> None:
    z, y, g = np.array([1.0, -2.0, 0.5]), 2, 0.3
    p, L = np.exp(z) / np.exp(z).sum(), -np.log(np.exp(z) / np.exp(z).sum())
    adjusted = PRIORS**2 * np.exp(z) / (PRIORS**2 * np.exp(z)).sum()
    n = 1 / (1 + math.exp(0.3))
    expected = {
        "CrossEntropy": ({}, math.log(sum(np.exp(z))) - z[y]),
        "Focal": ({"gamma": g}, (1 - p[y]) ** g * L[y]),
        "Poly1": ({"epsilon": g}, L[y] + g * (1 - p[y])),
        "GeneralizedCrossEntropy": ({"q": g}, (1 - p[y] ** g) / g),
        "SymmetricCrossEntropy": ({"alpha": g, "beta": 2, "log_zero": -3}, g * L[y] + 6 * (1 - p[y])),
        "LogitAdjusted": ({"priors": PRIORS, "tau": 2}, -math.log(adjusted[y])),
        "Bootstrap": ({"beta": g}, g * L[y] + (1 - g) * (p * L).sum()),
        "LinearCrossEntropy": ({}, L[y]),
    }
    assert {*expected} == {name for name in NAMES if not is_binary(name)}
    for name, (options, value) in expected.items():
        assert rows_of(name, **options)([y], z[None])[0] == pytest.approx(value), name
    hard = ce.Bootstrap(beta=g, hard=True)([y], logits=[z])
    assert hard == pytest.approx(g * L[y] - (1 - g) * math.log(max(p)))
    assert ce.binary_cross_entropy([1], logits=[0.3]) == pytest.approx(math.log(1 + math.exp(0.3)) - 0.3)
    assert ce.binary_focal([1], logits=[0.3], gamma=g) == pytest.approx(n**g * -math.log(1 - n))
    assert ce.binary_focal([0], logits=[0.3], gamma=g) == pytest.approx((1 - n) ** g * -math.log(n))


def minimum(loss: Any, pi: Any, steps: int = 3000) -> Any:
    """Logits with the least expected loss, by gradient descent from the truth."""
    z = np.log(pi)
    for _ in range(steps):
        z = z - loss.value_and_grad(pi, logits=z).grad
    assert np.abs(loss.value_and_grad(pi, logits=z).grad).max() < 1e-6
    return z


def test_focal_has_the_right_class_and_not_its_probability() -> None:
    pi = np.random.default_rng(5).dirichlet(np.ones(3), 40)
    pi = pi[(pi.min(axis=1) > 0.05) & (np.sort(pi)[:, 2] - np.sort(pi)[:, 1] > 0.05)]
    z = minimum(ce.Focal(reduction="sum"), pi)
    np.testing.assert_array_equal(z.argmax(axis=1), pi.argmax(axis=1))
    assert np.abs(ce.softmax(z) - pi).max(axis=1).min() > 1e-3
    z = np.linspace(-9, 9, 36001)
    for gamma in (0.25, 1.0, 2.0, 5.0):
        for truth in (0.6, 0.9, 0.99):
            losses = ce.BinaryFocal(gamma, reduction="none")(np.full(z.shape, truth), logits=z)
            assert 0.5 < ce.sigmoid(z[losses.argmin()]) < truth - 1e-3


def test_the_minimum_of_one_minus_p_is_a_sure_class() -> None:
    loss = ce.GeneralizedCrossEntropy(q=1.0)
    assert loss([[0.4, 0.6]], probs=[[0.0, 1.0]]) < loss([[0.4, 0.6]], probs=[[0.4, 0.6]])


def test_a_card_is_plain() -> None:
    assert CARDS[0].to_dict()["name"] == "CrossEntropy"
    assert all(isinstance(value, str | bool) for card in CARDS for value in card.to_dict().values())
