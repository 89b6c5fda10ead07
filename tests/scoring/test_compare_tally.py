"""CompareTally: SciPy's and statsmodels' numbers, infinities, margins, the same bits from any split."""

import math
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
import statsmodels.api as sm
from sklearn.metrics import log_loss
from statsmodels.stats.power import TTestPower

from crossent import cross_entropy
from crossent.errors import (
    EmptyBatchError,
    LabelError,
    OptionError,
    ProbabilityError,
    ShapeError,
    UnsupportedError,
    WeightError,
)
from crossent.scoring.compare_tally import CompareTally
from pairs import CLASSES, batch, losses, tally_of, zeroed


def test_agrees_with_the_paired_t_test():
    y, a, b, _ = batch()
    found = tally_of(y, a, b).result()
    la, lb = losses(y, a), losses(y, b)
    test = scipy.stats.ttest_rel(lb, la)
    assert found.difference.value == pytest.approx(log_loss(y, b) - log_loss(y, a), rel=1e-12)
    assert found.difference.value / found.difference.se == pytest.approx(test.statistic, rel=1e-12)
    assert [loss.value for loss in found.losses] == pytest.approx([log_loss(y, a), log_loss(y, b)], rel=1e-13)
    assert [loss.se for loss in found.losses] == pytest.approx([scipy.stats.sem(la), scipy.stats.sem(lb)], rel=1e-12)
    assert found.correlation == pytest.approx(np.corrcoef(la, lb)[0, 1], rel=1e-12)
    assert found.unpaired_se == pytest.approx(math.hypot(scipy.stats.sem(la), scipy.stats.sem(lb)), rel=1e-12)
    assert found.better.value == (lb < la).mean()
    assert (found.n, found.effective_n, found.tied, found.method) == (400, 400.0, 0.0, "hall")


@pytest.mark.parametrize("ci", ["hall", "bootstrap"])
def test_a_comparison_says_whether_its_rows_came_in_clusters(ci):
    y, a, b, _ = batch()
    assert not tally_of(y, a, b, ci=ci).result().clustered
    assert tally_of(y, a, b, ci=ci, cluster=np.arange(len(y)) % 50).result().clustered


def test_interval_of_a_symmetric_difference_is_the_t_interval():
    d = np.concatenate([np.linspace(0.1, 2, 60), -np.linspace(0.1, 2, 60)]) / 3
    la = np.full(120, 2.0)
    p = np.exp(-np.stack([la, la + d + 0.05]))
    a, b = (np.stack([1 - q, q], axis=1) for q in p)
    found = tally_of(np.ones(120, int), a, b).result()
    test = scipy.stats.ttest_1samp(losses(np.ones(120, int), b) - losses(np.ones(120, int), a), 0.0)
    interval = test.confidence_interval()
    assert (found.difference.lower, found.difference.upper) == pytest.approx(tuple(interval), rel=1e-9)
    assert found.p_value == pytest.approx(test.pvalue, rel=1e-9)


def test_weights_are_those_of_numpy_and_only_ratios_matter():
    y, a, b, w = batch()
    found = tally_of(y, a, b, sample_weight=w).result()
    d = losses(y, b) - losses(y, a)
    mean = np.average(d, weights=w)
    se = math.sqrt(len(y) / (len(y) - 1) * (w**2 * (d - mean) ** 2).sum()) / w.sum()
    assert found.difference.value == pytest.approx(mean, rel=1e-12)
    assert found.difference.se == pytest.approx(se, rel=1e-12)
    assert found.better.value == pytest.approx(w[d < 0].sum() / w.sum(), rel=1e-12)
    assert found.effective_n == pytest.approx(w.sum() ** 2 / (w**2).sum(), rel=1e-12)
    u, v = (w * (x - np.average(x, weights=w)) for x in (losses(y, a), losses(y, b)))
    assert found.correlation == pytest.approx((u * v).sum() / math.sqrt((u**2).sum() * (v**2).sum()), rel=1e-10)
    se_a, se_b = (loss.se for loss in found.losses)
    paired = se_a**2 + se_b**2 - 2 * found.correlation * se_a * se_b
    assert found.difference.se == pytest.approx(math.sqrt(paired), rel=1e-10)
    assert tally_of(y, a, b, sample_weight=8 * w).result() == found


