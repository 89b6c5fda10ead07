"""What SoftmaxClassifier refuses: each message says where, what was found, and what is allowed."""

import math
import re

import numpy as np
import pandas as pd
import pytest

import crossent as ce
from crossent.errors import (
    DataError,
    DtypeError,
    LabelError,
    LabelWarning,
    NonFiniteError,
    NotFittedError,
    OptionError,
    ShapeError,
    UnsupportedError,
    WeightError,
)
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.solvers import SOLVERS, Solver
from toys import toy


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"solver": "lbgfs"}, OptionError, "one of '.*'lbfgs', .*Did you mean 'lbfgs'"),
        ({"solver": ["gd"]}, OptionError, r"solver is \['gd'\]; it must be one of 'auto', "),
        ({"l1": -1.0}, OptionError, "l1 is -1.0"),
        ({"l1": math.nan}, OptionError, "l1 is nan"),
        ({"schedule": "cosin"}, OptionError, "schedule is 'cosin'.*Did you mean 'cosine'"),
        ({"batch_size": 0}, OptionError, "batch_size is 0"),
        ({"momentum": 1.0}, OptionError, "momentum is 1.0"),
        ({"random_state": -1}, OptionError, "random_state is -1; it must be a whole number >= 0, or None for 0"),
        ({"random_state": 1.5}, OptionError, "random_state is 1.5"),
        ({"random_state": np.random.RandomState(0)}, OptionError, "random_state is RandomState"),
        ({"warm_start": "yes"}, OptionError, "warm_start is 'yes'; it must be True or False"),
        ({"verbose": 3}, OptionError, "verbose is 3; it must be True or False"),
        ({"callbacks": 3}, OptionError, "callbacks holds 3; it must be a function of a Step, or a list of those"),
        ({"callbacks": [print, "print"]}, OptionError, "callbacks holds 'print'"),
        ({"callbacks": "print"}, OptionError, "callbacks holds 'print'"),
        ({"loss": "log_loss"}, UnsupportedError, r"loss is 'log_loss'; it must be a loss of logits"),
        ({"loss": ce.Focal}, UnsupportedError, r"loss is Focal; .* Make one: Focal\(\)"),
        (
            {"loss": ce.LinearCrossEntropy()},
            UnsupportedError,
            "loss is LinearCrossEntropy.*it must be a loss of logits",
        ),
        ({"loss": ce.CrossEntropy(ignore_index=-1)}, OptionError, "ignore_index=-1.*sample_weight 0"),
        ({"loss": ce.CrossEntropy(classes=["a", "b"])}, OptionError, "loss has classes="),
        ({"loss": ce.CrossEntropy(axis=0)}, OptionError, "loss has axis=0; a fit needs axis=-1"),
        ({"loss": ce.CrossEntropy(softcap=30.0)}, OptionError, "loss has softcap=30.0"),
        ({"loss": ce.CrossEntropy(clip=0.1)}, OptionError, "loss has clip=0.1"),
        ({"loss": ce.CrossEntropy(reduction="sum")}, OptionError, "loss has reduction='sum'"),
        ({"loss": ce.CrossEntropy(unit="bit")}, OptionError, "loss has unit='bit'"),
        ({"loss": ce.CrossEntropy(class_weight="balanced")}, OptionError, "Give that to the classifier instead"),
        ({"loss": ce.CrossEntropy(class_weight={0: 2.0})}, OptionError, "loss has class_weight={0: 2.0}"),
        ({"loss": ce.CrossEntropy(class_weight=[1.0, 2.0])}, ShapeError, "class_weight"),
        ({"loss": ce.LogitAdjusted(priors=[1, 2])}, ShapeError, "priors has 2 numbers, but there are 3 classes"),
        ({"solver": 3}, OptionError, "solver is 3"),
        ({"l2": -1.0}, OptionError, "l2 is -1.0"),
        ({"l2": math.inf}, OptionError, "l2 is inf"),
        ({"l2": "1"}, OptionError, "l2 is '1'"),
        ({"max_iter": 0}, OptionError, "max_iter is 0"),
        ({"max_iter": 2.5}, OptionError, "max_iter is 2.5"),
        ({"tol": -1}, OptionError, "tol is -1"),
        ({"tol": math.nan}, OptionError, "tol is nan"),
        ({"learning_rate": 0}, OptionError, "learning_rate is 0"),
        (
            {"learning_rate": 0.1},
            OptionError,
            "learning_rate=0.1 is for 'gd', 'sgd',.*; solver='auto' needs none. Leave it out, or pass solver='gd'.",
        ),
        ({"solver": "newton", "batch_size": 9}, OptionError, "batch_size=9 is for 'sgd',.*'newton'.* solver='sgd'"),
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
        ([[1.0], [1.0, 2.0]], ShapeError, "X is no array.*Rows of one length"),
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


