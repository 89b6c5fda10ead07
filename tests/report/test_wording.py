"""The verdict claims no more than the rows show; labels are made harmless."""

import dataclasses
import math

import numpy as np

from crossent.report import verdict
from crossent.report.wording import clipping_remark, number, percent
from crossent.scoring import Tally


def score_of(p_true, n=100):
    """Two equally common classes; every target gets p_true, give or take a little."""
    p = np.clip(p_true + 0.1 * np.sin(np.arange(n)), 0.001, 0.999)
    y = np.arange(n) % 2
    prediction = np.empty((n, 2))
    prediction[np.arange(n), y] = p
    prediction[np.arange(n), 1 - y] = 1 - p
    tally = Tally(["a", "b"])
    tally.update(y, prediction)
    return tally.result()


def test_better_worse_and_undecided():
    assert "% below the 0.6931 nat of the class shares alone" in verdict(score_of(0.85))
    assert "worse than the 0.6931 nat" in verdict(score_of(0.2))
    assert "do not show that the model knows more" in verdict(score_of(0.5))


def test_interval_level_and_rows_are_told():
    text = verdict(score_of(0.85))
    assert text.startswith("Log loss 0.16")
    assert "(95 % interval 0." in text
    assert "over 100 rows" in text


def test_mark_is_told():
    score = score_of(0.85)
    loss = dataclasses.replace(score.log_loss, mark="too few events: may be too short")
    assert "Too few events" in verdict(dataclasses.replace(score, log_loss=loss))


def test_infinity_is_told_first_and_clipping_beside_it():
    tally = Tally(["a", "b"])
    tally.update(np.array([0, 1, 1, 0]), np.array([[0.0, 1.0], [0.25, 0.75], [0.5, 0.5], [0.9, 0.1]]))
    score = tally.result()
    assert verdict(score).startswith("Log loss inf: 1 of 4 rows has probability 0 at the true class. The other 3")
    assert "2.2e-16 (scikit-learn, float64)" in clipping_remark(score)
    assert clipping_remark(score_of(0.9)) is None


def test_nothing_but_infinities_and_equal_rows():
    tally = Tally(["a", "b"])
    tally.update(np.array([0, 0]), np.array([[0.0, 1.0], [0.0, 1.0]]))
    assert verdict(tally.result()) == "Log loss inf: 2 of 2 rows have probability 0 at the true class."
    equal = Tally(["a", "b"])
    equal.update(np.array([0, 1]), np.array([[0.5, 0.5], [0.5, 0.5]]))
    assert "not estimable" in verdict(equal.result())
    one = Tally(["a", "b"])
    one.update(np.array([0]), np.array([[0.5, 0.5]]))
    assert "over 1 row: all rows have one class" in verdict(one.result())


def test_numbers():
    assert number(math.nan) == "nan"
    assert number(-math.inf) == "-inf"
    assert percent(0.9999999) == "over 99.999 %"
    assert percent(12.5) == "1,250 %"
