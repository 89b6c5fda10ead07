"""What SoftmaxClassifier refuses: each message says where, what was found, and what is allowed."""

import math
import re

import numpy as np
import pandas as pd
import pytest

from crossent.errors import (
    DataError,
    DtypeError,
    LabelError,
    NonFiniteError,
    NotFittedError,
    OptionError,
    ShapeError,
    UnsupportedError,
    WeightError,
)
from crossent.learn.classifier import SoftmaxClassifier
from toys import toy


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"solver": "lbgfs"}, OptionError, "one of 'lbfgs', 'gd'.*Did you mean 'lbfgs'"),
        ({"solver": 3}, OptionError, "solver is 3"),
        ({"l2": -1.0}, OptionError, "l2 is -1.0"),
        ({"l2": math.inf}, OptionError, "l2 is inf"),
        ({"l2": "1"}, OptionError, "l2 is '1'"),
        ({"max_iter": 0}, OptionError, "max_iter is 0"),
        ({"max_iter": 2.5}, OptionError, "max_iter is 2.5"),
        ({"tol": -1}, OptionError, "tol is -1"),
        ({"tol": math.nan}, OptionError, "tol is nan"),
        ({"learning_rate": 0}, OptionError, "learning_rate is 0"),
        ({"fit_intercept": "no"}, OptionError, "fit_intercept is 'no'"),
        ({"class_weight": "even"}, OptionError, "class_weight is 'even'"),
        ({"class_weight": [1, 2]}, OptionError, r"class_weight is \[1, 2\]"),
        (
            {"class_weight": {5: 1.0}},
            LabelError,
            "class 5, which does not occur. The classes are 0, 1, 2",
        ),
        ({"class_weight": {0: 0.0}}, WeightError, "class 0 is 0.0"),
        ({"class_weight": {0: math.nan}}, WeightError, "class 0 is nan"),
    ],
)
def test_options(options, error, message):
    with pytest.raises(error, match=message):
        SoftmaxClassifier(**options).fit(*toy())


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.zeros(60), ShapeError, r"X has shape \(60,\)"),
        (np.zeros((60, 2, 2)), ShapeError, r"X has shape \(60, 2, 2\)"),
        (np.zeros((59, 4)), ShapeError, r"X has shape \(59, 4\) and y has shape \(60,\)"),
        (np.zeros((60, 0)), ShapeError, r"0 feature\(s\)"),
        (np.zeros((0, 4)), ShapeError, r"0 sample\(s\)"),
        ([[1.0], [1.0, 2.0]], ShapeError, "same number of features"),
        (np.zeros((60, 4), complex), DataError, "Complex"),
        (np.full((60, 4), "a"), DataError, "must be numbers"),
        (np.array([[1, "x"]] * 60, dtype=object), DataError, "row 0, column 1"),
        (np.array([[1, 2], [{}, 1]] * 30, dtype=object), DtypeError, "row 1, column 0"),
        (np.full((60, 4), 1e200), DataError, "column 0 has values as large as 1e[+]200"),
    ],
)
def test_features(X, error, message):
    with pytest.raises(error, match=message):
        SoftmaxClassifier().fit(X, toy()[1])


@pytest.mark.parametrize(("value", "shown"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_non_finite_features_name_row_and_column(value, shown):
    X, y = toy()
    model = SoftmaxClassifier().fit(X, y)
    X[7, 2] = value
    with pytest.raises(NonFiniteError, match=f"X is {shown} at row 7, column 2; features must be finite"):
        SoftmaxClassifier().fit(X, y)
    with pytest.raises(NonFiniteError, match=r"at row 7, column 2 \('c'\)"):
        model.predict(pd.DataFrame(X, columns=list("abcd")))


def test_sparse():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = toy()
    with pytest.raises(UnsupportedError, match="sparse"):
        SoftmaxClassifier().fit(sparse.csr_array(X), y)


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, LabelError, "target y is None"),
        (np.zeros(60), LabelError, "only 1 class, .*0.0"),
        (np.zeros((60, 2)), ShapeError, r"y has shape \(60, 2\)"),
        (np.linspace(0, 1, 60), LabelError, "Unknown label type: y is 0.0169.* at row 1"),
        (np.r_[np.nan, np.ones(59)], LabelError, "y is nan at row 0"),
        (["a", None] * 30, LabelError, "y is None at row 1"),
        (["a", 1, 2] * 20, None, None),
        (np.array(["a", 1] * 30, dtype=object), LabelError, "mixes labels of the types int, str"),
        (np.array(["a", pd.NA] * 30, dtype=object), LabelError, "y is <NA> at row 1"),
    ],
)
def test_labels(y, error, message):
    if error is None:
        assert len(SoftmaxClassifier().fit(toy()[0], y).classes_) == 3
        return
    with pytest.raises(error, match=message):
        SoftmaxClassifier().fit(toy()[0], y)


@pytest.mark.parametrize(
    ("weight", "error", "message"),
    [
        (np.ones(59), ShapeError, r"shape \(59,\), the rows \(60,\)"),
        (np.ones((60, 1)), ShapeError, r"shape \(60, 1\)"),
        (1.0, ShapeError, r"shape \(\)"),
        (np.r_[1, -2.0, np.ones(58)], WeightError, r"sample_weight\[1\] is -2.0"),
        (np.r_[1, np.nan, np.ones(58)], WeightError, r"sample_weight\[1\] is nan"),
        (np.zeros(60), WeightError, "Every sample_weight is zero"),
        (["a"] * 60, WeightError, "real numbers >= 0"),
        (np.ma.ones(60), UnsupportedError, "masked"),
        (np.r_[1.0, np.zeros(59)], LabelError, "only 1 class"),
    ],
)
def test_weights(weight, error, message):
    with pytest.raises(error, match=message):
        SoftmaxClassifier().fit(*toy(), sample_weight=weight)


def test_not_fitted():
    for method in ("predict", "predict_proba", "predict_log_proba", "decision_function"):
        with pytest.raises(NotFittedError, match="not fitted yet"):
            getattr(SoftmaxClassifier(), method)([[1.0]])
    with pytest.raises(NotFittedError):
        SoftmaxClassifier().to_model()


def test_other_number_of_features():
    model = SoftmaxClassifier().fit(*toy())
    with pytest.raises(ShapeError, match=re.escape("X has 3 features, but SoftmaxClassifier is expecting 4")):
        model.predict(np.zeros((2, 3)))
