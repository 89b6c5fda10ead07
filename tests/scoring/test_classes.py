"""Classes: precision, recall, F1, macro means, confusion and AUC are scikit-learn's; bits are brute force."""

import math

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)
from statsmodels.stats.proportion import proportion_confint

from crossent.scoring import Tally
from crossent.stats import wilson_estimate

CLASSES = ["ant", "bee", "cat", "dog"]


def batch(n=600, k=4, seed=0, sharp=2.0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * sharp
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return y, p, rng.random(n) + 0.1


def scored(y, p, w=None, **options):
    tally = Tally(CLASSES[: p.shape[1]], **options)
    tally.update(y, p, sample_weight=w)
    return tally.result(redraws=20)


def value(estimate):
    return 0.0 if estimate is None else estimate.value


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("k", [2, 4])
def test_precision_recall_f1_and_their_means(weighted, k):
    y, p, w = batch(k=k)
    w = w if weighted else None
    score, predicted = scored(y, p, w), p.argmax(axis=1)
    wanted = precision_recall_fscore_support(y, predicted, sample_weight=w)
    found = [[value(c.precision) for c in score.per_class], [value(c.recall) for c in score.per_class]]
    assert found[0] == pytest.approx(wanted[0], rel=1e-12)
    assert found[1] == pytest.approx(wanted[1], rel=1e-12)
    assert [c.f1 for c in score.per_class] == pytest.approx(wanted[2], rel=1e-12)
    macro = precision_recall_fscore_support(y, predicted, sample_weight=w, average="macro")[:3]
    assert (score.macro.precision, score.macro.recall, score.macro.f1) == pytest.approx(macro, rel=1e-12)


def test_classes_that_do_not_occur_or_are_never_predicted():
    p = np.array([[0.6, 0.4, 0.0, 0.0], [0.1, 0.7, 0.2, 0.0], [0.1, 0.6, 0.3, 0.0]])
    y = np.array([0, 0, 2])  # bee is predicted only, cat occurs only, dog neither
    score, predicted = scored(y, p), p.argmax(axis=1)
    _, bee, cat, dog = score.per_class
    assert (bee.recall, bee.precision.value, bee.f1) == (None, 0.0, 0.0)
    assert (cat.recall.value, cat.precision, cat.f1) == (0.0, None, 0.0)
    assert (dog.recall, dog.precision, dog.f1) == (None, None, None)
    macro = precision_recall_fscore_support(y, predicted, average="macro", zero_division=0)[:3]
    assert (score.macro.precision, score.macro.recall, score.macro.f1) == pytest.approx(macro, rel=1e-12)


def test_wilson_intervals_of_shares_are_those_of_statsmodels():
    y, p, _ = batch()
    score, predicted = scored(y, p), p.argmax(axis=1)
    for k, c in enumerate(score.per_class):
        hits = int(((y == k) & (predicted == k)).sum())
        for share, n in ((c.precision, (predicted == k).sum()), (c.recall, (y == k).sum())):
            assert (share.lower, share.upper) == pytest.approx(proportion_confint(hits, n, method="wilson"), rel=1e-9)
    right = int((y == predicted).sum())
    found = (score.accuracy.lower, score.accuracy.upper)
    assert found == pytest.approx(proportion_confint(right, len(y), method="wilson"), rel=1e-9)


def test_weighted_precision_has_the_effective_number_of_its_rows():
    y, p, w = batch()
    score, rows = scored(y, p, w), p.argmax(axis=1) == 2
    n = w[rows].sum() ** 2 / (w[rows] ** 2).sum()
    share = w[rows & (y == 2)].sum() / w[rows].sum()
    assert score.per_class[2].precision.effective_n == pytest.approx(n, rel=1e-12)
    wanted = wilson_estimate(share, n=int(rows.sum()), effective_n=n, confidence=0.95)
    assert score.per_class[2].precision.upper == pytest.approx(wanted.upper, rel=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_confusion_and_bits(weighted):
    y, p, w = batch()
    p[7, (y[7] + 1) % 4] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    found, predicted = scored(y, p, w if weighted else None).confusion, p.argmax(axis=1)
    assert np.array_equal(found.counts, confusion_matrix(y, predicted))
    w = w if weighted else np.ones(len(y))
    shares = confusion_matrix(y, predicted, sample_weight=w, normalize="true")
    assert np.array(found.shares) == pytest.approx(shares, rel=1e-12)
    for t in range(4):
        with np.errstate(divide="ignore"):
            bits = np.average(-np.log2(p[y == t]), axis=0, weights=w[y == t])
        assert list(found.bits[t]) == pytest.approx(bits.tolist(), rel=1e-12)
    assert math.inf in found.bits[y[7]]
    assert found.threshold is None


def test_confusion_of_a_class_without_rows_and_above_200_classes():
    found = scored(np.array([0, 0]), np.array([[0.5, 0.5], [0.2, 0.8]])).confusion
    assert found.counts == ((1, 1), (0, 0))
    assert (found.shares[1], found.bits[1], found.threshold) == (None, None, 0.5)
    tally = Tally([str(k) for k in range(201)])
    tally.update(np.arange(201), np.full((201, 201), 1 / 201))
    assert tally.result(redraws=2).confusion is None


@pytest.mark.parametrize("form", ["columns", "single", "logits"])
def test_threshold_of_two_classes(form):
    y, p, w = batch(k=2)
    tally = Tally(["no", "yes"], threshold=0.3, kind="logits" if form == "logits" else "probs")
    if form == "columns":
        tally.update(y, p, sample_weight=w)
    else:
        tally.update_binary(y, p[:, 1] if form == "single" else np.log(p[:, 1] / p[:, 0]), sample_weight=w)
    score, predicted = tally.result(redraws=20), (p[:, 1] > 0.3).astype(int)
    assert score.accuracy.value == pytest.approx(accuracy_score(y, predicted, sample_weight=w), rel=1e-12)
    assert np.array_equal(score.confusion.counts, confusion_matrix(y, predicted))
    assert score.confusion.threshold == 0.3
    wanted = precision_recall_fscore_support(y, predicted, sample_weight=w)
    assert [c.precision.value for c in score.per_class] == pytest.approx(wanted[0], rel=1e-12)
    assert score.log_loss.value == pytest.approx(log_loss(y, p, sample_weight=w), rel=1e-12)
    assert {r.predicted for r in score.worst} <= {"no", "yes"}


@pytest.mark.parametrize("weighted", [False, True])
def test_auc_is_scikit_learns_but_for_ties_within_a_cell(weighted):
    y, p, w = batch(n=3000, k=2)
    w = w if weighted else None
    assert scored(y, p, w).auc == pytest.approx(roc_auc_score(y, p[:, 1], sample_weight=w), abs=2e-4)
    y, p, w = batch(n=3000)
    score = scored(y, p, w)
    assert score.auc is None
    for k, c in enumerate(score.per_class):
        assert c.auc == pytest.approx(roc_auc_score(y == k, p[:, k], sample_weight=w), abs=2e-4)


def test_each_class_against_the_rest_is_its_binary_log_loss():
    y, p, w = batch(n=3000)
    for k, c in enumerate(scored(y, p, w).per_class):
        wanted = log_loss(y == k, p[:, k], sample_weight=w)
        assert c.rest.loss == pytest.approx(wanted, abs=2e-4)
        share = w[y == k].sum() / w.sum()
        assert c.rest.unc == pytest.approx(log_loss(y == k, np.full(len(y), share), sample_weight=w), rel=1e-9)
        assert c.rest.mcb - c.rest.dsc + c.rest.unc == pytest.approx(c.rest.loss, rel=1e-12)


def test_only_tracked_classes_have_cells_of_their_own():
    y, p, _ = batch()
    found = scored(y, p, tracked=[2, 0]).per_class
    assert [c.auc is None for c in found] == [False, True, False, True]
    whole = scored(y, p).per_class
    assert (found[0], found[2]) == (whole[0], whole[2])
    assert all(c.rest is None and c.auc is None for c in scored(*batch(k=2)).per_class)
    assert Tally([str(k) for k in range(201)]).layout.tracked == ()
