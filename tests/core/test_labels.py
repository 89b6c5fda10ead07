"""What targets mean: names in column order, odd containers, ignored labels, and the texts of their errors."""

import tracemalloc
from typing import Any

import numpy as np
import pytest

import crossent as ce
from crossent.core.labels import class_position, class_targets, value_text

Z = np.random.default_rng(0).normal(size=(4, 3))
WANT = ce.cross_entropy([0, 2, 1, 0], logits=Z, reduction="none").tolist()


def losses(targets: Any, **options: Any) -> list[float]:
    """Row losses of the four rows."""
    return list(ce.cross_entropy(targets, logits=Z, reduction="none", **options))


@pytest.mark.parametrize(
    ("targets", "classes"),
    [
        (["cat", "owl", "dog", "cat"], ["cat", "dog", "owl"]),
        (np.array(["cat", "owl", "dog", "cat"], object), ("cat", "dog", "owl")),
        (np.array([b"c", b"o", b"d", b"c"]), [b"c", b"d", b"o"]),
        ([10, 30, 20, 10], [10, 20, 30]),
        ([10.0, 30.0, 20.0, 10.0], [10, 20, 30]),
        (np.array([1, 3, 2, 1], np.uint8), range(1, 4)),
        (np.array([-1, 1, 0, -1]), [-1, 0, 1]),
        ([["cat"], ["owl"], ["dog"], ["cat"]], ["cat", "dog", "owl"]),
    ],
)
def test_names_are_columns_in_the_order_given(targets: Any, classes: Any) -> None:
    assert losses(targets, classes=classes) == WANT


def test_names_in_pandas() -> None:
    pd = pytest.importorskip("pandas")
    names = ["cat", "owl", "dog", "cat"]
    assert losses(pd.Series(names), classes=pd.Index(["cat", "dog", "owl"])) == WANT
    assert losses(pd.Categorical(names), classes=np.array(["cat", "dog", "owl"])) == WANT


def test_names_of_mixed_types() -> None:
    """Anything hashable may name a class; names are not compared with each other."""
    targets = np.array(["cat", None, 7, "cat"], object)
    assert losses(targets, classes=["cat", 7, None]) == WANT


def test_a_missing_name_is_a_label_error() -> None:
    targets = np.array(["cat", None, "dog", "cat"], object)
    with pytest.raises(
        ce.LabelError, match=r"targets\[1\] is None, which is not among classes \('cat', 'dog', 'owl'\)"
    ):
        losses(targets, classes=["cat", "dog", "owl"])


def test_an_unknown_name_is_named_with_its_row() -> None:
    message = r"targets\[2\] is 'doge', which is not among classes \('cat', 'dog', 'owl'\)\. Correct the label"
    with pytest.raises(ce.LabelError, match=message):
        losses(["cat", "owl", "doge", "cat"], classes=["cat", "dog", "owl"])
    with pytest.raises(ce.LabelError, match=r"targets\[0, 1\] is 9, .*\(1, 2, 3, 4, 5, 6, 7, 8, \.\.\.\)"):
        ce.cross_entropy([[1, 9]], logits=np.zeros((1, 2, 10)), classes=[1, 2, 3, 4, 5, 6, 7, 8, 10, 11])


def test_classes_are_distinct_and_as_many_as_columns() -> None:
    with pytest.raises(ce.OptionError, match="classes names 'cat' twice"):
        losses(["cat"] * 4, classes=["cat", "dog", "cat"])
    with pytest.raises(ce.ShapeError, match="classes has 2 names, but the prediction has 3 classes"):
        losses(["cat"] * 4, classes=["cat", "dog"])


@pytest.mark.parametrize("ignored", [-100, 1, 7, 255])
def test_ignored_labels(ignored: int) -> None:
    got = losses([0, 2, ignored, 0], ignore_index=ignored)
    assert got == [*WANT[:2], 0.0, WANT[3]]


def test_ignored_names() -> None:
    got = losses([10, 30, -1, 10], classes=[10, 20, 30], ignore_index=-1)
    assert got == [*WANT[:2], 0.0, WANT[3]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64, np.int8, np.float32])
