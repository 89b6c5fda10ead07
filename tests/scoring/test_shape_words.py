"""Shapes that are refused come with what to pass instead."""

import numpy as np
import pytest

import crossent as ce
from crossent.errors import ShapeError

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3]])


@pytest.mark.parametrize(
    ("targets", "p", "told"),
    [
        ([0, 1], P[:, :1], r"p\[:, 0\]"),
        (np.eye(3)[[0, 1]], P, r"targets\.argmax\(axis=1\)"),
        (np.array([[0], [1]]), P, r"targets\.reshape\(-1\)"),
        ([0, 1, 2], P, "There are 3 targets, and predictions of 2 rows"),
        (iter([0, 1]), P, r"targets is a list_iterator, which has no length: pass list\(targets\)"),
        (np.zeros((2, 2), int), P.reshape(2, 1, 3), r"p\.reshape\(-1, K\)"),
    ],
)
def test_each_case_has_its_advice(targets, p, told):
    again = list(targets) if hasattr(targets, "__next__") else None
    with pytest.raises(ShapeError, match=told):
        ce.score(targets, probs=p)
    with pytest.raises(ShapeError, match=told):
        ce.Tally("abc").update(iter(again) if again else targets, p)


def test_generators_as_predictions_are_refused():
    for call in (lambda p: ce.score([0, 1], probs=p), lambda p: ce.compare([0, 1], probs=[P, p])):
        with pytest.raises(ShapeError, match=r"is a generator, which has no length: pass list\(probs"):
            call(row for row in P)
    with pytest.raises(ShapeError, match=r"pass list\(probs\)"):
        ce.Tally("abc").update([0, 1], (row for row in P))
