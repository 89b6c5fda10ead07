"""States of comparisons: the same bits from any split, and looks while rows still come in."""

import math
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t

from crossent.errors import EmptyBatchError, OptionError, WeightError
from crossent.scoring.compare_tally import CompareTally, sequence
from pairs import CLASSES, batch, losses, tally_of, zeroed


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 30), st.booleans(), st.sampled_from(["hall", "bootstrap", "clusters"]), st.integers(0, 4))
def test_any_split_and_order_gives_the_same_compare(cut, weighted, method, seed):
    y, a, b, w = batch(n=30, seed=seed)
    a, b = zeroed(a, y, [4, 7]), zeroed(b, y, [7, 9])
    kind = np.array(["x", "y"])[np.arange(30) % 2]

    def part(rows):
        more = {"sample_weight": w[rows]} if weighted else {}
        ci = "hall" if method == "clusters" else method
        tally = CompareTally(CLASSES, by=("kind",), cluster=method == "clusters", ci=ci)
        if method == "clusters":
            more["cluster"] = rows % 5
        if len(rows):
            tally.update(y[rows], a[rows], b[rows], by={"kind": kind[rows]}, source="a", first_row=rows[0], **more)
        return tally

    rows = np.arange(30)
    whole, left, right = part(rows), part(rows[:cut]), part(rows[cut:])
    assert (left + right).result() == (right + left).result() == whole.result()
    assert (left + right).to_bytes() == whole.to_bytes()
    one_by_one = part(rows[:0])
    for i in reversed(rows[:7]):
        one_by_one = part(rows[i : i + 1]) + one_by_one
    assert one_by_one.to_bytes() == part(rows[:7]).to_bytes()


def blocks(n, *, count, seed=0, shift=0.0):
    """Tallies of blocks of new rows, with differences around `shift`, and the differences."""
    rng = np.random.default_rng(seed)
    tallies, found = [], []
    for k in range(count):
        base = rng.exponential(size=n)
        p = np.exp(-1.0 - np.stack([base, np.maximum(base + shift + 0.3 * rng.normal(size=n), -0.9)]))
        y = np.arange(n) % 2
        a, b = (np.where(y[:, None] == [0, 1], q[:, None], 1 - q[:, None]) for q in p)
        tallies.append(CompareTally(["n", "y"]))
        tallies[-1].update(y, a, b, first_row=k * n)
        found.append(losses(y, b) - losses(y, a))
    return tallies, found


def test_looks_are_those_of_the_formula():
    tallies, d = blocks(70, count=5)
    looks = sequence(list(accumulate(tallies)), expect_n=300)
    assert [look.n for look in looks] == [70, 140, 210, 280, 350]
    assert looks[0].lower is looks[0].upper is None
    assert "100" in looks[0].why
    # r that makes the sequence tightest at 300 rows, by a grid
    r = np.geomspace(0.01, 1, 20_001)
    half_at = lambda n: np.sqrt(2 * (n * r**2 + 1) / (n * r) ** 2 * np.log(np.sqrt(n * r**2 + 1) / 0.05))  # noqa: E731
    best = half_at(300).argmin()
    for k, look in enumerate(looks[1:], 2):
        rows = np.concatenate(d[:k])
        half = rows.std(ddof=1) * half_at(len(rows))[best]
        assert look.value == pytest.approx(rows.mean(), rel=1e-10)
        assert (look.upper - look.lower) / 2 == pytest.approx(half, rel=1e-4)
        assert (look.upper + look.lower) / 2 == pytest.approx(rows.mean(), abs=1e-9)


def test_looks_miss_seldom_however_often_one_looks():
    misses = {"looks": 0, "intervals": 0}
    for seed in range(30):
        states = list(accumulate(blocks(100, count=8, seed=seed)[0]))
        truth = 0.0
        misses["looks"] += any(not look.lower <= truth <= look.upper for look in sequence(states, expect_n=400))
        ends = [state.result().difference for state in states]
        misses["intervals"] += any(not e.lower <= truth <= e.upper for e in ends)
    assert misses["looks"] <= 3 < misses["intervals"], misses


@pytest.mark.parametrize("ci", ["hall", "bootstrap"])
def test_looks_of_clustered_rows_count_clusters(ci):
    y, a, b, _ = batch(n=2000)
    few, many = (tally_of(y, a, b, ci=ci, cluster=np.arange(2000) % k) for k in (10, 200))
    found = few.result(expect_n=100)
    assert (found.difference.n, found.sequence[0].n) == (10, 10)
    assert found.sequence[0].why == "no statement before n = 100"
    assert found.sequence[0].lower is None
    assert many.result(expect_n=100).sequence[0].n == 200
    detectable = (t.ppf(0.975, 9) + t.ppf(0.8, 9)) * found.difference.se
    assert found.detectable == pytest.approx(detectable, rel=1e-9)


def test_looks_take_the_seed_of_the_bootstrap():
    y, a, b, _ = batch(n=300)
    tally = tally_of(y, a, b, ci="bootstrap")
    for seed in (1, 2):
        look = tally.result(expect_n=200, seed=seed).sequence[0]
        assert look == sequence([tally], expect_n=200, seed=seed)[0]
    assert look != sequence([tally], expect_n=200, seed=1)[0]


def test_verdict_and_gates_are_those_of_the_last_look():
    states = list(accumulate(blocks(150, count=3, shift=-0.015)[0]))
    plain = states[-1].result(margin=0.02)
    found = states[-1].result(margin=0.02, expect_n=450, earlier=states[:-1])
    assert [look.n for look in found.sequence] == [150, 300, 450]
    assert (plain.verdict, plain.sequence) == ("better", ())
    assert found.difference == plain.difference
    assert found.sequence[-1].upper > 0 > plain.difference.upper
    assert (found.verdict, found.is_not_worse) == ("not worse", found.sequence[-1].upper < 0.02)
    assert found.to_dict()["sequence"][0]["n"] == 150
    with pytest.raises(OptionError, match="expect_n"):
        states[-1].result(earlier=states[:-1])


def test_an_infinite_difference_has_a_look_without_ends():
    y, a, b, _ = batch()
    found = tally_of(y, a, zeroed(b, y, [5])).result(expect_n=400)
    assert found.sequence[-1].value == math.inf
    assert found.sequence[-1].lower is None
    assert (found.verdict, found.is_worse) == ("worse", True)


def test_looks_that_do_not_follow_each_other_are_refused():
    tallies, _ = blocks(120, count=3)
    with pytest.raises(OptionError, match=r"look 3 has 120 rows and the one before it 240.*accumulate"):
        sequence([tallies[0], tallies[0] + tallies[1], tallies[2]], expect_n=200)
    with pytest.raises(OptionError, match="classes"):
        sequence([tallies[0], CompareTally(CLASSES)], expect_n=200)
    with pytest.raises(EmptyBatchError):
        sequence([CompareTally(CLASSES)], expect_n=200)
    with pytest.raises(OptionError):
        sequence(tallies[:1], expect_n=10)
    assert sequence([], expect_n=200) == ()


def test_more_than_2_to_the_40_rows_are_refused():
    y, a, b, _ = batch(n=3)
    tally = tally_of(y, a, b, count=[2**32, 0, 0])
    for _ in range(8):
        tally = tally + tally
    with pytest.raises(WeightError, match=r"1,099,511,627,779 rows.*2\^40"):
        tally.update(y, a, b)
    with pytest.raises(WeightError, match=r"2\^40"):
        tally + tally
    assert tally.n == 2**40
