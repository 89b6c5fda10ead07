"""Segments: each is the score of its own rows, p-values against all rows, and any split gives the same."""

import numpy as np
import pytest
from sklearn.metrics import log_loss
from statsmodels.stats.multitest import multipletests

from crossent.errors import DataError, OptionError, ShapeError
from crossent.scoring import CompareTally, Tally
from crossent.scoring.keys import by_value
from crossent.scoring.segments import SegmentSums

CLASSES = ["a", "b", "c"]


def batch(n=400, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(3), n)
    y = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return y, p, rng.random(n) + 0.1, rng.choice(["north", "south", "west"], n, p=[0.5, 0.45, 0.05])


def segmented(y, p, w=None, **by):
    tally = Tally(CLASSES, by=by)
    tally.update(y, p, sample_weight=w, by=by)
    return tally.result(redraws=5)


@pytest.mark.parametrize("weighted", [False, True])
def test_a_segment_is_the_score_of_its_rows(weighted):
    y, p, w, region = batch()
    w = w if weighted else None
    found = segmented(y, p, w, region=region)
    assert {s.value for s in found.segments} == {"north", "south", "west"}
    for s in found.segments:
        rows = region == s.value
        weights = None if w is None else w[rows]
        alone = Tally(CLASSES)
        alone.update(y[rows], p[rows], sample_weight=weights)
        wanted = alone.result(redraws=5).log_loss
        assert s.log_loss.value == pytest.approx(log_loss(y[rows], p[rows], sample_weight=weights), rel=1e-12)
        assert (s.log_loss.lower, s.log_loss.upper, s.n) == (wanted.lower, wanted.upper, rows.sum())
        few = np.bincount(y[rows], minlength=3).min() < 20
        assert bool(s.log_loss.mark) >= few
        assert s.p_value == (None if s.log_loss.mark else wanted.p_value(found.log_loss.value))
    assert sum(s.loss_share for s in found.segments) == pytest.approx(1)
    shares = [s.loss_share for s in found.segments]
    assert shares == sorted(shares, reverse=True)


def test_p_values_are_adjusted_within_each_column():
    y, p, _, region = batch()
    found = segmented(y, p, region=region, digit=np.arange(len(y)) % 7).segments
    assert [s.column for s in found] == ["region"] * 3 + ["digit"] * 7
    for column in ("region", "digit"):
        part = [s for s in found if s.column == column]
        assert [s.p_adjusted is None for s in part] == [s.p_value is None for s in part]
        wanted = multipletests([s.p_value for s in part if s.p_value is not None], method="fdr_bh")[1]
        assert [s.p_adjusted for s in part if s.p_value is not None] == pytest.approx(wanted.tolist(), rel=1e-12)


def test_infinite_and_single_rows_have_no_p_value():
    y, p = np.array([0, 1, 2, 0, 1]), np.full((5, 3), 1 / 3)
    p[1] = [1.0, 0.0, 0.0]
    p[4] = [0.2, 0.6, 0.2]
    found = segmented(y, p, g=["x", "x", "y", "z", "z"]).segments
    assert [(s.value, s.infinite, s.log_loss.value == np.inf, s.n) for s in found] == [
        ("x", 1, True, 2),
        ("z", 0, False, 2),
        ("y", 0, False, 1),
    ]
    assert [s.p_value is None for s in found] == [True, True, True]  # none, marked, one row
    assert found[0].p_adjusted is None
    assert all(s.loss_share is None for s in found)
    assert found[1].log_loss.mark is not None


@pytest.mark.parametrize("cut", [0, 1, 200, 399])
def test_any_split_gives_the_same_segments(cut):
    y, p, w, region = batch()
    number = np.arange(len(y)) % 37

    def part(rows):
        tally = Tally(CLASSES, by=["region", "number"])
        by = {"number": number[rows], "region": region[rows]}
        tally.update(y[rows], p[rows], sample_weight=w[rows], by=by, first_row=rows.start or 0)
        return tally

    left, right, whole = part(slice(0, cut)), part(slice(cut, None)), part(slice(None))
    assert (left + right).to_bytes() == (right + left).to_bytes() == whole.to_bytes()
    assert (left + right).result(redraws=2) == whole.result(redraws=2)


def test_values_are_compared_as_text_whatever_their_type():
    y, p = np.zeros(3, int), np.full((3, 3), 1 / 3)
    whole = Tally(CLASSES, by=["g"])
    for values in ([1, True, None], np.array([1.0, np.nan, 2.0], np.float32), ["1", "2", "true"]):
        whole.update(y, p, by={"g": values})
    found = {s.value: s.n for s in whole.result(redraws=2).segments}
    assert found == {"1": 3, "2": 2, "true": 2, "(missing)": 2}


