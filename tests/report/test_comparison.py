"""A comparison of solvers as text and as JSON: the numbers of the curves, dashes and nulls for what is not known."""

import json

import numpy as np
import pytest

from crossent.learn.curves import SolverComparison, SolverCurve
from crossent.report import comparison_to_json, comparison_to_text, write_picture

NAN = np.nan
SLOW = SolverCurve(
    "gd", np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 1.5]), np.array([0.7, 0.50005, 0.5]),
    np.array([NAN, NAN, NAN]), np.array([0.8, 0.61, 0.62345]), False, "max_iter=2 iterations are used up",
)  # fmt: skip
WILD = SolverCurve(
    "sgd", np.array([1.0, 3.0]), np.array([0.25, 0.75]), np.array([0.7, np.inf]), np.array([0.3, NAN]),
    np.array([NAN, NAN]), False, "the loss overflowed",
)  # fmt: skip
FOUND = SolverComparison((SLOW, WILD), 0.49999, 1500, 300, True, 0.001, 0.0)


def test_the_table_has_the_last_numbers_and_the_times():
    table, known, reasons = comparison_to_text(FOUND).split("\n\n")
    heads, gd, sgd = (line.split() for line in table.splitlines())
    assert " ".join(heads) == "solver iterations passes seconds to 1e-02 to 1e-04 to 1e-06 loss gap held-out loss"
    assert gd == ["gd", "2", "3", "1.5", "1", "1.5", "–", "0.5", "–", "0.62345"]
    assert sgd == ["sgd", "1", "3", "0.75", "–", "–", "–", "inf", "–", "–"]
    assert known.startswith("Lowest loss 0.5 nat, proven to be within 1e-05 of the minimum. l2 0.001, l1 0; 1,500 rows")
    assert "300 rows held out" in known
    assert reasons.splitlines() == [
        "gd did not converge: max_iter=2 iterations are used up.",
        "sgd did not converge: the loss overflowed.",
    ]


def test_without_a_proof_none_is_claimed():
    text = comparison_to_text(SolverComparison((SLOW,), 0.5, 10, 0))
    assert "nothing is proven" in text
    assert "held out" not in text.split("\n\n")[1]


def test_json_reads_back_and_has_null_and_inf_for_what_json_has_no_number_for():
    found = json.loads(comparison_to_json(FOUND))
    assert found["schema"] == "crossent.comparison/1"
    assert {name: found[name] for name in ("rows", "heldout_rows", "l2", "l1", "best", "is_proven")} == {
        "rows": 1500, "heldout_rows": 300, "l2": 0.001, "l1": 0.0, "best": 0.49999, "is_proven": True,
    }  # fmt: skip
    gd, sgd = found["curves"]
    assert gd["loss"] == SLOW.loss.tolist()
    assert gd["gap"] == [None] * 3
    assert sgd["loss"] == [0.7, "inf"]
    assert sgd["gap"] == [0.3, None]
    assert gd["seconds_to"] == {"0.01": 1.0, "0.0001": 1.5, "1e-06": None}
    assert "points" not in gd


def test_a_picture_that_cannot_be_drawn_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.svg"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write_picture(path, lambda: 1 / 0)
    assert [p.name for p in tmp_path.iterdir()] == ["a.svg"]
    assert path.read_bytes() == b"old"
