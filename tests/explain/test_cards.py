"""The loss cards name what is there, and their formulas and claims are true."""

import inspect
import math

import numpy as np
import pytest

import crossent as ce
from crossent.explain import CARDS


def test_every_loss_of_the_package_has_a_card():
    losses = {n for n in ce.__all__ if inspect.isclass(getattr(ce, n)) and hasattr(getattr(ce, n), "value_and_grad")}
    behind_a_layer = {name for name in losses if name.startswith("Linear")}  # the same losses of other inputs
    assert {card.name for card in CARDS} == losses - behind_a_layer
    for card in CARDS:
        assert callable(getattr(ce, card.function))


def test_the_formulas_are_those_of_the_losses():
    z, y = np.array([1.0, -2.0, 0.5]), 2
    assert ce.cross_entropy([y], logits=[z]) == pytest.approx(math.log(sum(np.exp(z))) - z[y])
    assert ce.binary_cross_entropy([1], logits=[0.3]) == pytest.approx(math.log(1 + math.exp(0.3)) - 0.3)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_what_is_called_convex_is_convex(card):
    if not card.convex:
        pytest.skip("not claimed")
    rng = np.random.default_rng(0)
    a, b = rng.normal(scale=3, size=(2, 200, 3))
    y = rng.integers(0, 2, (200, 3)) if card.name.startswith("Binary") else rng.integers(0, 3, 200)
    loss = getattr(ce, card.name)(reduction="none")
    middle, ends = loss(y, logits=(a + b) / 2), (loss(y, logits=a) + loss(y, logits=b)) / 2
    assert np.all(middle <= ends + 1e-12)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_what_is_called_proper_has_its_minimum_at_the_truth(card):
    if not card.proper:
        pytest.skip("not claimed")
    truth = np.array([[0.2, 0.3, 0.5]])
    loss = getattr(ce, card.name)()
    best = loss(truth, probs=truth)
    others = np.random.default_rng(0).dirichlet([1, 1, 1], size=200)
    assert all(loss(truth, probs=other[None]) > best for other in others)


def test_a_card_is_plain():
    assert CARDS[0].to_dict()["name"] == "CrossEntropy"