def test_ignore_index_fits_no_dtype_of_labels(dtype: Any) -> None:
    """-100 never occurs among unsigned labels, which is no error, and never matches a large one."""
    assert losses(np.array([0, 2, 1, 0], dtype), ignore_index=-100) == WANT


def test_numpy_integers_may_be_ignored() -> None:
    assert losses([0, 2, -100, 0], ignore_index=np.int64(-100))[2] == 0


@pytest.mark.parametrize("bad", [1.5, True, "0"])
def test_ignore_index_is_a_whole_number(bad: Any) -> None:
    with pytest.raises(ce.OptionError, match=r"ignore_index is .*; a whole number is allowed"):
        ce.CrossEntropy(ignore_index=bad)


@pytest.mark.parametrize("value", [2**64 - 1, 2**63, 2**40])
def test_large_unsigned_labels_are_outside_the_range(value: int) -> None:
    with pytest.raises(ce.LabelError, match=rf"targets\[1\] is {value}, but the prediction has 3 classes"):
        losses(np.array([0, value, 1, 0], np.uint64))


@pytest.mark.parametrize("ignored", [2**63 - 1, -1, -(2**63), 0])
@pytest.mark.parametrize("value", [2**64 - 1, 2**63])
def test_labels_that_no_int64_holds_are_never_ignored(value: int, ignored: int, isa: str) -> None:
    """On an axis of few classes and of many, in tiles, from probabilities; a label that is ignored stays so."""
    y = np.array([1, value, 2, max(ignored, 1)], np.uint64)
    for K, options in ((3, {}), (3, {"class_weight": [1, 2, 3]}), (40, {}), (40, {"label_smoothing": 0.1})):
        loss = ce.CrossEntropy(ignore_index=ignored, **options)
        for prediction in ({"logits": np.zeros((4, K))}, {"probs": np.full((4, K), 1 / K)}):
            for call in (loss, loss.value_and_grad):
                with pytest.raises(
                    ce.LabelError, match=rf"targets\[1\] is {value}, but the prediction has {K} classes"
                ):
                    call(y, **prediction)
            assert loss(y[[0, 2, 2, 3]], **prediction) > 0


def test_shapes_that_do_not_fit_show_both() -> None:
    message = (
        r"targets have shape \(3,\), the prediction \(4, 3\) with its 3 classes on axis 1\. Pass indices or names of"
    )
    with pytest.raises(ce.ShapeError, match=message):
        losses([0, 1, 2])
    with pytest.raises(ce.ShapeError, match=r"shape \(4, 2\).*\(4, 3\)"):
        losses(np.zeros((4, 2)))
    with pytest.raises(ce.ShapeError, match=r"targets have shape \(4, 1\)"):
        losses(np.zeros((4, 1)))  # floats are never squeezed
    with pytest.raises(
        ce.ShapeError, match=r"targets have shape \(3,\), the prediction \(4,\): binary_cross_entropy needs"
    ):
        ce.binary_cross_entropy([0, 1, 0], logits=np.zeros(4))


def test_dtypes_that_mean_nothing() -> None:
    with pytest.raises(ce.DtypeError, match="targets have dtype complex128"):
        losses(np.zeros(4, complex))
    with pytest.raises(ce.DtypeError, match="targets have dtype complex128"):
        losses(np.zeros((4, 3), complex))
    with pytest.raises(ce.DtypeError, match="distributions are numbers"):
        losses(np.full((4, 3), "x"))
    with pytest.raises(ce.DtypeError, match="targets have dtype complex128"):
        ce.binary_cross_entropy(np.zeros(4, complex), logits=np.zeros(4))


def test_left_out_rows_may_have_any_label() -> None:
    for bad in (9, -5, 0.5, np.nan):
        got = losses(np.array([0, 2, bad, 0]), sample_weight=[1, 1, 0, 1])
        assert got == [*WANT[:2], 0.0, WANT[3]]


# ---------------------------------------------------------------- binary


