"""The interval of the log loss over rows, clusters and bootstrap groups, and the baseline under a given prior."""

import math

import numpy as np
import pytest
from sklearn.metrics import d2_log_loss_score, log_loss

from crossent.errors import DataError, LabelError, OptionError, ShapeError
from crossent.scoring import Tally
from crossent.scoring.layout import commonest, prior_shares
from crossent.stats.clusters import FEW_CLUSTERS

CLASSES = ["a", "b", "c"]


def batch(n=900, clusters=60, seed=0):
    """Rows in clusters that share how hard they are."""
    rng = np.random.default_rng(seed)
    cluster = rng.integers(0, clusters, n)
    sharp = rng.exponential(size=clusters)[cluster]
    z = rng.normal(size=(n, 3)) * 2 * sharp[:, None]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return rng.integers(0, 3, n), p, rng.random(n) + 0.1, cluster


def tallied(y, p, **options):
    beside = {name: options.pop(name, None) for name in ("sample_weight", "cluster")}
    tally = Tally(CLASSES, cluster=beside["cluster"] is not None, **options)
    tally.update(y, p, source="f", **beside)
    return tally


@pytest.mark.parametrize("weighted", [False, True])
def test_clusters_have_the_sandwich_standard_error(weighted):
    y, p, w, cluster = batch()
    w = w if weighted else np.ones(len(y))
    score = tallied(y, p, cluster=cluster, sample_weight=w if weighted else None).result(redraws=2)
    losses = -np.log(p[np.arange(len(y)), y])
    ratio = (w * losses).sum() / w.sum()
    u = np.bincount(cluster, w * (losses - ratio)) / w.sum()
    m = len(u)
    assert score.method == "clusters"
    assert score.log_loss.se == pytest.approx(math.sqrt(m / (m - 1) * (u**2).sum()), rel=1e-9)
    assert score.log_loss.n == m
    assert score.n == 900
    assert any("over clusters; all other" in note for note in score.notes)
    plain = tallied(y, p).result(redraws=2)
    assert (plain.method, plain.notes) == ("hall", ())
    assert score.log_loss.se > 1.5 * plain.log_loss.se or weighted


@pytest.mark.parametrize("ci", ["hall", "bootstrap"])
def test_a_score_says_whether_its_rows_came_in_clusters(ci):
    y, p, _, cluster = batch()
    for keys in (None, cluster):
        assert tallied(y, p, cluster=keys, ci=ci).result(redraws=2).clustered == (keys is not None)


def test_a_bootstrap_of_clusters_counts_clusters():
    y, p, _, cluster = batch(n=2000, clusters=10)
    hall, drawn = (tallied(y, p, cluster=cluster, ci=ci).result(redraws=2).log_loss for ci in ("hall", "bootstrap"))
    assert (drawn.n, drawn.effective_n, drawn.gamma) == (10, hall.effective_n, hall.gamma)
    assert (drawn.mark, drawn.value) == (hall.mark, hall.value)
    assert FEW_CLUSTERS in drawn.mark
    assert drawn.se == pytest.approx(hall.se, rel=0.1)


def test_keys_of_clusters_are_compared_as_text():
    y, p, _, cluster = batch()
    number, text = (tallied(y, p, cluster=keys).result(redraws=2) for keys in (cluster, cluster.astype(str)))
    assert number == text


def test_clusters_in_any_split_and_without_infinite_rows():
    y, p, _, cluster = batch(n=200)
    p[5, y[5]] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    whole = tallied(y, p, cluster=cluster)
    left, right = Tally(CLASSES, cluster=True), Tally(CLASSES, cluster=True)
    left.update(y[:70], p[:70], cluster=cluster[:70], source="f")
    right.update(y[70:], p[70:], cluster=cluster[70:], source="f", first_row=70)
    assert (right + left).to_bytes() == whole.to_bytes()
    score = whole.result(redraws=2)
    assert score.log_loss.value == math.inf
    kept = np.arange(200) != 5
    alone = tallied(y[kept], p[kept], cluster=cluster[kept]).result(redraws=2)
    assert score.infinities.finite == alone.log_loss


def test_few_clusters_are_marked_and_missing_keys_refused():
    y, p, _, cluster = batch(n=300, clusters=5)
    assert "fewer than 30 clusters" in tallied(y, p, cluster=cluster).result(redraws=2).log_loss.mark
    keys = cluster.astype(object)
    keys[7] = None
    with pytest.raises(DataError, match=r"f row 8: cluster keys\[7\] is missing"):
        tallied(y, p, cluster=keys)


@pytest.mark.parametrize("clustered", [False, True])
def test_bootstrap_is_near_the_closed_form_and_depends_on_the_seed(clustered):
    y, p, _, cluster = batch(n=6000, clusters=400)
    key = {"cluster": cluster} if clustered else {}
    closed = tallied(y, p, **key).result(redraws=2).log_loss
    tally = tallied(y, p, ci="bootstrap", **key)
    score = tally.result(redraws=2)
    assert score.method == "bootstrap"
    assert score.log_loss.value == closed.value
    assert score.log_loss.se == pytest.approx(closed.se, rel=0.12)
    assert score.log_loss.lower == pytest.approx(closed.lower, abs=0.2 * closed.se)
    assert tally.result(redraws=2, seed=1).log_loss.se != score.log_loss.se
    assert tally.result(redraws=2) == score


