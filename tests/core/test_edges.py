"""Every row of the table of decided edge values, on every instruction set and in every layout of the kernels."""

from typing import Any

import numpy as np
import pytest

import crossent as ce

INF, NAN = np.inf, np.nan
LAYOUTS = ("short", "long", "inner", "first")


@pytest.fixture(params=LAYOUTS)
def layout(request: pytest.FixtureRequest) -> str:
    """K = 3 rows in tiles; K = 40 rows; classes on an inner axis; classes on axis 0."""
    return str(request.param)


@pytest.fixture(autouse=True)
def _every_isa(isa: str) -> None:
    """All of this file runs on every instruction set."""


def laid_out(row: Any, layout: str, *, dtype: Any = np.float64, filler: float = -1.0) -> tuple[Any, int, int]:
    """(logits, axis, row number) with the row's first classes as given, among ordinary rows."""
    K = 40 if layout == "long" else 3
    z = np.random.default_rng(0).normal(size=(21, K))
    z[13], z[13, :3] = filler, row
    if layout == "inner":
        return np.ascontiguousarray(np.swapaxes(z.reshape(3, 7, K), 1, 2)).astype(dtype), 1, 13
    if layout == "first":
        return np.ascontiguousarray(z.T).astype(dtype), 0, 13
    return z.astype(dtype), -1, 13


def place(layout: str, k: int | None) -> str:
    """How a message names row 13, class k."""
    column = ":" if k is None else str(k)
    inside = {"inner": f"1, {column}, 6", "first": f"{column}, 13"}.get(layout, f"13, {column}")
    return rf"logits\[{inside}\]"


def at_13(array: Any, layout: str) -> Any:
    """Row 13 of something shaped like the logits, or its loss."""
    if layout == "inner":
        return array[1, ..., 6]
    return array[..., 13] if layout == "first" else array[13]


def ask(row: Any, target: int, layout: str, **options: Any) -> tuple[float, list[float]]:
    """Loss and the first three gradient elements of the row."""
    z, axis, number = laid_out(row, layout, filler=options.pop("filler", -1.0))
    y = np.zeros(21, int)
    y[number] = target
    y = y.reshape(3, 7) if layout == "inner" else y
    got = ce.CrossEntropy(reduction="none", axis=axis, **options).value_and_grad(y, logits=z)
    assert np.isfinite(np.delete(got.value.ravel(), 13)).all(), "a neighbour was touched"
    return float(at_13(got.value, layout)), at_13(got.grad, layout)[:3].tolist()


# ---------------------------------------------------------------- infinite logits


def test_minus_inf_rules_a_class_out(layout: str) -> None:
    value, grad = ask([0.0, -INF, 0.0], 0, layout, filler=-INF)
    assert value == np.log(2)
    assert grad == [-0.5, 0.0, 0.5]


def test_minus_inf_at_the_target_costs_infinity(layout: str) -> None:
    value, grad = ask([0.0, -INF, 0.0], 1, layout, filler=-INF)
    assert value == INF
    assert grad == [0.5, -1.0, 0.5]


def test_minus_inf_with_smoothing_costs_infinity(layout: str) -> None:
    value, grad = ask([0.0, -INF, 0.0], 0, layout, label_smoothing=0.3)
    assert value == INF
    assert grad[1] == pytest.approx(-0.3 / (40 if layout == "long" else 3), rel=1e-15)


def test_minus_inf_with_a_soft_target_of_0_there_is_harmless() -> None:
    got = ce.CrossEntropy().value_and_grad([[0.5, 0.0, 0.5]], logits=[[0.0, -INF, 0.0]])
    assert got.value == np.log(2)
    assert got.grad.tolist() == [[0, 0, 0]]


def test_plus_inf_at_the_target_costs_nothing(layout: str) -> None:
    value, grad = ask([0.0, INF, 5.0], 1, layout)
    assert value == 0
    assert grad == [0, 0, 0]


