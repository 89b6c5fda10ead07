"""Calibration in a Score: scikit-learn's Brier score, brute force on rows, SciPy's temperature, and what adds up."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, xlogy
from scipy.stats import entropy, norm
from sklearn.metrics import brier_score_loss, log_loss, roc_auc_score

from crossent.report.score import score_tables
from crossent.scoring import Tally

CLASSES = ["ant", "bee", "cat", "dog"]


def batch(n=2000, k=4, seed=0, heat=1.0):
    """Targets of probabilities that are too sharp by `heat`."""
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 2
    true = np.exp(log_softmax(z, axis=1))
    y = (true.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return y, np.exp(log_softmax(z * heat, axis=1)), rng.random(n) + 0.1


def scored(y, p, w=None, **options):
    tally = Tally(CLASSES[: p.shape[1]], **options)
    tally.update(y, p, sample_weight=w)
    return tally.result(redraws=50)


@pytest.mark.parametrize("weighted", [False, True])
def test_brier_score(weighted):
    y, p, w = batch()
    w = w if weighted else None
    onehot = np.eye(4)[y]
    score = scored(y, p, w)
    assert score.brier == pytest.approx(np.average(((p - onehot) ** 2).sum(axis=1), weights=w), rel=1e-12)
    y, p, w = batch(k=2)
    assert scored(y, p).brier == pytest.approx(2 * brier_score_loss(y, p[:, 1]), rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_entropy_gap_and_spiegelhalter_by_brute_force(weighted):
    y, p, w = batch(heat=1.3)
    w = w if weighted else np.ones(len(y))
    score = scored(y, p, w if weighted else None)
    p_y = p[np.arange(len(y)), y]
    gap = -np.log(p_y) - entropy(p, axis=1)
    variance = (xlogy(p, p) * np.log(p)).sum(axis=1) - entropy(p, axis=1) ** 2
    z = (w * gap).sum() / math.sqrt((w**2 * variance).sum())
    assert score.entropy_gap.value == pytest.approx(np.average(gap, weights=w), rel=1e-9)
    assert score.entropy_gap.z == pytest.approx(z, rel=1e-9)
    assert score.entropy_gap.p_value == pytest.approx(2 * norm.sf(abs(z)), rel=1e-6)
    excess = 2 * (p**2).sum(axis=1) - 2 * p_y
    spread = 4 * ((p**3).sum(axis=1) - (p**2).sum(axis=1) ** 2)
    z = (w * excess).sum() / math.sqrt((w**2 * spread).sum())
    assert score.spiegelhalter.z == pytest.approx(z, rel=1e-9)
    assert score.entropy_gap.value > 0


@pytest.mark.parametrize("weighted", [False, True])
def test_temperature_is_that_of_scipy_and_its_decomposition_adds_up(weighted):
    y, p, w = batch(heat=1.4)
    w = w if weighted else None

    def loss(temperature):
        return log_loss(y, np.exp(log_softmax(np.log(p) / temperature, axis=1)), sample_weight=w)

    best = minimize_scalar(loss, bounds=(0.3, 3), method="bounded", options={"xatol": 1e-9})
    score = scored(y, p, w)
    assert score.temperature.value == pytest.approx(best.x, rel=2e-3)
    assert score.temperature.loss == pytest.approx(best.fun, rel=1e-6)
    parts = score.decomposition
    assert parts.loss == pytest.approx(score.log_loss.value, rel=1e-14)
    shares = np.bincount(y, weights=w) / (len(y) if w is None else w.sum())
    assert parts.unc == pytest.approx(entropy(shares), rel=1e-12)
    assert parts.unc == pytest.approx(score.baseline, rel=1e-14)
    assert parts.miscalibration - parts.knowledge + parts.unc == pytest.approx(parts.loss, rel=1e-13)
    assert parts.miscalibration == pytest.approx(score.log_loss.value - best.fun, rel=1e-4)


def test_infinite_rows_leave_temperature_and_its_decomposition():
    y, p, _ = batch(n=300)
    p[[3, 9], y[[3, 9]]] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    kept = np.ones(300, bool)
    kept[[3, 9]] = False
    found, finite = scored(y, p), scored(y[kept], p[kept])
    assert (found.temperature.left_out, found.temperature.rows) == (2, 298)
    assert found.temperature.value == finite.temperature.value
    assert found.decomposition == finite.decomposition
    assert replace(found.entropy_gap, mark=None, left_out=0) == finite.entropy_gap
    # a clipped row has a loss, but is no distribution: the temperature is of other rows, so nothing adds up
    clipped = scored(y, p, clip=1e-6)
    assert clipped.temperature == found.temperature
    assert clipped.decomposition is None
    everywhere = scored(np.zeros(5, int), np.tile([0.0, 0.5, 0.5, 0.0], (5, 1)))
    assert (everywhere.temperature, everywhere.decomposition) == (None, None)
    assert everywhere.entropy_gap.value is None


def test_probabilities_that_underflow_still_have_a_logarithm():
    z = np.array([[0.0, -800.0, 1.0], [0.0, 3.0, 1.0], [2.0, 1.0, 0.0]])
    tally = Tally(CLASSES[:3], kind="logits")
    tally.update(np.array([1, 1, 0]), z)
    score = tally.result(redraws=2)

    def loss(beta):
        return -log_softmax(beta * z, axis=1)[np.arange(3), [1, 1, 0]].mean()

    assert score.temperature.beyond == "above 8"
    assert score.temperature.loss == pytest.approx(loss(1 / 8), rel=1e-12)
    assert score.decomposition.loss == pytest.approx(loss(1), rel=1e-12)
    far = np.where(z == -800, -1e300, z)
    tally.update(np.array([1, 1, 0]), far)
    assert tally.result(redraws=2).temperature.left_out == 1
    tally.update(np.array([0, 2, 0]), far, sample_weight=[1e30, 1.0, 1e60])  # no product leaves the numbers
    assert math.isfinite(tally.result(redraws=2).log_loss.value)


def test_two_classes_are_decomposed_by_isotonic_regression():
    y, p, w = batch(k=2, heat=1.5)
    score = scored(y, p, w)
    d = score.decomposition
    assert d.loss == score.log_loss.value
    assert d.unc == pytest.approx(score.baseline, rel=1e-12)
    assert d.mcb - d.dsc + d.unc == pytest.approx(d.loss, rel=1e-12)
    assert score.top is None
    assert score.temperature.value > 1
    p[3, y[3]], p[3, 1 - y[3]] = 0.0, 1.0
    assert scored(y, p, w).decomposition.mcb == math.inf


def test_top_is_the_decomposition_of_the_predicted_class():
    y, p, w = batch()
    score = scored(y, p, w)
    right, top = p.argmax(axis=1) == y, p.max(axis=1)
    assert score.top.loss == pytest.approx(log_loss(right, top, sample_weight=w), abs=2e-4)
    assert score.top.unc == pytest.approx(entropy([score.accuracy.value, 1 - score.accuracy.value]), rel=1e-9)
    assert score.reliability_of == "the predicted class is true"
    assert score.calibration_error.naive > 0
    assert score.smooth_calibration_error.value >= 0


def test_the_seed_decides_redraws_and_nothing_else():
    y, p, _ = batch(n=300)
    tally = Tally(CLASSES)
    tally.update(y, p)
    one, two, again = (tally.result(seed=seed, redraws=30) for seed in (1, 2, 1))
    assert one == again
    assert one.top.mcb == two.top.mcb
    assert one.top.mcb_null != two.top.mcb_null
    assert one.log_loss == two.log_loss


def test_clip_leaves_the_decompositions_those_of_the_probabilities():
    y, p, _ = batch(n=400)
    rare = p[np.arange(400), y].argsort()[:40]
    assert (p[rare, y[rare]] < 0.2).all()
    found, clipped = scored(y, p), scored(y, p, clip=0.2)
    assert clipped.log_loss.value < found.log_loss.value - 0.01
    assert clipped.decomposition.loss == pytest.approx(found.decomposition.loss, rel=1e-11)
    assert clipped.decomposition.knowledge == pytest.approx(found.decomposition.knowledge, rel=1e-11)
    assert (clipped.top, clipped.per_class[0].rest) == (found.top, found.per_class[0].rest)
    hit, q = (y == 0).astype(int), p[:, 0] / (p[:, 0] + p[:, 1])

    def single(q, **more):
        tally = Tally(["n", "y"], **more)
        tally.update_binary(hit, q)
        return tally.result(redraws=5)

    found, clipped = single(q), single(q, clip=0.2)
    assert clipped.log_loss.value < found.log_loss.value - 0.01
    for name in ("loss", "mcb", "dsc", "unc"):
        whole = getattr(found.decomposition, name)
        assert getattr(clipped.decomposition, name) == pytest.approx(whole, rel=1e-10, abs=1e-12)
    assert any("as given, not clipped" in note for note in clipped.notes)
    assert "log loss, not clipped" in str([t.rows for t in score_tables(clipped)])
    q[np.argmax(hit)] = 0.0
    assert single(q, clip=0.2).decomposition.loss == math.inf
    assert single(q, clip=0.2).decomposition.dsc == single(q).decomposition.dsc


@pytest.mark.parametrize("low", [50.0, 800.0])
def test_an_event_that_double_precision_calls_certain_has_no_decomposition(low):
    tally = Tally(["a", "b", "c"], kind="logits")
    tally.update([1, 0, 2, 1], [[low, 0.0, 0.0], [2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 1.0, 0.0]])
    found = tally.result(redraws=5)
    assert math.isfinite(found.log_loss.value)
    assert found.top is None
    assert found.to_dict()["top_why"] == "p = 1 in double precision: not resolved"
    assert [c.rest is None for c in found.per_class] == [True, True, False]
    note = next(note for note in found.notes if "double precision" in note)
    assert all(name in note for name in ("the predicted class", "a", "b"))
    ruled_out = Tally(["a", "b", "c"])
    ruled_out.update([1, 0], [[1.0, 0.0, 0.0], [0.5, 0.3, 0.2]])
    assert ruled_out.result(redraws=5).top.loss == math.inf


def test_an_area_that_cells_do_not_tell_is_marked():
    rng = np.random.default_rng(0)
    q = rng.uniform(0.3, 0.305, 2000)
    y = (rng.random(2000) < (q - 0.3) / 0.005).astype(int)
    tally = Tally(["n", "y"])
    tally.update_binary(y, q)
    found = tally.result(redraws=5)
    assert abs(found.auc - roc_auc_score(y, q)) <= found.auc_bound
    assert found.auc_bound > 0.1
    assert "to within" in str([t.rows for t in score_tables(found)])
    three = Tally(["a", "b", "c"])
    three.update(y, np.stack([0.6 * (1 - q), q, 0.4 * (1 - q)], axis=1))
    found = three.result(redraws=5)
    assert found.per_class[1].auc_bound > 0.1
    assert "! AUC to within" in str([t.remarks for t in score_tables(found)])
    y, p, _ = batch(n=2000, k=2)
    good = scored(y, p)
    assert good.auc_bound < 0.005
    assert "to within" not in str([t.rows for t in score_tables(good)])


def test_infinite_rows_mark_the_entropy_gap():
    y, p, _ = batch(n=300)
    p[[3, 9], y[[3, 9]]] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    found = scored(y, p)
    assert found.entropy_gap.left_out == 2
    assert "2 rows with an infinite or huge loss left out" in found.entropy_gap.mark
    assert found.spiegelhalter.left_out == 0
