"""Tallies: scikit-learn's numbers, the same bits from any split, and what is refused."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss, precision_score, recall_score

from crossent.errors import (
    EmptyBatchError,
    LabelError,
    NonFiniteError,
    OptionError,
    ProbabilityError,
    ShapeError,
    WeightError,
)
from crossent.scoring import Tally

CLASSES = ["ant", "bee", "cat", "dog"]


def batch(n=500, k=4, seed=0, sharp=2.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * sharp
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    y = np.array([rng.choice(k, p=row) for row in p])
    return y, p, z, rng.random(n) + 0.1


def tally_of(y, p, **options):
    weight = options.pop("sample_weight", None)
    tally = Tally(CLASSES[: p.shape[1]], **options)
    tally.update(y, p, sample_weight=weight, source="a.parquet")
    return tally


@pytest.mark.parametrize("weighted", [False, True])
def test_agrees_with_scikit_learn(weighted):
    y, p, _, w = batch()
    w = w if weighted else None
    score = tally_of(y, p, sample_weight=w).result()
    predicted = p.argmax(axis=1)
    assert score.log_loss.value == pytest.approx(log_loss(y, p, sample_weight=w), rel=1e-12)
    assert score.log_loss_bits.value == pytest.approx(log_loss(y, p, sample_weight=w) / math.log(2), rel=1e-12)
    assert score.accuracy.value == pytest.approx(accuracy_score(y, predicted, sample_weight=w), rel=1e-12)
    recall = recall_score(y, predicted, average=None, sample_weight=w)
    precision = precision_score(y, predicted, average=None, sample_weight=w)
    assert [c.recall.value for c in score.per_class] == pytest.approx(recall, rel=1e-12)
    assert [c.precision.value for c in score.per_class] == pytest.approx(precision, rel=1e-12)
    assert [c.n for c in score.per_class] == np.bincount(y).tolist()


def test_baseline_skill_and_effective_classes():
    y, p, _, _ = batch()
    score = tally_of(y, p).result()
    shares = np.bincount(y) / len(y)
    baseline = log_loss(y, np.tile(shares, (len(y), 1)))
    assert score.baseline == pytest.approx(baseline, rel=1e-12)
    assert score.skill == pytest.approx(1 - score.log_loss.value / baseline, rel=1e-12)
    assert score.effective_classes == pytest.approx(math.exp(score.log_loss.value), rel=1e-12)
    assert score.bits_gained == pytest.approx((baseline - score.log_loss.value) / math.log(2), rel=1e-12)
    assert [c.prior for c in score.per_class] == pytest.approx(shares, rel=1e-15)


def test_per_class_losses_are_scikit_learns_on_those_rows():
    y, p, _, _ = batch()
    for k, found in enumerate(tally_of(y, p).result().per_class):
        rows = y == k
        assert found.log_loss.value == pytest.approx(log_loss(y[rows], p[rows], labels=range(4)), rel=1e-12)
        losses = -np.log(p[rows, k])
        assert found.log_loss.se == pytest.approx(losses.std(ddof=1) / rows.sum() ** 0.5, rel=1e-10)


def test_mean_is_rounded_once():
    y, p, _, _ = batch(n=50)
    losses = [mpmath.mpf(float(-mpmath.log(mpmath.mpf(float(p[i, t]))))) for i, t in enumerate(y)]
    assert tally_of(y, p).result().log_loss.value == pytest.approx(float(sum(losses) / 50), rel=4e-16)


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 24), st.booleans(), st.sampled_from(["width", "mass"]), st.integers(0, 3))
def test_any_split_and_order_gives_the_same_score(cut, weighted, binning, seed):
    y, p, _, w = batch(n=24, seed=seed)
    p[5, y[5]] = 0.0
    p[5] /= p[5].sum()

    def part(start, stop):
        tally = Tally(CLASSES, binning=binning, worst=7)
        rows = slice(start, stop)
        weight = w[rows] if weighted else None
        tally.update(y[rows], p[rows], sample_weight=weight, source="a", first_row=start)
        return tally

    whole = part(0, 24).result()
    left, right = part(0, cut), part(cut, 24)
    assert (left + right).result() == (right + left).result() == whole
    one_by_one = Tally(CLASSES, binning=binning, worst=7)
    for i in range(24):
        one_by_one = part(23 - i, 24 - i) + one_by_one
    assert one_by_one.result() == whole


def test_logits_and_log_probs_give_the_same_loss():
    y, p, z, _ = batch()
    wanted = tally_of(y, p).result()
    for kind, prediction in (("logits", z), ("log_probs", np.log(p))):
        found = tally_of(y, prediction, kind=kind).result()
        assert found.log_loss.value == pytest.approx(wanted.log_loss.value, rel=1e-13)
        assert found.accuracy == wanted.accuracy
        assert [b.n for b in found.reliability] == [b.n for b in wanted.reliability]
        assert [r.row for r in found.worst] == [r.row for r in wanted.worst]


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
def test_binary_column_is_used_exactly(kind):
    rng = np.random.default_rng(0)
    p = rng.random(300)
    y = (rng.random(300) < p).astype(np.int64)
    tally = Tally(["no", "yes"], kind=kind)
    tally.update_binary(y, {"probs": p, "logits": np.log(p / (1 - p)), "log_probs": np.log(p)}[kind])
    found = tally.result()
    wanted = tally_of(y, np.stack([1 - p, p], axis=1)).result()
    assert found.log_loss.value == pytest.approx(wanted.log_loss.value, rel=1e-12)
    assert found.accuracy == wanted.accuracy
    assert [b.n for b in found.reliability] == [b.n for b in wanted.reliability]


def test_tiny_positive_probability_keeps_its_digits():
    tally = Tally(["no", "yes"])
    tally.update_binary(np.array([0, 0]), np.array([1e-20, 3e-20]))
    assert tally.result().log_loss.value == pytest.approx(2e-20, rel=1e-14)


def test_infinite_losses_are_counted_and_shown_beside_the_rest():
    y, p, _, _ = batch()
    p[[3, 9], y[[3, 9]]] = 0.0
    p[11, y[11]] = 1e-13
    p /= p.sum(axis=1, keepdims=True)
    score = tally_of(y, p).result()
    assert score.log_loss.value == math.inf
    assert score.log_loss.se is score.log_loss.lower is None
    assert "2 rows have p = 0" in score.log_loss.why
    found = score.infinities
    assert found.rows == 2
    assert found.below == {"1e-15": 2, "1e-12": 3, "1e-07": 3}
    kept = np.ones(len(y), bool)
    kept[[3, 9]] = False
    assert found.finite.value == pytest.approx(log_loss(y[kept], p[kept]), rel=1e-12)
    assert found.finite.n == len(y) - 2
    by_habit = {habit: loss for habit, _, loss in found.clipped}
    assert by_habit["scikit-learn, float64"] == pytest.approx(log_loss(y, p), rel=1e-12)
    clipped = np.clip(p[np.arange(len(y)), y], 1e-7, 1 - 1e-7)
    assert by_habit["Keras"] == pytest.approx(-np.log(clipped).mean(), rel=1e-12)
    assert (score.skill, score.bits_gained, score.effective_classes) == (-math.inf, -math.inf, math.inf)
    assert [r.row for r in score.worst[:3]] == [3, 9, 11]
    assert score.worst[0].p_target == 0.0
    assert {c.log_loss.value == math.inf for c in score.per_class} == {True, False} or y[3] != y[9]


def test_note_on_few_decimals_is_the_one_promised():
    p = np.array([[1.0, 0.0], [0.25, 0.75], [0.3333, 0.6667]])
    score = tally_of(np.array([1, 1, 0]), p).result()
    assert score.infinities.note == (
        "1 row has p = 0.0000 at the true class, so the loss is inf: write more digits, or log-probs, or set the "
        "option clip to 5e-5"
    )
    exact = tally_of(np.array([1, 1]), np.array([[1.0, 0.0], [1 / 3, 2 / 3]])).result()
    assert "find out why" in exact.infinities.note


@pytest.mark.parametrize("weighted", [False, True])
def test_reliability_bins_are_those_of_numpy_between_their_edges(weighted):
    y, p, _, w = batch(n=2000)
    w = w if weighted else np.ones(2000)
    score = tally_of(y, p, sample_weight=w if weighted else None, bins=8).result()
    top, right = p.max(axis=1), p.argmax(axis=1) == y
    for b in score.reliability:
        rows = (top >= b.lower) & ((top < b.upper) | (b.upper == 1))
        assert b.n == rows.sum()
        assert b.confidence == pytest.approx(np.average(top[rows], weights=w[rows]), rel=1e-12)
        assert b.observed.value == pytest.approx(np.average(right[rows], weights=w[rows]), rel=1e-12)
        assert b.observed.effective_n == pytest.approx(w[rows].sum() ** 2 / (w[rows] ** 2).sum(), rel=1e-12)
    assert sum(b.n for b in score.reliability) == 2000


@pytest.mark.parametrize("bins", [1, 2, 7, 10, 100])
def test_equally_wide_bins_end_at_the_nearest_cell(bins):
    """A cell is 2^-5 of an octave of p or 1 - p, so no edge is further than a 64th of these from where it should be."""
    p = np.random.default_rng(0).random(20_000)
    tally = Tally(["a", "b"], bins=bins)
    tally.update_binary((p > 0.5).astype(int), p)
    found = tally.result().reliability
    edges = np.array([found[0].lower, *(b.upper for b in found)])
    wanted = np.arange(bins + 1) / bins
    assert len(found) == bins
    assert np.all(np.abs(edges - wanted) <= np.minimum(wanted, 1 - wanted) / 64 * 1.04)
    assert all(a.upper == b.lower for a, b in pairwise(found))
    assert [b.n for b in found] == np.histogram(p, edges)[0].tolist()


def test_two_classes_speak_of_the_positive_one():
    y, p, _, _ = batch(k=2)
    score = tally_of(y, p, bins=5).result()
    assert score.reliability_of == "the true class is bee"
    first = score.reliability[0]
    rows = p[:, 1] < first.upper
    assert first.upper == pytest.approx(0.2, abs=0.003)
    assert first.observed.value == pytest.approx((y[rows] == 1).mean())


def test_equal_mass_bins_hold_equal_numbers():
    y, p, _, _ = batch(n=3000, sharp=4.0)
    bins = tally_of(y, p, binning="mass", bins=6).result().reliability
    sizes = [b.n for b in bins]
    assert sum(sizes) == 3000
    assert max(sizes) < 1.2 * min(sizes)
    assert (bins[0].lower, bins[-1].upper) == (0.0, 1.0)
    assert all(a.upper == b.lower for a, b in pairwise(bins))
    assert all(b.lower <= b.confidence <= b.upper for b in bins)


def test_histogram_holds_every_finite_row():
    y, p, _, _ = batch()
    score = tally_of(y, p).result()
    losses = -np.log(p[np.arange(len(y)), y])
    assert sum(b.n for b in score.histogram) == len(y)
    assert sum(b.loss_share for b in score.histogram) == pytest.approx(1)
    for b in score.histogram:
        inside = (losses >= b.lower) & (losses < b.upper)
        assert b.n == inside.sum()
        assert b.loss_share == pytest.approx(losses[inside].sum() / losses.sum(), rel=1e-12)
    worst = np.sort(losses)[-len(y) // 100 :].sum() / losses.sum()
    assert score.worst_share == pytest.approx(worst, rel=0.05)


def test_worst_rows_are_the_sorted_ones():
    y, p, _, _ = batch()
    losses = -np.log(p[np.arange(len(y)), y])
    order = sorted(range(len(y)), key=lambda i: (-losses[i], i))[:10]
    found = tally_of(y, p).result().worst
    assert [r.row for r in found] == order
    assert [r.target for r in found] == [CLASSES[y[i]] for i in order]
    assert [r.predicted for r in found] == [CLASSES[p[i].argmax()] for i in order]
    assert [r.p_target for r in found] == [p[i, y[i]] for i in order]
    assert tally_of(y, p, worst=0).result().worst == ()


def test_ties_among_worst_rows_go_by_source_and_row():
    p = np.full((20, 2), 0.5)
    y = np.zeros(20, np.int64)
    tallies = []
    for source in ("b", "a"):
        tally = Tally(["n", "y"], worst=3)
        tally.update(y, p, source=source)
        tallies.append(tally)
    for both in (tallies[0] + tallies[1], tallies[1] + tallies[0]):
        assert [(r.source, r.row) for r in both.result().worst] == [("a", 0), ("a", 1), ("a", 2)]


def test_only_ratios_of_weights_matter_and_weight_0_is_no_row():
    y, p, _, w = batch()
    a, b = tally_of(y, p, sample_weight=w).result(), tally_of(y, p, sample_weight=4 * w).result()
    assert a.log_loss == b.log_loss
    w[:100] = 0
    p[:50] = np.nan
    found = tally_of(y, p, sample_weight=w).result()
    assert found.n == 400
    assert found.log_loss.value == pytest.approx(log_loss(y[100:], p[100:], sample_weight=w[100:]), rel=1e-12)
    assert min(r.row for r in found.worst) >= 100


def test_rare_class_marks_the_interval():
    y, p, _, _ = batch()
    assert tally_of(y, p).result().log_loss.mark is None
    rare = np.where(y == 3, 2, y)
    rare[:5] = 3
    assert "too few" in tally_of(rare, p).result().log_loss.mark


def test_one_class_has_no_skill_and_perfect_rows_no_error():
    p = np.tile([1.0, 0.0], (30, 1))
    score = tally_of(np.zeros(30, np.int64), p).result()
    assert (score.log_loss.value, score.log_loss.se, score.baseline, score.skill) == (0.0, None, 0.0, None)
    assert score.worst_share is None
    assert "not estimable" in score.log_loss.why


def test_row_sums_are_looked_at():
    y, p, _, _ = batch(n=40)
    p[7] *= 1.001
    score = tally_of(y, p).result()
    assert "probabilities of 1 of 40 rows" in score.notes[0]
    p[7] *= 1.1
    with pytest.raises(ProbabilityError, match=r"a\.parquet row 8: .* sum to 1\.1011 .* as logits"):
        tally_of(y, p)
    with pytest.raises(ProbabilityError, match="sum to"):
        tally_of(y, p * 2 + 3, kind="log_probs")


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        (lambda y, p: p.__setitem__((4, 1), np.nan), (ProbabilityError, NonFiniteError), "f row 105"),
        (lambda y, p: p.__setitem__((4, 1), -0.5), ProbabilityError, "f row 105: .*'bee' is -0.5"),
        (lambda y, p: y.__setitem__(4, 9), LabelError, r"f row 105: the target is 9; there are \d classes"),
    ],
)
def test_bad_values_are_named_with_their_place(change, error, text):
    y, p, _, _ = batch(n=20)
    change(y, p)
    tally = Tally(CLASSES)
    with pytest.raises(error, match=text):
        tally.update(y, p, source="f", first_row=100)
    assert tally.n == 0


def test_bad_shapes_weights_options_and_no_rows():
    y, p, _, w = batch(n=20)
    tally = Tally(CLASSES)
    with pytest.raises(ShapeError, match=r"\(20,\).*\(20, 3\)"):
        tally.update(y, p[:, :3])
    with pytest.raises(ShapeError):
        tally.update(y, p, sample_weight=w[:3])
    for bad in (-1.0, np.nan, np.inf, 1e-61, 1e61):
        w[5] = bad
        with pytest.raises(WeightError, match="row 6"):
            tally.update(y, p, sample_weight=w)
    tally.update(y[:0], p[:0])
    with pytest.raises(EmptyBatchError):
        tally.result()
    with pytest.raises(OptionError, match="two classes"):
        tally.update_binary(y, p[:, 0])
    for options in ({"kind": "odds"}, {"worst": -1}, {"bins": 0}, {"bins": 101}, {"binning": "log"}):
        with pytest.raises(OptionError):
            Tally(CLASSES, **options)
    for classes in ([], ["a", "a"]):
        with pytest.raises(LabelError):
            Tally(classes)
    with pytest.raises(OptionError, match="classes"):
        tally + Tally(["a", "b"])


def test_confidence_widens_the_interval():
    y, p, _, _ = batch()
    tally = tally_of(y, p)
    narrow, wide = tally.result(confidence=0.8).log_loss, tally.result(confidence=0.99).log_loss
    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_float32_probabilities_are_taken_as_the_numbers_they_are():
    y, p, _, _ = batch(n=100)
    p = p.astype(np.float32)
    exact = sum(Fraction(-math.log(float(p[i, t]))) for i, t in enumerate(y)) / 100
    assert tally_of(y, p).result().log_loss.value == pytest.approx(float(exact), rel=1e-15)
