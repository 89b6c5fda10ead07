"""Model files: what is saved is loaded to the bit; anything else is one clear error."""

import contextlib
import dataclasses
import json
import math
import os
import sys

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossent.errors import DataError, MissingExtraError, ModelFileError
from crossent.learn.store import SCHEMA, SoftmaxModel, load_model, save_model


def model_of(K=3, D=2, **changes):
    rng = np.random.default_rng(0)
    rows = 1 if K == 2 else K
    fields = {
        "coef": rng.normal(size=(rows, D)),
        "intercept": rng.normal(size=rows),
        "classes": tuple(f"class {k}" for k in range(K)),
        "features": tuple(f"x{j}" for j in range(D)),
        "center": rng.normal(size=D),
        "scale": rng.uniform(0.5, 2, size=D),
        "target": "y",
        "options": {"l2": 0.1, "solver": "lbfgs", "tol": np.float64(1e-6), "steps": np.int64(3)},
        "trace": [{"iteration": 0, "loss": 0.7}, {"iteration": 1, "loss": math.inf}],
    }
    return SoftmaxModel(**{**fields, **changes})


def assert_same(actual, desired):
    for field in dataclasses.fields(SoftmaxModel):
        found, wanted = getattr(actual, field.name), getattr(desired, field.name)
        if isinstance(wanted, np.ndarray):
            assert found.dtype == np.float64
            np.testing.assert_array_equal(found, wanted)
        else:
            assert found == wanted


@pytest.mark.parametrize(("K", "D"), [(2, 3), (3, 2), (1000, 1), (1, 1), (3, 0)])
def test_what_is_saved_is_loaded(tmp_path, K, D):
    path = tmp_path / "m.safetensors"
    save_model(model_of(K, D), path)
    assert_same(load_model(path), model_of(K, D))
    assert os.listdir(tmp_path) == ["m.safetensors"]


@given(names=st.lists(st.text(st.characters(exclude_categories=("Cs",))), min_size=3, max_size=3, unique=True))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
def test_any_names_are_loaded(tmp_path, names):
    model = model_of(3, 3, classes=tuple(names), features=tuple(names), target=names[0])
    save_model(model, tmp_path / "m")
    assert_same(load_model(tmp_path / "m"), model)


def test_the_same_model_gives_the_same_file(tmp_path):
    for name in ("a", "b"):
        save_model(model_of(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "changes",
    [
        {"coef": np.zeros((2, 2))},
        {"coef": np.full((3, 2), np.nan)},
        {"intercept": np.array([0, np.inf, 0])},
        {"center": np.zeros(3)},
        {"scale": np.zeros(2)},
        {"classes": ("a", "a", "b")},
        {"features": ("x", "x")},
        {"classes": ()},
        {"options": {"l2": math.nan}},
        {"options": {"callback": print}},
    ],
)
def test_a_model_that_is_not_whole_is_not_saved(tmp_path, changes):
    path = tmp_path / "m"
    path.write_bytes(b"old")
    with pytest.raises(ModelFileError, match="Cannot save"):
        save_model(model_of(3, **changes), path)
    assert path.read_bytes() == b"old"


def test_unwritable(tmp_path):
    with pytest.raises(DataError, match="Cannot write"):
        save_model(model_of(), tmp_path / "nowhere" / "m")


def header_of(**changes):
    fields = {"schema": SCHEMA, "classes": ["a", "b", "c"], "features": ["x"], "target": "y", "options": {}}
    return {**fields, "trace": [], **changes}


def tensors_of(**changes):
    fields = {"coef": np.zeros((3, 1)), "intercept": np.zeros(3), "center": np.zeros(1), "scale": np.ones(1)}
    return {name: array for name, array in {**fields, **changes}.items() if array is not None}


@pytest.mark.parametrize(
    ("header", "tensors", "message"),
    [
        (None, tensors_of(), "not a model of crossent"),
        (header_of(schema="crossent.model/9"), tensors_of(), "has the schema 'crossent.model/9'"),
        ([], tensors_of(), "has the schema None"),
        (header_of(classes="abc"), tensors_of(), "'classes' in its header is not a list"),
        (header_of(classes=["a", "b", 3]), tensors_of(), "holds other things than names"),
        (header_of(classes=["a", "b", "b"]), tensors_of(), "repeated"),
        (
            header_of(classes=["a", "b"]),
            tensors_of(),
            r"coef has shape \(3, 1\), but 2 classes and 1 features",
        ),
        (header_of(trace=[1]), tensors_of(), "'trace'"),
        (header_of(), tensors_of(coef=None), "holds the arrays"),
        (header_of(), tensors_of(extra=np.zeros(1)), "holds the arrays"),
        (header_of(), tensors_of(coef=np.zeros((3, 1), np.float32)), "coef has dtype F32, needed is F64"),
        (header_of(), tensors_of(coef=np.zeros((3, 2))), "coef has shape"),
        (header_of(), tensors_of(intercept=np.array([0, 0, np.nan])), "not finite"),
        (header_of(), tensors_of(scale=np.zeros(1)), "not positive"),
    ],
)
def test_foreign_and_inconsistent_files(tmp_path, header, tensors, message):
    metadata = None if header is None else {"crossent": json.dumps(header)}
    (tmp_path / "m").write_bytes(safetensors.numpy.save(tensors, metadata=metadata))
    with pytest.raises(ModelFileError, match=message):
        load_model(tmp_path / "m")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "nonsense"])
def test_a_header_that_is_no_json(tmp_path, text):
    (tmp_path / "m").write_bytes(safetensors.numpy.save(tensors_of(), metadata={"crossent": text}))
    with pytest.raises(ModelFileError, match="header"):
        load_model(tmp_path / "m")


def test_truncated_at_every_length(tmp_path):
    save_model(model_of(), tmp_path / "m")
    content = (tmp_path / "m").read_bytes()
    for size in range(len(content)):
        (tmp_path / "m").write_bytes(content[:size])
        with pytest.raises(ModelFileError, match="truncated, damaged or not a model file"):
            load_model(tmp_path / "m")


@given(place=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200)
def test_any_changed_byte_loads_or_is_a_model_file_error(tmp_path, place, byte):
    save_model(model_of(), tmp_path / "m")
    content = bytearray((tmp_path / "m").read_bytes())
    content[int(place * len(content))] = byte
    (tmp_path / "m").write_bytes(content)
    with contextlib.suppress(ModelFileError):
        load_model(tmp_path / "m")


def test_other_kinds_of_files(tmp_path):
    (tmp_path / "m").write_bytes(b"PK\x03\x04 a zip file, or anything else that is long enough to look at")
    with pytest.raises(ModelFileError, match="not a model file"):
        load_model(tmp_path / "m")
    with pytest.raises(DataError, match="does not exist"):
        load_model(tmp_path / "missing")
    with pytest.raises(DataError, match="is a folder"):
        load_model(tmp_path)


def test_a_missing_library_is_named(tmp_path, monkeypatch):
    for name in ("safetensors", "safetensors.numpy"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'crossent\[files\]'"):
        load_model(tmp_path / "m")
    with pytest.raises(MissingExtraError, match="safetensors"):
        save_model(model_of(), tmp_path / "m")
