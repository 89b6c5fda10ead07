"""Whatever a result cannot say is null, and beside it stands why."""

import numpy as np
import pytest

import crossent as ce

ALL_ZERO = [[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]]
GOOD = [[0.2, 0.8], [0.3, 0.7], [0.1, 0.9]]
RESULTS = {
    "score": lambda: ce.score([1, 1, 1], probs=ALL_ZERO),
    "score of one row": lambda: ce.score([1], probs=GOOD[:1]),
    "score of many classes": lambda: ce.score([0, 1], probs=np.full((2, 300), 1 / 300)),
    "both infinite": lambda: ce.compare([1, 1, 1], probs=[ALL_ZERO, ALL_ZERO]),
    "one infinite": lambda: ce.compare([1, 1, 1], probs=[GOOD, ALL_ZERO]),
    "one row": lambda: ce.compare([1], probs=[GOOD[:1], GOOD[1:2]]),
    "one does not vary": lambda: ce.compare([1, 1, 1], probs=[GOOD, [[0.5, 0.5]] * 3]),
    "equal": lambda: ce.compare([1, 1, 1], probs=[GOOD, GOOD]),
    "language": lambda: ce.score_language([[-1.0, -2.0], [-0.5, -0.1]]),
    "language with bytes": lambda: ce.score_language([[-1.0, -2.0], [-0.5, -0.1]], bytes=[3, 4]),
}


@pytest.mark.parametrize("name", RESULTS)
def test_null_and_why_come_together(name):
    made = RESULTS[name]().to_dict()
    nulls = {key for key, value in made.items() if value is None}
    told = {key.removesuffix("_why") for key in made if key.endswith("_why")}
    assert nulls == told
    assert all(isinstance(made[f"{key}_why"], str) and made[f"{key}_why"] for key in nulls)


def test_the_reasons_are_true():
    both = RESULTS["both infinite"]().to_dict()
    for key in ("p_value", "correlation", "unpaired_se", "detectable"):
        assert both[f"{key}_why"] == "there is no row in which both have a finite loss"
    assert both["tied_why"] == "every row is infinite in both"
    assert RESULTS["one row"]().to_dict()["correlation_why"].startswith("one row")
    assert RESULTS["one does not vary"]().to_dict()["correlation_why"] == "the losses of one of the two do not vary"
    assert RESULTS["language"]().to_dict()["bits_per_byte_why"] == "bytes= was not given"
