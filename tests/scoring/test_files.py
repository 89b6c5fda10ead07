"""Scoring files: the Score of a file is that of its arrays, whatever the columns' form."""

import numpy as np
import pytest

from crossent.errors import DataError, OptionError, ProbabilityError, WeightError
from crossent.rows import Binding, from_table, open_sink, open_source
from crossent.scoring import Tally
from crossent.scoring.files import bind_source, score_file

pa = pytest.importorskip("pyarrow")


def test_the_score_of_a_file_is_that_of_its_arrays(tmp_path):
    rng = np.random.default_rng(1)
    z, y, w = rng.normal(size=(500, 3)), rng.integers(0, 3, 500), rng.uniform(0, 2, 500)
    names = ["bee", "cat", "dog"]
    path = tmp_path / "a.parquet"
    with open_sink(path) as sink:
        sink.write({"w": w, "y": [names[k] for k in y], **{f"z_{n}": z[:, k] for k, n in enumerate(names)}})
    source, seen = open_source(path), []
    binding = bind_source(source, target="y", weight="w")
    score = score_file(source, binding, weight="w", confidence=0.9, worst=4, on_rows=seen.append)
    tally = Tally(names, kind="logits", worst=4)
    tally.update(y, z, sample_weight=w, source=str(path))
    assert score == tally.result(confidence=0.9)
    assert seen == [500]


def test_counts_segments_and_clusters_are_columns(tmp_path):
    rng = np.random.default_rng(2)
    p, y, n = rng.dirichlet(np.ones(2), 300), rng.integers(0, 2, 300), rng.integers(0, 4, 300)
    region, user = np.array(["north", "south"])[rng.integers(0, 2, 300)], rng.integers(0, 40, 300)
    path = tmp_path / "a.parquet"
    with open_sink(path) as sink:
        columns = {"p_rows": n, "p_user": user, "region": list(region)}
        sink.write({"y": y, "p_0": p[:, 0], "p_1": p[:, 1], **columns})
    source = open_source(path)
    binding = bind_source(source, target="y", besides=["p_rows", "p_user"])
    assert binding.columns == ("p_0", "p_1")
    for ci in ("hall", "bootstrap"):
        options = {"prior": {0: 1, "1": 3}, "threshold": 0.4, "ci": ci, "bins": 5, "binning": "mass"}
        tally = Tally(["0", "1"], by=["region"], cluster=True, **options)
        tally.update(y, p, count=n, by={"region": region}, cluster=user, source=str(path))
        found = score_file(
            source, binding, count="p_rows", by=["region"], cluster="p_user", seed=3, redraws=9, **options
        )
        assert found == tally.result(seed=3, redraws=9)
    with pytest.raises(DataError, match=r"no column 'reg'"):
        bind_source(source, target="y", besides=["reg"])


def test_cells_that_are_no_count_or_no_key_are_named():
    table = {"y": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0]}
    source = from_table(pa.table({**table, "n": [1, None], "user": ["u", None]}))
    binding = bind_source(source, target="y", besides=["n", "user"])
    with pytest.raises(WeightError, match="table row 2: count nan"):
        score_file(source, binding, count="n")
    with pytest.raises(DataError, match=r"table row 2: cluster keys\[1\] is missing"):
        score_file(source, binding, cluster="user")
    found = score_file(source, binding, by=["user"])
    assert {s.value for s in found.segments} == {"u", "(missing)"}


def test_a_single_column_is_used_as_it_is():
    table = pa.table({"y": [True, False, True], "p": [0.9, 1e-30, 1.0]})
    source = from_table(table)
    score = score_file(source, bind_source(source, target="y", probs="p"))
    assert score.classes == ("false", "true")
    assert score.log_loss.value == pytest.approx(-np.log(0.9) / 3, rel=1e-14)


def test_a_weight_is_no_prediction():
    table = pa.table({"y": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0], "p_weight": [1, 2]})
    assert bind_source(from_table(table), target="y", weight="p_weight").classes == ("a", "b")
    with pytest.raises(DataError, match="weight at once"):
        bind_source(from_table(table), target="y", weight="y")


@pytest.mark.parametrize("kind", ["probs", "logits", "log_probs"])
def test_clip_moves_probabilities_and_tells_how_many(kind):
    p = np.array([[0.2, 0.8], [1.0, 0.0], [1e-6, 1 - 1e-6], [0.5, 0.5]])
    y = np.array([1, 1, 0, 0])
    with np.errstate(divide="ignore"):
        tally = Tally(["a", "b"], kind=kind, clip=1e-3)
        tally.update(y, p if kind == "probs" else np.log(p))
    score = tally.result()
    assert score.log_loss.value == pytest.approx((-np.log(0.8) - 2 * np.log(1e-3) - np.log(0.5)) / 4, rel=1e-12)
    assert score.infinities.rows == 0
    assert score.notes[:1] == (
        "clip 0.001 moved the probability at the true class in 2 of 4 rows, 1 of them from 0: "
        "without it the loss is inf",
    )
    assert score.worst[0].p_target == 1e-3


def test_clip_is_symmetric_as_that_of_the_losses():
    tally = Tally(["a", "b"], clip=0.1)
    tally.update(np.array([0]), np.array([[1.0, 0.0]]))
    assert tally.result().log_loss.value == pytest.approx(-np.log(0.9), rel=1e-15)
    assert tally.result().notes[:1] == ("clip 0.1 moved the probability at the true class in 1 of 1 rows",)


def test_clip_adds_up_with_the_same_clip_only():
    whole, left, right = (Tally(["a", "b"], clip=0.1) for _ in range(3))
    y, p = np.array([0, 1, 0]), np.array([[0.0, 1.0], [0.5, 0.5], [1.0, 0.0]])
    whole.update(y, p)
    left.update(y[:1], p[:1])
    right.update(y[1:], p[1:], first_row=1)
    assert (left + right).result() == whole.result()
    with pytest.raises(OptionError, match=r"clip is 0\.1 and None"):
        left + Tally(["a", "b"])
    for bad in (0.0, 0.5, -1.0, np.nan):
        with pytest.raises(OptionError, match="clip is"):
            Tally(["a", "b"], clip=bad)


def test_a_row_is_named_as_its_block_names_it():
    """A tally has no block; its messages say where a row is in the same words."""
    source = from_table(pa.table({"y": ["a", "b"], "p_a": [1.0, 0.0], "p_b": [0.0, 1.0], "w": [1.0, -1.0]}))
    (block,) = source.blocks()
    with pytest.raises(WeightError, match=f"^{block.place(1)}: "):
        score_file(source, bind_source(source, target="y", weight="w"), weight="w")


def test_a_binding_without_a_pattern_is_scored_too():
    source = from_table(pa.table({"y": ["a", "b"], "p_a": [2.0, 0.0], "p_b": [3.0, 1.0]}))
    with pytest.raises(ProbabilityError, match=r"p_a\.\.p_b sum to 5 \(1 of 2 rows is off 1\).*--logits PATTERN"):
        score_file(source, Binding("probs", "y", ("p_a", "p_b"), ("a", "b")))