def test_binary_names() -> None:
    z = [0.5, -1.0, 2.0]
    want = ce.binary_cross_entropy([1, 0, 1], logits=z)
    for targets, classes in ((["M", "B", "M"], ["B", "M"]), ([2, 1, 2], [1, 2]), ([True, False, True], [False, True])):
        assert ce.binary_cross_entropy(targets, logits=z, classes=classes) == want
    weighted = ce.binary_cross_entropy(["M", "B", "M"], logits=z, classes=["B", "M"], class_weight={"M": 3.0})
    assert weighted == ce.binary_cross_entropy([1, 0, 1], logits=z, class_weight=[1, 3])
    with pytest.raises(ce.LabelError, match=r"targets are names\. Pass classes=\(negative, positive\)"):
        ce.binary_cross_entropy(["M", "B", "M"], logits=z)
    with pytest.raises(ce.ShapeError, match="classes has 3 names; binary needs 2"):
        ce.binary_cross_entropy(["M", "B", "M"], logits=z, classes=["B", "M", "?"])


@pytest.mark.parametrize("bad", [2.0, -0.5, np.nan, np.inf])
@pytest.mark.parametrize("name", ["logits", "probs"])
def test_binary_labels_outside_0_1(bad: float, name: str) -> None:
    y = np.zeros((2, 3))
    y[1, 2] = bad
    with pytest.raises(ce.LabelError, match=r"targets\[1, 2\] is .*; labels 0 and 1, or probabilities, are allowed"):
        ce.binary_cross_entropy(y, **{name: np.full((2, 3), 0.5)})


def test_binary_labels_1_and_2_get_a_hint() -> None:
    with pytest.raises(
        ce.LabelError, match=r"targets\[1\] is 2; .*look like 1 and 2: pass targets - 1, or classes=\[1, 2\]"
    ):
        ce.binary_cross_entropy([1, 2, 1], logits=[0.0, 1.0, 2.0])
    with pytest.raises(ce.LabelError, match=r"targets\[2\] is 3; .*Use cross_entropy for more than two classes"):
        ce.binary_cross_entropy([0, 1, 3], logits=[0.0, 1.0, 2.0])


def test_binary_labels_minus_1_and_1_get_a_hint() -> None:
    with pytest.raises(ce.LabelError, match=r"targets\[1\] is -1; .*look like -1 and 1: pass classes=\[-1, 1\]"):
        ce.binary_cross_entropy([1, -1, np.nan], logits=[0.0, 1.0, 2.0])
    with pytest.raises(ce.LabelError, match=r"targets\[1\] is nan; .*Use cross_entropy"):
        ce.binary_cross_entropy([1, np.nan, 1], logits=[0.0, 1.0, 2.0])


@pytest.mark.parametrize("last", [2, 0])
def test_the_hint_takes_little_memory(last: int) -> None:
    """Of 4 million labels in Fortran order nothing as large is made."""
    y, z = np.full((2, 2_000_000), 2, np.int8).T, np.zeros((2_000_000, 2), np.float32)
    y[-1] = last
    hint = "look like 1 and 2" if last == 2 else "Use cross_entropy"
    tracemalloc.start()
    try:
        with pytest.raises(ce.LabelError, match=rf"targets\[0, 0\] is 2; .*{hint}"):
            ce.binary_cross_entropy(y, probs=z)
        assert tracemalloc.get_traced_memory()[1] < 8e6
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------- the parts


def test_value_text_shows_no_numpy() -> None:
    assert value_text(np.int64(3)) == "3"
    assert value_text(np.str_("a")) == "'a'"


def test_class_position_takes_arrays() -> None:
    assert class_position(np.array(["a", "b"])) == {"a": 0, "b": 1}


def test_class_targets_never_copies_integers_that_native_code_can_read() -> None:
    y = np.arange(4) % 3
    labels = class_targets(y, (4, 3), 1, classes=None, ignore_index=None).labels
    assert labels is not None
    assert np.shares_memory(labels, y)


@pytest.mark.parametrize("kind", [ce.cross_entropy, ce.binary_cross_entropy])
def test_what_cannot_be_a_name_is_refused(kind: Any) -> None:
    """A dictionary among the targets has no hash: the error is about the target, with its place."""
    y = np.array(["a", {0: 2.0}], object)
    z = np.zeros((2, 2) if kind is ce.cross_entropy else 2)
    with pytest.raises(ce.LabelError, match=r"targets\[1\] is .*dict"):
        kind(y, logits=z, classes=["a", "b"])
