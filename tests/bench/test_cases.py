"""The cases are those whose targets are written down, and every worker makes the same numbers for them."""

import numpy as np
import pytest

from crossent.bench.cases import SUITES, cases_of
from crossent.bench.peers.data import Spec, make, softmax
from crossent.bench.roster import CROSSENT, IN_TORCH, INTELEX, LOSS_ALONE, METRICS, PEERS, SKLEARN
from crossent.bench.worker import REGIMES

REACH = {  # title: ratio for the loss, for loss and gradient
    "(2048, 32000)": (2, 5),
    "(2048, 32000) bfloat16": (3, 6),
    "(512, 256000)": (2, 5),
    "(65536, 1000)": (2, 5),
    "(200000, 100)": (None, None),
    "(5000000, 10)": (4, 6.5),
    "(5000000, 3)": (4, 6.5),
    "(8, 21, 512, 512), class axis 1": (2.5, 6),
    "binary logits, 50M": (4, 5),
    "binary probabilities float64, 50M": (300, None),
    "log loss float64 (100000, 1000)": (300, None),
    "soft targets (2048, 32000)": (2.5, 4),
    "label smoothing (2048, 32000)": (2.5, 4),
}


def test_the_suite_has_every_case_with_its_target():
    def ratio(case, work):
        return case.targets[work].ratio if work in case.targets else None

    assert {c.title: (ratio(c, "forward"), ratio(c, "gradient")) for c in cases_of("loss")} == REACH


def test_small_calls_have_their_times():
    targets = {c.title: {work: t.seconds for work, t in c.targets.items()} for c in cases_of("small")}
    assert targets == {"(1, 10)": {}, "(32, 10)": {"forward": 6e-6, "gradient": 9e-6}}


def test_linear_layers_have_their_target_and_are_larger_than_torch_could_take():
    beside, *large = cases_of("linear")
    assert beside.shape == (2048, 1024, 32_000)
    assert (beside.targets["gradient"].ratio, beside.targets["gradient"].extra_share) == (1.15, 0.5)
    assert beside.targets["gradient"].against == "torch eager"
    assert {case.shape[2] for case in large} == {256_000}
    assert max(3 * 4 * case.elements for case in large) > 16e9
    assert len({case.memory_limit for case in large if case.shape[0] == 6144}) == 3
    assert len({case.shape[0] for case in large if case.memory_limit == 256_000_000}) == 2
    assert not any(case.peers for case in large)


def test_inside_torch_the_large_cases_keep_their_targets_and_small_batches_are_not_slower():
    found = {case.title.removeprefix("torch "): case for case in cases_of("torch")}
    kept = {title: reach for title, reach in REACH.items() if title in found}
    assert len(kept) == 8
    assert {title: tuple(found[title].targets[w].ratio for w in ("forward", "gradient")) for title in kept} == kept
    assert all(target.against == "" for title in kept for target in found[title].targets.values())
    for title, shape in (("(32, 10)", (32, 10)), ("(128, 1000)", (128, 1000))):
        (target,) = found[title].targets.values()
        assert found[title].shape == shape
        assert (target.ratio, target.against) == (1, "torch eager")
    for title, ratio in (("linear (2048, 1024, 32000)", 1.15), ("linear (2048, 1024, 32000) bfloat16", 1.35)):
        target = found[title].targets["gradient"]
        assert (target.ratio, target.extra_share, target.against) == (ratio, 0.5, "torch eager")
    assert len(found) == 8 + 2 + 2


def test_fits_have_their_targets():
    found = {case.title.removeprefix("fit "): case for case in cases_of("fit")}
    assert {title: case.targets["fit"].ratio for title, case in found.items() if case.targets} == {
        "(500000, 50), 2 classes": 3,
        "(60000, 784), 10 classes, label noise": 20,
        "(60000, 784), 10 classes, nearly separable": 1,
        "digits (1797, 64), 10 classes": 1,
        "sparse (20000, 50000), 20 classes": 1,
    }
    assert [case.dtype for case in found.values() if not case.targets] == ["float32", "float32"]
    for case in found.values():
        assert set(case.solvers) == {case.ours, *case.peers}
        assert {"lbfgs", "newton-cg"} <= set(case.solvers[SKLEARN]) or case.dtype == "float32"
        # the Hessian of all coefficients stays below 1 GB wherever it is made, and is made wherever it is small
        hessian = 8 * (case.shape[1] * (case.shape[2] if case.shape[2] > 2 else 1)) ** 2
        assert ("newton-cholesky" in case.solvers[SKLEARN]) == (hessian < 1e8)
        assert (INTELEX in case.peers) == (case.kind != "fit sparse")