def test_bootstrap_groups_follow_the_identity_of_rows():
    y, p, _, _ = batch(n=300)
    halves = [Tally(CLASSES, ci="bootstrap") for _ in range(2)]
    halves[0].update(y[:100], p[:100], source="f")
    halves[1].update(y[100:], p[100:], source="f", first_row=100)
    whole = tallied(y, p, ci="bootstrap")
    assert (halves[1] + halves[0]).to_bytes() == whole.to_bytes()
    other = Tally(CLASSES, ci="bootstrap")
    other.update(y, p, source="g")
    assert other.result(redraws=2).log_loss.se != whole.result(redraws=2).log_loss.se


def test_clusters_are_announced():
    y, p, _, cluster = batch(n=30)
    with pytest.raises(OptionError, match="without cluster=True"):
        Tally(CLASSES).update(y, p, cluster=cluster)
    with pytest.raises(OptionError, match="no cluster= came"):
        Tally(CLASSES, cluster=True).update(y, p)
    with pytest.raises(OptionError, match=r"ci is 'normal'.*hall, bootstrap"):
        Tally(CLASSES, ci="normal")


@pytest.mark.parametrize("weighted", [False, True])
def test_skill_is_d2_of_scikit_learn(weighted):
    y, p, w, _ = batch()
    w = w if weighted else None
    found = tallied(y, p, sample_weight=w).result(redraws=2)
    assert found.skill == pytest.approx(d2_log_loss_score(y, p, sample_weight=w), rel=1e-10)
    assert found.baseline_of == "these rows"


@pytest.mark.parametrize("prior", [{"c": 5, "a": 3, "b": 2}, [0.3, 0.2, 0.5], np.array([3, 2, 5])])
def test_baseline_is_the_loss_of_the_prior(prior):
    y, p, w, _ = batch()
    found = tallied(y, p, sample_weight=w, prior=prior).result(redraws=2)
    wanted = log_loss(y, np.tile([0.3, 0.2, 0.5], (len(y), 1)), sample_weight=w)
    assert found.baseline == pytest.approx(wanted, rel=1e-12)
    assert found.skill == pytest.approx(1 - found.log_loss.value / wanted, rel=1e-12)
    assert found.bits_gained == pytest.approx((wanted - found.log_loss.value) / math.log(2), rel=1e-12)
    assert found.baseline_of == "the given prior"
    assert found.decomposition.unc != found.baseline  # the uncertainty is that of the rows


def test_a_class_that_the_prior_never_saw():
    y, p, _, _ = batch()
    found = tallied(y, p, prior={"a": 1, "b": 1}).result(redraws=2)
    assert (found.baseline, found.skill, found.bits_gained) == (math.inf, None, math.inf)
    assert "the prior of a class is 0" in found.to_dict()["skill_why"]
    p[0, y[0]] = 0.0
    p /= p.sum(axis=1, keepdims=True)
    assert tallied(y, p, prior={"a": 1, "b": 1}).result(redraws=2).bits_gained is None
    unseen = tallied(np.zeros(30, int), np.tile([0.5, 0.5, 0.0], (30, 1)), prior={"a": 1, "b": 1})
    assert unseen.result(redraws=2).baseline == pytest.approx(math.log(2))


def test_priors_that_fit_no_classes_are_refused():
    classes = ("ant", "bee", "1")
    assert prior_shares({"ant": 1, "bee": 1, 1: 2}, classes) == (0.25, 0.25, 0.5)
    assert prior_shares(None, classes) is None
    with pytest.raises(LabelError, match=r"'bea'.*Did you mean 'bee'"):
        prior_shares({"bea": 1}, classes)
    with pytest.raises(ShapeError, match="2 numbers, but there are 3 classes"):
        prior_shares([0.5, 0.5], classes)
    for bad in ([1, -1, 1], [math.nan, 1, 1], [math.inf, 1, 1], [0, 0, 0]):
        with pytest.raises(OptionError, match="prior"):
            prior_shares(bad, classes)


def test_tallies_with_other_options_do_not_add_up():
    for options in ({"prior": [1, 1, 1]}, {"by": ["g"]}, {"cluster": True}, {"ci": "bootstrap"}, {"tracked": [0]}):
        (name,) = options
        with pytest.raises(OptionError, match=name):
            Tally(CLASSES) + Tally(CLASSES, **options)


def test_thresholds_and_tracked_columns_in_range():
    for bad in (0, 1, -0.5, math.nan):
        with pytest.raises(OptionError, match="threshold"):
            Tally(["a", "b"], threshold=bad)
    with pytest.raises(OptionError, match="two classes"):
        Tally(CLASSES, threshold=0.3)
    for tracked in ([3], [-1], [0, 0], range(201)):
        with pytest.raises(OptionError, match="tracked"):
            Tally(CLASSES, tracked=tracked)


def test_commonest_classes_are_those_with_most_rows():
    counts = np.random.default_rng(0).integers(0, 50, 1000)
    found = commonest(counts)
    assert len(found) == 200
    assert list(found) == sorted(found)
    assert min(counts[list(found)]) >= max(np.delete(counts, found))
