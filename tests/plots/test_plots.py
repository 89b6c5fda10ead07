"""Pictures: they show the numbers of the score, on the axes given, for any score that can occur."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.figure import Figure

import crossent
from crossent import plots
from crossent.plots.training import trace_points
from crossent.scoring import Tally
from crossent.stats.decomposition import CurvePoint
from results import score_of as made_score


def score_of(k=3, n=200, zero=False):
    rng = np.random.default_rng(0)
    z = rng.normal(size=(n, k)) * 3
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    y = np.array([rng.choice(k, p=row) for row in p])
    if zero:
        p[0], y[0] = np.eye(k)[0], k - 1
    tally = Tally([str(i) for i in range(k)])
    tally.update(y, p)
    return tally.result()


@pytest.mark.parametrize("draw", [plots.reliability, plots.loss_histogram])
@pytest.mark.parametrize("k", [2, 3])
@pytest.mark.parametrize("zero", [False, True])
def test_draws_on_given_axes_and_on_its_own(draw, k, zero):
    score = score_of(k, zero=zero)
    ax = Figure().add_subplot()
    assert draw(score, ax=ax) is ax
    ax.figure.canvas.draw()
    assert draw(score).figure is not ax.figure


def test_pictures_are_reached_from_the_package():
    assert crossent.plots is plots


def test_reliability_shows_the_bins():
    score = score_of()
    ax = plots.reliability(score)
    drawn = next(line for line in ax.lines if line.get_marker() == "o")
    assert drawn.get_xdata() == pytest.approx([b.confidence for b in score.reliability])
    assert drawn.get_ydata() == pytest.approx([b.observed.value for b in score.reliability])
    texts = {t.get_text() for t in ax.texts}
    assert {str(b.n) for b in score.reliability} <= texts


@pytest.mark.parametrize("k", [2, 3])
def test_reliability_shows_the_calibration_curve_in_its_band(k):
    score = made_score(k)
    points = (score.decomposition if k == 2 else score.top).curve
    ax = plots.reliability(score)
    curve = next(line for line in ax.lines if line.get_label() == "isotonic regression")
    assert list(zip(*curve.get_data(), strict=True)) == [(p.promised, p.recalibrated) for p in points]
    (band,) = ax.collections
    corners = {tuple(corner) for corner in band.get_paths()[0].vertices.tolist()}
    assert {(p.promised, p.lower) for p in points} | {(p.promised, p.upper) for p in points} <= corners
    without = plots.reliability(made_score(2, decomposition=None))
    assert not without.collections
    assert [t.get_text() for t in without.get_legend().get_texts()] == ["bins"]


def test_the_legend_leaves_the_curve_free():
    score = made_score(2)
    low = replace(score.decomposition, curve=(CurvePoint(0.9, 0.1, 0.8, 1.0, 9),))
    wide = replace(score.decomposition, curve=(CurvePoint(0.7, 0.7, 0.1, 1.0, 9),))  # a band that low
    changed = ({}, {"decomposition": low}, {"decomposition": wide})
    places = [plots.reliability(made_score(2, **more)).get_legend()._loc for more in changed]
    assert places == [4, 2, 2]  # lower right, upper left


@pytest.mark.parametrize("common", [False, True])
def test_of_rare_events_only_the_end_where_they_are_is_drawn(common):
    rng = np.random.default_rng(0)
    p = rng.beta(2, 200, 5000)
    y = (rng.random(5000) < p).astype(np.int64)
    p, y = (1 - p, 1 - y) if common else (p, y)
    tally = Tally(["no", "click"])
    tally.update(y, np.column_stack([1 - p, p]))
    score = tally.result()
    ax = plots.reliability(score)
    ax.figure.canvas.draw()
    (left, right), (bottom, top) = ax.get_xlim(), ax.get_ylim()
    assert right - left < 0.1
    assert top - bottom < 0.4
    points = [(q.promised, q.recalibrated) for q in score.decomposition.curve]
    assert all(left <= x <= right and bottom < y < top for x, y in points)
    counts = [t for t in ax.texts if t.get_text() != "rows"]
    assert counts
    assert all(left < t.get_position()[0] < right for t in counts)


def test_the_axis_names_the_class_and_stays_whole_without_rare_events():
    ax = plots.reliability(made_score(["ham", "$x^2"]))
    assert ax.get_xlabel() == "probability of class $x^2"
    assert not ax.xaxis.label.get_parse_math()
    assert ax.get_xlim() == (0, 1)
    assert plots.reliability(made_score(3)).get_xlabel() == "confidence in the predicted class"


def test_the_tail_holds_one_per_cent_of_the_rows():
    rng = np.random.default_rng(0)
    p = rng.beta(4, 1, 20_000)
    tally = Tally(["a", "b"])
    tally.update(np.ones(len(p), np.int64), np.column_stack([1 - p, p]))
    score = tally.result()
    ax = plots.loss_histogram(score)
    start = next(line for line in ax.lines if line.get_linewidth() == 0.8).get_xdata()[0]
    assert np.mean(-np.log(p) > start) == pytest.approx(0.01, abs=0.002)
    assert f"worst 1 %: {100 * score.worst_share:.3g} % of the loss" in [t.get_text() for t in ax.texts]


def test_histogram_bars_add_up_and_infinite_rows_are_said():
    score = score_of(zero=True)
    ax = plots.loss_histogram(score)
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == pytest.approx(199 / 200)
    assert any("1 row at" in t.get_text() for t in ax.texts)


@pytest.mark.parametrize("zero", [False, True])
def test_nothing_strikes_through_the_labels_of_the_histogram(zero):
    score = score_of(3, n=2000, zero=zero)
    ax = plots.loss_histogram(score)
    ax.figure.canvas.draw()
    texts = [t.get_window_extent() for t in ax.texts]
    assert len(texts) == 1 + zero
    drawn = [line.get_window_extent() for line in ax.lines] + [patch.get_window_extent() for patch in ax.patches]
    assert max(box.y1 for box in drawn) <= min(box.y0 for box in texts)
    assert not zero or not texts[0].overlaps(texts[1])
    assert ("mean of finite" if zero else "mean") in [t.get_text() for t in ax.get_legend().get_texts()]


def test_scores_at_the_edges_can_be_drawn():
    tally = Tally(["a", "b"])
    tally.update(np.zeros(3, np.int64), np.tile([0.0, 1.0], (3, 1)))
    plots.loss_histogram(tally.result()).figure.canvas.draw()
    sure = Tally(["a"])
    sure.update(np.zeros(3, np.int64), np.ones((3, 1)))
    for draw in (plots.loss_histogram, plots.reliability):
        ax = draw(sure.result())
        ax.figure.canvas.draw()
        assert ax.has_data()
    huge = Tally(["a", "b"], kind="logits")
    huge.update(np.array([0, 1]), np.array([[1e9, 0.0], [1e9, 0.0]]))
    ax = plots.loss_histogram(huge.result())
    ax.figure.canvas.draw()
    assert sum(bar.get_height() for bars in ax.containers for bar in bars) == pytest.approx(1)


@pytest.mark.parametrize("trace", [[], [0.7], [0.69, 0.69], [2.3, 1.0, 0.1], [{"iteration": 0, "loss": 1.0}], [1, -1]])
def test_training_takes_any_trace(trace):
    ax = plots.training(trace)
    ax.figure.canvas.draw()
    assert ax.lines


def test_long_traces_are_thinned_and_keep_their_ends():
    points = trace_points([1 / (i + 1) for i in range(100_003)])
    assert len(points) <= 401
    assert (points[0], points[-1]) == ((0.0, 1.0), (100_002.0, 1 / 100_003))
    assert trace_points([float("nan"), float("inf"), 1.0]) == [(2.0, 1.0)]