def test_plus_inf_elsewhere_costs_infinity(layout: str) -> None:
    value, grad = ask([0.0, INF, 5.0], 2, layout)
    assert value == INF
    assert grad == [0, 1, -1]


def test_plus_inf_against_all_others_minus_inf(layout: str) -> None:
    assert ask([-INF, INF, -INF], 1, layout, filler=-INF) == (0, [0, 0, 0])
    assert ask([-INF, INF, -INF], 0, layout, filler=-INF) == (INF, [-1, 1, 0])


def test_plus_inf_and_soft_targets() -> None:
    """Gradient onehot - q."""
    got = ce.CrossEntropy(reduction="none").value_and_grad([[0.25, 0.75, 0], [0, 1, 0]], logits=[[0, INF, 1]] * 2)
    assert got.value.tolist() == [INF, 0]
    assert got.grad.tolist() == [[-0.25, 0.25, 0], [0, 0, 0]]


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_infinite_logits_of_every_dtype(dtype: Any) -> None:
    z = np.array([[0, -INF], [INF, 0], [3, 3]], dtype)
    assert ce.cross_entropy([1, 1, 0], logits=z, reduction="none").tolist()[:2] == [INF, INF]


def test_infinite_binary_logits() -> None:
    got = ce.BinaryCrossEntropy(reduction="none").value_and_grad([1, 0, 1, 0, 0.5], logits=[INF, INF, -INF, -INF, INF])
    assert got.value.tolist() == [0, INF, INF, 0, INF]
    assert got.grad.tolist() == [0, 1, -1, 0, 0.5]


# ---------------------------------------------------------------- rows without a meaning

BAD: dict[str, tuple[list[float], int | None, str]] = {
    "nan": ([0.0, NAN, 1.0], 1, "is nan; numbers, -inf and one"),
    "nan beside inf": ([INF, NAN, 1.0], 1, "is nan"),
    "nan beside -inf": ([-INF, -INF, NAN], 2, "is nan"),
    "two +inf": ([INF, 1.0, INF], 0, r"and logits\[.*\] are both \+inf; at most one class of a row may be certain"),
    "all -inf": ([-INF, -INF, -INF], None, "are all -inf: no class is left"),
}


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("kind", BAD)
def test_rows_without_a_meaning_are_named(kind: str, dtype: Any, layout: str) -> None:
    row, k, text = BAD[kind]
    z, axis, _ = laid_out(row, layout, dtype=dtype, filler=-INF)
    shape = z.shape[:axis] + z.shape[axis:][1:] if axis >= 0 else z.shape[:-1]
    y = np.zeros(shape, int)
    hint = r".*Mend the scores, or give the row sample_weight 0"
    message = place(layout, k) + " " + text + hint
    for call in (ce.CrossEntropy(axis=axis), ce.CrossEntropy(axis=axis).value_and_grad):
        with pytest.raises(ce.NonFiniteError, match=message):
            call(y, logits=z)
    with pytest.raises(ce.NonFiniteError, match=message):
        ce.CrossEntropy(axis=axis).grad_and_hess(y, logits=z)
    with pytest.raises(ce.NonFiniteError, match=message):
        ce.softmax(z, axis=axis)


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("options", [{"sample_weight": 0}, {"ignore_index": 2}, {"class_weight": [1, 1, 0]}])
def test_left_out_rows_may_be_without_a_meaning(kind: str, options: dict[str, Any], layout: str) -> None:
    """Weight 0, ignored, or no mass: loss and gradient are exactly 0, the mean does not count the row."""
    z, axis, number = laid_out(BAD[kind][0], layout, filler=-INF)
    y, w = np.zeros(21, int), np.ones(21)
    y[number] = 2
    options = dict(options)
    if "class_weight" in options and layout == "long":
        options["class_weight"] = [1, 1, 0] + [1] * 37
    if "sample_weight" in options:
        w[number] = options.pop("sample_weight")
    lead = (3, 7) if layout == "inner" else (21,)
    loss = ce.CrossEntropy(axis=axis, **options)
    got = loss.value_and_grad(y.reshape(lead), logits=z, sample_weight=w.reshape(lead))
    clean = np.moveaxis(z, axis, -1).reshape(21, -1)
    want = ce.cross_entropy(np.zeros(20, int), logits=np.delete(clean, number, axis=0))
    assert got.value == pytest.approx(want, rel=1e-14)
    assert not at_13(got.grad, layout).any()
    assert np.isfinite(got.grad).all()


