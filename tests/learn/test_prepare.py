"""Targets and losses of SoftmaxClassifier: soft and independent labels, any loss, warm starts; against oracles."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.optimize
from scipy.special import log_expit, log_softmax
from sklearn.linear_model import LogisticRegression

import crossent as ce
from closeness import assert_close
from crossent.errors import ConvergenceWarning, LabelError, LabelWarning, OptionError, ShapeError, UnsupportedError
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.predict import model_logits
from toys import toy

TIGHT = {"tol": 1e-14, "max_iter": 5000}


def distributions(rows=60, classes=3, seed=4):
    return np.random.default_rng(seed).dirichlet(np.ones(classes), rows)


def labels01(rows=60, labels=3, seed=5):
    y = np.random.default_rng(seed).integers(0, 2, (rows, labels))
    assert (y.sum(axis=1) == 0).any()
    assert (y.sum(axis=1) > 1).any()
    return y


def minimised(objective, size):
    """The minimum of a smooth function of flat parameters, by SciPy and numerical gradients in float64."""
    found = scipy.optimize.minimize(objective, np.zeros(size), method="BFGS", options={"gtol": 1e-9, "maxiter": 5000})
    return found.fun, found.x


class TestDistributions:
    @pytest.mark.parametrize("classes", [2, 3])
    def test_a_distribution_is_the_row_once_for_each_class(self, classes):
        X, _ = toy(classes=classes)
        q = distributions(classes=classes)
        soft = SoftmaxClassifier(**TIGHT).fit(X, q)
        long = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12)
        long.fit(np.repeat(X, classes, axis=0), np.tile(np.arange(classes), len(X)), sample_weight=q.reshape(-1))
        assert soft.classes_.tolist() == list(range(classes))
        assert soft.l2_ == 1 / len(X)
        assert_close(soft.coef_, long.coef_, bound=1e-7)
        assert_close(soft.predict_proba(X), long.predict_proba(X), bound=1e-7)

    @pytest.mark.parametrize("kind", [np.float32, np.int64, np.bool_])
    def test_one_hot_rows_are_labels(self, kind):
        X, y = toy()
        soft = SoftmaxClassifier(**TIGHT).fit(X, np.eye(3)[y].astype(kind))
        assert_close(soft.coef_, SoftmaxClassifier(**TIGHT).fit(X, y).coef_, bound=1e-8)

    @pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame, pa.table])
    def test_names_of_the_columns_are_the_classes(self, frame):
        X, _ = toy()
        q = distributions()
        model = SoftmaxClassifier().fit(X, frame({"cat": q[:, 0], "ape": q[:, 1], "dog": q[:, 2]}))
        assert model.classes_.tolist() == ["cat", "ape", "dog"]
        assert set(model.predict(X)) <= {"cat", "ape", "dog"}
        assert model.to_model().classes == ("cat", "ape", "dog")

    def test_weights_are_repetitions(self):
        X, _ = toy()
        q, counts = distributions(), np.random.default_rng(6).integers(0, 3, 60)
        weighted = SoftmaxClassifier(**TIGHT).fit(X, q, sample_weight=counts)
        repeated = SoftmaxClassifier(**TIGHT).fit(np.repeat(X, counts, axis=0), np.repeat(q, counts, axis=0))
        assert_close(weighted.coef_, repeated.coef_, bound=1e-8)

    def test_several_positives_share_a_row_where_the_loss_says_so(self):
        X, _ = toy()
        y = labels01()
        y[:, 0] |= y.sum(axis=1) == 0
        shared = SoftmaxClassifier(loss=ce.CrossEntropy(normalize_targets=True), **TIGHT).fit(X, y)
        same = SoftmaxClassifier(**TIGHT).fit(X, y / y.sum(axis=1, keepdims=True))
        assert_close(shared.coef_, same.coef_, bound=1e-9)

    @pytest.mark.parametrize(
        ("y", "message"),
        [
            (np.full((60, 2), 0.6), r"y has shape \(60, 2\).*targets\[0, :\] sum to 1.2"),
            (np.full((60, 2), np.nan), r"targets\[0, 0\] is nan"),
            (np.tile([1.5, -0.5], (60, 1)), r"targets\[0, 1\] is -0.5"),
            (np.tile([0.5, 0.5, 0.0], (60, 1)), "y is 0 in every row .* of column 2"),
            (np.tile([1.0, 0.0], (60, 1)), "y is 0 in every row .* of column 1"),
            (np.array([["a", "b"]] * 60), "several columns it holds probabilities"),
        ],
    )
    def test_refusals(self, y, message):
        with pytest.raises(LabelError, match=message):
            SoftmaxClassifier().fit(toy()[0], y)

    def test_a_class_that_never_occurs_has_an_optimum_under_smoothing(self):
        y = np.tile([0.5, 0.5, 0.0], (60, 1))
        model = SoftmaxClassifier(loss=ce.CrossEntropy(label_smoothing=0.3), **TIGHT).fit(toy()[0], y)
        assert_close(model.predict_proba(toy()[0])[:, 2], np.full(60, 0.1), bound=1e-4)

    def test_more_classes_than_rows(self):
        X, q = toy()[0][:5], distributions(rows=5, classes=8)
        model = SoftmaxClassifier(l2=0.1, **TIGHT).fit(X, q)
        excess = (model.predict_proba(X) - q) / 5
        assert_close(excess.T @ X, -0.1 * model.coef_, bound=1e-6)  # where the gradient is 0
        assert_close(excess.sum(axis=0), np.zeros(8), bound=1e-6)

    def test_class_weight_has_no_single_class_to_weigh(self):
        with pytest.raises(OptionError, match="class_weight is 'balanced', and y has several columns"):
            SoftmaxClassifier(class_weight="balanced").fit(toy()[0], distributions())

    def test_accuracy_needs_labels(self):
        X, y = toy()
        model = SoftmaxClassifier().fit(X, distributions())
        assert model.score(X, y) == np.mean(model.predict(X) == y)
        with pytest.raises(ShapeError, match=r"y has shape \(60, 3\) and the predictions have \(60,\)"):
            model.score(X, distributions())


class TestIndependentLabels:
    def test_each_label_is_a_logistic_regression_of_its_own(self):
        X, _ = toy()
        y = labels01()
        model = SoftmaxClassifier(loss=ce.BinaryCrossEntropy(), **TIGHT).fit(X, y)
        assert model.coef_.shape == (3, 4)
        assert model.l2_ == pytest.approx(1 / 180)
        for j in range(3):
            alone = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12).fit(X, y[:, j])
            assert_close(model.coef_[j], alone.coef_[0], bound=1e-7)
            assert_close(model.predict_proba(X)[:, j], alone.predict_proba(X)[:, 1], bound=1e-7)
            assert np.array_equal(model.predict(X)[:, j], alone.predict(X))
        assert_close(model.predict_log_proba(X), np.log(model.predict_proba(X)), bound=1e-14)
        assert model.decision_function(X).shape == (60, 3)
        assert model.score(X, y) == np.mean((model.predict(X) == y).all(axis=1))

    def test_of_two_labels_neither_excludes_the_other(self):
        X, _ = toy()
        y = np.tile([1, 1], (60, 1))
        y[:5, 0] = y[5:10, 1] = 0
        model = SoftmaxClassifier(loss=ce.BinaryCrossEntropy()).fit(X, y)
        assert model.predict(X).sum() > 100
        assert model.predict(X).dtype == np.int64

    def test_options_of_the_loss(self):
        X, _ = toy()
        y = labels01()
        loss = ce.BinaryCrossEntropy(pos_weight=[1.0, 5.0, 1.0], label_smoothing=0.1)
        model = SoftmaxClassifier(loss=loss, l2=0.01, **TIGHT).fit(X, y)

        def objective(point):
            W, b = point[:12].reshape(3, 4), point[12:]
            z, q = X @ W.T + b, 0.9 * y + 0.05
            loss = -(q * log_expit(z) * [1.0, 5.0, 1.0] + (1 - q) * log_expit(-z)).sum() / 180
            return loss + 0.005 * (W * W).sum()

        value, point = minimised(objective, 15)
        assert model.trace_[-1] == pytest.approx(value, abs=1e-9)
        assert_close(model.coef_, point[:12].reshape(3, 4), bound=1e-4)

    def test_names(self):
        X, _ = toy()
        y = pd.DataFrame(labels01(), columns=["red", "green", "blue"])
        assert SoftmaxClassifier(loss=ce.BinaryFocal()).fit(X, y).classes_.tolist() == ["red", "green", "blue"]

    def test_two_classes_are_one_label(self):
        X, y = toy(classes=2)
        names = np.array(["no", "yes"])[y]
        model = SoftmaxClassifier(loss=ce.BinaryCrossEntropy(), **TIGHT).fit(X, names)
        assert_close(model.coef_, SoftmaxClassifier(**TIGHT).fit(X, names).coef_, bound=1e-12)
        assert set(model.predict(X)) == {"no", "yes"}
        assert model.predict_proba(X).shape == (60, 2)

    @pytest.mark.parametrize(
        ("y", "error", "message"),
        [
            (toy()[1], LabelError, "Only binary classification is supported by BinaryCrossEntropy.* y has 3 classes"),
            (labels01() * 2, LabelError, r"targets\[\d+, \d\] is 2"),
            (np.tile([0, 1], (60, 1)), LabelError, "y is 0 in every row .* of column 0"),
            (np.array([[1, 1]] * 30 + [[0, 1]] * 30), LabelError, "y is 1 in every row .* of column 1"),
        ],
    )
    def test_refusals(self, y, error, message):
        with pytest.raises(error, match=message):
            SoftmaxClassifier(loss=ce.BinaryCrossEntropy()).fit(toy()[0], y)

    def test_a_model_file_cannot_hold_them(self):
        model = SoftmaxClassifier(loss=ce.BinaryCrossEntropy()).fit(toy()[0], labels01())
        with pytest.raises(UnsupportedError, match="3 independent labels"):
            model.to_model()

    def test_score_needs_a_matrix(self):
        X, y = toy()
        model = SoftmaxClassifier(loss=ce.BinaryCrossEntropy()).fit(X, labels01())
        with pytest.raises(ShapeError, match=r"y has shape \(60,\)"):
            model.score(X, y)


class TestLosses:
    @pytest.mark.parametrize("classes", [2, 3])
    def test_plain_cross_entropy_may_be_named(self, classes):
        X, y = toy(classes=classes)
        named, plain = (SoftmaxClassifier(loss=loss, **TIGHT).fit(X, y) for loss in (ce.CrossEntropy(), None))
        assert named.coef_.shape == plain.coef_.shape
        assert named.l2_ == plain.l2_
        assert_close(named.coef_, plain.coef_, bound=1e-7)
        assert_close(named.trace_[-1], plain.trace_[-1], bound=1e-13)
        assert_close(named.decision_function(X), plain.decision_function(X), bound=1e-7)

    @pytest.mark.parametrize("classes", [2, 3])
    @pytest.mark.parametrize(
        ("loss", "row_loss"),
        [
            (ce.Focal(gamma=1.0), lambda lp, y: -((1 - np.exp(lp[y])) * lp[y])),
            (ce.Poly1(epsilon=0.5), lambda lp, y: -lp[y] + 0.5 * (1 - np.exp(lp[y]))),
            (ce.CrossEntropy(label_smoothing=0.2), lambda lp, y: -0.8 * lp[y] - 0.2 * lp.mean()),
        ],
        ids=["focal", "poly1", "smoothed"],
    )
    def test_the_minimum_is_that_of_the_loss(self, loss, row_loss, classes):
        X, y = toy(classes=classes)
        model = SoftmaxClassifier(loss=loss, l2=0.05, **TIGHT).fit(X, y)
        outputs = 1 if classes == 2 else classes

        def objective(point):
            W, b = point[: 4 * outputs].reshape(outputs, 4), point[4 * outputs :]
            z = X @ W.T + b
            lp = log_softmax(np.column_stack([np.zeros(60), z]) if classes == 2 else z, axis=1)
            return np.mean([row_loss(lp[i], y[i]) for i in range(60)]) + 0.025 * (W * W).sum()

        value, point = minimised(objective, 5 * outputs)
        assert model.coef_.shape == (outputs, 4)
        assert model.trace_[-1] == pytest.approx(value, abs=1e-8)
        assert_close(model.coef_, point[: 4 * outputs].reshape(outputs, 4), bound=2e-4)

    @pytest.mark.parametrize("loss", [None, ce.CrossEntropy()])
    def test_the_objective_of_two_classes_is_that_of_the_one_logit(self, loss):
        X, y = toy(classes=2)
        w, b = np.array([[0.5, -1.0, 2.0, 0.0]]), np.array([0.3])
        model = SoftmaxClassifier(loss=loss, solver="gd", max_iter=1, warm_start=True, l1=0.02, l2=0.3)
        vars(model).update(coef_=w, intercept_=b, classes_=np.array([0, 1]))
        with pytest.warns(ConvergenceWarning):
            model.fit(X, y)
        z = X @ w[0] + b
        exact = -np.mean(log_expit(np.where(y == 1, z, -z))) + 0.15 * np.sum(w * w) + 0.02 * np.abs(w).sum()
        assert model.trace_[0] == pytest.approx(exact, rel=1e-14)

    def test_probabilities_are_those_of_the_tempered_logits(self):
        X, y = toy()
        model = SoftmaxClassifier(loss=ce.CrossEntropy(temperature=3.0), l2=0.01, **TIGHT).fit(X, y)
        plain = SoftmaxClassifier(l2=0.09, **TIGHT).fit(X, y)  # z / T with penalty l2 is z with T^2 l2
        assert_close(model.coef_, 3 * plain.coef_, bound=1e-6)
        assert_close(model.predict_proba(X), plain.predict_proba(X), bound=1e-7)
        assert_close(model.predict_log_proba(X), plain.predict_log_proba(X), bound=1e-6)
        assert_close(model_logits(model.to_model(), X), plain.decision_function(X), bound=1e-6)

    def test_adjusted_logits_are_predicted_without_the_adjustment(self):
        X, y = toy()
        counts = np.bincount(y)
        model = SoftmaxClassifier(loss=ce.LogitAdjusted(priors=counts), l2=0.1, **TIGHT).fit(X, y)
        plain = SoftmaxClassifier(l2=0.1, **TIGHT).fit(X, y)
        shift = np.log(counts / counts.sum())
        moved = model.intercept_ + shift
        assert_close(model.coef_, plain.coef_, bound=1e-7)
        assert_close(moved - moved.mean(), plain.intercept_ - plain.intercept_.mean(), bound=1e-6)

    def test_class_weights_of_the_loss_are_those_of_the_classifier(self):
        X, y = toy()
        inside = SoftmaxClassifier(loss=ce.CrossEntropy(class_weight=[1.0, 2.0, 3.0]), l2=0.1, **TIGHT).fit(X, y)
        outside = SoftmaxClassifier(class_weight={1: 2.0, 2: 3.0}, l2=0.1, **TIGHT).fit(X, y)
        assert_close(inside.coef_, outside.coef_, bound=1e-8)

    def test_to_model_shows_the_loss(self):
        X, y = toy()
        options = (
            SoftmaxClassifier(loss=ce.Focal(gamma=1.5), callbacks=[lambda step: None]).fit(X, y).to_model().options
        )
        assert "gamma=1.5" in options["loss"]

    def test_z_loss_needs_more_than_two_classes(self):
        """It moves the common part of the logits, which the one logit of two classes does not have."""
        loss = ce.CrossEntropy(z_loss=0.1)
        assert SoftmaxClassifier(loss=loss).fit(*toy()).coef_.shape == (3, 4)
        for y in (toy(classes=2)[1], distributions(classes=2)):
            with pytest.raises(OptionError, match=r"z_loss=0.1, and two classes have one logit.* Leave z_loss out"):
                SoftmaxClassifier(loss=loss).fit(toy(classes=2)[0], y)


class TestWarmStart:
    @pytest.mark.parametrize("loss", [None, ce.CrossEntropy(label_smoothing=0.1)])
    @pytest.mark.parametrize("classes", [2, 3])
    def test_it_goes_on_where_the_last_fit_ended(self, classes, loss):
        X, y = toy(classes=classes)
        model = SoftmaxClassifier(warm_start=True, loss=loss, l2=0.01).fit(X, y)
        first = model.trace_
        model.set_params(tol=1e-12).fit(X, y)
        assert len(first) > 5
        assert model.trace_[0] == pytest.approx(first[-1], rel=1e-12)
        assert len(SoftmaxClassifier(loss=loss, l2=0.01).fit(X, y).trace_) == len(first)

    def test_off_by_default(self):
        X, y = toy()
        model = SoftmaxClassifier().fit(X, y)
        assert model.fit(X, y).trace_[0] == pytest.approx(math.log(3))

    @pytest.mark.parametrize(
        ("X", "y", "error", "message"),
        [
            (toy(width=3)[0], toy()[1], ShapeError, "coef_ is for 4 features and X has 3"),
            (toy()[0], toy()[1] + 1, LabelError, "earlier fit had the classes 0, 1, 2 and y has 1, 2, 3"),
            (toy()[0], toy(classes=2)[1], LabelError, "set warm_start=False"),
        ],
    )
    def test_another_problem_is_refused(self, X, y, error, message):
        model = SoftmaxClassifier(warm_start=True).fit(*toy())
        with pytest.raises(error, match=message):
            model.fit(X, y)


def test_an_identifier_as_target_warns_where_fit_was_called():
    X = np.random.default_rng(0).normal(size=(30, 2))
    with pytest.warns(LabelWarning, match="y has 30 classes in 30 rows") as caught:
        SoftmaxClassifier(max_iter=200).fit(X, np.arange(30))
    assert caught[0].filename == __file__
    with pytest.warns(UserWarning, match="column-vector") as caught:
        SoftmaxClassifier().fit(X, np.arange(30)[:, None] % 2)
    assert caught[0].filename == __file__
