"""The picture of a comparison: paired and own intervals on one scale, margin, segments, infinities."""

import math

import pytest

from crossent import plots
from results import compare_of, estimate


def intervals_of(ax):
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    return {line.get_ydata()[0]: tuple(line.get_xdata()) for line in lines}


def labels_of(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


def test_losses_and_difference_lie_on_one_scale():
    compare = compare_of()
    ax = plots.difference(compare)
    a, b = compare.losses
    found = intervals_of(ax)
    assert found[0] == pytest.approx((a.lower - a.value, a.upper - a.value))
    assert found[1] == pytest.approx((b.lower - a.value, b.upper - a.value))
    assert found[2] == (compare.difference.lower, compare.difference.upper)
    assert labels_of(ax) == ["A: old\u20020.5", "B: new\u20020.47", "difference"]
    assert ax.lines[0].get_xdata()[0] == 0


def test_the_margin_is_drawn_inside_the_axes():
    ax = plots.difference(compare_of(margin=0.9))
    assert any(list(line.get_xdata()) == [0.9, 0.9] for line in ax.lines)
    assert ax.get_xlim()[1] > 0.9
    assert "margin" in [t.get_text() for t in ax.texts]


def test_segments_follow():
    compare = compare_of(segments=2)
    ax = plots.difference(compare)
    assert labels_of(ax)[3:] == ["city", "town 0\u2002500", "town 1\u2002499"]
    assert intervals_of(ax)[4] == (compare.segments[0].difference.lower, compare.segments[0].difference.upper)


def test_infinite_losses_are_said_and_the_finite_rest_is_drawn():
    lost = estimate(math.inf)
    compare = compare_of(losses=(estimate(0.5, 0.03), lost), difference=lost, infinite=(0, 3, 1))
    ax = plots.difference(compare)
    ax.figure.canvas.draw()
    assert "4 rows with infinite losses left out: 0 of A, 3 of B, 1 of both" in [t.get_text() for t in ax.texts]
    assert list(intervals_of(ax)) == [2]
    assert labels_of(ax)[1] == "B: new\u2002\u221e"


def test_names_from_data_are_harmless():
    ax = plots.difference(compare_of(names=("$\\frac{", "\u202e" + "x" * 10_000)))
    ax.figure.canvas.draw()
    assert max(map(len, labels_of(ax))) < 40
    assert "\u202e" not in "".join(labels_of(ax))
