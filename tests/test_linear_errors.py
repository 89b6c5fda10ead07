"""What linear losses refuse, and that each message says where, what was found and what to do."""

from typing import Any

import numpy as np
import pytest

import crossent as ce
from linear_cases import case_of, least_limit

CASE = case_of(np.float32)
H, W, B, Y = CASE.hidden, CASE.weight, CASE.bias, CASE.labels  # [9, 5], [11, 5], [11], [9]
INDICES, PROBS = CASE.sparse()
OFFSETS = np.arange(10)


def put(array: Any, place: Any, value: Any) -> Any:
    """A copy with one value changed."""
    copy = array.copy()
    copy[place] = value
    return copy


LAYERS: list[tuple[dict[str, Any], type, str]] = [
    ({"weight": W.T}, ce.ShapeError,
     r"hidden has shape \(9, 5\), weight \(5, 11\): .*torch\.nn\.Linear\)\. It looks transposed"),
    ({"weight": W[:, :3]}, ce.ShapeError,
     r"hidden has shape \(9, 5\), weight \(11, 3\): .*torch\.nn\.Linear\)\.$"),
    ({"hidden": H[:, :4]}, ce.ShapeError, r"hidden has shape \(9, 4\), weight \(11, 5\): the last axes must agree"),
    ({"hidden": np.ones((9, 11)), "weight": W}, ce.ShapeError, r"It looks transposed: pass weight\.T"),
    ({"hidden": 3.0}, ce.ShapeError, "hidden is a single number"),
    ({"weight": W[0]}, ce.ShapeError, r"weight has shape \(5,\); shape \[K, D\] is needed"),
    ({"weight": W[:0]}, ce.ShapeError, r"weight has shape \(0, 5\): no classes"),
    ({"bias": B[:, None]}, ce.ShapeError, r"bias has shape \(11, 1\), weight \(11, 5\): shape \(11,\) is needed"),
    ({"bias": B[:10]}, ce.ShapeError, r"bias has shape \(10,\)"),
    ({"hidden": H.astype(complex)}, ce.DtypeError, "hidden has dtype complex128"),
    ({"weight": W.astype(str)}, ce.DtypeError, "weight has dtype <U"),
    ({"bias": np.ma.masked_array(B, B > 0)}, ce.UnsupportedError, "bias is a masked array"),
    ({"hidden": [[1.0], [1.0, 2.0]]}, ce.ShapeError, "hidden is no array"),
    ({"hidden": put(H, (4, 2), np.nan)}, ce.NonFiniteError,
     r"hidden\[4, 2\] is nan: the logit hidden\[4\] @ weight\[0\] \+ bias\[0\] \(row 4, class 0\) is nan. Mend it, or"),
    ({"weight": put(W, (7, 1), np.nan)}, ce.NonFiniteError,
     r"weight\[7, 1\] is nan: the logit hidden\[0\] @ weight\[7\] \+ bias\[7\] \(row 0, class 7\) is nan"),
    ({"bias": put(B, 3, np.nan)}, ce.NonFiniteError, r"bias\[3\] is nan: the logit .* \(row 0, class 3\) is nan"),
    ({"bias": np.full(11, -np.inf)}, ce.NonFiniteError, "are -inf: no class is left. Mend the bias"),
    ({"bias": np.full(11, np.inf)}, ce.NonFiniteError, r"\(row 0, class 0\) is inf"),
    ({"hidden": put(H, 5, 1e38) * np.float32(3), "weight": np.abs(W)}, ce.NonFiniteError,
     r"hidden\[5\] @ weight\[0\].*\(row 5, class 0\) is inf, beyond float32: .* Pass smaller numbers, or float64"),
    ({"weight": put(W, (2, 0), -np.inf), "hidden": np.abs(H)}, ce.NonFiniteError,
     r"weight\[2, 0\] is -inf; gradients need finite numbers. Mend it; a bias of -inf rules a class out"),
    ({"sample_weight": np.ones(8)}, ce.ShapeError, r"sample_weight has shape \(8,\), the rows \(9,\)"),
    ({"sample_weight": -np.ones(9)}, ce.WeightError, r"sample_weight\[0\] is -1"),
    ({"upstream": np.ones(9)}, ce.ShapeError, r"upstream has shape \(9,\); with reduction='mean' it is a single"),
    ({"upstream": np.nan}, ce.NonFiniteError, "upstream is nan; finite numbers of float32 are allowed"),
    ({"upstream": "1"}, ce.DtypeError, "upstream has dtype <U1"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(LAYERS)))
