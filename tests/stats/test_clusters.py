"""ClusterSums: statsmodels' cluster-robust error, fractions by hand, the same bits in any order around the limit."""

import math
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from crossent.errors import NonFiniteError
from crossent.stats import RatioSums, clusters
from crossent.stats.clusters import FEW_CLUSTERS, ClusterSums
from crossent.stats.identity import key_identity
from crossent.stats.intervals import TOO_FEW_EVENTS


def sums_of(keys, a, b):
    return ClusterSums.of(key_identity(keys), np.asarray(a, np.float64), np.asarray(b, np.float64))


def sample(rng, count=60, sigma=1.0):
    """Rows in clusters that share an effect: keys, losses."""
    sizes = rng.integers(1, 30, count)
    keys = np.repeat(np.arange(count), sizes)
    effect = np.repeat(rng.normal(size=count) * sigma, sizes)
    return keys, np.exp(0.3 * effect + 0.3 * rng.normal(size=len(keys)))


def same(x, y):
    return np.array_equal(x.keys, y.keys) and x.folded == y.folded and x.a == y.a and x.b == y.b


@pytest.mark.parametrize("weighted", [False, True])
def test_the_standard_error_is_that_of_statsmodels(weighted):
    """A weighted mean is a regression on a constant; df_correction of one parameter is m / (m - 1) there."""
    rng = np.random.default_rng(1)
    keys, loss = sample(rng)
    w = rng.random(len(keys)) + 0.2 if weighted else np.ones(len(keys))
    found = sums_of(keys, loss * w, w).estimate()
    fit = sm.WLS(loss, np.ones(len(loss)), weights=w)
    fit = fit.fit(cov_type="cluster", cov_kwds={"groups": keys, "use_correction": False})
    m = len(np.unique(keys))
    assert found.n == m == 60
    assert found.value == pytest.approx(fit.params[0], rel=1e-12)
    assert found.se == pytest.approx(fit.bse[0] * math.sqrt(m / (m - 1)), rel=1e-10)
    assert found.mark is None


def test_the_ratio_is_the_definition_in_fractions():
    rng = np.random.default_rng(2)
    keys, nats = sample(rng, count=40)
    size = rng.integers(1, 9, len(keys)).astype(float)
    found = sums_of(keys, nats, size).estimate(confidence=0.9)
    a = [sum(Fraction(x) for x in nats[keys == k]) for k in range(40)]
    b = [sum(Fraction(x) for x in size[keys == k]) for k in range(40)]
    ratio = sum(a) / sum(b)
    u = [(x - ratio * y) / sum(b) for x, y in zip(a, b, strict=True)]
    square, cube = sum(x * x for x in u), sum(x**3 for x in u)
    assert found.value == float(ratio)
    assert found.se == pytest.approx(math.sqrt(square * 40 / 39), rel=1e-12)
    assert found.gamma == pytest.approx(math.sqrt(40) * float(cube) / float(square) ** 1.5, rel=1e-9)
    assert found.effective_n == pytest.approx(float(sum(b) ** 2 / sum(x * x for x in b)), rel=1e-12)


def test_a_row_a_cluster_is_the_plain_interval():
    rng = np.random.default_rng(3)
    a, b = rng.exponential(size=200), rng.random(200) + 0.1
    assert sums_of(np.arange(200), a, b).estimate() == RatioSums.of(a, b).estimate()


def test_errors_of_products_reach_the_value():
    a, below = np.array([1.0, 1.0, 2.0]), np.array([2.0**-60, 2.0**-60, 0.0])
    found = ClusterSums.of(key_identity([1, 1, 2]), a, np.ones(3), a_error=below)
    assert found.a.total().fractions() == [4 + Fraction(1, 2**59)]


@given(st.data())
def test_any_split_and_order_gives_the_same_bits(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    keys, loss = sample(rng, count=8)
    owner = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(keys), max_size=len(keys))))
    parts = [sums_of(keys[owner == k], loss[owner == k], loss[owner == k] ** 2) for k in range(4)]
    a, b, c, d = (parts[k] for k in data.draw(st.permutations(range(4))))
    whole = sums_of(keys, loss, loss**2)
    for merged in (((a + b) + c) + d, a + (b + (c + d)), (a + b) + (c + d)):
        assert same(merged, whole)
        assert merged.estimate() == whole.estimate()


