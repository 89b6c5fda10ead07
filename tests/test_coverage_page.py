"""The coverage study: its truths are right, its claims hold on fewer samples, and docs/coverage.md is what it makes."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import integrate, stats

import crossent as ce
from crossent.scoring.loss_summary import FEW_ROWS
from crossent.stats import RatioSums
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import key_identity

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "benchmarks"))

from coverage_study import calibration, designs, intervals, looks, losses, page, pairs  # noqa: E402  a path is set first

PAGE = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
STATISTICS = " ".join((ROOT / "docs" / "statistics.md").read_text(encoding="utf-8").split())
KNOWN = {**losses.LOSSES, **{f"pair {name}": pair for name, pair in (pairs.PAIRS | pairs.HEAVY_BOTH_WAYS).items()}}


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """benchmarks/coverage.py, which is no module of a package."""
    spec = importlib.util.spec_from_file_location("the_coverage_study", ROOT / "benchmarks" / "coverage.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# ---------------------------------------------------------------- the truths


@pytest.mark.parametrize("name", KNOWN)
def test_moments_are_those_of_what_is_drawn(name: str) -> None:
    known = KNOWN[name]
    drawn, rare = known.draw(np.random.default_rng(1), 400_000)
    for r, moment in enumerate(known.moments[:2], start=1):
        powers = drawn**r
        assert abs(powers.mean() - moment) < 5 * powers.std() / len(drawn) ** 0.5
    cubes = np.sort(drawn**3)  # heavy tails: the largest values are most of the sum
    assert cubes.mean() == pytest.approx(known.moments[2], rel=0.5)
    if rare is None:
        assert known.rare is None
    else:
        assert rare.mean() == pytest.approx(known.rare, rel=0.1)


def test_moments_of_a_classifier_by_another_quadrature() -> None:
    for r, moment in enumerate(losses.LOSSES["overconfident"].moments, start=1):

        def integrand(s: float, r: int = r) -> float:
            p = 1 / (1 + np.exp(-s))
            return stats.norm.pdf(s, scale=2) * (
                p * np.log1p(np.exp(-2 * s)) ** r + (1 - p) * np.log1p(np.exp(2 * s)) ** r
            )

        assert integrate.quad(integrand, -30, 30, limit=400)[0] == pytest.approx(moment, rel=1e-7)


@pytest.mark.parametrize("name", ["weighted", "clustered"])
def test_truth_and_skewness_of_ratios(name: str) -> None:
    """Against the units of one large sample; exponential losses have moments enough for that."""
    design = next(each for each in designs.DESIGNS[name] if each.losses == "exponential")
    (estimate,) = design.sample(np.random.default_rng(2), 400_000, 1).estimates
    assert abs(estimate.value - design.truth) < 5 * estimate.se
    assert estimate.gamma == pytest.approx(design.gamma, rel=0.05)


def test_clusters_are_summed_as_the_library_does() -> None:
    known = losses.LOSSES["confident"]
    sizes, values = designs.clustered_rows(known, np.random.default_rng(3), 50)
    key = np.repeat(np.arange(50), sizes)
    theirs = ClusterSums.of(key_identity(key), values, np.ones(len(key))).estimate(floor=0.0)
    design = next(each for each in designs.DESIGNS["clustered"] if each.losses == known.name)
    (ours,) = design.sample(np.random.default_rng(3), 50, 1).estimates
    for each in ("value", "se", "lower", "upper", "gamma"):
        assert getattr(ours, each) == pytest.approx(getattr(theirs, each), rel=1e-9)


# ---------------------------------------------------------------- the counting


def test_the_study_counts_what_score_says() -> None:
    """The same rows through ce.score: the same interval, and the mark where the study counts one."""
    for seed in range(4):
        for name in ("rare", "confident"):
            spread = 4.0 if name == "confident" else 2.0
            mean = 0.0 if name == "confident" else losses.logit_mean(0.01, 2.0)
            z, truth = losses.draw_truth(np.random.default_rng(seed), 300, mean, spread)
            found = ce.score(truth.astype(int), logits=z, redraws=1).log_loss
            drawn, rare = losses.LOSSES[name].draw(np.random.default_rng(seed), 300)
            sums = RatioSums.of(drawn).estimate(floor=0.0)
            assert (found.lower, found.upper) == pytest.approx((sums.lower, sums.upper), rel=1e-12)
            marked = intervals._marked(designs.Sample([sums], np.array([rare.sum()])))[0]
            assert marked == (found.mark is not None)
    assert intervals.EVENTS == FEW_ROWS


def test_the_study_counts_what_compare_says() -> None:
    rng = np.random.default_rng(4)
    s, truth = losses.draw_truth(rng, 200, 0.0, 4.0)
    seen = s + rng.standard_normal(200)
    found = ce.compare(truth.astype(int), logits=[s, seen]).difference
    drawn, _ = pairs.PAIRS["noisy"].draw(np.random.default_rng(4), 200)
    sums = RatioSums.of(drawn).estimate()
    for each in ("value", "se", "lower", "upper"):
        assert getattr(found, each) == pytest.approx(getattr(sums, each), rel=1e-9)


def test_coverage_at_a_base_rate_is_the_exact_one() -> None:
    """All losses are one of two values, so that a sample is its number of events, which is binomial."""
    n, p = 100, 0.01
    high, low = -np.log(p), -np.log1p(-p)
    truth, exact = p * high + (1 - p) * low, 0.0
    for k in range(12):
        found = RatioSums.of(np.repeat([high, low], [k, n - k])).estimate(floor=0.0)
        holds = found.lower is not None and found.lower <= truth <= found.upper
        exact += stats.binom.pmf(k, n, p) * holds
    assert (
        f"With a base rate of 1 % and 100 rows it holds the truth in {100 * exact:.0f} % of the samples" in STATISTICS
    )
    design = next(each for each in designs.DESIGNS["plain"] if each.losses == "base rate 1 %, p = 0.01")
    assert design.truth == pytest.approx(truth, rel=1e-12)
    found = intervals.coverage_of(design, n, replicates=1000, seed=5)
    assert abs(found.hall - exact) < 4 * (exact * (1 - exact) / 1000) ** 0.5
    assert abs(found.none - 0.99**n) < 0.06
    assert found.marked == 1


def test_intervals_hold_where_they_are_promised() -> None:
    """Each line within binomial slack, all lines together closely; the normal interval lies below the truth."""
    replicates = 200
    found = intervals.coverages(replicates=replicates, seed=11, sizes=(200,))
    promised = [c for c in found if c.promised and c.design != page.HEAVY]
    assert {c.design for c in promised} == set(designs.DESIGNS) - {"heavy"}
    slack = 3 * (0.95 * 0.05 / replicates) ** 0.5
    assert [c for c in promised if not 0.93 - slack <= c.hall <= 0.97 + slack] == []
    assert 0.94 < np.mean([c.hall for c in promised]) < 0.96
    plain = [c for c in promised if c.design == "plain"]
    assert np.mean([c.normal_below for c in plain]) > 2 * np.mean([c.normal_above for c in plain])
    beyond = [c for c in found if not c.promised and c.design != page.HEAVY]
    assert min(c.hall for c in beyond) < 0.8
    assert min(c.marked for c in beyond if c.rare is not None and c.rare < 10) > 0.95


def test_tests_of_calibration_on_few_samples() -> None:
    calibrated = calibration.rejections(2, 1.0, 300, replicates=60, seed=1)
    wrong = calibration.rejections(2, 1.5, 1000, replicates=8, seed=1)
    assert max(calibrated.shares) <= 0.05 + 4 * (0.05 * 0.95 / 60) ** 0.5
    assert min(wrong.shares) == 1


def test_sequences_and_bootstrap_on_few_samples() -> None:
    known = losses.LOSSES["exponential"]
    found = looks.sequence_of(known, rows=1000, expect_n=1000, replicates=300, seed=1)
    assert found.missed <= 0.05 + 3 * (0.05 * 0.95 / 300) ** 0.5
    assert found.fixed > 0.2
    resampled = looks.resampled(known, 500, replicates=8, seed=1)
    assert resampled.ratio == pytest.approx(1, abs=0.04)
    assert resampled.spread < 0.06


# ---------------------------------------------------------------- the page


def tables(text: str) -> Iterator[tuple[str, list[list[str]]]]:
    """The tables of a page: the heading above each, and its rows of cells."""
    for head, below in pairwise(re.split(r"^(#+ .*)$", text, flags=re.MULTILINE)):
        rows = [line.strip("| ").split(" | ") for line in below.splitlines() if line.startswith("|")]
        if head.startswith("#") and rows:
            yield head, rows


@pytest.fixture(scope="module")
def quick(script: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page as the command line makes it of small samples."""
    path = tmp_path_factory.mktemp("page") / "coverage.md"
    script.main(["--quick", "--replicates", "16", "--output", str(path)])
    return path.read_text(encoding="utf-8")


