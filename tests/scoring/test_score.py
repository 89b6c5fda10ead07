"""Score: plain, frozen, readable."""

import dataclasses
import json

import numpy as np
import pytest

import crossent as ce
from crossent.report import to_text
from crossent.report.score import score_tables
from crossent.scoring import Tally


@pytest.fixture(name="score")
def _score():
    tally = Tally(["a", "b"])
    tally.update(np.array([0, 1, 1]), np.array([[0.75, 0.25], [0.5, 0.5], [0.125, 0.875]]), source="f")
    return tally.result()


def test_to_dict_is_plain_and_has_a_schema(score):
    plain = score.to_dict()
    assert plain["schema"] == "crossent.score/1"
    assert json.loads(json.dumps(plain))["log_loss"]["value"] == score.log_loss.value
    assert {f.name for f in dataclasses.fields(score)} <= set(plain)


def test_repr_reads(score):
    assert repr(score).startswith("Score(log loss 0.3")
    assert "3 rows, 2 classes; ! too few events" in repr(score)


def test_is_frozen(score):
    with pytest.raises(dataclasses.FrozenInstanceError):
        score.n = 4


def test_what_has_no_value_says_why(score):
    plain = score.to_dict()
    assert {name for name in plain if name.endswith("_why")} == {"top_why", "calibration_error_why"}
    tally = Tally(["a", "b", "c"])
    tally.update([0, 0], [[0.0, 0.5, 0.5], [0.0, 1.0, 0.0]])
    plain = tally.result(redraws=2).to_dict()
    for name in ("skill", "auc", "decomposition", "temperature", "worst_share"):
        assert plain[name] is None
        assert plain[f"{name}_why"]
    assert plain["decomposition_why"] == "no row has a finite loss"
    assert "confusion_why" not in plain
    json.dumps(plain)


@pytest.mark.parametrize(
    ("k", "row"), [(3, [1 / 3, 1 / 3, 1 / 3]), (3, [1.0, 0.0, 0.0]), (2, [0.5, 0.5]), (2, [1.0, 0.0]), (1, [1.0])]
)
def test_predictions_without_a_temperature_say_the_right_reason(k, row):
    tally = Tally(list("abc")[:k])
    tally.update(np.zeros(30, int), np.tile(row, (30, 1)))
    found = tally.result(redraws=5)
    plain = found.to_dict()
    assert (found.temperature.value, found.temperature.gain, found.temperature.se) == (1.0, 0.0, None)
    assert "every prediction is certain" in found.temperature.why
    assert "no row has a finite loss" not in plain.values()
    if k == 1:
        assert plain["auc_why"] == "there is only one class"
    if k != 2:
        assert found.decomposition.miscalibration == pytest.approx(0.0, abs=1e-11)
        assert found.decomposition.loss == pytest.approx(-np.log(row[0]), rel=1e-12)
    if row[0] == 1:
        assert plain["worst_share_why"] == "every finite loss is 0"
    assert "no row has a finite loss" not in str([table.remarks for table in score_tables(found)])


def test_a_repr_tells_infinite_rows_and_the_mark() -> None:
    score = ce.score([0, 1, 1], probs=[[0.0, 1.0], [0.5, 0.5], [0.4, 0.6]])
    assert repr(score).endswith("3 rows, 2 classes; 1 row with p = 0 at the true class)")
    assert repr(ce.score([0, 1, 1], probs=[0.4, 0.6, 0.7])).endswith("; ! too few events: may be too short)")
    y = np.arange(100) % 2
    p = np.where(y == 1, 0.7, 0.4) + np.arange(100) / 1000
    assert repr(ce.score(y, probs=p)).endswith("100 rows, 2 classes)")
    compared = ce.compare([0, 1, 1], probs=[[0.0, 0.6, 0.7], [0.1, 0.0, 0.9]])
    assert "; B alone infinite in 1 row; ! too few events" in repr(compared)
    told = repr(ce.score_language([[-1.0, -np.inf], [-2.0, -1.0]]))
    assert told.endswith("; 1 token with p = 0)")


def test_a_printed_result_is_its_report() -> None:
    y = np.arange(60) % 2
    p = np.where(y == 1, 0.7, 0.4) + np.arange(60) / 1000
    for result in (ce.score(y, probs=p), ce.compare(y, probs=[p, p / 2]), ce.score_language([[-1.0], [-2.0]])):
        assert str(result) == to_text(result)
        assert "\n" in str(result)