def test_binary_nan_is_named() -> None:
    z = np.zeros((5, 4))
    z[3, 2] = z[4, 0] = NAN
    with pytest.raises(ce.NonFiniteError, match=r"logits\[3, 2\] is nan; .*sample_weight 0"):
        ce.binary_cross_entropy(np.zeros((5, 4)), logits=z)


@pytest.mark.parametrize("threads", [1, 4])
def test_the_lowest_bad_row_of_many_blocks_is_named(threads: int, set_threads: Any) -> None:
    set_threads(threads)
    z = np.zeros((400_000, 3), np.float32)
    z[[399_999, 131_072, 200_000, 90_001], 1] = NAN
    for _ in range(3):
        with pytest.raises(ce.NonFiniteError, match=r"logits\[90001, 1\]"):
            ce.cross_entropy(np.zeros(400_000, int), logits=z)
        with pytest.raises(ce.NonFiniteError, match=r"logits\[90001, 1\]"):
            ce.cross_entropy(np.zeros(400_000, int), logits=z[:, ::-1])
    labels = np.zeros(400_000, int)
    labels[[300_000, 99_999]] = 3
    with pytest.raises(ce.LabelError, match=r"targets\[99999\] is 3"):
        ce.cross_entropy(labels, logits=np.zeros((400_000, 3)))


# ---------------------------------------------------------------- labels


@pytest.mark.parametrize("label", [3, -1, 77, 2**40])
def test_labels_outside_the_range(label: int) -> None:
    y = np.array([0, 2, label, 1, label])
    message = (
        rf"targets\[2\] is {label}, but the prediction has 3 classes \(labels 0\.\.2\)\. Pass ignore_index={label}"
    )
    for prediction in ({"logits": np.zeros((5, 3))}, {"probs": np.full((5, 3), 1 / 3)}):
        with pytest.raises(ce.LabelError, match=message):
            ce.cross_entropy(y, **prediction)
        with pytest.raises(ce.LabelError, match=message):
            ce.CrossEntropy().value_and_grad(y, **prediction)


def test_fractional_labels() -> None:
    for bad in (1.5, NAN, INF):
        with pytest.raises(ce.LabelError, match=rf"targets\[1\] is {bad}, but class indices are whole numbers"):
            ce.cross_entropy([0.0, bad], logits=np.zeros((2, 3)))


def test_labels_that_look_1_based() -> None:
    """All in 1..K and K occurs."""
    z = np.zeros((3, 3))
    for y in ([1, 2, 3], [[1], [2], [3]], [3, 3, 3], [1.0, 2.0, 3.0]):
        with pytest.raises(ce.LabelError, match=r"look 1-based: pass targets - 1, or classes=\[1, 2, 3\]\."):
            ce.cross_entropy(y, logits=z)
        assert ce.cross_entropy(y, logits=z, classes=[1, 2, 3]) == pytest.approx(np.log(3), rel=1e-15)
    with pytest.raises(ce.LabelError, match=r"classes=\[1, \.\.\., K\]"):
        ce.cross_entropy([1, 10], logits=np.zeros((2, 10)))
    for y in ([0, 2, 3], [1, 2, 4]):
        with pytest.raises(ce.LabelError, match="Pass ignore_index="):
            ce.cross_entropy(y, logits=z)


def test_column_of_labels_is_squeezed() -> None:
    z = np.random.default_rng(0).normal(size=(4, 3))
    assert ce.cross_entropy([[0], [1], [2], [0]], logits=z) == ce.cross_entropy([0, 1, 2, 0], logits=z)