def test_difference_is_exact():
    y, a, _, _ = batch(n=40)
    nudged = a * (1 + 1e-13)
    found = tally_of(y, a, nudged).result()
    pairs = zip(*(cross_entropy(y, probs=p, reduction="none") for p in (a, nudged)), strict=True)
    exact = sum(Fraction(float(lb)) - Fraction(float(la)) for la, lb in pairs) / 40
    assert found.difference.value == float(exact)
    # the same losses in another order: the sum of the differences is 0, that of the rounded ones is not
    z = np.random.default_rng(0).normal(size=500) * 9
    tally, weighted = CompareTally(["n", "y"], kind="logits"), CompareTally(["n", "y"], kind="logits")
    tally.update_binary(np.ones(500, int), z, np.roll(z, 7))
    assert tally.result().difference.value == 0.0
    weighted.update_binary(np.ones(500, int), z, np.roll(z, 7), sample_weight=np.full(500, 0.3))
    assert abs(weighted.result().difference.value) < 1e-28


@pytest.mark.parametrize("power_rows", [50, 1000])
def test_detectable_difference_has_power_of_80_per_cent(power_rows):
    y, a, b, _ = batch(n=power_rows)
    found = tally_of(y, a, b).result()
    spread = found.difference.se * math.sqrt(power_rows)
    wanted = TTestPower().solve_power(nobs=power_rows, alpha=0.05, power=0.8)
    assert found.detectable / spread == pytest.approx(wanted, rel=0.01)
    assert found.detectable < tally_of(y, a, b).result(confidence=0.99).detectable


def test_counts_are_repeated_rows():
    y, a, b, w = batch(n=60)
    count = np.random.default_rng(1).integers(0, 9, 60)
    again = np.repeat(np.arange(60), count)
    by = {"kind": np.array(["x", "y", "z"])[np.arange(60) % 3]}
    whole = {"by": {"kind": by["kind"][again]}, "cluster": again % 7, "sample_weight": w[again]}
    wanted = tally_of(y[again], a[again], b[again], **whole)
    found = tally_of(y, a, b, by=by, cluster=np.arange(60) % 7, sample_weight=w, count=count)
    assert found.n == count.sum()
    assert [s.n for s in found.result().segments] == [s.n for s in wanted.result().segments]
    found = tally_of(y, a, b, count=count).result()
    assert found == tally_of(y[again], a[again], b[again]).result()


def test_clusters_are_those_of_statsmodels():
    y, a, b, w = batch()
    cluster = np.random.default_rng(2).integers(0, 50, len(y))
    d = losses(y, b) - losses(y, a)
    found = tally_of(y, a, b, cluster=cluster.astype(str), sample_weight=w).result()
    fit = sm.WLS(d, np.ones(len(d)), weights=w).fit(
        cov_type="cluster", cov_kwds={"groups": cluster, "use_correction": False}
    )
    m = len(np.unique(cluster))
    assert found.difference.value == pytest.approx(fit.params[0], rel=1e-10)
    assert found.difference.se == pytest.approx(fit.bse[0] * math.sqrt(m / (m - 1)), rel=1e-10)
    assert (found.method, found.difference.n, found.n) == ("clusters", m, len(y))
    assert [loss.n for loss in found.losses] == [m, m]


def test_bootstrap_has_about_the_same_interval():
    y, a, b, _ = batch(n=4000)
    hall, found = (tally_of(y, a, b, ci=ci).result() for ci in ("hall", "bootstrap"))
    assert found.method == "bootstrap"
    assert found.difference.value == hall.difference.value
    assert found.difference.se == pytest.approx(hall.difference.se, rel=0.1)
    assert found == tally_of(y, a, b, ci="bootstrap").result()
    assert tally_of(y, a, b, ci="bootstrap").result(seed=1).difference.lower != found.difference.lower
    with pytest.raises(UnsupportedError, match="count="):
        tally_of(y, a, b, ci="bootstrap", count=np.ones(4000))


