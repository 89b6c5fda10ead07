"""Every number that score, compare and score_language take is refused with what is allowed, whatever was given."""

from fractions import Fraction

import numpy as np
import pytest

import crossent as ce
from crossent.errors import OptionError
from crossent.scoring import CompareTally, Tally
from crossent.scoring.compare_tally import sequence
from crossent.scoring.language import LanguageTally
from crossent.stats import GroupSums, row_identity
from crossent.stats.ece import calibration_error
from crossent.stats.probability_cells import ProbabilityCells

Y = [0, 1, 1, 0]
P = [[0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.9, 0.1]]
Q = [[0.7, 0.3], [0.2, 0.8], [0.4, 0.6], [0.6, 0.4]]
WORDS: list[object] = ["x", [1, 2], np.array([1, 2]), float("nan")]
WHOLE = [*WORDS, 2.5, True, None, -1]
REAL = [*WORDS, -0.1, True]
SHARE = [*REAL, 0.0, 1.0, None]
SCORE = {
    "bins": [*WHOLE, 0, 101],
    "worst": WHOLE,
    "redraws": [*WHOLE, 0],
    "seed": [*WHOLE, 2**64],
    "clip": [*REAL, 0.5],
    "threshold": SHARE,
    "confidence": SHARE,
}
COMPARE = {
    "margin": [*REAL, float("inf")],
    "confidence": SHARE,
    "seed": [*WHOLE, 2**64],
    "expect_n": [*WORDS, 99, 100.5, True],
}


def cases(table: dict[str, list[object]]) -> list[tuple[str, object]]:
    return [(name, value) for name, values in table.items() for value in values]


@pytest.mark.parametrize(("name", "value"), cases(SCORE))
def test_score_refuses(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"(?s)^{name} is .* is allowed"):
        ce.score(Y, probs=P, **{name: value})


@pytest.mark.parametrize(("name", "value"), cases(COMPARE))
def test_compare_refuses(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"(?s)^{name} is .* is allowed"):
        ce.compare(Y, probs=[P, Q], anytime=name == "expect_n", **{name: value})


@pytest.mark.parametrize(("name", "value"), cases({"confidence": SHARE, "seed": WHOLE, "expect_n": [*WHOLE, 99]}))
def test_a_sequence_refuses(name: str, value: object) -> None:
    tally = CompareTally(["a", "b"])
    tally.update(Y, P, Q)
    with pytest.raises(OptionError, match=rf"(?s)^{name} is .* is allowed"):
        sequence([tally], **{"expect_n": 1000, name: value})


@pytest.mark.parametrize(
    ("name", "value"), cases({"confidence": SHARE, "worst": WHOLE, "log_base": [*WORDS, 1, 0.5, True]})
)
def test_language_refuses(name: str, value: object) -> None:
    with pytest.raises(OptionError, match=rf"(?s)^{name} is .* is allowed"):
        ce.score_language([[-1.0, -2.0], [-0.5, -0.1]], **{name: value})


def test_the_tallies_refuse_before_they_take_a_row() -> None:
    for name in ("bins", "worst", "clip", "threshold"):
        with pytest.raises(OptionError, match=rf"^{name} is"):
            Tally(["a", "b"], **{name: "x"})
    with pytest.raises(OptionError, match=r"^worst is 2\.5; a whole number"):
        Tally(["a", "b"], worst=2.5)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match=r"^worst is None"):
        LanguageTally(worst=None)  # type: ignore[arg-type]


def test_one_row_has_no_interval_but_its_options_are_read() -> None:
    for options in ({"confidence": 1.5}, {"seed": -1}, {"redraws": 0}):
        with pytest.raises(OptionError, match="is allowed"):
            ce.score([1], probs=[[0.5, 0.5]], **options)
    with pytest.raises(OptionError, match="confidence is 0"):
        ce.compare([1], probs=[[[0.5, 0.5]], [[0.4, 0.6]]], confidence=0)


def test_numbers_of_numpy_are_numbers() -> None:
    plain = Tally(["a", "b"], worst=3, bins=5, clip=0.25, threshold=0.75)
    same = Tally(["a", "b"], worst=np.int32(3), bins=np.uint8(5), clip=np.float32(0.25), threshold=Fraction(3, 4))  # type: ignore[arg-type]
    for tally in (plain, same):
        tally.update(Y, P)
    assert same.to_bytes() == plain.to_bytes()
    assert same.result(seed=np.int64(3), redraws=np.int16(20)) == plain.result(seed=3, redraws=20)


def test_the_statistics_refuse_too() -> None:
    cells = ProbabilityCells.of(np.array([[0.25], [0.5]]), np.array([[True], [False]])).columns(0)
    for name in ("bins", "redraws", "seed"):
        with pytest.raises(OptionError, match=rf"^{name} is 2\.5; a whole number"):
            calibration_error(cells, **{name: 2.5})
    groups = GroupSums.of(row_identity("", np.arange(4)), np.arange(4.0), np.ones(4))
    for name in ("replicates", "seed"):
        with pytest.raises(OptionError, match=rf"^{name} is 'x'; a whole number"):
            groups.estimate(**{name: "x"})