@pytest.mark.parametrize(
    ("y", "error", "message"),
    [
        (None, LabelError, "target y is None"),
        (np.zeros(60), LabelError, "only 1 class, .*0.0"),
        (np.zeros((60, 2)), LabelError, r"y has shape \(60, 2\)"),
        (np.zeros((60, 2, 2)), ShapeError, r"y has shape \(60, 2, 2\)"),
        (np.zeros((60, 0)), ShapeError, r"y has shape \(60, 0\)"),
        (np.zeros((59, 3)), ShapeError, r"X has shape \(60, 4\) and y has shape \(59, 3\)"),
        (3, ShapeError, r"y has shape \(\)"),
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


def test_a_loss_without_the_derivative_that_the_solver_needs(monkeypatch):
    second = Solver(lambda objective, start, options: objective.hvp(start), True, False, "needs the Hessian")
    monkeypatch.setitem(SOLVERS, "second", second)
    with pytest.raises(UnsupportedError, match=r"Focal .*no convex Hessian in the logits.* such as 'lbfgs'"):
        SoftmaxClassifier(solver="second", loss=ce.Focal()).fit(*toy())


class TestLabelsNeverSeen:
    def model(self):
        X, y = toy()
        return SoftmaxClassifier().fit(X, y), X, y

    def test_some_count_as_wrong_with_a_warning(self):
        model, X, y = self.model()
        other = np.where(np.arange(60) < 6, 7, y)
        with pytest.warns(LabelWarning, match=r"labels 7, which are not among classes_ \(0, 1, 2\)") as caught:
            score = model.score(X, other)
        assert caught[0].filename == __file__
        assert score == np.mean(model.predict(X) == other)

    @pytest.mark.parametrize("other", [["0", "1", "2"] * 20, np.full(60, 9), np.full(60, "x", dtype=object)])
    def test_none_known_is_an_error(self, other):
        model, X, _ = self.model()
        with pytest.raises(LabelError, match=r"not among classes_ .* Pass labels as they were given to fit"):
            model.score(X, other)

    def test_in_the_log_loss(self):
        model, X, y = self.model()
        with pytest.raises(LabelError, match=r"targets\[5\] is 7, which is not among classes"):
            ce.cross_entropy(np.where(np.arange(60) == 5, 7, y), probs=model.predict_proba(X), classes=model.classes_)


def test_constant_columns_are_no_trouble():
    X, y = toy()
    for l2 in (0, None):
        model = SoftmaxClassifier(l2=l2).fit(np.column_stack([X, np.zeros(60), np.full(60, 7.0)]), y)
        assert np.abs(model.coef_[:, 4:]).max() < 1e-12


def test_a_refused_fit_leaves_the_model_as_it_was():
    X, y = toy()
    model = SoftmaxClassifier().fit(pd.DataFrame(X, columns=list("abcd")), y)
    before = model.coef_.copy()
    with pytest.raises(LabelError):
        model.fit(X, np.zeros(60))
    assert np.array_equal(model.coef_, before)
    assert model.feature_names_in_.tolist() == list("abcd")