def test_b_infinite_where_a_is_finite_is_worse_whatever_the_rest():
    y, a, _, _ = batch()
    good = zeroed(np.where(np.eye(3)[y] == 1, 0.98, 0.01), y, [5])
    found = tally_of(y, a, good, names=("old", "new")).result(margin=0.5)
    assert found.finite.upper < 0
    assert found.difference.value == math.inf
    assert found.difference.lower is found.p_value is None
    assert found.difference.why == "new alone is infinite in 1 row"
    assert (found.infinite, found.verdict) == ((0, 1, 0), "worse than the margin")
    assert (found.is_worse, found.is_not_worse) == (True, False)
    assert tally_of(y, a, good).result().verdict == "worse"
    assert found.losses[0].value == pytest.approx(log_loss(y, a), rel=1e-12)
    assert found.losses[1].value == math.inf
    assert "whatever" in found.notes[0]
    back = tally_of(y, good, a).result(margin=0.5)
    assert back.difference.value == -math.inf
    assert back.losses[1].value == pytest.approx(log_loss(y, a), rel=1e-12)


def test_a_infinite_where_b_is_finite_leaves_the_verdict_to_the_other_rows():
    y, a, _, _ = batch()
    good = np.where(np.eye(3)[y] == 1, 0.98, 0.01)
    worse = tally_of(y, zeroed(good, y, [5]), a).result(margin=0.1)  # 399 rows in which B loses much
    assert (worse.difference.value, worse.finite.lower > 0.1) == (-math.inf, True)
    assert (worse.verdict, worse.is_worse, worse.is_not_worse) == ("worse than the margin", True, False)
    assert "the other rows decide" in worse.notes[0]
    better = tally_of(y, zeroed(a, y, [5]), good).result(margin=0.1)
    assert (better.verdict, better.is_worse, better.is_not_worse) == ("better", False, True)
    look = tally_of(y, zeroed(good, y, [5]), a).result(margin=0.1, expect_n=400)
    assert (look.sequence[-1].lower > 0.1, look.verdict, look.is_worse) == (True, "worse than the margin", True)


@pytest.mark.parametrize("rare", [0, 1, 19, 20])
def test_too_few_rows_of_one_of_two_classes_decide_nothing(rare):
    rng = np.random.default_rng(0)
    y = (np.arange(400) < rare).astype(int)
    q = rng.uniform(0.02, 0.03, 400)
    a, b = (np.stack([1 - p, p], axis=1) for p in (q, 0.5 * q))  # B is worse in the rows that may be missing
    found = tally_of(y, a, b).result(margin=0.001)
    assert bool(found.finite.mark) == (rare < 20)
    if rare < 20:
        assert (found.verdict, found.is_worse, found.is_not_worse) == ("undecided", False, False)
        assert "no verdict: too few events: may be too short" in found.notes
        assert found.difference.mark == found.losses[0].mark == found.finite.mark


