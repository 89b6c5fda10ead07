"""From file columns to features and classes: the choice of columns, the order of classes, the scale."""

import numpy as np
import pyarrow as pa
import pytest

from closeness import assert_close
from crossent.errors import DataError
from crossent.learn.encode import ClassCodes, choose_features, finite_matrix, fit_encoder, natural_order
from crossent.learn.moments import standardised
from crossent.rows import from_table


def source(**columns):
    return from_table(pa.table(columns))


MIXED = {"x": [1.0, 2.0], "flag": [True, False], "name": ["a", "b"], "k": [1, 2], "y": ["u", "v"]}


def test_features_are_all_columns_but_target_and_dropped_in_file_order():
    assert choose_features(source(**MIXED), target="y", drop=["name"]) == ("x", "flag", "k")
    assert choose_features(source(**MIXED), target="k", drop=["name", "y"]) == ("x", "flag")
    assert choose_features(source(**MIXED), target="y", features=["k", "x"]) == ("k", "x")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "yy"}, "no column 'yy'. Did you mean 'y'"),
        ({"target": "y", "drop": ["nam"]}, "no column 'nam'. Did you mean 'name'"),
        ({"target": "y", "features": ["flg"]}, "no column 'flg'. Did you mean 'flag'"),
        ({"target": "y"}, "column 'name' is of kind text.*--drop name"),
        ({"target": "k"}, r"column 'name' \(as 1 more\) is of kind text.*--drop name --drop y"),
        ({"target": "y", "features": ["name"]}, "column 'name' is of kind text"),
        ({"target": "y", "features": ["x", "x"]}, "'x' is named more than once"),
        ({"target": "y", "features": ["y"]}, "'y' is the target and cannot be a feature"),
        ({"target": "y", "drop": ["y"]}, "'y' is the target and cannot be dropped"),
        (
            {"target": "y", "drop": ["x", "flag", "name", "k"]},
            "no feature columns are left besides the target 'y'",
        ),
        ({"target": "y", "features": []}, "no feature columns are left"),
    ],
)
def test_columns_that_do_not_fit(options, message):
    with pytest.raises(DataError, match=message):
        choose_features(source(**MIXED), **options)


def test_matrix_of_numbers_and_booleans():
    block = next(iter(source(**MIXED).blocks()))
    assert np.array_equal(finite_matrix(block, ["flag", "k"]), [[1, 1], [0, 2]])


@pytest.mark.parametrize(
    ("value", "found"),
    [(None, "missing or NaN"), (float("nan"), "missing or NaN"), (float("-inf"), "infinite")],
)
def test_cells_that_are_not_finite_name_row_and_column(value, found):
    blocks = list(source(a=[1.0, 2.0, 3.0], b=[1.0, 2.0, value]).blocks(rows=2))
    finite_matrix(blocks[0], ["a", "b"])
    with pytest.raises(DataError, match=f"row 3: column 'b' is {found}"):
        finite_matrix(blocks[1], ["a", "b"])


@pytest.mark.parametrize(
    ("labels", "ordered"),
    [
        (["10", "9", "1.5", "-2", "1e3"], ["-2", "1.5", "9", "10", "1e3"]),
        (["18446744073709551615", "18446744073709551614"], ["18446744073709551614", "18446744073709551615"]),
        (["dog", "cat", "10", "9"], ["10", "9", "cat", "dog"]),
        (["true", "false"], ["false", "true"]),
        (["inf", "1"], ["1", "inf"]),
    ],
)
def test_natural_order(labels, ordered):
    assert list(natural_order(labels)) == ordered


@pytest.mark.parametrize("rows", [1, 2, 100])
def test_class_codes_do_not_depend_on_blocks(rows):
    labels = ["9", "10", "9", "7", "10"]
    collected = ClassCodes("y")
    for block in source(y=[int(label) for label in labels]).blocks(rows=rows):
        collected.add(block)
    classes, codes = collected.finish()
    assert classes == ("7", "9", "10")
    assert [classes[code] for code in codes] == labels


def test_missing_target_names_the_row():
    blocks = list(source(y=["a", "b", None]).blocks(rows=2))
    collected = ClassCodes("y")
    collected.add(blocks[0])
    with pytest.raises(DataError, match="row 3: the target column 'y' is empty"):
        collected.add(blocks[1])


def test_standardised_features():
    X = np.random.default_rng(0).normal([5.0, -1e6, 3.0], [1e-3, 1e5, 0.0], size=(500, 3))
    encoder = fit_encoder(X)
    assert encoder.constant.tolist() == [False, False, True]
    assert encoder.scale[2] == 1
    Z = standardised(X, encoder.center, encoder.scale)
    assert_close(Z.mean(0), np.zeros(3), bound=1e-11)
    assert_close(Z.std(0), [1.0, 1.0, 0.0], bound=1e-12)
    assert standardised(X, encoder.center, encoder.scale, out=X) is X
    assert np.array_equal(X, Z)