def test_whole_floats_are_indices() -> None:
    z = np.random.default_rng(0).normal(size=(3, 3))
    assert ce.cross_entropy([0.0, 1.0, 2.0], logits=z) == ce.cross_entropy([0, 1, 2], logits=z)


def test_bool_targets_only_with_a_column_for_each_class() -> None:
    z = np.random.default_rng(0).normal(size=(3, 3))
    assert ce.cross_entropy(np.eye(3, dtype=bool), logits=z) == ce.cross_entropy([0, 1, 2], logits=z)
    with pytest.raises(ce.DtypeError, match=r"bool with one dimension fewer.*binary_cross_entropy"):
        ce.cross_entropy([True, False, True], logits=z)


def test_index_or_soft_is_decided_by_the_number_of_dimensions() -> None:
    """[[0], [1]] against K = 1 are distributions, never indices."""
    with pytest.raises(ce.LabelError, match=r"targets\[0, :\] sum to 0"):
        ce.cross_entropy([[0.0], [1.0]], logits=[[2.0], [2.0]])
    assert ce.cross_entropy([[0, 1], [1, 0]], logits=np.zeros((2, 2))) == np.log(2)


# ---------------------------------------------------------------- soft targets


@pytest.mark.parametrize("bad", [-0.1, NAN, INF])
def test_soft_targets_are_finite_and_not_negative(bad: float) -> None:
    q = np.array([[1.0, 0, 0], [0.5, bad, 0.5]])
    for options in ({}, {"normalize_targets": True}):
        for prediction in ({"logits": np.zeros((2, 3))}, {"probs": np.full((2, 3), 1 / 3)}):
            with pytest.raises(ce.LabelError, match=r"targets\[1, 1\] is .*; soft targets are finite and >= 0"):
                ce.cross_entropy(q, **prediction, **options)


@pytest.mark.parametrize("inner", [False, True])
def test_soft_targets_sum_to_1_unless_normalized(inner: bool) -> None:
    q = np.array([[1.0, 0, 0], [1, 1, 0], [0, 0, 0]])
    z = np.random.default_rng(0).normal(size=(3, 3))
    axis, turn = (0, np.transpose) if inner else (-1, np.asarray)
    where = ":, 1" if inner else "1, :"
    with pytest.raises(
        ce.LabelError, match=rf"targets\[{where}\] sum to 2, .*normalize_targets=True.*binary_cross_entro"
    ):
        ce.cross_entropy(turn(q), logits=turn(z), axis=axis)
    where = ":, 2" if inner else "2, :"
    with pytest.raises(ce.LabelError, match=rf"targets\[{where}\] have no positive; pass empty_rows='ignore'"):
        ce.cross_entropy(turn(q), logits=turn(z), axis=axis, normalize_targets=True)
    options = {"normalize_targets": True, "empty_rows": "ignore", "reduction": "none"}
    got = ce.cross_entropy(turn(q), logits=turn(z), axis=axis, **options)
    want = ce.cross_entropy([[1.0, 0, 0], [0.5, 0.5, 0]], logits=z[:2], reduction="none")
    assert got.tolist() == [*want.tolist(), 0.0]


def test_ignore_index_is_for_indices() -> None:
    with pytest.raises(TypeError, match="ignore_index is for class indices; give such rows sample_weight 0"):
        ce.cross_entropy(np.eye(3), logits=np.zeros((3, 3)), ignore_index=0)


def test_names_need_classes_in_column_order() -> None:
    z = np.array([[3.0, 0.0], [3.0, 0.0]])
    with pytest.raises(ce.LabelError, match=r"targets are names .*'owl'.*Pass classes=.*never inferred by sorting"):
        ce.cross_entropy(["owl", "cat"], logits=z)
    got = ce.cross_entropy(["owl", "cat"], logits=z, classes=["owl", "cat"], reduction="none")
    assert got.tolist() == ce.cross_entropy([0, 1], logits=z, reduction="none").tolist()
    with pytest.raises(ce.WeightError, match=r"class_weight names 'owl', .*keyed by name need classes="):
        ce.cross_entropy([0, 1], logits=z, class_weight={"owl": 2.0})


