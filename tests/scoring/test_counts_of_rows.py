"""count=: a row of count c is c rows, to the bit and in every statistic; clusters and segments included."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossent.errors import ShapeError, UnsupportedError, WeightError
from crossent.scoring import Tally

CLASSES = ["ant", "bee", "cat"]


def rows(seed, n=40, k=3):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.full(k, 0.3), n)
    p[3] = np.eye(k)[0]
    y = rng.integers(0, k, n)
    y[3] = 1  # an infinite loss
    return y, p, rng.random(n) + 0.1, rng.integers(0, 9, n), rng.integers(0, 4, n), rng.choice(list("uvw"), n)


def tallied(y, p, *, single=False, **beside):
    tally = Tally(
        CLASSES[: p.shape[1]],
        worst=0,
        by=["g"],
        cluster="cluster" in beside,
        ci="bootstrap" if beside.pop("bootstrap", False) else "hall",
        clip=beside.pop("clip", None),
    )
    if single:
        tally.update_binary(y, p[:, 1], **beside)
    else:
        tally.update(y, p, **beside)
    return tally


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.booleans(), st.sampled_from(["hall", "clusters", "bootstrap of clusters"]))
def test_counts_are_repeated_rows_to_the_bit(seed, weighted, interval):
    y, p, w, count, cluster, g = rows(seed)
    options = {} if interval == "hall" else {"cluster": cluster, "bootstrap": interval != "clusters"}
    weights = {"sample_weight": w} if weighted else {}
    counted = tallied(y, p, by={"g": g}, count=count, **weights, **options)
    again = {name: v if isinstance(v, bool) else np.repeat(v, count) for name, v in (options | weights).items()}
    repeated = tallied(np.repeat(y, count), np.repeat(p, count, axis=0), by={"g": np.repeat(g, count)}, **again)
    assert counted.n == count.sum()
    assert counted.to_bytes() == repeated.to_bytes()


@pytest.mark.parametrize("single", [False, True])
def test_counts_with_clip_and_a_single_column(single):
    y, p, _, count, _, g = rows(5, k=2)
    counted = tallied(y, p, by={"g": g}, count=count, clip=1e-3, single=single)
    repeated = tallied(
        np.repeat(y, count), np.repeat(p, count, axis=0), by={"g": np.repeat(g, count)}, clip=1e-3, single=single
    )
    assert counted.to_bytes() == repeated.to_bytes()
    assert counted.result() == repeated.result()


def test_worst_rows_stand_there_once():
    y, p, _, count, _, _ = rows(1)
    tally, all_rows = Tally(CLASSES, worst=5), Tally(CLASSES, worst=5)
    tally.update(y, p, count=count)
    all_rows.update(y[count > 0], p[count > 0])
    found = [(r.loss, r.p_target) for r in tally.result().worst]
    assert found == [(r.loss, r.p_target) for r in all_rows.result().worst]
    assert all(count[r.row] > 0 for r in tally.result().worst)


def test_count_0_is_no_row_and_may_hold_anything():
    y, p, w, count, _, _ = rows(2)
    p[count == 0] = np.nan
    w[count == 0] = np.nan
    y[count == 0] = 77
    tally = Tally(CLASSES)
    tally.update(y, p, count=count, sample_weight=w)
    assert tally.n == count.sum()
    tally.update(y, p, count=np.zeros(len(y), int))
    tally.update(y[:3], p[:3], sample_weight=np.zeros(3), count=[1, 2, 3])
    assert tally.n == count.sum()
    untouched = Tally(CLASSES)
    untouched.update(y[:3], p[:3], sample_weight=np.zeros(3), count=[1, 2, 3])
    assert untouched.to_bytes() == Tally(CLASSES).to_bytes()
    with pytest.raises(ShapeError):  # shapes are looked at even if no row counts
        tally.update(y, p[:, :2], count=np.zeros(len(y), int))


def test_large_counts_are_exact_and_bounded():
    y, p = np.array([0, 1, 1]), np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]])
    tally = Tally(["a", "b"])
    tally.update(y, p, count=[2**31, 1, 2**31 - 1])
    losses = -np.log(p[np.arange(3), y])
    assert tally.n == 2**32
    assert tally.result().log_loss.value == pytest.approx((losses[0] + losses[2]) / 2, rel=1e-9)
    for _ in range(8):
        tally = tally + tally
    with pytest.raises(WeightError, match="1,099,511,627,777 rows"):
        tally.update(y[:1], p[:1])
    with pytest.raises(WeightError, match=r"2\^40"):
        tally + tally
    assert tally.n == 2**40


@pytest.mark.parametrize("bad", [-1, 0.5, np.nan, np.inf])
def test_what_is_no_count_is_refused_with_its_row(bad):
    tally = Tally(["a", "b"])
    with pytest.raises(WeightError, match="f row 12: count"):
        tally.update([0, 1], [[0.5, 0.5]] * 2, count=[1, bad], source="f", first_row=10)
    assert tally.n == 0


def test_a_bootstrap_of_rows_knows_no_copies():
    tally = Tally(["a", "b"], ci="bootstrap")
    with pytest.raises(UnsupportedError, match="copies that count="):
        tally.update([0, 1], [[0.5, 0.5]] * 2, count=[1, 2])
