"""Names that contradict places: integers that are class names, and data frames with their columns in another order."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import crossent as ce
from crossent.errors import LabelError

P = np.array([[0.7, 0.1, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.1, 0.2, 0.5, 0.2]])
LOSS = -np.log([0.7, 0.6, 0.5]).mean()


def test_integers_among_names_are_names():
    found = ce.score(np.array([1, 2, 3]), probs=P, classes=["1", "2", "3", "4"])
    assert found.log_loss.value == pytest.approx(LOSS, rel=1e-14)
    assert found == ce.score(np.array(["1", "2", "3"]), probs=P, classes=["1", "2", "3", "4"])


def test_integers_that_are_no_names_are_places():
    for names in ("abcd", ("0", "1", "2", "3")):
        found = ce.score(np.array([0, 1, 2]), probs=P, classes=list(names))
        assert found.log_loss.value == pytest.approx(LOSS, rel=1e-14)


def test_integers_of_which_some_are_names_are_refused():
    with pytest.raises(LabelError, match=r"targets\[0\] is 0, which is not among the classes '1', '2', '3', '4'"):
        ce.score(np.array([0, 1, 2]), probs=P, classes=["1", "2", "3", "4"])


def test_two_classes_with_numbers_as_names():
    found = ce.score(np.array([1, 2, 2]), probs=[0.2, 0.9, 0.6], classes=["1", "2"])
    assert found.log_loss.value == pytest.approx(-np.log([0.8, 0.9, 0.6]).mean(), rel=1e-14)


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table])
def test_columns_of_a_frame_are_the_classes(make):
    frame = make({name: P[:, k].tolist() for k, name in enumerate("abcd")})
    found = ce.score(["a", "b", "c"], probs=frame)
    assert found.classes == ("a", "b", "c", "d")
    assert found.log_loss.value == pytest.approx(LOSS, rel=1e-14)
    turned = make({name: P[:, k].tolist() for k, name in reversed(list(enumerate("abcd")))})
    assert ce.score(["a", "b", "c"], probs=turned).log_loss.value == pytest.approx(LOSS, rel=1e-14)
    with pytest.raises(LabelError, match=r"probs are 'd', 'c', 'b', 'a', and classes= is 'a', 'b', 'c', 'd'"):
        ce.score(["a", "b", "c"], probs=turned, classes=list("abcd"))


def test_frames_with_other_names_go_by_place():
    frame = pd.DataFrame(P, columns=["p1", "p2", "p3", "p4"])
    assert ce.score([0, 1, 2], probs=frame).log_loss.value == pytest.approx(LOSS, rel=1e-14)
    assert ce.score(list("abc"), probs=frame, classes=list("abcd")).log_loss.value == pytest.approx(LOSS, rel=1e-14)
    with pytest.raises(LabelError, match="Pass classes="):
        ce.score(list("abc"), probs=frame)


def test_numbered_columns_in_another_order():
    frame = pd.DataFrame(P)[[3, 2, 1, 0]]
    assert ce.score([0, 1, 2], probs=frame).log_loss.value == pytest.approx(LOSS, rel=1e-14)


def test_compare_refuses_columns_in_another_order():
    a, b = pd.DataFrame(P, columns=list("abcd")), pd.DataFrame(P[:, ::-1], columns=list("dcba"))
    with pytest.raises(LabelError, match=r"the columns of probs of B are 'd', 'c', 'b', 'a'"):
        ce.compare(list("abc"), probs=[a, b])
    found = ce.compare(list("abc"), probs=[a, b[list("abcd")]])
    assert found.losses[1].value == pytest.approx(LOSS, rel=1e-14)
