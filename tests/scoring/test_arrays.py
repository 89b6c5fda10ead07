"""ce.score: arrays of any kind and tables of any library give the Score of a Tally of their rows."""

import duckdb
import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from sklearn.metrics import log_loss

import crossent as ce
from crossent.errors import (
    DataError,
    DtypeError,
    EmptyBatchError,
    LabelError,
    NonFiniteError,
    OptionError,
    ProbabilityError,
    ShapeError,
    UnsupportedError,
)
from crossent.scoring import inputs

NAMES = ["ant", "bee", "cat"]


def batch(n=300, k=3, seed=0):
    rng = np.random.default_rng(seed)
    p = rng.dirichlet(np.ones(k), n)
    y = (p.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    return y, p, rng.random(n) + 0.1


def tallied(y, p, classes, *, single=False, source="", by=(), cluster=None, **options):
    beside = {name: options.pop(name, None) for name in ("sample_weight", "count")}
    tally = ce.Tally(classes, by=tuple(by), cluster=cluster is not None, **options)
    update = tally.update_binary if single else tally.update
    update(y, p, **beside, by=dict(by), cluster=cluster, source=source)
    return tally.result()


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
def test_score_is_that_of_a_tally(kind):
    y, p, w = batch()
    values = p if kind == "probs" else np.log(p)
    g = np.arange(300) % 3
    found = ce.score(y, **{kind: values}, sample_weight=w, by={"g": g}, cluster=np.arange(300) // 5, prior=[1, 1, 2],
                     worst=3, bins=4, clip=1e-3)  # fmt: skip
    wanted = tallied(y, values, "012", kind=kind, sample_weight=w, by={"g": g}, cluster=np.arange(300) // 5,
                     prior=[1, 1, 2], worst=3, bins=4, clip=1e-3)  # fmt: skip
    assert found == wanted
    assert [r.row for r in found.worst] == [r.row for r in wanted.worst]


def test_any_block_size_gives_the_same(monkeypatch):
    y, p, w = batch()
    count, g = np.arange(300) % 4, np.array(list("xyz"))[np.arange(300) % 3]
    options = {"probs": p, "sample_weight": w, "count": count, "by": {"g": g}, "threshold": 0.5}
    whole = ce.score(y, **options)
    monkeypatch.setattr(inputs, "_MOST_ROWS", 7)
    assert ce.score(y, **options) == whole
    assert [s.stop - s.start for s in inputs.row_blocks(10, 3)] == [7, 3]
    assert [s.stop - s.start for s in inputs.row_blocks(3, 10**9)] == [1, 1, 1]


def test_targets_may_be_names_booleans_or_indices_of_names():
    y, p, _ = batch()
    names = np.array(NAMES)[y]
    by_name = ce.score(names, probs=p, classes=NAMES)
    assert by_name.log_loss.value == pytest.approx(log_loss(y, p), rel=1e-12)
    assert by_name == ce.score(y, probs=p, classes=NAMES) == ce.score(list(names), probs=p, classes=NAMES)
    shuffled = ce.score(names, probs=p[:, [2, 0, 1]], classes=["cat", "ant", "bee"])
    assert shuffled.log_loss == by_name.log_loss
    ten = ce.score(y * 10, probs=p, classes=[0, 10, 20])
    assert (ten.classes, ten.log_loss) == (("0", "10", "20"), by_name.log_loss)
    y, p, _ = batch(k=2)
    true = ce.score(y == 1, probs=p)
    assert (true.classes, true.log_loss.value) == (("false", "true"), pytest.approx(log_loss(y, p), rel=1e-12))
    assert ce.score(y == 1, probs=p[:, ::-1], classes=[True, False]).log_loss == true.log_loss


@pytest.mark.parametrize(
    ("targets", "options", "classes"),
    [
        (lambda y: y, {}, ("0", "1")),
        (lambda y: y.astype(float), {}, ("0", "1")),
        (lambda y: y == 1, {}, ("false", "true")),
        (lambda y: np.array(["ham", "spam"])[y], {"positive": "spam"}, ("ham", "spam")),
        (lambda y: np.array(["spam", "ham"])[y], {"positive": "ham"}, ("spam", "ham")),
        (lambda y: np.array(["z", "a"])[y], {"classes": ["z", "a"]}, ("z", "a")),
        (lambda y: y + 1, {"positive": 2}, ("1", "2")),
        (lambda y: y, {"classes": ["no", "yes"]}, ("no", "yes")),
        (lambda y: y == 1, {"classes": ["no", "yes"]}, ("no", "yes")),
    ],
)
def test_one_prediction_a_row_is_that_of_the_positive_class(targets, options, classes):
    y, p, w = batch(k=2)
    found = ce.score(targets(y), probs=p[:, 1], sample_weight=w, **options)
    assert found.classes == classes
    assert found == tallied(y, p[:, 1], classes, single=True, sample_weight=w)
    assert found.log_loss.value == pytest.approx(log_loss(y, p[:, 1], sample_weight=w), rel=1e-12)


def test_any_array_of_numbers():
    y, p, _ = batch()
    wanted = ce.score(y, probs=p)
    for values in (p.tolist(), np.asfortranarray(p), pd.DataFrame(p), pl.DataFrame(p)):
        assert ce.score(y.tolist(), probs=values) == wanted
    assert ce.score(pd.Series(y), probs=p) == ce.score(pl.Series(y), probs=p) == wanted
    half = p.astype(np.float16)
    assert ce.score(y, logits=half).log_loss == ce.score(y, logits=half.astype(np.float64)).log_loss


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table, "duckdb"])
def test_tables_of_any_library(make):
    y, p, w = batch()
    columns = {
        "y": np.array(NAMES)[y], "w": w, "n": np.arange(300) % 4, "region": np.array(["n", "s"])[y % 2],
        "user": np.arange(300) // 3, **{f"p_{name}": p[:, k] for k, name in enumerate(NAMES)},
    }  # fmt: skip
    arrow = pa.table(columns)
    table = duckdb.sql("select * from arrow") if make == "duckdb" else make(columns)
    found = ce.score("y", table=table, probs="p_*", sample_weight="w", count="n", by=["region"], cluster="user")
    wanted = tallied(y, p, NAMES, sample_weight=w, count=columns["n"], by={"region": columns["region"]},
                     cluster=columns["user"], source="table")  # fmt: skip
    assert found == wanted
    assert ce.score("y", table=arrow.select(["y", "p_ant", "p_bee", "p_cat"])).log_loss == ce.score(y, probs=p).log_loss


