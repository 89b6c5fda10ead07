"""Verdicts claim what the numbers show and no more: calibration, and which of two is better."""

import math
from dataclasses import replace

import pytest

from crossent.report import to_text, verdict
from crossent.report.verdicts import calibration_verdict
from crossent.report.wording import caveat
from crossent.stats.score_tests import CalibrationTest
from crossent.stats.sequence import Look
from crossent.stats.temperature import Temperature
from results import HOSTILE, MARK, compare_of, estimate, score_of

QUIET = CalibrationTest(0.001, 0.4, 0.69)


def test_over_and_under_confidence_are_told_with_what_a_temperature_would_save():
    score = score_of(3)
    told = "temperature T = 1.4 would save 0.012 nat on these rows (p = 0.00097)."
    assert calibration_verdict(score) == f"Over-confident: {told}"
    assert verdict(score).endswith(f"Over-confident: {told}")
    cold = score_of(
        3, entropy_gap=CalibrationTest(-0.02, -9.0, 1e-19), temperature=Temperature(0.5, 0.1, 1, 0.2, None, 9, 0)
    )
    assert (
        calibration_verdict(cold)
        == "Under-confident: temperature T = 0.5 would save 0.2 nat on these rows (p < 0.0001)."
    )


def test_a_temperature_out_of_range_is_told_as_such():
    beyond = score_of(3, temperature=Temperature(8.0, None, 0.4, 0.3, "above 8", 200, 0))
    assert "temperature T above 8 would save 0.3 nat" in calibration_verdict(beyond)


@pytest.mark.parametrize("k", [2, 3])
def test_nothing_is_said_without_evidence(k):
    score = score_of(k, entropy_gap=QUIET)
    parts = score.decomposition if k == 2 else score.top
    calm = replace(parts, p_value=0.3)
    score = replace(score, decomposition=calm) if k == 2 else replace(score, top=calm)
    assert calibration_verdict(score) == ""


@pytest.mark.parametrize(
    ("gap", "p", "told"),
    [
        (CalibrationTest(0.02, 2.1, 0.036), 0.3, "Some sign of over-confidence (p = 0.036): no proof, as up to one in"),
        (CalibrationTest(-0.02, -2.1, 0.036), 0.02, "Some sign of under-confidence (p = 0.036): no proof, as up to"),
        (QUIET, 0.02, "Some sign of miscalibration (p = 0.02): no proof, as up to one in ten calibrated models gives"),
        (CalibrationTest(0.02, 2.1, 0.036), 0.005, "Not calibrated: miscalibration"),
        (CalibrationTest(0.02, 2.1, 0.036, mark="not reliable"), 0.3, ""),
        (CalibrationTest(0.02, 1.9, 0.051), 0.051, ""),
    ],
)
def test_between_evidence_and_nothing_there_is_a_sign(gap, p, told):
    score = score_of(2, entropy_gap=gap)
    score = replace(score, decomposition=replace(score.decomposition, p_value=p))
    assert calibration_verdict(score)[: len(told) or None] == told
    assert calibration_verdict(replace(score, clustered=True)) == ""


@pytest.mark.parametrize("method", ["clusters", "bootstrap"])
def test_of_rows_in_clusters_no_test_is_claimed(method):
    score = score_of(3, method=method, clustered=True)
    assert calibration_verdict(score) == ""
    assert "take rows as independent" in to_text(score)
    assert "take rows as independent" not in to_text(score_of(3))


def test_an_unreliable_test_is_no_evidence():
    shaky = CalibrationTest(0.02, 3.3, 0.00097, mark="not reliable: one row has 40 % of the variance")
    quiet = replace(score_of(2).decomposition, p_value=0.5)
    assert calibration_verdict(score_of(2, entropy_gap=shaky, decomposition=quiet)) == ""


def test_without_a_gap_the_isotonic_curve_may_still_tell():
    assert calibration_verdict(score_of(2, entropy_gap=QUIET)) == (
        "Not calibrated: miscalibration 0.02 nat beyond what chance gives (p = 0.005)."
    )
    assert calibration_verdict(score_of(3, entropy_gap=QUIET)).startswith("Confidence in the predicted class is not")
    assert calibration_verdict(score_of(2, entropy_gap=QUIET, zero=True)) == ""


def test_a_given_prior_is_named():
    assert "nat of the given prior alone" in verdict(score_of(3, baseline_of="the given prior"))
    ruled_out = score_of(3, baseline_of="the given prior", baseline=math.inf, skill=None)
    assert "gives no probability to a class that occurs" in verdict(ruled_out)


