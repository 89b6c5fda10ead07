"""Probabilities that come as logits are noted: they give a loss, but that of other predictions."""

import numpy as np
import pytest

import crossent as ce

RNG = np.random.default_rng(0)
P = RNG.dirichlet(np.ones(3), 50)
Y = RNG.integers(0, 3, 50)


def noted(result):
    return [note for note in result.notes if "lie in 0..1 and sum to 1" in note]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_notes_them(dtype):
    assert noted(ce.score(Y, logits=P.astype(dtype))) == [
        "the logits lie in 0..1 and sum to 1 in every row: if they are probabilities, pass them as probs"
    ]
    assert not noted(ce.score(Y, probs=P))
    assert not noted(ce.score(Y, logits=np.log(P)))


def test_one_block_of_logits_among_them_takes_the_note_away():
    like, other = ce.Tally("abc", kind="logits"), ce.Tally("abc", kind="logits")
    like.update(Y, P)
    other.update(Y, 2 * P)
    assert noted(ce.Tally.from_bytes(like.to_bytes()).result())
    assert not noted((like + other).result())
    assert not noted((other + like).result())


def test_a_comparison_names_whose_they_are():
    found = ce.compare(Y, logits={"old": np.log(P), "new": P})
    assert noted(found) == [
        "the logits of new lie in 0..1 and sum to 1 in every row: if they are probabilities, pass them as probs"
    ]
    tally = ce.CompareTally("abc", kind="logits")
    tally.update(Y, P, P)
    assert len(noted(ce.CompareTally.from_bytes(tally.to_bytes()).result())) == 2