def test_clusters_say_that_the_share_of_better_rows_is_over_rows():
    y, a, b, _ = batch()
    found = tally_of(y, a, b, cluster=np.arange(400) // 4).result()
    assert any("share in which B is better is over rows" in note for note in found.notes)
    assert not any("share" in note for note in tally_of(y, a, b).result().notes)


def test_both_infinite_are_left_out_and_counted():
    y, a, b, _ = batch()
    kept = np.ones(len(y), bool)
    kept[[3, 8]] = False
    found = tally_of(y, zeroed(a, y, [3, 8]), zeroed(b, y, [3, 8])).result()
    wanted = tally_of(y[kept], a[kept], b[kept]).result()
    assert (found.n, found.infinite) == (400, (0, 0, 2))
    for name in ("difference", "p_value", "correlation", "better", "tied", "verdict", "unpaired_se"):
        assert getattr(found, name) == getattr(wanted, name)
    assert [loss.value for loss in found.losses] == [math.inf, math.inf]
    assert found.notes == ("2 rows in which both are infinite are left out",)


def test_infinite_both_ways_has_no_value_and_is_worse():
    y, a, b, _ = batch()
    found = tally_of(y, zeroed(a, y, [3]), zeroed(b, y, [8])).result(margin=1.0)
    assert found.difference.value is None
    assert found.difference.why == "A alone is infinite in 1 row and B alone is infinite in 1 row"
    assert (found.verdict, found.is_worse, found.is_not_worse) == ("worse than the margin", True, False)
    d = losses(y, b) - losses(y, a)
    kept = ~np.isin(np.arange(400), [3, 8])
    assert found.finite.value == pytest.approx(d[kept].mean(), rel=1e-11)
    assert found.better.value == ((d[kept] < 0).sum() + 1) / 400
    only = np.zeros((2, 2))
    only[:, 0] = 1.0
    nothing = tally_of(np.ones(2, int), only, only).result()
    assert (nothing.difference.value, nothing.better.value, nothing.tied) == (None, None, None)
    assert (nothing.correlation, nothing.verdict, nothing.detectable) == (None, "undecided", None)
    repr(nothing)
    nothing.to_dict()


@pytest.mark.parametrize(
    ("shift", "margin", "verdict", "is_worse", "is_not_worse"),
    [
        (-0.5, None, "better", False, True),
        (0.5, None, "worse", True, False),
        (0.0, None, "undecided", False, False),
        (-0.5, 0.1, "better", False, True),
        (0.0, 0.2, "not worse", False, True),
        (0.1, 0.3, "not worse", False, True),
        (0.5, 0.1, "worse than the margin", True, False),
        (0.3, 0.3, "worse", False, False),
        (0.0, 0.0, "undecided", False, False),
    ],
)
def test_verdicts_and_gates(shift, margin, verdict, is_worse, is_not_worse):
    d = np.tile([-0.2, 0.2], 100) + shift
    p = np.exp(-1.5 - np.stack([np.zeros(200), d]))
    y = np.arange(200) // 2 % 2
    a, b = (np.where(y[:, None] == [0, 1], q[:, None], 1 - q[:, None]) for q in p)
    found = tally_of(y, a, b).result(margin=margin)
    assert (found.verdict, found.is_worse, found.is_not_worse) == (verdict, is_worse, is_not_worse)
    assert found.margin == margin


def test_the_same_predictions_are_not_estimable_and_say_so():
    y, a, _, _ = batch()
    found = tally_of(y, a, a).result(margin=0.1)
    assert (found.difference.value, found.difference.se, found.tied, found.better.value) == (0.0, None, 1.0, 0.0)
    assert "not estimable" in found.difference.why
    assert (found.verdict, found.is_worse, found.is_not_worse) == ("undecided", False, False)
    assert found.notes == ("A and B have the same loss in every row",)
    assert found.correlation == 1.0


def test_segments_are_the_comparisons_of_their_rows():
    y, a, b, w = batch()
    b = zeroed(b, y, [0])
    kind = np.array(["x", "y", "z"])[np.arange(400) % 3]
    year = np.where(np.arange(400) % 2, 2020.0, np.nan)
    found = tally_of(y, a, b, by={"kind": kind, "year": year}, sample_weight=w).result()
    assert {(s.column, s.value) for s in found.segments} == {
        ("kind", "x"),
        ("kind", "y"),
        ("kind", "z"),
        ("year", "2020"),
        ("year", "(missing)"),
    }
    for s in found.segments:
        rows = kind == s.value if s.column == "kind" else np.isnan(year) == (s.value == "(missing)")
        alone = tally_of(y[rows], a[rows], b[rows], sample_weight=w[rows]).result()
        assert s.n == alone.n
        assert s.worse == alone.infinite[1]
        assert s.difference.value == pytest.approx(alone.difference.value, rel=1e-12)
        if not s.worse:
            assert s.difference.upper == pytest.approx(alone.difference.upper, rel=1e-10)
            assert s.p_value == pytest.approx(alone.p_value, rel=1e-9)
    assert [s.worse for s in found.segments if s.column == "kind"] == [1, 0, 0]
    known = [s for s in found.segments if s.column == "kind" and s.p_value is not None]
    wanted = scipy.stats.false_discovery_control([s.p_value for s in known])
    assert [s.p_adjusted for s in known] == pytest.approx(wanted, rel=1e-12)


def test_paired_interval_covers():
    rng = np.random.default_rng(5)
    hits = 0
    for _ in range(200):
        base, noise = rng.exponential(size=100), rng.exponential(size=100)
        p = np.exp(-0.1 - np.stack([base, base * 0.9 + 0.2 * noise]))
        a, b = (np.stack([1 - q, q], axis=1) for q in p)
        found = tally_of(np.ones(100, int), a, b).result().difference
        hits += found.lower <= 0.1 <= found.upper
    assert 0.9 < hits / 200 < 0.99


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
def test_binary_columns_are_the_two_columns(kind):
    rng = np.random.default_rng(0)
    p, q = rng.random(300), rng.random(300)
    y = (rng.random(300) < p).astype(int)
    given = {"probs": lambda x: x, "logits": lambda x: np.log(x / (1 - x)), "log_probs": np.log}[kind]
    tally = CompareTally(["no", "yes"], kind=kind)
    tally.update_binary(y, given(p), given(q))
    wanted = tally_of(y, *(np.stack([1 - x, x], axis=1) for x in (p, q))).result()
    assert tally.result().difference.value == pytest.approx(wanted.difference.value, rel=1e-10)
    with pytest.raises(OptionError, match="two classes"):
        CompareTally(CLASSES).update_binary(y, p, q)


def test_what_is_refused_names_the_set_and_leaves_the_tally_as_it_was():
    y, a, b, w = batch(n=20)
    tally = CompareTally(CLASSES, names=("old", "new"))
    with pytest.raises(ShapeError, match=r"new: .*\(20,\).*\(20, 2\)"):
        tally.update(y, a, b[:, :2])
    with pytest.raises(ProbabilityError, match=r"old: f row 21: .*sum to"):
        tally.update(y, 0.5 * a, b, source="f", first_row=20)
    with pytest.raises(LabelError, match="old: "):
        tally.update(y + 3, a, b)
    with pytest.raises(WeightError):
        tally.update(y, a, b, sample_weight=-w)
    with pytest.raises(OptionError, match="cluster"):
        tally.update(y, a, b, cluster=y)
    with pytest.raises(OptionError, match="kind"):
        tally.update(y, a, b, by={"kind": y})
    assert tally.n == 0
    tally.update(y, a, b, count=np.zeros(20))
    tally.update(y, a, b, sample_weight=np.zeros(20))
    with pytest.raises(EmptyBatchError):
        tally.result()
    tally.update(y, a, b)
    for bad in ({"margin": -1.0}, {"margin": math.inf}, {"margin": math.nan}, {"confidence": 1.0}):
        with pytest.raises(OptionError):
            tally.result(**bad)
    for options in ({"names": ("a", "a")}, {"ci": "exact"}, {"kind": "odds"}, {"by": ("x", "x")}):
        with pytest.raises(OptionError):
            CompareTally(CLASSES, **options)
    with pytest.raises(OptionError, match="names"):
        tally + CompareTally(CLASSES)
    with pytest.raises(OptionError, match="ci"):
        tally + CompareTally(CLASSES, names=("old", "new"), ci="bootstrap")


def test_repr_and_dictionary():
    y, a, b, _ = batch()
    found = tally_of(y, a, b, by={"kind": y}, names=("old", "new")).result(margin=0.01)
    told = repr(found)
    for text in ("new - old", "nat [", "bit [", found.verdict, "better in", "400 rows"):
        assert text in told
    plain = found.to_dict()
    assert plain["schema"] == "crossent.compare/1"
    assert plain["difference"]["value"] == found.difference.value
    assert plain["difference_bits"]["value"] == pytest.approx(found.difference.value / math.log(2))
    assert (plain["is_worse"], plain["is_not_worse"]) == (found.is_worse, found.is_not_worse)
    assert plain["segments"][0]["column"] == "kind"
    assert set(plain) >= {"names", "losses", "infinite", "margin", "verdict", "notes", "sequence"}


def test_few_rows_of_a_class_or_segment_are_marked():
    y, a, b, _ = batch()
    assert tally_of(y, a, b).result().difference.mark is None
    rare = np.where(y == 2, 1, y)
    rare[:19] = 2
    found = tally_of(rare, a, b).result()
    assert "too few" in found.difference.mark
    assert all("too few" in loss.mark for loss in found.losses)
    rare[19] = 2
    assert tally_of(rare, a, b).result().losses[0].mark is None
    segments = tally_of(y, a, b, by={"kind": np.arange(400) < 19}).result().segments
    assert {s.value: s.difference.mark is not None for s in segments} == {"true": True, "false": False}


@pytest.mark.parametrize("more", [{"sample_weight": [0, 0]}, {"count": [0, 0]}])
def test_blocks_without_a_counting_row_are_checked(more):
    tally = CompareTally(["n", "y"])
    with pytest.raises(ShapeError, match=r"^A: "):
        tally.update([0, 1], np.ones((1, 2)), np.ones((2, 2)) / 2, **more)
    with pytest.raises(ShapeError, match=r"^B: "):
        tally.update([0, 1], np.ones((2, 2)) / 2, np.ones((2, 3)), **more)
    tally.update([0, 1], np.ones((2, 2)) / 2, np.ones((2, 2)) / 2, **more)
    assert tally.n == 0
