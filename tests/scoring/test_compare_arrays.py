"""compare on arrays and tables: the numbers of CompareTally, whatever the form; what does not fit is named."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

import crossent as ce
from crossent.errors import DataError, LabelError, OptionError, ProbabilityError, ShapeError, UnsupportedError
from pairs import CLASSES, batch, tally_of, zeroed


def table_of(y, **sets):
    columns = {"y": np.array(CLASSES)[y]}
    for name, p in sets.items():
        columns |= {f"{name}_{label}": p[:, k] for k, label in enumerate(CLASSES)}
    return pa.table(columns)


def test_arrays_are_what_the_tally_says():
    y, a, b, w = batch()
    kind = np.arange(400) % 3
    found = ce.compare(y, probs=[a, b], sample_weight=w, by={"kind": kind}, cluster=kind % 2, margin=0.01)
    tally = ce.CompareTally(["0", "1", "2"], by=["kind"], cluster=True)
    tally.update(y, a, b, sample_weight=w, by={"kind": kind}, cluster=kind % 2)
    assert found == tally.result(margin=0.01)
    assert found.names == ("A", "B")
    assert ce.compare(y, probs={"old": a, "new": b}).names == ("old", "new")


def test_every_form_gives_the_same_difference():
    y, a, b, _ = batch()
    wanted = log_loss(y, b) - log_loss(y, a)
    for given in (
        {"probs": (a, b)},
        {"log_probs": [np.log(a), np.log(b)]},
        {"logits": {"x": np.log(a) + 3, "y": np.log(b) - 2}},
        {"probs": [pd.DataFrame(a), pd.DataFrame(b)]},
        {"probs": [a.tolist(), b.tolist()]},
    ):
        assert ce.compare(y, **given).difference.value == pytest.approx(wanted, rel=1e-9)
    names = np.array(CLASSES)[y]
    assert ce.compare(names, probs=[a, b], classes=CLASSES).difference.value == pytest.approx(wanted, rel=1e-12)


def test_blocks_do_not_show():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 150_000)
    p, q = rng.random((2, 150_000))
    found = ce.compare(y, probs=[p, q])
    tally = ce.CompareTally(["0", "1"])
    tally.update_binary(y, p, q)
    assert found == tally.result()


def test_single_columns_are_for_the_positive_class():
    y, p, q = np.array(["ham", "spam", "spam"] * 20), np.tile([0.2, 0.7, 0.6], 20), np.tile([0.3, 0.8, 0.5], 20)
    found = ce.compare(y, probs=[p, q], positive="spam")
    wanted = log_loss(y == "spam", q) - log_loss(y == "spam", p)
    assert found.difference.value == pytest.approx(wanted, rel=1e-10)
    table = pa.table({"y": y, "old": p, "new": q})
    both = ce.compare("y", table=table, probs=["old", "new"], positive="spam")
    assert both.difference == found.difference


@pytest.mark.parametrize("library", [pa.Table.to_pandas, pl.from_arrow, lambda t: t])
def test_one_table_with_two_patterns(library):
    y, a, b, w = batch()
    plain = table_of(y, old=a, new=b).append_column("w", pa.array(w)).append_column("kind", pa.array(y % 2))
    plain = plain.append_column("times", pa.array(np.arange(400) % 4))
    found = ce.compare(
        "y",
        table=library(plain),
        probs={"old": "old_*", "new": "new_*"},
        sample_weight="w",
        count="times",
        by="kind",
        cluster="times",
        margin=0.01,
    )
    more = {"sample_weight": w, "count": np.arange(400) % 4, "by": {"kind": y % 2}, "cluster": np.arange(400) % 4}
    wanted = tally_of(y, a, b, names=("old", "new"), **more).result(margin=0.01)
    assert found == wanted
    assert ce.compare("y", table=library(plain), probs=["old_*", "new_*"]).names == ("A", "B")


def test_two_tables_in_the_same_order_whatever_their_chunks_and_columns():
    y, a, b, w = batch()
    left = table_of(y, p=a).append_column("w", pa.array(w))
    left = pa.concat_tables([left.slice(0, 100), left.slice(100, 150), left.slice(250)])
    right = table_of(y, p=b[:, :]).select(["p_cat", "y", "p_ant", "p_bee"])
    right = pa.concat_tables([right.slice(0, 7), right.slice(7, 300), right.slice(307)])
    wanted = tally_of(y, a, b, sample_weight=w, names=("old", "new")).result()
    found = ce.compare("y", table={"old": left, "new": right}, probs="p_*", sample_weight="w")
    assert found == wanted
    assert ce.compare("y", table={"old": left, "new": right}, sample_weight="w") == wanted  # columns inferred
    renamed = right.rename_columns(["q_cat", "y", "q_ant", "q_bee"])
    assert (
        ce.compare("y", table=[left, renamed], probs=["p_*", "q_*"], sample_weight="w").difference == wanted.difference
    )


def test_a_stream_without_a_length_is_counted():
    y, a, b, _ = batch()

    class Stream:
        def __init__(self, table):
            self.table = table

        def __arrow_c_stream__(self, requested_schema=None):
            return self.table.__arrow_c_stream__(requested_schema)

    left, right = Stream(table_of(y, p=a)), Stream(table_of(y, p=b))
    assert ce.compare("y", table=[left, right]).difference == tally_of(y, a, b).result().difference
    with pytest.raises(DataError, match="'A' has 400 rows and 'B' has 399 rows"):
        ce.compare("y", table=[left, Stream(table_of(y[1:], p=b[1:]))])


def test_lengths_that_differ_are_both_named():
    y, a, b, _ = batch()
    with pytest.raises(ShapeError, match=r"old have shape \(400, 3\) and of new \(399, 3\)"):
        ce.compare(y, probs={"old": a, "new": b[1:]})
    with pytest.raises(ShapeError, match=r"\(400,\).*\(399, 3\)"):
        ce.compare(y, probs=[a[1:], b[1:]])
    with pytest.raises(DataError, match=r"'old' has 400 rows and 'new' has 399 rows.*Join"):
        ce.compare("y", table={"old": table_of(y, p=a), "new": table_of(y[1:], p=b[1:])})


def test_tables_in_another_order_are_refused():
    y, a, b, _ = batch()
    order = np.r_[np.arange(350), np.arange(350, 400)[::-1]]
    row = int(np.argmax(y != y[order])) + 1
    with pytest.raises(DataError, match=rf"old row {row}: column 'y' holds '\w+', and in 'new' '\w+'.*same order"):
        ce.compare("y", table={"old": table_of(y, p=a), "new": table_of(y[order], p=b[order])})


def test_two_sets_are_needed():
    y, a, b, _ = batch()
    with pytest.raises(UnsupportedError, match=r"probs is one ndarray of shape \(400, 3\); compare takes two.*score"):
        ce.compare(y, probs=a)
    with pytest.raises(UnsupportedError, match="probs has 3 sets; compare takes two"):
        ce.compare(y, probs=[a, b, a])
    with pytest.raises(UnsupportedError, match="logits has 1 sets"):
        ce.compare(y, logits={"a": a})
    with pytest.raises(UnsupportedError, match="none was given"):
        ce.compare(y)
    with pytest.raises(UnsupportedError, match="probs= and logits= were given"):
        ce.compare(y, probs=[a, b], logits=[a, b])
    table = table_of(y, old=a, new=b)
    for given in ({}, {"probs": "old_*"}, {"probs": ["old_*"]}, {"probs": ["old_*", "new_*"], "logits": ["x", "y"]}):
        with pytest.raises(UnsupportedError):
            ce.compare("y", table=table, **given)
    with pytest.raises(UnsupportedError, match="table has 3 sets"):
        ce.compare("y", table=[table] * 3, probs="old_*")


def test_columns_that_are_not_there_or_do_not_fit():
    y, a, b, _ = batch()
    table = table_of(y, old=a, new=b)
    with pytest.raises(DataError, match="no column matches probs='nwe_"):
        ce.compare("y", table=table, probs=["old_*", "nwe_*"])
    with pytest.raises(DataError, match="no column 'z'"):
        ce.compare("z", table=table, probs=["old_*", "new_*"])
    with pytest.raises(DataError, match="no column 'w'"):
        ce.compare("y", table=table, probs=["old_*", "new_*"], sample_weight="w")
    for targets, more in ((y, {}), (None, {}), ("y", {"sample_weight": a}), ("y", {"by": {"k": y}})):
        with pytest.raises(OptionError):
            ce.compare(targets, table=table, probs=["old_*", "new_*"], **more)
    with pytest.raises(UnsupportedError, match="classes="):
        ce.compare("y", table=table, probs=["old_*", "new_*"], classes=CLASSES)
    with pytest.raises(OptionError, match="same names"):
        ce.compare("y", table={"a": table, "b": table}, probs={"a": "old_*", "c": "new_*"})
    with pytest.raises(OptionError, match="two names"):
        ce.compare(y, probs={1: a, "1": b})
    two = y < 2
    fewer = table_of(y[two], p=a[two])
    with pytest.raises(DataError, match="'ant', 'bee'; both must speak of the same classes"):
        ce.compare("y", table=[fewer, fewer.drop_columns("p_cat")])
    with pytest.raises(UnsupportedError, match="A has probs and B has logits"):
        ce.compare("y", table=[fewer, fewer.rename_columns(["y", "z_ant", "z_bee", "z_cat"])])
    with pytest.raises(LabelError):
        ce.compare(y + 1, probs=[a, b])


def test_rows_that_are_no_probabilities_are_named_with_their_set():
    y, a, b, _ = batch()
    b[7] *= 3
    with pytest.raises(ProbabilityError, match="new: row 8"):
        ce.compare(y, probs={"old": a, "new": b})
    with pytest.raises(ProbabilityError, match=r"table row 8: new_ant\.\.new_cat sum to 3 \(1 of 400 rows is off 1\)"):
        ce.compare("y", table=table_of(y, old=a, new=b), probs=["old_*", "new_*"])
    with pytest.raises(ProbabilityError, match=r"right row 8: p_ant\.\.p_cat sum to 3"):
        ce.compare("y", table={"left": table_of(y, p=a), "right": table_of(y, p=b)})


def test_anytime_needs_both_words():
    y, a, b, _ = batch()
    found = ce.compare(y, probs=[a, b], anytime=True, expect_n=1000)
    assert [look.n for look in found.sequence] == [400]
    assert found.sequence[0].upper > found.difference.upper
    for more in ({"anytime": True}, {"expect_n": 1000}):
        with pytest.raises(OptionError, match="needs both"):
            ce.compare(y, probs=[a, b], **more)


def test_infinite_losses_go_through():
    y, a, b, _ = batch()
    found = ce.compare(y, probs=[a, zeroed(b, y, [3])])
    assert (found.difference.value, found.infinite) == (math.inf, (0, 1, 0))
