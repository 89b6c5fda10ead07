"""Whatever a tally can hold makes a text, a page, a notebook piece and every picture: odd sizes, infinities, labels."""

import numpy as np
import pytest

from crossent import plots
from crossent.report import to_html, to_json, to_text
from crossent.scoring import Tally
from crossent.scoring.compare_tally import CompareTally
from pages import assert_self_contained
from results import HOSTILE

# A font without some letter is the reader's business; text on a page is drawn in the reader's own.
pytestmark = pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
PICTURES = (plots.reliability, plots.loss_histogram, plots.waterfall, plots.segments, plots.confusion)


def drawn(k, n, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k), n)
    return rng.integers(0, k, n), p, rng


def score_of(y, p, labels=None, *, keys=None, weight=None, **options):
    names = labels or [f"c{j}" for j in range(p.shape[1])]
    tally = Tally(names, by=("part",), **options)
    part = np.array(HOSTILE)[np.arange(len(y)) % len(HOSTILE)]
    more = {} if keys is None else {"cluster": keys}
    tally.update(y, p, by={"part": part}, sample_weight=weight, **more)
    return tally.result(redraws=40)


def some_scores():
    """By name: a function that makes the score."""
    y, p, rng = drawn(3, 300)
    two, q, _ = drawn(2, 300)
    zero = p.copy()
    zero[5] = np.eye(3)[(y[5] + 1) % 3]
    keys = np.arange(300) % 40
    return {
        "one class": lambda: score_of(np.zeros(3, np.int64), np.ones((3, 1))),
        "one row": lambda: score_of(np.array([0]), np.array([[0.25, 0.75]])),
        "one row of three": lambda: score_of(np.array([2]), np.array([[0.25, 0.5, 0.25]])),
        "nothing finite": lambda: score_of(np.zeros(4, np.int64), np.tile([0.0, 1.0], (4, 1))),
        "perfect": lambda: score_of(y, np.eye(3)[y]),
        "perfect of two": lambda: score_of(two, np.eye(2)[two]),
        "coins": lambda: score_of(two, np.full((300, 2), 0.5)),
        "infinite": lambda: score_of(y, zero),
        "infinite of two": lambda: score_of(two, np.where(np.arange(300)[:, None] == 7, np.eye(2)[1 - two], q)),
        "hostile": lambda: score_of(*drawn(len(HOSTILE), 300)[:2], HOSTILE),
        "weights": lambda: score_of(y, p, weight=rng.random(300)),
        "clusters": lambda: score_of(y, p, keys=keys, cluster=True),
        "bootstrap": lambda: score_of(y, p, ci="bootstrap"),
        "prior": lambda: score_of(y, p, prior=[0.2, 0.3, 0.5]),
        "prior of zero": lambda: score_of(y, p, prior=[0.0, 0.5, 0.5]),
        "clip": lambda: score_of(y, zero, clip=1e-3),
        "many classes": lambda: score_of(*drawn(230, 460)[:2]),
        "no row of a class": lambda: score_of(y % 2, p),
        "one class of three": lambda: score_of(np.zeros(300, np.int64), p),
    }


SCORES = some_scores()


@pytest.mark.parametrize("name", SCORES)
def test_every_report_of_every_score(name):
    score = SCORES[name]()
    for draw in PICTURES:
        draw(score).figure.draw_without_rendering()
    assert to_text(score).count("\n") < 400
    assert "nan" not in to_text(score).split()
    assert_self_contained(to_html(score))
    assert_self_contained(score._repr_html_())
    assert to_json(score).startswith("{")


def compare_of(y, a, b, **options):
    tally = CompareTally(["x", "y"], names=("old", HOSTILE[0]), by=("part",), **options)
    tally.update(y, a, b, by={"part": np.array(HOSTILE)[np.arange(len(y)) % len(HOSTILE)]})
    return tally


def some_comparisons():
    y, p, _ = drawn(2, 300)
    _, q, _ = drawn(2, 300, seed=1)
    zero = q.copy()
    zero[5] = np.eye(2)[1 - y[5]]
    nothing = np.eye(2)[1 - y]
    return {
        "plain": lambda: compare_of(y, p, q).result(),
        "margin": lambda: compare_of(y, p, q).result(margin=0.05),
        "the same": lambda: compare_of(y, p, p).result(),
        "infinite in B": lambda: compare_of(y, p, zero).result(),
        "infinite in A": lambda: compare_of(y, zero, p).result(),
        "nothing finite": lambda: compare_of(y, nothing, nothing).result(),
        "one row": lambda: compare_of(y[:1], p[:1], q[:1]).result(),
        "bootstrap": lambda: compare_of(y, p, q, ci="bootstrap").result(),
    }


COMPARISONS = some_comparisons()


@pytest.mark.parametrize("name", COMPARISONS)
def test_every_report_of_every_comparison(name):
    compare = COMPARISONS[name]()
    for draw in (plots.segments, plots.difference):
        draw(compare).figure.draw_without_rendering()
    assert "nan" not in to_text(compare).split()
    assert_self_contained(compare._repr_html_())
    assert to_json(compare).startswith("{")