@pytest.mark.parametrize("limit", [9, 10, 11, 14, 15, 19, 20, 30])
def test_any_order_gives_the_same_bits_around_the_limit(limit, monkeypatch):
    """20 keys in three parts of 10, 10 and 5 that overlap: each, two or all of them are beyond the limit."""
    monkeypatch.setattr(clusters, "MOST_KEYS", limit)
    monkeypatch.setattr(clusters, "_BUCKET_BITS", 3)
    rng = np.random.default_rng(4)
    blocks = [np.arange(10), np.arange(5, 15), np.arange(15, 20)]
    data = [(block, rng.exponential(size=len(block)), rng.random(len(block)) + 0.1) for block in blocks]
    whole = sums_of(*(np.concatenate(column) for column in zip(*data, strict=True)))
    assert whole.folded == (limit < 20)
    assert whole.clusters == (20 if limit >= 20 else len(np.unique(key_identity(np.arange(20)) >> np.uint64(61))))
    for order in permutations(data):
        a, b, c = (sums_of(*block) for block in order)
        for merged in ((a + b) + c, a + (b + c)):
            assert same(merged, whole)


def test_beyond_the_limit_whole_keys_share_buckets_and_the_error_stays():
    rng = np.random.default_rng(5)
    count = clusters.MOST_KEYS + 1
    keys = np.concatenate([np.arange(count), np.arange(count)])
    effect = rng.normal(size=count)
    loss = np.concatenate([effect, effect]) + rng.normal(size=2 * count) + 5
    identity = key_identity(keys[:count])
    identity = np.concatenate([identity, identity])
    ones = np.ones(len(loss))
    half = slice(0, count)
    exact = ClusterSums.of(identity[half][:-1], loss[half][:-1], ones[half][:-1])
    assert (exact.folded, exact.clusters) == (False, clusters.MOST_KEYS)
    found = ClusterSums.of(identity, loss, ones)
    assert found.folded
    assert 50_000 < found.clusters < 65_536  # buckets that hold one at least: 65 536 (1 - e^-1.53)
    mean = (loss[:count] + loss[count:]) / 2
    estimate = found.estimate()
    assert estimate.value == pytest.approx(mean.mean(), rel=1e-13)
    assert estimate.se == pytest.approx(mean.std(ddof=1) / math.sqrt(count), rel=0.02)


def test_intervals_hold_where_rows_of_a_cluster_are_alike():
    rng = np.random.default_rng(6)
    truth, hits, plain = math.exp(0.09), 0, 0
    for _ in range(300):
        keys, loss = sample(rng, count=50)
        e, naive = sums_of(keys, loss, np.ones(len(loss))).estimate(), RatioSums.of(loss).estimate()
        hits += e.lower <= truth <= e.upper
        plain += naive.lower <= truth <= naive.upper
    assert 0.92 <= hits / 300 <= 0.98
    assert plain / 300 < 0.75


def test_few_clusters_are_marked_one_has_no_error_and_words_speak_of_clusters():
    rng = np.random.default_rng(7)
    keys, loss = np.arange(29), rng.random(29)
    assert sums_of(keys, loss, np.ones(29)).estimate().mark == FEW_CLUSTERS
    assert sums_of(np.arange(30), rng.random(30), np.ones(30)).estimate().mark is None
    skewed = sums_of(keys, np.where(keys == 3, 9.0, 0.0), np.ones(29)).estimate(floor=0.0)
    assert skewed.mark == f"{TOO_FEW_EVENTS}; {FEW_CLUSTERS}"
    assert skewed.lower >= 0.0
    one = sums_of(["x", "x"], [1.0, 2.0], [1.0, 1.0]).estimate()
    assert (one.value, one.se, one.n, one.mark) == (1.5, None, 1, None)
    assert one.why == "one cluster: its spread cannot be seen"
    same_means = sums_of([1, 1, 2], [0.1, 0.1, 0.1], np.ones(3)).estimate()
    assert same_means.why == "no variance among the clusters: not estimable"
    assert sums_of([], [], []).estimate().value is None


def test_infinite_losses_are_refused():
    with pytest.raises(NonFiniteError):
        sums_of([1, 2], [1.0, math.inf], np.ones(2))