def test_a_single_column_of_a_table():
    table = pd.DataFrame({"label": ["ham", "spam", "spam"], "spam_logit": [-2.0, 1.0, 3.0], "group": ["a", "a", "b"]})
    found = ce.score("label", table=table, logits="spam_logit", positive="spam", by="group", threshold=0.9)
    assert found.log_loss.value == pytest.approx(np.log1p(np.exp([-2.0, -1.0, -3.0])).mean(), rel=1e-12)
    assert [s.value for s in found.segments] == ["a", "b"]
    assert found.confusion.counts == ((1, 0), (1, 1))
    with pytest.raises(LabelError, match=r"Say positive='ham' or positive='spam'\."):
        ce.score("label", table=table, logits="spam_logit")
    with pytest.raises(DataError, match=r"log_probs='q_\*'"):
        ce.score("label", table=table, log_probs="q_*")


def test_above_200_classes_the_commonest_are_followed():
    rng = np.random.default_rng(0)
    k = 230
    y = np.concatenate([np.arange(k), rng.integers(0, 30, 2000)])
    p = np.full((len(y), k), 1 / k)
    found = ce.score(y, probs=p, redraws=2)
    followed = [c.label for c in found.per_class if c.auc is not None]
    assert len(followed) == 200
    assert set(followed) >= {str(label) for label in range(30)}
    assert found.confusion is None
    table = pa.table({"y": y, **{f"p_{j}": p[:, j] for j in range(k)}})
    assert [c.label for c in ce.score("y", table=table, redraws=2).per_class if c.auc is not None] == followed


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"probs": None}, UnsupportedError, "none was given"),
        ({"logits": 1}, UnsupportedError, "exactly one"),
        ({"targets": [[1.0, 0.0]] * 4}, ShapeError, r"\(4, 2\)"),
        ({"targets": [0, 1]}, ShapeError, r"\(2,\)"),
        ({"targets": [0, 1, 2, 0]}, LabelError, r"targets\[2\] is 2"),
        ({"targets": ["a", "b", "a", "b"]}, LabelError, "classes="),
        ({"targets": ["a", "b", "a", "x"], "classes": ["a", "b"]}, LabelError, "'x', which is not among classes"),
        ({"classes": ["a"]}, ShapeError, "classes has 1"),
        ({"positive": "b"}, UnsupportedError, "positive="),
        ({"probs": np.full((4, 1), 0.5)}, ShapeError, "positive one of two"),
        ({"probs": np.full((4, 2), 0.7)}, ProbabilityError, "sum to 1.4"),
        ({"sample_weight": [1.0] * 5}, ShapeError, "sample_weight has shape"),
        ({"count": [1] * 5}, ShapeError, "count has shape"),
        ({"cluster": [1] * 5}, ShapeError, "cluster has shape"),
        ({"by": {"g": [1] * 5}}, ShapeError, r"by\['g'\] has shape"),
        ({"by": "g"}, OptionError, "mapping of column name"),
        ({"targets": [True, False, True, None]}, LabelError, "targets are names"),
        ({"targets": [True, False, True, False], "probs": np.full((4, 3), 1 / 3)}, DtypeError, "bool"),
    ],
)
def test_what_cannot_be_scored_is_told(change, error, text):
    options = {"targets": [0, 1, 1, 0], "probs": np.full((4, 2), 0.5)} | change
    with pytest.raises(error, match=text):
        ce.score(options.pop("targets"), **options)


