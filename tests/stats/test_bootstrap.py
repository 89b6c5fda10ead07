"""GroupSums: SciPy's studentised bootstrap, the standard error of RatioSums, any split, and coverage."""

import math

import numpy as np
import pytest
import scipy.stats

from crossent.errors import OptionError
from crossent.stats import RatioSums, bootstrap
from crossent.stats.bootstrap import GROUPS, GroupSums
from crossent.stats.identity import key_identity, row_identity


def groups_of(a, b=None, source="f.csv"):
    a = np.asarray(a, np.float64)
    b = np.ones(len(a)) if b is None else np.asarray(b, np.float64)
    return GroupSums.of(row_identity(source, np.arange(len(a))), a, b)


def one_row_a_group(count):
    """Identities of rows that fall into groups of their own."""
    return np.arange(count, dtype=np.uint64) << np.uint64(54)


def test_the_standard_error_is_that_of_ratio_sums():
    """On 20 000 rows: 1.00 in the mean, 0.03 about it (1 / sqrt(2 G) from groups, 1 / sqrt(2 * 2000) from draws)."""
    rng = np.random.default_rng(0)
    ratios = []
    for k in range(20):
        w = rng.random(20_000) + 0.1
        a = rng.exponential(size=20_000) ** 1.5 * w
        found = groups_of(a, w, source=f"part-{k}").estimate(seed=k)
        exact = RatioSums.of(a, w).estimate()
        assert (found.value, found.n, found.effective_n) == (exact.value, exact.n, exact.effective_n)
        ratios.append(found.se / exact.se)
    assert abs(np.mean(ratios) - 1) < 0.02
    assert np.std(ratios) < 0.04
    assert max(abs(np.array(ratios) - 1)) < 0.1


def test_the_interval_is_the_studentised_bootstrap_written_out_row_by_row():
    """An independent loop over replicates of rows, other random numbers: ends agree as far as 20 000 replicates do."""
    rng = np.random.default_rng(1)
    w = rng.random(150) + 0.5
    a = rng.exponential(size=150) * w
    found = GroupSums.of(one_row_a_group(150), a, w).estimate(replicates=20_000, seed=3)

    def ratio_and_error(a, w):
        ratio = a.sum() / w.sum()
        return ratio, math.sqrt(np.sum((a - ratio * w) ** 2) * 150 / 149) / w.sum()

    ratio, se = ratio_and_error(a, w)
    drawn = [ratio_and_error(a[rows], w[rows]) for rows in rng.integers(0, 150, (20_000, 150))]
    t = np.array([(r - ratio) / s for r, s in drawn])
    wanted = ratio - se * np.quantile(t, [0.975, 0.025])
    assert [found.lower, found.upper] == pytest.approx(wanted, abs=0.06 * se)
    assert found.se == pytest.approx(np.std([r for r, _ in drawn]), rel=0.03)
    plain = scipy.stats.bootstrap((np.arange(150),), lambda k: a[k].sum() / w[k].sum(), vectorized=False, rng=rng)
    assert found.se == pytest.approx(plain.standard_error, rel=0.05)


def test_any_split_gives_the_same_bits_and_the_seed_decides():
    rng = np.random.default_rng(2)
    a, identity = rng.exponential(size=3000), row_identity("x", np.arange(3000))

    def part(rows):
        return GroupSums.of(identity[rows], a[rows], np.ones(len(a[rows])))

    whole, merged = part(slice(None)), part(slice(1000, None)) + part(slice(1000))
    assert whole.estimate(seed=4) == merged.estimate(seed=4)
    assert whole.estimate(seed=4) != whole.estimate(seed=5)
    assert len(whole.sums.units) == GROUPS


def test_rows_of_a_cluster_stay_together():
    rng = np.random.default_rng(3)
    effect = np.repeat(rng.normal(size=500), 20)
    loss = effect + 0.1 * rng.normal(size=10_000)
    together = GroupSums.of(np.repeat(key_identity(np.arange(500)), 20), loss, np.ones(10_000)).estimate()
    assert together.se == pytest.approx(1 / math.sqrt(500), rel=0.15)
    assert groups_of(loss).estimate().se < 0.4 * together.se


def test_coverage_on_skewed_losses():
    rng = np.random.default_rng(4)
    hits = 0
    for _ in range(150):
        e = GroupSums.of(one_row_a_group(100), rng.exponential(size=100), np.ones(100)).estimate()
        hits += e.lower <= 1.0 <= e.upper
    assert 0.90 <= hits / 150 <= 0.98


def test_wider_for_more_confidence_and_cut_at_the_floor():
    groups = groups_of(np.random.default_rng(5).exponential(size=400))
    narrow, wide = groups.estimate(confidence=0.8), groups.estimate(confidence=0.99)
    assert wide.lower < narrow.lower < narrow.value < narrow.upper < wide.upper
    assert (narrow.se, narrow.confidence) == (wide.se, 0.8)
    assert groups.estimate(floor=wide.lower + 0.01, confidence=0.99).lower == wide.lower + 0.01


def test_what_cannot_be_estimated_says_why():
    assert "no rows" in groups_of([]).estimate().why
    assert "one row" in groups_of([2.0]).estimate().why
    assert "no variance" in groups_of([0.5] * 10).estimate().why
    same = GroupSums.of(key_identity(["x"] * 5), np.arange(5.0), np.ones(5)).estimate()
    assert (same.value, same.se, same.lower, same.p_value(0.0)) == (2.0, None, None, None)
    assert "no spread" in same.why
    rare = np.zeros(100)
    rare[0] = 5.0
    assert "too few events" in groups_of(rare).estimate().why


def test_a_replicate_without_any_denominator_is_left_out():
    b = np.concatenate([np.zeros(6), np.arange(1.0, 7.0)])
    empty = (bootstrap._draws(12, 20_000, 0) @ b == 0).sum()
    groups = GroupSums.of(one_row_a_group(12), 2 * b + np.sin(b) * (b > 0), b)
    assert empty > 0
    assert math.isfinite(groups.estimate(replicates=20_000, seed=0).se)


def test_options_are_checked():
    with pytest.raises(OptionError, match="2000"):
        groups_of([1.0, 2.0]).estimate(replicates=20)
    with pytest.raises(OptionError, match=r"0\.95"):
        groups_of([1.0, 2.0]).estimate(confidence=95)


def test_draws_are_multinomial():
    draws = bootstrap._draws(50, 400, 0)
    assert (draws.sum(axis=1) == 50).all()
    assert draws.var() == pytest.approx(1 - 1 / 50, rel=0.05)
