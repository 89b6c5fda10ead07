"""Confusion in bits: shades and numbers are those of the score; infinities and empty or many classes are drawn."""

import math

import numpy as np
import pytest
from matplotlib.figure import Figure

from crossent import plots
from results import HOSTILE, score_of


def shaded_cells(ax):
    """(line, column): opacity of every cell, from the filled paths."""
    found = {}
    for patch in ax.patches:
        if not patch.get_fill() or patch.get_facecolor()[3] == 0:
            continue
        for box in patch.get_path().to_polygons():
            (left, top), (right, bottom) = box.min(axis=0) + 0.5, box.max(axis=0) + 0.5
            assert bottom - top == 1
            for j in range(round(left), round(right)):
                found[round(top), j] = patch.get_alpha()
    return found


def test_every_cell_has_the_shade_of_its_bits():
    score = score_of(3)
    shades = shaded_cells(plots.confusion(score))
    for i, row in enumerate(score.confusion.bits):
        for j, bits in enumerate(row):
            assert shades.get((i, j), 0) == pytest.approx(max(0, 1 - bits / 10), abs=0.026)


def test_numbers_stand_in_their_cells():
    score = score_of(3, zero=True)
    ax = plots.confusion(score)
    ax.figure.canvas.draw()
    found = {(round(t.get_position()[1]), round(t.get_position()[0])): t.get_text() for t in ax.texts}
    assert found[0, 0] == "\u221e"
    assert (0, 0) not in shaded_cells(ax)
    assert float(found[1, 0]) == pytest.approx(score.confusion.bits[1][0], abs=0.005)


def test_a_class_without_rows_is_crossed_out():
    ax = plots.confusion(score_of(5))
    assert [line.get_ydata()[0] for line in ax.lines] == [4]
    assert not any(i == 4 for i, _ in shaded_cells(ax))


@pytest.mark.parametrize("k", [1, 13, 60, 200, 201])
def test_any_number_of_classes_can_be_drawn(k):
    ax = plots.confusion(score_of(k), ax=Figure().add_subplot())
    ax.figure.canvas.draw()
    assert len(ax.get_yticklabels()) <= 30
    if k > 12:
        assert len(ax.texts) == (1 if k > 200 else 0)
    if k > 200:
        assert ax.texts[0].get_text() == "201 classes are too many"


def test_the_diagonal_is_framed():
    (frame,) = (patch for patch in plots.confusion(score_of(4)).patches if patch.get_facecolor()[3] == 0)
    middles = [tuple(box.mean(axis=0)) for box in (p[:4] for p in frame.get_path().to_polygons())]
    assert middles == [(k, k) for k in range(4)]


def test_labels_are_cut_and_never_read_as_formulas():
    ax = plots.confusion(score_of(HOSTILE))
    texts = [*ax.get_xticklabels(), *ax.get_yticklabels()]
    assert all(len(t.get_text()) <= 14 and not t.get_parse_math() for t in texts)
    assert not set("".join(t.get_text() for t in texts)) & {"\u202e", "\u2066", "\x00", "\x1b", "\ud800"}


def test_long_labels_keep_the_ends_by_which_they_differ():
    ax = plots.confusion(score_of([f"category of number {k:04}" for k in range(4)]))
    assert [t.get_text()[-5:] for t in ax.get_yticklabels()] == [f" {k:04}" for k in range(4)]


def test_where_all_wrong_classes_are_improbable_shades_reach_further_and_that_is_said():
    k = 40
    bits = np.full((k, k), 12.0) - 10.0 * np.eye(k)
    bits[3, 4], bits[5, 6] = 9.0, math.inf
    sample = score_of(2).confusion
    score = score_of(k, confusion=type(sample)(sample.counts, sample.shares, tuple(map(tuple, bits.tolist())), None))
    ax = plots.confusion(score)
    shades = shaded_cells(ax)
    assert shades[3, 4] == pytest.approx(1 - 9 / 14, abs=0.026)
    assert shades[0, 1] == pytest.approx(1 - 12 / 14, abs=0.026)
    assert "white from 14 on" in ax.get_title(loc="left")
    assert "white from 10 on" in plots.confusion(score_of(3)).get_title(loc="left")


def test_shades_are_the_same_in_every_picture():
    """The darkest cell of two scores differs as their bits do."""
    good, bad = score_of(2), score_of(2)
    worse = tuple(tuple(min(6.9, 4 * x) for x in row) for row in bad.confusion.bits)
    bad = score_of(2, confusion=type(bad.confusion)(bad.confusion.counts, bad.confusion.shares, worse, None))
    darkest = [max(shaded_cells(plots.confusion(score)).values()) for score in (good, bad)]
    assert darkest[0] > darkest[1]
    assert not math.isnan(np.sum(darkest))