@pytest.mark.parametrize(
    ("judged", "told"),
    [
        ("better", "B (new) is better than A (old): "),
        ("worse", "B (new) is worse than A (old): "),
        ("not worse", "B (new) is not worse than A (old) by the margin of 0.01 nat: "),
        ("worse than the margin", "B (new) is worse than A (old) by more than the margin of 0.01 nat: "),
        ("undecided", "These rows do not tell A (old) and B (new) apart: "),
    ],
)
def test_a_comparison_is_told_as_it_was_judged(judged, told):
    text = verdict(compare_of(verdict=judged, margin=0.01))
    assert text.startswith(told)
    assert "-0.0300 nat (95 % interval -0.0500 to -0.0080) over 500 rows" in text
    assert ("difference of 0.028 nat with probability 0.8" in text) == (judged == "undecided")


def test_the_last_look_is_told_where_it_decides():
    looks = (Look(90, -0.1, None, None, 0.95, 500, why="fewer than 100 rows"), Look(500, -0.03, -0.07, 0.01, 0.95, 500))
    text = verdict(compare_of(verdict="undecided", sequence=looks))
    assert "-0.0300 nat (95 % confidence sequence -0.07 to 0.01) over 500 rows" in text
    assert "no statement yet: fewer than 100 rows" in verdict(compare_of(verdict="undecided", sequence=looks[:1]))


def test_where_most_rows_say_the_opposite_of_the_mean_that_is_told():
    assert verdict(compare_of(verdict="worse")).endswith("Yet B has the smaller loss in 61.0 % of the rows.")
    assert "Yet" not in verdict(compare_of(verdict="better"))
    few = estimate(0.3, 0.02)
    assert verdict(compare_of(better=few)).endswith("Yet B has the smaller loss in only 30.0 % of the rows.")
    assert "Yet" not in verdict(compare_of(better=few, tied=0.4))
    assert "Yet" not in verdict(compare_of(better=few, clustered=True))


def test_infinite_losses_decide_before_the_mean():
    lost = compare_of(infinite=(0, 2, 1), difference=estimate(math.inf), verdict="worse")
    assert verdict(lost).startswith(
        "B (new) is worse: it has an infinite loss in 2 rows in which A is finite. Over the 497"
    )
    assert verdict(compare_of(infinite=(1, 0, 0))).startswith(
        "A (old) has an infinite loss in 1 row in which B is finite. B (new) is "
    )
    assert "over 499 rows finite in both" in verdict(compare_of(infinite=(1, 0, 0)))
    assert "A (old) is infinite in 1 row in which B is finite" in verdict(compare_of(infinite=(1, 2, 0)))
    none = estimate(None)
    alone = verdict(compare_of(infinite=(9, 0, 0), finite=none))
    assert alone.startswith("A (old) has an infinite loss in 9 rows")
    assert alone.endswith("both have a finite loss.")
    assert verdict(compare_of(infinite=(0, 0, 9), finite=none, difference=none)).endswith("both have a finite loss.")


def test_rows_are_counted_where_the_interval_is_over_clusters():
    of_clusters = estimate(0.4, 0.03, 31)
    score = score_of(3, zero=True)
    score = replace(score, method="clusters", infinities=replace(score.infinities, finite=of_clusters))
    assert "The other 199 rows have 0.4000 nat" in verdict(score)
    assert "Over the 498 rows finite in both" in verdict(compare_of(infinite=(0, 2, 0), finite=of_clusters))


def test_marks_and_names_from_data():
    marked = compare_of(finite=estimate(-0.03, 0.01, mark=MARK))
    assert "too few events: the interval may be too short" in verdict(marked)
    text = verdict(compare_of(names=(HOSTILE[5], HOSTILE[3])))
    assert len(text) < 300
    assert "\u202e" not in text


def test_a_caveat_is_the_mark_and_no_other():
    mark = "fewer than 30 clusters: may be too short; too few events: may be too short"
    assert (
        caveat(estimate(0.5, 0.1, mark=mark))
        == "fewer than 30 clusters and too few events: the interval may be too short"
    )
    assert caveat(estimate(0.5, 0.1, mark="one row has 40 % of the weight")) == "one row has 40 % of the weight"
    assert caveat(estimate(0.5)) == ""
    few = estimate(0.5, 0.1, mark="fewer than 30 clusters: may be too short")
    score = score_of(3, log_loss=few, clustered=True)
    assert "Fewer than 30 clusters: the interval may be too short." in verdict(score)
    assert "too few events" not in verdict(score)
    assert "fewer than 30 clusters: the interval" in verdict(compare_of(finite=few))
    told = to_text(compare_of(difference=few, finite=few))
    assert "! fewer than 30 clusters: the interval may be too short" in told


@pytest.mark.parametrize("clustered", [True, False])
def test_the_bootstrap_says_what_it_resamples(clustered):
    unit = "clusters" if clustered else "rows"
    for result in (
        score_of(3, method="bootstrap", clustered=clustered),
        compare_of(method="bootstrap", clustered=clustered),
    ):
        assert f"bootstrap of 1,024 groups of {unit}" in to_text(result)
        assert ("of them" in to_text(result)) == clustered