@pytest.mark.parametrize("limit", [None, 2000])
def test_bad_layers(number: int, limit: int | None) -> None:
    change, error, message = LAYERS[number]
    with pytest.raises(error, match=message):
        ce.LinearCrossEntropy(memory_limit=limit).value_and_grad(Y, **{"hidden": H, "weight": W, "bias": B, **change})


@pytest.mark.parametrize("upstream", [np.ones(8), np.ones((9, 1)), 1.0])
def test_upstream_of_rows_has_the_shape_of_the_rows(upstream: Any) -> None:
    loss = ce.LinearCrossEntropy(reduction="none")
    with pytest.raises(ce.ShapeError, match=r"with reduction='none' it is one for each row, shape \(9,\)"):
        loss.value_and_grad(Y, hidden=H, weight=W, upstream=upstream)
    with pytest.raises(ce.NonFiniteError, match=r"upstream\[6\] is 1e\+39; finite numbers of float32"):
        loss.value_and_grad(Y, hidden=H, weight=W, upstream=put(np.ones(9), 6, 1e39))


def test_the_row_of_a_bad_number_is_the_one_in_hidden() -> None:
    """In chunks, beside rows that left, and with two leading axes."""
    hidden = put(H, (7, 0), np.inf)
    targets = put(Y, [0, 3], -1)
    for limit in (None, 700):
        loss = ce.LinearCrossEntropy(ignore_index=-1, memory_limit=limit)
        with pytest.raises(ce.NonFiniteError, match=r"^hidden\[7, 0\] is inf"):
            loss.value_and_grad(targets, hidden=hidden, weight=W)
        with pytest.raises(ce.NonFiniteError, match=r"^hidden\[2, 1, 0\] is inf: .*hidden\[2, 1\].*\(row 7, class"):
            loss(targets.reshape(3, 3), hidden=hidden.reshape(3, 3, 5), weight=W)


def test_the_row_of_a_bad_number_beside_staged_targets() -> None:
    soft, hidden = CASE.soft.astype(np.float64), put(H, (7, 0), np.nan)  # float64: one chunk, staged row by row
    for targets in (soft, CASE.sparse(np.float64)):
        for limit in (None, 600):
            with pytest.raises(ce.NonFiniteError, match=r"^hidden\[7, 0\] is nan: .*\(row 7, class 0\)"):
                ce.linear_cross_entropy(targets, hidden=hidden, weight=W, memory_limit=limit)
    with pytest.raises(ce.NonFiniteError, match=r"^hidden\[7, 0\] is nan: .*\(row 7, class 0\)"):
        ce.linear_binary_cross_entropy(CASE.binary, hidden=hidden, weight=W, memory_limit=450)


def test_infinite_features_may_decide_a_row_but_leave_no_gradient() -> None:
    inputs = {"hidden": [[1.0], [np.inf]], "weight": [[1.0], [-1.0]]}
    assert ce.linear_cross_entropy([0, 0], **inputs, reduction="none")[1] == 0
    with pytest.raises(ce.NonFiniteError, match=r"^hidden\[1, 0\] is inf; gradients need finite numbers"):
        ce.LinearCrossEntropy().value_and_grad([0, 0], **inputs)


def test_gradients_beyond_float32_are_infinite_and_no_error() -> None:
    hidden, weight = np.array([[1.0]], np.float32), np.array([[3e38], [-3e38]], np.float32)
    got = ce.LinearCrossEntropy(reduction="none").value_and_grad([1], hidden=hidden, weight=weight, upstream=[1e5])
    assert np.isinf(got.hidden).all()
    np.testing.assert_allclose(got.weight[:, 0], [1e5, -1e5])


