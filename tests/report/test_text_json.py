"""Text and JSON say the score's numbers, and survive any label."""

import json
import math

import numpy as np
import pytest

from crossent.report import to_json, to_text
from crossent.scoring import Tally

HOSTILE = [
    "<script>alert(1)</script>",
    "\x1b[31mred\x1b[0m",
    "a\nb",
    "\u202eevil",
    "'\"&",
    "x" * 10_000,
    "$\\frac{",
]


def score_of(labels, zero=False, n=60):
    rng = np.random.default_rng(0)
    p = rng.dirichlet(np.ones(len(labels)), n)
    y = rng.integers(0, len(labels), n)
    if zero:
        p[0, y[0]] = 0.0
        p[0] /= p[0].sum()
    tally = Tally(labels)
    tally.update(y, p, source="preds.parquet")
    return tally.result()


def test_text_has_the_numbers():
    score = score_of(["a", "b", "c"])
    text = to_text(score)
    for part in (
        f"{score.log_loss.value:.3f}",
        "95 % interval",
        "class shares alone",
        "preds.parquet",
        "recall",
    ):
        assert part in text
    assert text.endswith("\n")
    assert all(line == line.rstrip() for line in text.splitlines())


def test_text_shows_infinities_with_remedy_and_clipping():
    text = to_text(score_of(["a", "b", "c"], zero=True))
    assert text.startswith("Log loss inf: 1 of 60 rows")
    assert "so the loss is inf" in text
    assert "Clipping would have hidden this behind" in text


def test_text_is_harmless_with_hostile_labels():
    text = to_text(score_of(HOSTILE))
    assert not set(text) & {"\x1b", "\u202e", "\r"}
    assert max(map(len, text.splitlines())) < 300


def test_text_of_many_classes_is_short():
    text = to_text(score_of([f"class {i}" for i in range(500)], n=600))
    assert "and 460 rarer classes" in text
    assert len(text.splitlines()) < 100


def test_json_round_trips_to_the_bit():
    score = score_of(["a", "b", "c"])
    plain = json.loads(to_json(score))
    assert plain["schema"] == "crossent.score/1"
    assert plain["log_loss"]["value"] == score.log_loss.value
    assert plain["per_class"][1]["log_loss"]["se"] == score.per_class[1].log_loss.se
    assert plain["worst"][0]["row"] == score.worst[0].row


def test_json_infinity_is_text_and_the_unknown_null_with_why():
    text = to_json(score_of(HOSTILE, zero=True))
    plain = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert plain["log_loss"]["value"] == "inf"
    assert plain["log_loss"]["se"] is None
    assert "p = 0" in plain["log_loss"]["why"]
    assert plain["skill"] == "-inf"
    assert plain["classes"] == HOSTILE
    assert plain["infinities"]["clipped"][0]["eps"] == math.ulp(1.0)


def test_json_keys_are_never_removed():
    keys = {
        "schema", "kind", "classes", "n", "effective_n", "log_loss", "log_loss_bits", "infinities",
        "baseline", "baseline_bits", "skill", "bits_gained", "effective_classes", "accuracy", "per_class",
        "reliability", "reliability_of", "histogram", "worst_share", "worst", "notes",
    }  # fmt: skip
    assert keys <= set(json.loads(to_json(score_of(["a", "b"]))))
