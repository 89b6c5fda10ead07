"""The tables of a Score, line by line: each number stands where its heading says."""

import math

import pytest

from crossent.report.contents import tables
from crossent.report.tables import cut
from crossent.report.wording import alike
from results import estimate, score_of


def table(score, name):
    """The lines of a table as lists of cells, and its remarks."""
    (found,) = (t for t in tables(score) if t.name == name)
    return [list(row) for row in found.rows], found.remarks


def test_two_classes_are_decomposed_by_isotonic_regression():
    rows, remarks = table(score_of(2), "decomposition")
    assert rows == [
        ["where the loss comes from", "nat", "bit"],
        ["class shares alone", "0.6400", "0.9233"],
        ["\N{MINUS SIGN} discrimination", "0.2500", "0.3607"],
        ["+ miscalibration", "0.0300", "0.0433"],
        ["= log loss", "0.4200", "0.6059"],
    ]
    assert remarks == ()


def test_more_classes_are_decomposed_by_temperature_with_its_label():
    rows, remarks = table(score_of(4, zero=True), "decomposition")
    unc = math.log(4)
    assert [row[1] for row in rows[1:]] == [f"{x * unc:.3f}" for x in (1, 0.62, 0.02, 0.4)]
    assert [row[0] for row in rows[2:]] == [
        "\N{MINUS SIGN} knowledge", "+ temperature miscalibration", "= finite log loss",
    ]  # fmt: skip
    assert "a lower bound" in remarks[0]
    assert not [t for t in tables(score_of(4, decomposition=None)) if t.name == "decomposition"]


def test_each_measure_of_calibration_stands_beside_its_null_value():
    rows, remarks = table(score_of(3), "calibration")
    assert rows == [
        ["calibration", "value", "if calibrated", "95 % below", "z", "p"],
        ["miscalibration [nat]", "0.03", "0.01", "0.018", "", "0.005"],
        ["ECE, 15 bins", "0.061", "0.031", "0.049", "", "0.015"],
        ["ECE\N{SUPERSCRIPT TWO}, debiased", "0.0009", "0", "", "", ""],
        ["smooth ECE", "0.033", "0.017", "0.029", "", "0.02"],
        ["entropy gap [nat]", "0.02", "0", "", "3.3", "0.00097"],
        ["Spiegelhalter", "0.011", "0", "", "2.5", "0.012"],
        ["best temperature", "1.4", "1", "", "", ""],
    ]
    assert remarks == (
        "Miscalibration and ECE are of the event that the predicted class is true.",
        "Temperature 1.4 (standard error 0.05) would save 0.012 nat on these rows.",
    )


def test_each_class_against_the_rest_has_its_own_decomposition():
    rows, remarks = table(score_of(3), "one against the rest")
    assert rows[0] == ["one against the rest", "loss", "share alone", "discrim.", "miscal.", "by chance", "p", "AUC"]
    assert rows[1] == ["class 0", "0.2000", "0.4900", "0.3000", "0.0100", "0.0040", "0.01", "0.9000"]
    assert len(rows) == 4
    assert remarks[0].startswith("loss = share alone \N{MINUS SIGN} discrimination + miscalibration")
    assert not [t for t in tables(score_of(2)) if t.name == "one against the rest"]


def test_segments_have_interval_and_both_p_values():
    rows, remarks = table(score_of(3, segments=50), "segments")
    assert rows[0] == ["city", "rows", "loss", "std error", "interval", "p", "adjusted p"]
    assert rows[1] == ["town 10", "20", "0.4000", "0.0200", "0.3600 to 0.4440", "0.01", "0.04"]
    assert len(rows) == 41
    assert remarks[0] == "and 10 smaller segments"
    assert (
        remarks[-1] == "p: that the loss equals that of all rows; adjusted by Benjamini and Hochberg over 50 segments."
    )


def test_classes_have_precision_recall_and_f1_in_their_places():
    rows, _ = table(score_of(2), "classes")
    assert rows[0] == ["class", "rows", "share", "loss", "std error", "recall", "precision", "F1"]
    assert rows[1] == ["class 0", "20", "50.0 %", "0.2000", "0.0200", "70.0 %", "80.0 %", "75.0 %"]


@pytest.mark.parametrize(("method", "told"), [
    ("hall", "Hall's t interval for skewed means"),
    ("clusters", "Hall's t interval over clusters, 200 of them"),
    ("bootstrap", "bootstrap of 1,024 groups of rows"),
])  # fmt: skip
def test_the_interval_is_told_with_its_method(method, told):
    assert ["interval", told] in table(score_of(3, method=method, clustered=method == "clusters"), "facts")[0]


def test_the_other_numbers_are_among_the_facts():
    facts = dict(table(score_of(2, worst_share=None), "facts")[0])
    assert facts["Brier score"] == "0.31"
    assert facts["AUC"] == "0.93"
    assert facts["mean over classes"] == "precision 71.0 %, recall 72.0 %, F1 73.0 %"
    assert facts["worst 1 % of rows"] == "not estimable"
    assert "AUC" not in dict(table(score_of(3), "facts")[0])


def test_a_given_prior_and_what_it_rules_out():
    rows, _ = table(score_of(3, baseline_of="the given prior", baseline=math.inf, bits_gained=None), "numbers")
    assert rows[4:] == [["given prior alone", "inf", "inf"], ["gained per row", "\N{EN DASH}", "\N{EN DASH}"]]


def test_cut_keeps_the_largest_in_order_and_the_first_of_ties():
    entries = [estimate(1.0, n=n) for n in (3, 5, 1, 3, 4)]
    assert cut(entries, 3) == [entries[0], entries[1], entries[4]]


def test_columns_share_their_decimals():
    assert alike([0.25, 0.001]) == ["0.2500", "0.0010"]
    assert alike([0.0, None]) == ["0", "\N{EN DASH}"]
    assert alike([12345.6, 1.0]) == ["12,346", "1"]
