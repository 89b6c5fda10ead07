"""The forest plot: every line shows its number; many are cut, infinite ones written, labels are harmless."""

import math
from dataclasses import replace

import pytest
from matplotlib.figure import Figure

from crossent import plots
from results import HOSTILE, MARK, compare_of, estimate, score_of


def labels_of(ax):
    return [t.get_text() for t in ax.get_yticklabels()]


def dots_of(ax):
    """(place, value, hollow) of every dot."""
    dots = [line for line in ax.lines if line.get_marker() in ("o", "D")]
    return [(d.get_ydata()[0], d.get_xdata()[0], d.get_markerfacecolor() != d.get_color()) for d in dots]


def intervals_of(ax):
    lines = [line for line in ax.lines if len(line.get_xdata()) == 2 and line.get_ydata()[0] == line.get_ydata()[1]]
    return {line.get_ydata()[0]: tuple(line.get_xdata()) for line in lines}


def test_segments_of_a_score_have_their_values_intervals_and_marks():
    score = score_of(3, segments=4)
    ax = plots.segments(score)
    assert labels_of(ax)[0] == "city"
    assert labels_of(ax)[1] == "town 0"
    assert [(t.xy[1], t.get_text()) for t in ax.texts] == [(k + 1, f"n = {10 + k}") for k in range(4)]
    assert dots_of(ax) == [(k + 1, s.log_loss.value, k == 0) for k, s in enumerate(score.segments)]
    assert intervals_of(ax) == {k + 1: (s.log_loss.lower, s.log_loss.upper) for k, s in enumerate(score.segments)}
    assert ax.lines[0].get_xdata()[0] == score.infinities.finite.value


def test_without_segments_a_score_shows_its_classes():
    score = score_of(3)
    ax = plots.segments(score)
    assert labels_of(ax) == list(score.classes)
    assert [x for _, x, _ in dots_of(ax)] == [c.log_loss.value for c in score.per_class]


def test_of_many_the_largest_are_kept_in_order_and_the_rest_counted():
    score = score_of(3, segments=100)
    ax = plots.segments(score)
    kept = [s.value for s in sorted(score.segments, key=lambda s: -s.n)[:39]]
    assert labels_of(ax)[0] == "city"
    assert labels_of(ax)[1:] == sorted(kept, key=lambda v: int(v.split()[1]))
    assert "61 smaller ones left out" in [t.get_text() for t in ax.texts]
    assert ax.figure.get_size_inches()[1] > 2 * plots.segments(score_of(3)).figure.get_size_inches()[1]


def test_infinite_and_missing_values_are_written_at_the_edge():
    score = score_of(3, segments=3)
    lost = replace(score.segments[0], log_loss=replace(estimate(math.inf), mark=None))
    none = replace(score.segments[1], log_loss=estimate(None))
    ax = plots.segments(replace(score, segments=(lost, none, score.segments[2])))
    ax.figure.canvas.draw()
    assert [t.get_text() for t in ax.texts if t.xy[0] < 1] == ["\u221e", "\u2013"]
    assert len(dots_of(ax)) == 1


def test_segments_of_a_compare_are_differences_around_zero():
    compare = compare_of(segments=3)
    ax = plots.segments(compare)
    assert [x for _, x, _ in dots_of(ax)] == [s.difference.value for s in compare.segments]
    assert ax.lines[0].get_xdata()[0] == 0
    assert "loss of B" in ax.get_xlabel()


@pytest.mark.parametrize("usetex", [False, True])
def test_hostile_labels_are_cut_and_never_read_as_formulas(usetex):
    import matplotlib

    with matplotlib.rc_context({"text.usetex": usetex}):
        ax = plots.segments(score_of(HOSTILE), ax=Figure().add_subplot())
    texts = ax.get_yticklabels()
    assert all(len(t.get_text()) < 40 and not t.get_parse_math() and not t.get_usetex() for t in texts)
    assert not set("".join(labels_of(ax))) & {"\u202e", "\u2066", "\x00", "\x1b", "\ud800"}


def test_nothing_to_show_is_an_empty_picture():
    ax = plots.segments(compare_of())
    ax.figure.canvas.draw()
    assert labels_of(ax) == []


def test_a_mark_draws_a_hollow_dot_only_where_it_stands():
    score = score_of(2)
    marked = replace(score.per_class[1], log_loss=estimate(0.3, 0.1, mark=MARK))
    assert [
        hollow for *_, hollow in dots_of(plots.segments(replace(score, per_class=(score.per_class[0], marked))))
    ] == [
        False,
        True,
    ]