TARGETS: list[tuple[Any, dict[str, Any], type, str]] = [
    (put(Y, 5, 11), {}, ce.LabelError, r"targets\[5\] is 11, but the prediction has 11 classes \(labels 0\.\.10\)"),
    (put(Y, 0, -1), {}, ce.LabelError, r"targets\[0\] is -1"),
    (Y[:8], {}, ce.ShapeError, r"targets have shape \(8,\), the prediction \(9, 11\)"),
    (put(CASE.soft, (3, 2), -0.5), {}, ce.LabelError, r"targets\[3, 2\] is -0\.5; soft targets are finite and >= 0"),
    (put(CASE.soft, 3, 0.5), {}, ce.LabelError, r"targets\[3, :\] sum to 5\.5, but a distribution sums to 1"),
    (CASE.soft, {"ignore_index": 3}, ce.UnsupportedError, "ignore_index is for class indices"),
    ((INDICES, PROBS), {"ignore_index": 3}, ce.UnsupportedError, "ignore_index is for class indices"),
    ((INDICES, PROBS[:, :2]), {}, ce.ShapeError,
     r"targets are \(indices, probs\) of shapes \(9, 4\) and \(9, 2\); both need shape \(9, k\)"),
    ((INDICES[:8], PROBS[:8]), {}, ce.ShapeError, r"both need shape \(9, k\), k classes for each row of hidden"),
    ((INDICES.astype(float), PROBS), {}, ce.DtypeError, r"targets\[0\] has dtype float64; class indices are integers"),
    ((INDICES, PROBS.astype(complex)), {}, ce.DtypeError, r"targets\[1\] has dtype complex128"),
    ((put(INDICES, (6, 1), 11), PROBS), {}, ce.LabelError,
     r"targets\[0\]\[6, 1\] is 11, but the prediction has 11 classes \(indices 0\.\.10\)"),
    ((put(INDICES, (6, 3), -1), PROBS), {}, ce.LabelError, r"targets\[0\]\[6, 3\] is -1"),
    ((put(INDICES, (4, 1), INDICES[4, 0]), PROBS), {}, ce.LabelError,
     rf"targets\[0\]\[4, :\] names class {INDICES[4, 0]} twice. Add its probabilities up"),
    ((INDICES, put(PROBS, (2, 0), -0.1)), {}, ce.LabelError,
     r"targets\[1\]\[2, 0\] is -0\.1; probabilities are finite and >= 0"),
    ((INDICES, put(PROBS, (2, 0), np.nan)), {}, ce.LabelError, r"targets\[1\]\[2, 0\] is nan"),
    ((INDICES, 0.5 * PROBS), {}, ce.LabelError,
     r"targets\[1\]\[0, :\] sum to 0\.5, but a distribution sums to 1. Pass normalize_targets=True"),
    ((INDICES, put(PROBS, 3, 0.0)), {"normalize_targets": True}, ce.LabelError,
     r"targets\[1\]\[3, :\] have no positive; pass empty_rows='ignore'"),
    ((INDICES, 1e-305 * PROBS), {"normalize_targets": True}, ce.LabelError, "too extreme to normalise"),
    (Y, {"normalize_targets": True}, ce.UnsupportedError, "normalize_targets is for targets with a column"),
    (Y, {"class_weight": [1.0, 2.0]}, ce.ShapeError, r"class_weight has shape \(2,\), but there are 11 classes"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(TARGETS)))
@pytest.mark.parametrize("limit", [None, 2500])
def test_bad_targets(number: int, limit: int | None) -> None:
    targets, options, error, message = TARGETS[number]
    loss = ce.LinearCrossEntropy(memory_limit=limit, **options)
    for call in (loss, loss.value_and_grad):
        with pytest.raises(error, match=message):
            call(targets, hidden=H, weight=W)


def test_sparse_targets_with_leading_axes_name_the_place() -> None:
    wrong = put(INDICES, (7, 2), 99).reshape(3, 3, 4), PROBS.reshape(3, 3, 4)
    with pytest.raises(ce.LabelError, match=r"targets\[0\]\[2, 1, 2\] is 99"):
        ce.linear_cross_entropy(wrong, hidden=H.reshape(3, 3, 5), weight=W)


BINARY: list[tuple[Any, dict[str, Any], type, str]] = [
    (put(CASE.binary.astype(float), (3, 4), 1.5), {}, ce.LabelError, r"targets\[3, 4\] is 1\.5; labels 0 and 1, or"),
    (put(CASE.binary.astype(int), (8, 10), 2), {}, ce.LabelError, r"targets\[8, 10\] is 2; labels 0 and 1"),
    (CASE.binary[:, :4], {}, ce.ShapeError, r"targets have shape \(9, 4\), the prediction \(9, 11\)"),
    ((OFFSETS[:9], OFFSETS, OFFSETS), {}, ce.ShapeError, r"targets are a tuple of 3; .* are \(indices, offsets\)"),
    ((CASE.binary, OFFSETS), {}, ce.ShapeError, r"targets\[0\] has shape \(9, 11\); targets are \(indices, offsets\)"),
    ((OFFSETS[:9] * 1.0, OFFSETS), {}, ce.DtypeError, r"targets\[0\] has dtype float64; integers are allowed"),
    ((OFFSETS[:9], OFFSETS[:9]), {}, ce.ShapeError,
     r"targets\[1\] has 9 offsets, but hidden has 9 rows: 10 are needed, the first 0 and the last .* \(9\)"),
    ((OFFSETS[:9], put(OFFSETS, 4, 2)), {}, ce.LabelError, r"targets\[1\]\[4\] is 2 after 3; offsets do not decrease"),
    ((OFFSETS[:9], put(OFFSETS, 0, 1)), {}, ce.LabelError, r"targets\[1\]\[0\] is 1; the offsets begin with 0"),
    ((OFFSETS, OFFSETS), {}, ce.LabelError, r"targets\[1\]\[9\] is 9; the offsets .* end with 10"),
    ((put(OFFSETS[:9], 6, 11), OFFSETS), {}, ce.LabelError,
     r"targets\[0\]\[6\] is 11, a positive of hidden\[6\], but there are 11 labels \(indices 0\.\.10\)"),
    ((put(OFFSETS[:9], 6, -1), OFFSETS), {}, ce.LabelError, r"targets\[0\]\[6\] is -1"),
    ((np.array([4, 0, 4]), np.minimum(3 * OFFSETS, 3)), {}, ce.LabelError,
     r"targets\[0\] names label 4 twice for hidden\[0\], the second time as targets\[0\]\[2\]"),
    (CASE.binary, {"pos_weight": [1.0, 2.0]}, ce.ShapeError, r"pos_weight has shape \(2,\)"),
    (CASE.binary, {"class_weight": [1.0, 2.0, 3.0]}, ce.ShapeError, r"class_weight has shape \(3,\), but there are 2"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(BINARY)))