# ---------------------------------------------------------------- weights, empty batches, class counts


@pytest.mark.parametrize("bad", [-1.0, NAN, INF])
def test_weights_are_finite_and_not_negative(bad: float) -> None:
    z = np.zeros((3, 3))
    with pytest.raises(ce.WeightError, match=r"sample_weight\[1\] is .*; finite weights >= 0 are allowed"):
        ce.cross_entropy([0, 1, 2], logits=z, sample_weight=[1, bad, 1])
    with pytest.raises(ce.WeightError, match=r"class_weight\[2\] is .*; finite weights >= 0"):
        ce.cross_entropy([0, 1, 2], logits=z, class_weight=[1, 1, bad])
    with pytest.raises(ce.WeightError, match=r"pos_weight\[0\] is .*; finite weights >= 0"):
        ce.binary_cross_entropy([0, 1], logits=[0.0, 1.0], pos_weight=bad)


NO_ROW: dict[str, dict[str, Any]] = {
    "no rows": {"targets": np.zeros(0, int), "logits": np.zeros((0, 3))},
    "weight 0": {"targets": [0, 1], "logits": np.zeros((2, 3)), "sample_weight": [0, 0]},
    "ignored": {"targets": [-1, -1], "logits": np.zeros((2, 3))},
    "no mass": {"targets": [2, 2], "logits": np.zeros((2, 3))},
}


@pytest.mark.parametrize("case", NO_ROW)
def test_no_row_left(case: str) -> None:
    options = {"ignore_index": -1, "class_weight": [1, 1, 0]}
    call = dict(NO_ROW[case])
    targets = call.pop("targets")
    for method in ("__call__", "value_and_grad"):
        with pytest.raises(ce.EmptyBatchError, match=r"no row is left to average.*empty='nan' or empty='zero'"):
            getattr(ce.CrossEntropy(**options), method)(targets, **call)
    for empty, want in (("nan", NAN), ("zero", 0.0)):
        loss = ce.CrossEntropy(empty=empty, **options)
        got = loss.value_and_grad(targets, **call)
        np.testing.assert_array_equal([got.value, loss(targets, **call)], [want, want])
        assert got.grad.shape == call["logits"].shape
        assert not got.grad.any()
    assert ce.CrossEntropy(reduction="sum", **options)(targets, **call) == 0
    assert ce.CrossEntropy(reduction="none", **options)(targets, **call).tolist() == [0.0] * len(targets)


def test_no_binary_element_left() -> None:
    with pytest.raises(ce.EmptyBatchError, match="no row is left"):
        ce.binary_cross_entropy(np.zeros((0, 3)), logits=np.zeros((0, 3)))
    with pytest.raises(ce.EmptyBatchError, match="no row is left"):
        ce.binary_cross_entropy([], probs=[])
    assert ce.binary_cross_entropy([1], logits=[0.0], sample_weight=[0], empty="zero") == 0


def test_no_classes() -> None:
    for shape in ((0, 0), (4, 0)):
        with pytest.raises(ce.ShapeError, match=r"logits has shape \(., 0\): no classes on axis 1"):
            ce.cross_entropy(np.zeros(shape[0], int), logits=np.zeros(shape))


@pytest.mark.parametrize("z", [0.0, 5.0, -1e30, INF])
def test_one_class_costs_plus_zero(z: float) -> None:
    for soft in (False, True):
        targets = np.ones((5, 1)) if soft else np.zeros(5, int)
        got = ce.CrossEntropy(reduction="none").value_and_grad(targets, logits=np.full((5, 1), z))
        assert got.value.tolist() == [0.0] * 5
        assert not np.signbit(got.value).any()
        assert got.grad.tolist() == [[0.0]] * 5
    value = ce.cross_entropy([0], logits=[[z]])
    assert value == 0
    assert not np.signbit(value)