def test_scores_have_their_target_beside_the_loss_alone():
    found = {case.title.removeprefix("score "): case for case in cases_of("score")}
    assert {title: case.targets["tally"].times for title, case in found.items() if case.targets} == {
        "probabilities (1000000, 10)": 2,
        "probabilities (1000000, 10), float32": 2,
        "logits (1000000, 10)": 2,
    }
    assert sorted(case.shape[1] for case in found.values() if not case.targets) == [2, 100]
    for case in found.values():
        assert all(target.against == LOSS_ALONE for target in case.targets.values())
        assert case.works == ("tally", "result")
        assert case.peers == (LOSS_ALONE, "sklearn log_loss", METRICS)


def test_what_the_peers_are_compared_with():
    for suite in SUITES:
        assert {case.ours for case in cases_of(suite)} == {IN_TORCH if suite == "torch" else CROSSENT}
    assert all(case.works == ("forward", "gradient") for case in cases_of("torch"))


def test_growth_covers_four_decades():
    cases = cases_of("scaling")
    for what, place in (("rows", 0), ("classes", 1)):
        counts = [c.shape[place] for c in cases if c.title.startswith(what)]
        assert max(counts) == 10_000 * min(counts)
        assert {c.shape[1 - place] for c in cases if c.title.startswith(what)} == {1000}


def test_titles_peers_and_regimes_are_known():
    cases = [case for suite in SUITES for case in cases_of(suite)]
    assert len({case.title for case in cases}) == len(cases)
    for case in cases:
        assert {case.ours, *case.peers} <= set(PEERS)
        assert case.ours not in case.peers
        assert set(case.regimes) <= set(REGIMES)
        assert all(t.against in ("", *case.peers) for t in case.targets.values())
        assert max(case.shrunk().shape) <= 60
        assert len(case.shrunk().shape) == len(case.shape)


@pytest.mark.parametrize(
    ("pattern", "titles"),
    [("bfloat16", ["(2048, 32000) bfloat16"]), ("(5000000, ?)", ["(5000000, 3)"]), ("gone", [])],
)
def test_patterns(pattern, titles):
    assert [case.title for case in cases_of("loss", pattern=pattern)] == titles


@pytest.mark.parametrize(
    "case", [c for s in SUITES if s != "fit" for c in cases_of(s, quick=True)], ids=lambda c: c.title
)
def test_the_numbers_of_a_case(case):
    spec = Spec(**{**case.spec, "shape": case.shape})
    first, second = make(spec), make(spec)
    np.testing.assert_array_equal(first.prediction, second.prediction)
    np.testing.assert_array_equal(first.targets, second.targets)
    if case.kind == "linear":
        rows, features, classes = case.shape
        shapes = [a.shape for a in (first.prediction, first.targets, first.weight, first.bias)]
        assert shapes == [(rows, features), (rows,), (classes, features), (classes,)]
        assert 0 <= first.targets.min() <= first.targets.max() < classes
        assert (first.prediction @ first.weight.T).std() == pytest.approx(3, rel=0.3)
        np.testing.assert_array_equal(first.weight, second.weight)
        return
    assert first.prediction.shape == case.shape
    assert first.prediction.dtype == (np.float64 if case.dtype == "float64" else np.float32)
    assert first.prediction.std() > 0
    if case.kind.startswith("binary"):
        assert set(np.unique(first.targets)) == {0, 1}
    elif case.kind == "soft":
        np.testing.assert_allclose(first.targets.sum(axis=1), 1, rtol=1e-5)
    else:
        assert first.targets.dtype == np.int64
        assert first.targets.size == first.prediction.size // spec.classes
        assert 0 <= first.targets.min() <= first.targets.max() < spec.classes
    if case.suite == "score":
        assert set(first.targets) == set(range(case.shape[1]))
    if case.kind.endswith("probs"):
        assert first.prediction.min() > 0
        assert first.prediction.max() < 1


def test_targets_of_scores_are_drawn_from_their_predictions():
    """So the expected log loss is the expected entropy, of probabilities and of logits."""
    found = []
    for kind in ("score probs", "score logits"):
        made = make(Spec(kind=kind, shape=(20_000, 10), dtype="float64"))
        p = made.prediction if kind == "score probs" else softmax(made.prediction)
        np.testing.assert_allclose(p.sum(axis=1), 1)
        loss = -np.log(p[np.arange(len(p)), made.targets])
        gap = loss + (p * np.log(p)).sum(axis=1)
        assert abs(gap.mean()) < 4 * gap.std() / len(gap) ** 0.5
        assert abs(loss.mean() - np.log(10)) > 1
        found.append((p, made.targets))
    np.testing.assert_allclose(found[0][0], found[1][0])
    np.testing.assert_array_equal(found[0][1], found[1][1])