@pytest.mark.parametrize("limit", [None, 2500])
def test_bad_binary_targets(number: int, limit: int | None) -> None:
    targets, options, error, message = BINARY[number]
    with pytest.raises(error, match=message):
        ce.LinearBinaryCrossEntropy(memory_limit=limit, **options).value_and_grad(targets, hidden=H, weight=W)


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("column", [2, 5])
def test_a_nan_beside_a_positive_or_in_its_place(sparse: bool, column: int) -> None:
    """Label 5 is row 4's positive; the lowest row is named."""
    targets = (np.array([5, 1]), np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 2])) if sparse else np.eye(11)[Y]
    for limit in (None, 1500):
        loss = ce.LinearBinaryCrossEntropy(memory_limit=limit)
        with pytest.raises(
            ce.NonFiniteError, match=rf"weight\[{column}, 3\] is nan: .*\(row 0, class {column}\) is nan"
        ):
            loss.value_and_grad(targets, hidden=H, weight=put(W, (column, 3), np.nan))


def test_the_lowest_row_is_named_whether_a_positive_is_nan_or_a_negative() -> None:
    targets = np.array([5, 5]), np.array([0, 1, 1, 1, 1, 2, 2, 2, 2, 2])  # of rows 0 and 4
    with pytest.raises(ce.NonFiniteError, match=r"\(row 0, class 5\) is nan"):
        ce.linear_binary_cross_entropy(targets, hidden=H, weight=put(W, (5, 3), np.nan))


def test_element_weights_are_refused() -> None:
    with pytest.raises(ce.ShapeError, match=r"sample_weight has shape \(9, 11\), the rows \(9,\)"):
        ce.linear_binary_cross_entropy(CASE.binary, hidden=H, weight=W, sample_weight=np.ones((9, 11)))


# ---------------------------------------------------------------- the budget


@pytest.mark.parametrize("limit", [0, -1, 1.5, np.nan, np.inf, True, "1e6", [10**6], 2**70])
@pytest.mark.parametrize("loss", [ce.LinearCrossEntropy, ce.LinearBinaryCrossEntropy])
def test_budgets_that_are_none(limit: Any, loss: Any) -> None:
    with pytest.raises(ce.OptionError, match=r"memory_limit is .*; a whole number of bytes > 0 is allowed"):
        loss(memory_limit=limit)


@pytest.mark.parametrize("targets", [Y, CASE.soft, (INDICES, PROBS), (INDICES, PROBS.astype(np.float32))],
                         ids=["index", "soft", "sparse", "sparse float32"])  # fmt: skip
def test_the_least_budget_is_told_and_is_enough(targets: Any) -> None:
    loss = ce.LinearCrossEntropy()
    least = least_limit(loss, targets, hidden=H, weight=W, bias=B)
    assert 11 * 4 <= least < 1500
    enough = ce.LinearCrossEntropy(memory_limit=least).value_and_grad(targets, hidden=H, weight=W, bias=B)
    assert enough.value == pytest.approx(loss(targets, hidden=H, weight=W, bias=B), rel=1e-6)
    with pytest.raises(ce.OptionError, match=f"memory_limit is {least - 1} bytes, but one row takes {least} "):
        ce.LinearCrossEntropy(memory_limit=least - 1)(targets, hidden=H, weight=W, bias=B)