def test_the_page_has_the_tables_of_the_code(quick: str) -> None:
    small, whole = dict(tables(quick)), dict(tables(PAGE))
    assert list(small) == list(whole)
    assert re.findall("^#.*$", quick, flags=re.MULTILINE) == re.findall("^#.*$", PAGE, flags=re.MULTILINE)
    for heading, rows in small.items():
        assert whole[heading][:2] == rows[:2], heading  # heads and rule
        assert {len(row) for row in whole[heading]} == {len(rows[0])}
        assert {row[0] for row in rows} <= {row[0] for row in whole[heading]}
    assert "--quick" not in PAGE
    assert "python benchmarks/coverage.py --replicates 2000 --output docs/coverage.md" in PAGE.replace("\n", " ")


def test_the_page_keeps_what_is_promised() -> None:
    whole = dict(tables(PAGE))
    titles = ["### Means", "### Weighted means", "### Clusters", "### Differences of two models"]
    hall = [float(row[3]) for title in titles for row in whole[title][2:]]
    assert len(hall) > 80
    assert min(hall) >= 92
    assert max(hall) <= 98
    assert np.mean([93 <= x <= 97 for x in hall]) >= 0.95
    for title in titles:
        assert {"100", "200", "500", "1000", "5000"} == {row[1] for row in whole[title][2:]}
        assert all(float(row[2]) <= 0.5 for row in whole[title][2:])
    assert f"value in {min(hall)} to {max(hall)} % of the samples" in " ".join(PAGE.split())
    rejected = {tuple(row[:3]): [float(x) for x in row[3:]] for row in whole["## Tests of calibration"][2:]}
    assert max(max(x) for (_, t, _), x in rejected.items() if t == "1 (calibrated)") < 8
    assert min(rejected["2", "1.2", "5000"]) > 60
    rare = [row for row in whole["## Too few events"][2:] if row[1] == "base rate 1 %, p = 0.01" and row[2] == "100"]
    assert 57 < float(rare[0][4]) < 62
    ratios = [float(row[2].partition(" ")[0]) for row in whole["## Bootstrap"][2:]]
    assert ratios == pytest.approx([1] * len(ratios), abs=0.02)
    assert all(float(row[2]) < 10 < float(row[3]) for row in whole["## Looking after every row"][2:])
