"""CORP on cells against model-diagnostics on rows; what redraws promise: no bias, level, power, a band that covers."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from model_diagnostics.scoring import LogLoss
from model_diagnostics.scoring import decompose as by_rows
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import log_loss

from calibration_cases import columns_of, drawn_rows, few_values, redrawn_cells, rounded_columns_of
from crossent.errors import OptionError
from crossent.stats.decomposition import decompose
from crossent.stats.probability_cells import ProbabilityCells
from crossent.stats.redraws import redrawn_hits


def oracle(p, hit, weight=None):
    """loss, mcb, dsc, unc of model-diagnostics, whose rows must be in the order of p."""
    order = np.argsort(p, kind="stable")
    w = None if weight is None else weight[order]
    row = by_rows(hit[order].astype(float), p[order], w, scoring_function=LogLoss()).row(0, named=True)
    return [row[name] for name in ("score", "miscalibration", "discrimination", "uncertainty")]


@pytest.mark.parametrize("n", [40, 500, 20_000])
@pytest.mark.parametrize("weighted", [False, True])
def test_equal_probabilities_in_a_cell_give_the_decomposition_of_rows(n, weighted):
    p, hit = few_values(n, 1)
    weight = np.random.default_rng(n).exponential(size=n) if weighted else None
    found = decompose(columns_of(p, hit, weight), redraws=3)
    wanted = oracle(p, hit, weight)
    assert [found.loss, found.mcb, found.dsc, found.unc] == pytest.approx(wanted, rel=1e-9, abs=1e-13)


@pytest.mark.parametrize(("n", "sharper"), [(300, 1.0), (5000, 1.4), (40_000, 0.6)])
def test_cells_lose_little_of_the_rows(n, sharper):
    """Isotonic regression of cells overfits less than that of rows: a part of the bias that redraws take off."""
    p, hit = drawn_rows(n, 2, sharper=sharper)
    loss, mcb, dsc, unc = oracle(p, hit)
    exact = decompose(columns_of(p, hit), loss=loss, redraws=50)
    assert exact.loss == loss
    assert exact.unc == pytest.approx(unc, rel=1e-12)
    assert -1e-4 < mcb - exact.mcb < 0.8 * exact.mcb_null
    assert exact.dsc - dsc == pytest.approx(exact.mcb - mcb, abs=1e-12)
    of_means = decompose(columns_of(p, hit), redraws=50)
    assert abs(of_means.loss - loss) < 3e-5 + 0.05 / math.sqrt(n)
    assert (of_means.mcb, of_means.p_value, of_means.curve) == (exact.mcb, exact.p_value, exact.curve)


def test_debiased_mcb_is_that_of_rows():
    """Redraws of rows and isotonic regression of rows, against redraws of cells: the bias differs, what is left not."""
    p, hit = drawn_rows(20_000, 11, sharper=1.1)
    rng = np.random.default_rng(0)
    null = np.mean([oracle(p, rng.random(len(p)) < p)[1] for _ in range(30)])
    d = decompose(columns_of(p, hit))
    assert null - d.mcb_null > 3e-4
    assert d.mcb_debiased == pytest.approx(oracle(p, hit)[1] - null, abs=1.5e-4)
    assert d.mcb_debiased > 1e-3


@given(st.integers(1, 200), st.integers(0, 10**6), st.floats(0.2, 5), st.booleans(), st.booleans())
def test_the_parts_add_up_and_mcb_is_not_negative(n, seed, sharper, weighted, given_loss):
    p, hit = drawn_rows(n, seed, sharper=sharper)
    rng = np.random.default_rng(seed)
    weight = rng.exponential(size=n) ** 3 if weighted else None
    loss = log_loss(hit, p, sample_weight=weight, labels=[0, 1]) if given_loss else None
    cells = rounded_columns_of(p, hit, weight) if weighted else columns_of(p, hit)
    d = decompose(cells, loss=loss, redraws=10)
    assert d.mcb - d.dsc + d.unc == pytest.approx(d.loss, abs=1e-12)
    assert d.mcb >= 0
    assert d.mcb_null >= 0
    assert d.mcb_null_upper >= 0
    assert d.mcb_debiased == d.mcb - d.mcb_null
    assert 0 <= d.unc <= math.log(2) + 1e-15
    # every redraw by itself, as if its labels were the observed ones
    for redrawn in redrawn_cells(cells, 3, seed):
        assert decompose(redrawn, redraws=1).mcb >= 0


def test_null_is_the_statistic_of_redrawn_labels():
    p, hit = few_values(400, 3)
    cells = columns_of(p, hit)
    d = decompose(cells, redraws=40, seed=9)
    values = [decompose(redrawn, redraws=1).mcb for redrawn in redrawn_cells(cells, 40, 9)]
    assert d.mcb_null == pytest.approx(np.mean(values), rel=1e-12)
    assert d.mcb_null_upper == pytest.approx(np.quantile(values, 0.95), rel=1e-12)
    assert d.p_value == (1 + np.sum(np.array(values) >= d.mcb)) / 41
    assert decompose(cells, hits=redrawn_hits(cells, 40, 9)) == d


def test_parts_do_not_depend_on_redraws():
    cells = columns_of(*drawn_rows(700, 8))
    found = [decompose(cells, redraws=n, seed=n) for n in (1, 5, 200)]
    assert len({(d.loss, d.mcb, d.dsc, d.unc) for d in found}) == 1
    assert len({d.mcb_null for d in found}) == 3


def test_debiased_mcb_is_near_0_under_calibration_and_p_values_have_their_level():
    found = [decompose(columns_of(*drawn_rows(1000, s)), redraws=99, seed=s) for s in range(200)]
    mcb, debiased = (np.array([getattr(d, name) for d in found]) for name in ("mcb", "mcb_debiased"))
    assert 0.015 < mcb.mean() < 0.019
    assert abs(debiased.mean()) < 4 * debiased.std() / math.sqrt(200)
    assert debiased.std() < 0.005
    p_values = np.array([d.p_value for d in found])
    assert 0.01 <= (p_values < 0.05).mean() <= 0.10
    assert 0.42 < p_values.mean() < 0.58


def test_weighted_rows_have_the_same_level():
    found = []
    for s in range(150):
        p, hit = drawn_rows(500, s)
        weight = np.random.default_rng(s).exponential(size=500) ** 2
        found.append(decompose(rounded_columns_of(p, hit, weight), redraws=99, seed=s))
    debiased = np.array([d.mcb_debiased for d in found])
    assert abs(debiased.mean()) < 4 * debiased.std() / math.sqrt(150)
    assert 0.01 <= np.mean([d.p_value < 0.05 for d in found]) <= 0.10


def test_power_against_a_temperature_of_1_2():
    found = [decompose(columns_of(*drawn_rows(5000, s, sharper=1.2)), redraws=99, seed=s) for s in range(30)]
    assert np.mean([d.p_value < 0.05 for d in found]) > 0.85
    assert all(d.mcb_debiased > 0 for d in found)


def test_curve_is_isotonic_regression_and_the_band_covers_calibrated_ones():
    inside = []
    for s in range(40):
        p, hit = drawn_rows(2000, s)
        d = decompose(columns_of(p, hit), redraws=100, seed=s)
        points = d.curve
        assert sum(point.n for point in points) == 2000
        assert np.diff([point.promised for point in points]).min() > 0
        assert np.diff([point.recalibrated for point in points]).min() >= 0
        assert 30 <= len(points) <= 150
        inside += [(point.n, point.lower <= point.recalibrated <= point.upper) for point in points]
    n, kept = np.array(inside).T
    assert 0.92 < (n * kept).sum() / n.sum() < 0.98
    rows = IsotonicRegression().fit(p, hit)
    differences = [abs(rows.predict([point.promised])[0] - point.recalibrated) for point in points]
    assert np.median(differences) < 0.02


def test_band_is_the_quantiles_of_redrawn_curves():
    p, hit = drawn_rows(800, 12)
    weight = np.random.default_rng(12).exponential(size=800)
    cells = columns_of(p, hit, weight)
    w, count = (column[cells.count > 0] for column in (cells.weight, cells.count))
    drawn = redrawn_hits(cells, 60, 1)
    place = np.arange(len(w))
    curves = np.array([IsotonicRegression().fit(place, hits / w, w).predict(place) for hits in drawn])
    first, several = 0, 0
    for point in decompose(cells, redraws=60, seed=1, confidence=0.8).curve:
        end = first + int(np.flatnonzero(np.cumsum(count[first:]) == point.n)[0]) + 1
        means = np.average(curves[:, first:end], axis=1, weights=w[first:end])
        assert [point.lower, point.upper] == pytest.approx(np.quantile(means, [0.1, 0.9]), rel=1e-9)
        assert point.promised == pytest.approx(cells.promised[cells.count > 0][first:end].sum() / w[first:end].sum())
        several, first = several + (end - first > 1), end
    assert first == len(w)
    assert several > 5


def test_wider_confidence_wider_band():
    cells = columns_of(*drawn_rows(1000, 0))
    narrow, wide = decompose(cells, confidence=0.5).curve, decompose(cells, confidence=0.99).curve
    assert all(w.lower <= n.lower <= n.upper <= w.upper for n, w in zip(narrow, wide, strict=True))
    with pytest.raises(OptionError, match=r"confidence is 1\.0"):
        decompose(cells, confidence=1.0)


@pytest.mark.parametrize(("promise", "came_true"), [(0.0, True), (1.0, False)])
@pytest.mark.parametrize("weighted", [False, True])
def test_broken_certainties_make_loss_and_mcb_infinite_and_nothing_else(promise, came_true, weighted):
    p, hit = few_values(300, 4)
    p, hit = np.append(p, [promise] * 10), np.append(hit, [came_true] + [not came_true] * 9)
    weight = np.random.default_rng(0).random(310) + 0.1 if weighted else None
    for loss in (None, math.inf):
        d = decompose(columns_of(p, hit, weight), loss=loss, redraws=50)
        assert d.loss == d.mcb == d.mcb_debiased == math.inf
        assert d.p_value == 1 / 51
        assert all(map(math.isfinite, (d.dsc, d.unc, d.mcb_null, d.mcb_null_upper)))
        fitted = IsotonicRegression().fit(p, hit, weight).predict(p)
        assert d.dsc == pytest.approx(d.unc - log_loss(hit, fitted, sample_weight=weight), rel=1e-9)
        end = d.curve[0 if promise == 0 else -1]
        assert end.recalibrated == pytest.approx(fitted[-1], rel=1e-12)
        assert 0 < end.recalibrated < 1


def test_kept_certainties_are_fine():
    p, hit = few_values(300, 5)
    p, hit = np.append(p, [0.0, 0.0, 1.0]), np.append(hit, [False, False, True])
    d = decompose(columns_of(p, hit), redraws=20)
    assert math.isfinite(d.loss)
    assert d.loss == pytest.approx(log_loss(hit, p), rel=1e-9)


def test_exact_and_cell_losses_of_which_one_is_infinite():
    """p = 0 from logits keeps a finite loss; a loss can be infinite beside cells that do not say so."""
    finite = decompose(columns_of([0.0, 0.5, 0.5], [True, True, False]), loss=300.0, redraws=5)
    assert finite.mcb - finite.dsc + finite.unc == pytest.approx(300.0)
    assert math.isfinite(finite.mcb)
    infinite = decompose(columns_of([0.3, 0.5, 0.5], [True, True, False]), loss=math.inf, redraws=5)
    assert infinite.mcb == math.inf
    assert math.isfinite(infinite.dsc)


def test_one_row_one_class_and_no_row():
    assert decompose(columns_of([], [])) is None
    one = decompose(columns_of([0.5], [True]), redraws=20)
    assert (one.loss, one.mcb, one.dsc, one.unc) == pytest.approx((math.log(2), math.log(2), 0.0, 0.0))
    assert one.p_value == 1.0  # either label says as much
    certain = decompose(columns_of([1.0] * 5, [True] * 5), redraws=20)
    assert (certain.loss, certain.mcb, certain.p_value) == (0.0, 0.0, 1.0)


def test_merged_is_whole_and_only_ratios_of_weights_matter():
    p, hit = drawn_rows(600, 6)
    w = np.random.default_rng(6).random(600) + 0.5

    def part(rows, factor=1.0):
        return ProbabilityCells.of(p[rows][:, None], hit[rows][:, None], factor * w[rows])

    whole = decompose(part(slice(None)).columns(0))
    assert decompose((part(slice(200, None)) + part(slice(200))).columns(0)) == whole
    assert decompose(part(slice(None), 4.0).columns(0)) == whole
    scaled = decompose(part(slice(None), 10.0).columns(0))
    assert scaled.mcb_debiased == pytest.approx(whole.mcb_debiased, rel=1e-9)
    assert scaled.p_value == whole.p_value


def test_hits_far_below_the_lowest_cell_are_miscalibration_and_no_lack_of_discrimination():
    p, hit = drawn_rows(1000, 3)
    p[:3], hit[:3] = 1e-300, True
    exact = float(-np.where(hit, np.log(p), np.log1p(-p)).mean())
    d = decompose(columns_of(p, hit), loss=exact, redraws=10)
    assert d.dsc >= 0
    assert d.mcb > 3 * 600 / 1000
    assert d.mcb - d.dsc + d.unc == pytest.approx(exact, abs=1e-12)
    near = p.copy()
    near[:3] = 2.0**-60  # in a cell with edges: as close as any other
    exact = float(-np.where(hit, np.log(near), np.log1p(-near)).mean())
    d = decompose(columns_of(near, hit), loss=exact, redraws=10)
    assert d.mcb == decompose(columns_of(near, hit), redraws=10).mcb


@pytest.mark.parametrize("seed", [4, 6, 11, 12, 17])
def test_the_unit_of_the_weights_does_not_change_the_curve(seed):
    rng = np.random.default_rng(seed)
    k = np.sort(rng.integers(0, 4, 80))  # of 3 rows in each cell so many are hits: neighbours have equal shares
    p = np.repeat(1 / (1 + np.exp(-np.linspace(-4, 4, 80))), 3)
    hit = (np.arange(3) < k[:, None]).reshape(-1)
    weight = np.repeat(rng.integers(1, 10, 80), 3) / 1.0
    one, tenth = (decompose(columns_of(p, hit, w), redraws=5) for w in (weight, weight / 10))
    assert [c.n for c in tenth.curve] == [c.n for c in one.curve]
    assert [c.recalibrated for c in tenth.curve] == pytest.approx([c.recalibrated for c in one.curve], rel=1e-9)
