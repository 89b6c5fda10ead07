"""The picture of a comparison: paired and own intervals on one scale, margin, segments, infinities."""

import math

import pytest
from matplotlib.text import Annotation

from crossent import plots
from crossent.stats.sequence import Look
from results import compare_of, estimate


def intervals_of(ax):
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    return {line.get_ydata()[0]: tuple(line.get_xdata()) for line in lines}


def labels_of(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


def counts_of(ax):
    """What stands at the right edge, by line."""
    return {t.xy[1]: t.get_text() for t in ax.texts if isinstance(t, Annotation) and t.xy[0] == 1.0}


def test_losses_and_difference_lie_on_one_scale():
    compare = compare_of()
    ax = plots.difference(compare)
    a, b = compare.losses
    found = intervals_of(ax)
    assert found[0] == pytest.approx((a.lower - a.value, a.upper - a.value))
    assert found[1] == pytest.approx((b.lower - a.value, b.upper - a.value))
    assert found[2] == (compare.difference.lower, compare.difference.upper)
    assert labels_of(ax) == ["A: old", "B: new", "difference"]
    assert counts_of(ax) == {0: "0.5 nat", 1: "0.47 nat"}
    assert ax.lines[0].get_xdata()[0] == 0


def test_the_margin_is_drawn_inside_the_axes():
    ax = plots.difference(compare_of(margin=0.9))
    assert any(list(line.get_xdata()) == [0.9, 0.9] for line in ax.lines)
    assert ax.get_xlim()[1] > 0.9
    (name,) = (t for t in ax.texts if t.get_text() == "margin")
    ax.figure.canvas.draw()
    below = name.get_window_extent().transformed(ax.transData.inverted()).ymax  # the axis points down
    assert below < -0.2, "over the interval of A"


@pytest.mark.parametrize("margin", [0.001, 0.9])
def test_the_name_of_the_margin_stays_inside(margin):
    ax = plots.difference(compare_of(margin=margin))
    ax.figure.canvas.draw()
    (name,) = (t for t in ax.texts if t.get_text() == "margin")
    box, axes = name.get_window_extent(), ax.get_window_extent()
    assert axes.x0 <= box.x0
    assert box.x1 <= axes.x1


def test_segments_follow():
    compare = compare_of(segments=2)
    ax = plots.difference(compare)
    assert labels_of(ax)[3:] == ["city", "town 0", "town 1"]
    assert counts_of(ax) == {0: "0.5 nat", 1: "0.47 nat", 4: "n = 500", 5: "n = 499"}
    assert intervals_of(ax)[4] == (compare.segments[0].difference.lower, compare.segments[0].difference.upper)


@pytest.mark.parametrize(("value", "shown"), [(math.inf, "\u221e"), (-math.inf, "-\u221e"), (None, "\u2013")])
def test_an_infinite_difference_is_at_the_edge_and_the_finite_rest_is_called_so(value, shown):
    lost = estimate(math.inf)
    compare = compare_of(losses=(estimate(0.5, 0.03), lost), difference=estimate(value), infinite=(0, 3, 1))
    ax = plots.difference(compare)
    ax.figure.canvas.draw()
    assert "4 rows with infinite losses left out: 0 of A, 3 of B, 1 of both" in [t.get_text() for t in ax.texts]
    assert labels_of(ax) == ["A: old", "B: new", "difference", "finite rows"]
    assert [t.get_text() for t in ax.texts if isinstance(t, Annotation) and t.xy[1] == 2] == [shown]
    assert [line.get_ydata()[0] for line in ax.lines if line.get_marker() == "D"] == [3]
    assert list(intervals_of(ax)) == [0, 3]
    assert intervals_of(ax)[0] == pytest.approx((-0.06, 0.066))
    assert counts_of(ax)[1] == "\u221e nat"


def test_with_looks_the_interval_is_that_of_the_last_one():
    looks = (Look(250, -0.02, -0.2, 0.1, 0.95, 1000), Look(500, -0.03, -0.07, 0.01, 0.95, 1000))
    ax = plots.difference(compare_of(sequence=looks))
    assert labels_of(ax)[2] == "difference, at any look"
    assert intervals_of(ax)[2] == (-0.07, 0.01)
    silent = Look(90, -0.03, None, None, 0.95, 1000, why="no statement before n = 100")
    assert 2 not in intervals_of(plots.difference(compare_of(sequence=(silent,))))


def test_names_from_data_are_harmless():
    ax = plots.difference(compare_of(names=("$\\frac{", "\u202e" + "x" * 10_000)))
    ax.figure.canvas.draw()
    assert max(map(len, labels_of(ax))) < 40
    assert "\u202e" not in "".join(labels_of(ax))