@pytest.mark.parametrize(
    ("targets", "options", "error", "text"),
    [
        ([0, 1, 2], {}, LabelError, "3 values"),
        (["a", "b", "a"], {}, LabelError, "Say positive='a' or positive='b'"),
        (["a", "b", None], {"positive": "a"}, LabelError, r"targets\[2\] is missing"),
        (["a", "b", "c"], {"classes": ["a", "b"]}, LabelError, "'c', which is none of"),
        ([0, 1, 1], {"classes": ["a", "b", "c"]}, ShapeError, "needs 2"),
        ([0, 1, 1], {"classes": [0, 1], "positive": 0}, LabelError, "Leave one out"),
    ],
)
def test_what_cannot_be_the_positive_class_is_told(targets, options, error, text):
    with pytest.raises(error, match=text):
        ce.score(targets, probs=[0.5, 0.6, 0.7], **options)


def test_what_is_no_column_of_a_table_is_told():
    table = pd.DataFrame({"y": ["a", "b"], "p_a": [0.5, 0.5], "p_b": [0.5, 0.5]})
    with pytest.raises(UnsupportedError, match="classes= and table="):
        ce.score("y", table=table, classes=["a", "b"])
    for options in ({"sample_weight": [1.0, 1.0]}, {"by": {"g": [1, 2]}}, {"by": [1]}, {"probs": np.ones((2, 2))}):
        with pytest.raises(OptionError, match="name of a column"):
            ce.score("y", table=table, **options)
    with pytest.raises(OptionError, match="targets"):
        ce.score(np.array([0, 1]), table=table)
    with pytest.raises(DataError, match="no column 'g'"):
        ce.score("y", table=table, by="g")
    with pytest.raises(DataError, match="a list is no table"):
        ce.score("y", table=[1, 2])


def test_no_rows_are_no_score():
    with pytest.raises(EmptyBatchError):
        ce.score(np.zeros(0, int), probs=np.zeros((0, 3)))
    with pytest.raises(EmptyBatchError):
        ce.score([0, 1], probs=[[0.5, 0.5]] * 2, sample_weight=[0, 0])


def test_the_function_stays_the_function_when_rooms_are_imported():
    import crossent.scoring.files  # noqa: F401  the import sets attributes of the package

    assert callable(ce.score)
    assert ce.score.__module__ == "crossent.scoring.arrays"


def test_classes_with_cells_are_the_commonest_by_count_and_weight():
    k = 210
    y = np.concatenate([np.repeat(np.arange(10), 3), np.arange(10, k)])  # 0..9 have most lines, but no weight, or 1 row
    p = np.full((len(y), k), 1 / k)
    count = np.concatenate([np.ones(30), np.full(200, 10)])
    weight = np.concatenate([np.zeros(30), np.ones(200)])
    table = pa.table({"y": y.astype(str), "c": count, "w": weight, **{f"p_{j}": p[:, j] for j in range(k)}})
    for options in ({"count": count}, {"sample_weight": weight}):
        named = {name: "c" if name == "count" else "w" for name in options}
        others = ["w"] if "count" in options else ["c"]
        for found in (
            ce.score(y, probs=p, **options),
            ce.score("y", table=table.drop_columns(others), probs="p_*", **named),
        ):
            assert [c.label for c in found.per_class if c.rest is not None] == [str(j) for j in range(10, k)]


def test_a_bad_row_is_told_by_the_callers_own_number() -> None:
    n = 70_000
    y, p = np.zeros(n, np.int64), np.full((n, 2), 0.5)
    weight = np.ones(n)
    weight[65_536:65_540] = 0
    y[69_000] = 5
    with pytest.raises(LabelError, match=r"^targets\[69000\] is 5; there are 2 classes.*sample_weight 0") as caught:
        ce.score(y, probs=p, sample_weight=weight)
    assert "ignore_index" not in str(caught.value)
    weight[69_000] = 0  # as the message says
    assert ce.score(y, probs=p, sample_weight=weight).n == n - 5
    logits = np.zeros((n, 2))
    logits[68_000, 1] = np.nan
    with pytest.raises(NonFiniteError, match=r"^logits\[68000, 1\] is nan"):
        ce.score(y, logits=logits, sample_weight=weight)
    with pytest.raises(LabelError, match="1-based: pass targets - 1"):
        ce.score([1, 2, 2], probs=p[:3])


def test_messages_name_the_function_the_classes_and_the_row() -> None:
    with pytest.raises(ShapeError, match="compare takes targets"):
        ce.compare([0, 1], probs=[[[0.5, 0.5]], [[0.5, 0.5]]])
    with pytest.raises(ProbabilityError, match=r"the probability of class 'spam' is 1\.5"):
        ce.score(["ham", "spam"], probs=[0.2, 1.5], classes=["ham", "spam"])
    with pytest.raises(LabelError, match=r"^targets\[2\] is 'x', which is none of the classes 'ham', 'spam'\. Correct"):
        ce.score(["ham", "spam", "x"], probs=[0.2, 0.5, 0.1], classes=["ham", "spam"])
