"""What the message about a bad row shows: the row as it was given, though the gradient goes where the logits lie."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import crossent as ce
from crossent.core.faults import Fault, softmax_fault

INF, NAN = np.inf, np.nan
ROWS, BAD_ROW = 21, 13
DTYPES = (np.float16, ml_dtypes.bfloat16, np.float32, np.float64)
TARGETS: dict[str, dict[str, Any]] = {  # each finds its rows on a path of its own
    "index": {},
    "weighted index": {"class_weight": "ones"},
    "smoothed": {"label_smoothing": 0.1},
    "soft": {},
    "weighted soft": {"class_weight": "ones"},
}
KINDS: dict[str, tuple[list[float], int | None, str]] = {
    "nan": ([0.0, NAN, 1.0], 1, "is nan; numbers, -inf and one +inf a row are allowed"),
    "nan beside inf": ([INF, 1.0, NAN], 2, "is nan; "),
    "nan beside -inf": ([-INF, -INF, NAN], 2, "is nan; "),
    "two +inf": ([INF, 1.0, INF], 0, "and logits["),
    "all -inf": ([-INF, -INF, -INF], None, "are all -inf: no class is left"),
}


@pytest.fixture(autouse=True)
def _every_isa(isa: str) -> None:
    """All of this file runs on every instruction set."""


def refusal(kind: str, targets: str, K: int, dtype: Any, *, inner: bool, reduction: str) -> str:
    """What value_and_grad in place says of row 13, whose last three classes are the kind's and whose others -inf."""
    z = np.random.default_rng(0).normal(size=(ROWS, K)).astype(dtype)
    z[BAD_ROW] = -INF
    z[BAD_ROW, -3:] = KINDS[kind][0]
    y: Any = np.zeros(ROWS, int)
    if "soft" in targets:
        y = np.eye(K, dtype=dtype)[y]
        y = np.ascontiguousarray(y.T) if inner else y
    options = {name: np.ones(K) if value == "ones" else value for name, value in TARGETS[targets].items()}
    work = np.ascontiguousarray(z.T) if inner else z
    with pytest.raises(ce.NonFiniteError) as error:
        ce.CrossEntropy(axis=0 if inner else -1, reduction=reduction, **options).value_and_grad(
            y, logits=work, out=work
        )
    return str(error.value)


@pytest.mark.parametrize("inner", [False, True])
@pytest.mark.parametrize("K", [3, 20, 40, 600, 2000, 5000])
@pytest.mark.parametrize("targets", TARGETS)
def test_a_bad_row_is_shown_as_it_was_given(targets: str, K: int, inner: bool) -> None:
    """Panels, tiles, rows eight at a time (exponentials kept or not), one by one, in several chunks."""
    for dtype in DTYPES:
        for kind, (_, k, text) in KINDS.items():
            reduction = "sum" if kind == "nan" else "mean"
            message = refusal(kind, targets, K, dtype, inner=inner, reduction=reduction)
            column = ":" if k is None else str(K - 3 + k)
            where = f"{column}, {BAD_ROW}" if inner else f"{BAD_ROW}, {column}"
            assert message.startswith(f"logits[{where}] {text}"), (kind, dtype, message)


@pytest.mark.parametrize("rows", [1, 2, 9])
def test_the_lowest_of_several_bad_rows_is_shown(rows: int) -> None:
    """Of one tile, of one batch, of several."""
    for K, options in ((3, {"class_weight": np.ones(3)}), (40, {}), (2000, {})):
        z = np.zeros((30, K), np.float32)
        z[11 : 11 + rows, 1] = NAN
        with pytest.raises(ce.NonFiniteError, match=r"logits\[11, 1\] is nan"):
            ce.CrossEntropy(**options).value_and_grad(np.zeros(30, int), logits=z, out=z)


@pytest.mark.parametrize("K", [3, 40, 2000])
def test_rows_that_are_left_out_in_place_have_gradient_0(K: int) -> None:
    """A row without a meaning is overwritten where nobody is told of it."""
    for options in ({"class_weight": np.ones(K)}, {"label_smoothing": 0.1}, {}):
        z = np.zeros((ROWS, K), np.float32)
        z[BAD_ROW] = NAN
        w = np.arange(ROWS) != BAD_ROW
        grad = ce.CrossEntropy(**options).value_and_grad(np.zeros(ROWS, int), logits=z, sample_weight=w, out=z).grad
        assert not grad[BAD_ROW].any()
        assert grad[BAD_ROW - 1].any()


def test_a_row_that_no_longer_shows_what_was_wrong() -> None:
    """Another thread may have written it: the message says no more than the kernel saw."""
    error = softmax_fault("logits", np.zeros((2, 3)), 1, None, 1, Fault.NON_FINITE)
    assert str(error).startswith("logits[1, :] have NaN, several +inf or only -inf; ")


def test_in_place_the_message_says_that_other_rows_are_changed() -> None:
    """Who mends the row it names and calls again would otherwise take gradients for scores."""
    z = np.zeros((4, 3))
    z[2, 1] = np.nan
    with pytest.raises(ce.NonFiniteError) as fresh:
        ce.CrossEntropy().value_and_grad([0] * 4, logits=z)
    with pytest.raises(ce.NonFiniteError, match="Other rows may hold their gradients by now") as placed:
        ce.CrossEntropy().value_and_grad([0] * 4, logits=z, out=z)
    assert str(placed.value).startswith(str(fresh.value))


def test_a_number_just_above_1_is_shown_as_such() -> None:
    """A float32 probability that rounding put above 1 is not said to be 1."""
    above = np.nextafter(np.float32(1), np.float32(2))
    with pytest.raises(ce.ProbabilityError, match=r"probs\[0, 0\] is 1\.0000001"):
        ce.cross_entropy([0], probs=np.array([[above, 0]], np.float32))