def test_rows_of_weight_0_make_no_segment():
    y, p, _, _ = batch(n=3)
    assert {s.value for s in segmented(y, p, np.array([1.0, 0.0, 1.0]), g=["a", "b", "c"]).segments} == {"a", "c"}


def test_too_many_values_are_refused_in_one_block_and_in_several():
    n = 10_001
    y, p = np.zeros(n, int), np.full((n, 3), 1 / 3)
    tally = Tally(CLASSES, by=["id"])
    with pytest.raises(DataError, match=r"'id' has more than 10,000 values \(10,001 so far\)"):
        tally.update(y, p, by={"id": np.arange(n)})
    tally.update(y[:9000], p[:9000], by={"id": np.arange(9000)})
    with pytest.raises(DataError, match=r"10,001 so far"):
        tally.update(y[9000:], p[9000:], by={"id": np.arange(9000, n)})
    assert tally.n == 9000


def test_columns_are_announced_and_come_with_every_block():
    y, p, _, region = batch()
    tally = Tally(CLASSES, by=["region"])
    with pytest.raises(OptionError, match="'region' is missing"):
        tally.update(y, p)
    with pytest.raises(OptionError, match=r"'regoin' was not announced.*Did you mean 'region'"):
        tally.update(y, p, by={"region": region, "regoin": region})
    with pytest.raises(ShapeError, match=r"by\['region'\] has shape \(3,\)"):
        tally.update(y, p, by={"region": region[:3]})
    assert tally.n == 0
    with pytest.raises(OptionError, match="twice"):
        Tally(CLASSES, by=["g", "g"])


def test_saved_sums_that_do_not_fit_are_refused():
    def sums(**change):
        good = SegmentSums.of("g", by_value(np.array(["x", "y"])), np.ones(2), None, np.ones(2, bool))
        return SegmentSums(**{**vars(good), **change})

    sums().check()
    for change in ({"values": ("y", "x")}, {"values": ("x",)}, {"others": np.array([0, -1])}):
        with pytest.raises(ValueError, match="column 'g'"):
            sums(**change).check()


def rare(seed, n=6000, p=0.01):
    """Calibrated predictions of a rare class in 60 segments that do not differ."""
    rng = np.random.default_rng(seed)
    q = p * np.exp(rng.normal(0, 0.3, n))
    return (rng.random(n) < q).astype(int), q, np.arange(n) % 60


@pytest.mark.parametrize("seed", range(3))
def test_segments_with_few_rows_of_a_class_are_marked_and_claim_nothing(seed):
    y, q, segment = rare(seed)
    tally = Tally(["no", "yes"], by=["segment"])
    tally.update_binary(y, q, by={"segment": segment})
    found = tally.result(redraws=2).segments
    assert len(found) == 60
    assert all(s.log_loss.mark or s.log_loss.why for s in found)
    assert [s.p_adjusted for s in found] == [None] * 60


@pytest.mark.parametrize("seed", range(3))
def test_segments_of_a_comparison_with_few_rows_of_a_class_claim_nothing(seed):
    y, q, segment = rare(seed)
    tally = CompareTally(["no", "yes"], by=["segment"])
    tally.update_binary(y, q, np.minimum(0.9 * q, 1), by={"segment": segment})
    found = tally.result().segments
    assert all(s.difference.mark or s.difference.why for s in found)
    assert [s.p_adjusted for s in found] == [None] * 60


def test_segments_with_enough_rows_of_both_classes_keep_their_p_value():
    y, q, segment = rare(0, n=300_000, p=0.02)
    tally = Tally(["no", "yes"], by=["segment"])
    tally.update_binary(y, q, by={"segment": segment})
    found = tally.result(redraws=2).segments
    assert not any(s.log_loss.mark for s in found)
    assert min(s.p_adjusted for s in found) > 0.05


def test_the_classes_of_segments_are_counted_up_to_200():
    by = by_value(np.array(["x", "y", "x"]))
    for classes, held in ((3, 3), (200, 200), (201, 0)):
        sums = SegmentSums.of(
            "g", by, np.ones(3), None, np.ones(3, bool), targets=np.array([0, 1, 2]), class_count=classes
        )
        assert sums.truth.shape == (2, held)
        if held:
            assert sums.truth[:, :3].tolist() == [[1, 0, 1], [0, 1, 0]]
    with pytest.raises(ValueError, match="do not hold all rows"):
        SegmentSums(**{**vars(sums), "truth": np.ones((2, 3), np.int64)}).check()
