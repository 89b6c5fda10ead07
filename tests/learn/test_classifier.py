"""SoftmaxClassifier: agreement with scikit-learn, the tutorials' example, and invariances."""

import math

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from closeness import assert_close
from crossent.errors import ConvergenceWarning, DataError
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.predict import model_logits
from toys import toy

TUTORIAL_X = [[1, 2], [3, 4], [5, 6], [7, 8]]
TUTORIAL_Y = [0, 1, 1, 0]


def breast_cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


class TestAgainstScikitLearn:
    @pytest.mark.parametrize("C", [1.0, 0.01, 30.0])
    @pytest.mark.parametrize("load", [lambda: load_iris(return_X_y=True), breast_cancer], ids=["iris", "breast_cancer"])
    def test_same_coefficients_at_the_same_C(self, load, C):
        X, y = load()
        ours = SoftmaxClassifier(l2=1 / (C * len(y)), tol=1e-14, max_iter=5000).fit(X, y)
        theirs = LogisticRegression(C=C, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
        assert_close(ours.coef_, theirs.coef_, bound=1e-6)
        assert_close(ours.intercept_, theirs.intercept_, bound=1e-5)
        assert_close(ours.predict_proba(X), theirs.predict_proba(X), bound=1e-7)

    def test_digits_unstandardised(self):
        X, y = load_digits(return_X_y=True)
        ours = SoftmaxClassifier(tol=1e-14, max_iter=5000).fit(X, y)
        theirs = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12, max_iter=1000).fit(X, y)
        assert ours.converged_
        assert_close(ours.coef_, theirs.coef_, bound=1e-5)

    def test_weights_and_balanced_classes(self):
        X, y = breast_cancer()
        weight = np.random.default_rng(1).uniform(0.1, 3.0, len(y))
        ours = SoftmaxClassifier(tol=1e-14, class_weight={0: 2.0}).fit(X, y, sample_weight=weight)
        theirs = LogisticRegression(C=1, class_weight={0: 2.0, 1: 1.0}, solver="newton-cholesky", tol=1e-12).fit(
            X, y, sample_weight=weight
        )
        assert_close(ours.coef_, theirs.coef_, bound=1e-6)
        ours = SoftmaxClassifier(tol=1e-14, class_weight="balanced").fit(X, y)
        theirs = LogisticRegression(C=1, class_weight="balanced", solver="newton-cholesky", tol=1e-12).fit(X, y)
        assert_close(ours.coef_, theirs.coef_, bound=1e-6)

    def test_without_intercept(self):
        X, y = load_iris(return_X_y=True)
        ours = SoftmaxClassifier(fit_intercept=False, tol=1e-14).fit(X, y)
        theirs = LogisticRegression(C=1, fit_intercept=False, solver="newton-cholesky", tol=1e-12).fit(X, y)
        assert_close(ours.coef_, theirs.coef_, bound=1e-6)
        assert np.array_equal(ours.intercept_, np.zeros(3))


class TestConvergence:
    @pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_digits])
    def test_default_settings_converge_on_raw_features_and_the_trace_falls(self, load):
        X, y = load(return_X_y=True)
        model = SoftmaxClassifier().fit(X, y)
        trace = np.array(model.trace_)
        assert model.converged_
        assert len(trace) == model.n_iter_ + 1
        assert trace[0] == pytest.approx(math.log(len(model.classes_)), rel=1e-14)
        assert np.all(np.diff(trace) <= 0)
        assert trace[-1] < 0.5 * trace[0]

    def test_tight_tolerance_is_reached_although_the_loss_no_longer_changes(self):
        X, y = breast_cancer()
        model = SoftmaxClassifier(tol=1e-12).fit(X, y)
        assert model.converged_
        assert np.all(np.diff(model.trace_) <= 1e-14)

    def test_no_tolerance_ends_at_rounding_with_a_warning(self):
        X, y = toy()
        with pytest.warns(ConvergenceWarning, match=r"rounding hides .* Raise tol"):
            model = SoftmaxClassifier(tol=0.0).fit(X, y)
        assert model.n_iter_ < 200

    @pytest.mark.parametrize("scale", [1e-8, 1e8])
    def test_features_of_any_scale(self, scale):
        X, y = toy()
        factors = np.array([1.0, scale, 1.0, 1 / scale])
        plain = SoftmaxClassifier(l2=0, tol=1e-14).fit(X, y)
        scaled = SoftmaxClassifier(l2=0, tol=1e-14).fit(X * factors, y)
        assert_close(scaled.coef_ * factors, plain.coef_, rtol=1e-6)

    def test_features_far_from_zero(self):
        X, y = toy()
        plain = SoftmaxClassifier(tol=1e-14).fit(X, y)
        moved = SoftmaxClassifier(tol=1e-14).fit(X + 1000.0, y)
        assert_close(moved.coef_, plain.coef_, bound=1e-6)

    def test_constant_column_without_penalty(self):
        X, y = toy()
        model = SoftmaxClassifier(l2=0).fit(np.column_stack([X, np.full(len(y), 0.1)]), y)
        assert np.array_equal(model.coef_[:, -1], np.zeros(3))

    @pytest.mark.parametrize("classes", [2, 3])
    @pytest.mark.parametrize("tol", [0.1, 0.03, 1e-3])
    def test_a_rough_fit_is_not_taken_for_one_without_an_optimum(self, tol, classes):
        X, y = toy(classes=classes)
        shares = np.where(np.eye(classes)[y] == 1, 0.98, 0.02 / (classes - 1))  # no class can be separated
        model = SoftmaxClassifier(l2=0, tol=tol).fit(X, shares)
        best = SoftmaxClassifier(l2=0, tol=1e-14).fit(X, shares).trace_[-1]
        assert model.converged_
        assert model.trace_[-1] - best <= 2 * tol * best  # without l2 the distance is an estimate

    def test_only_other_solvers_are_told_of_auto(self):
        X, y = toy()
        for solver, is_told in (("adam", True), ("auto", False), ("newton", False)):
            with pytest.warns(ConvergenceWarning, match="Raise max_iter") as told:
                SoftmaxClassifier(solver=solver, max_iter=2).fit(X, y)
            assert ("solver='auto' needs fewer" in str(told[0].message)) == is_told

    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_too_few_iterations_warn_with_reason_and_advice(self, solver):
        X, y = toy()
        message = rf"{solver} did not converge after 2 .* used up; F is within .* of the minimum .*Raise max_iter"
        with pytest.warns(ConvergenceWarning, match=message):
            model = SoftmaxClassifier(solver=solver, max_iter=2).fit(X, y)
        assert not model.converged_
        assert model.n_iter_ == 2


class TestGradientDescent:
    def test_tutorial_example_stays_at_zero(self):
        """The gradient is exactly zero at w = [0, 0]: ((1 - 3 - 5 + 7) / 8, (2 - 4 - 6 + 8) / 8)."""
        model = SoftmaxClassifier(solver="gd", learning_rate=0.1, max_iter=1000, fit_intercept=False, l2=0, tol=0)
        model.fit(TUTORIAL_X, TUTORIAL_Y)
        assert np.array_equal(model.coef_, [[0.0, 0.0]])
        assert model.trace_[-1] == pytest.approx(math.log(2), rel=1e-15)
        assert model.converged_

    @pytest.mark.parametrize("classes", [2, 3])
    def test_every_step_is_the_tutorials(self, classes):
        X, y = toy(classes=classes)
        rate, steps = 0.3, 25
        with pytest.warns(ConvergenceWarning):
            model = SoftmaxClassifier(solver="gd", learning_rate=rate, max_iter=steps, l2=0.01, tol=0).fit(X, y)
        W, b, losses = np.zeros((classes, 4)), np.zeros(classes), []
        if classes == 2:
            W, b = W[:1], b[:1]
        for _ in range(steps + 1):
            z = X @ W.T + b
            z2 = np.column_stack([np.zeros(len(y)), z]) if classes == 2 else z
            P = np.exp(z2) / np.exp(z2).sum(1, keepdims=True)
            losses.append(-np.mean(np.log(P[np.arange(len(y)), y])) + 0.005 * np.sum(W * W))
            G = (P - np.eye(classes)[y]) / len(y)
            G = G[:, 1:] if classes == 2 else G
            last = W, b
            W, b = W - rate * (G.T @ X + 0.01 * W), b - rate * G.sum(0)
        assert_close(model.coef_, last[0], rtol=1e-12)
        assert_close(model.intercept_, last[1], bound=1e-15)
        assert_close(model.trace_, losses, rtol=1e-13)
        assert model.n_iter_ == steps

    def test_rising_loss_advises_a_lower_rate(self):
        X, y = toy()
        with pytest.warns(ConvergenceWarning, match=r"loss rose .* Lower learning_rate \(now 50\)"):
            SoftmaxClassifier(solver="gd", learning_rate=50, max_iter=4).fit(10 * X, y)

    def test_overflow_stops_at_the_last_finite_point(self):
        X, y = toy()
        with pytest.warns(ConvergenceWarning, match="overflowed"):
            model = SoftmaxClassifier(solver="gd", learning_rate=1e200, max_iter=100).fit(1e99 * X, y)
        assert np.isfinite(model.coef_).all()

    def test_reaches_the_optimum(self):
        X, y = toy()
        best = SoftmaxClassifier(l2=0.1, tol=1e-14).fit(X, y)
        slow = SoftmaxClassifier(solver="gd", learning_rate=1.0, l2=0.1, tol=1e-14, max_iter=10000).fit(X, y)
        assert_close(slow.coef_, best.coef_, bound=1e-6)


class TestInvariances:
    @pytest.mark.parametrize("classes", [2, 4])
    def test_weights_are_repetitions(self, classes):
        X, y = toy(classes=classes)
        counts = np.random.default_rng(2).integers(0, 4, len(y))
        weighted = SoftmaxClassifier(tol=1e-10).fit(X, y, sample_weight=counts)
        repeated = SoftmaxClassifier(tol=1e-10).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
        assert weighted.l2_ == repeated.l2_
        assert_close(weighted.coef_, repeated.coef_, bound=1e-8)

    def test_order_of_rows_does_not_matter(self):
        X, y = toy()
        order = np.random.default_rng(3).permutation(len(y))
        a, b = SoftmaxClassifier(tol=1e-10).fit(X, y), SoftmaxClassifier(tol=1e-10).fit(X[order], y[order])
        assert_close(a.coef_, b.coef_, bound=1e-8)

    def test_two_classes_named_the_other_way_round_flip_the_sign(self):
        X, y = toy(classes=2)
        a, b = SoftmaxClassifier(tol=1e-10).fit(X, y), SoftmaxClassifier(tol=1e-10).fit(X, 1 - y)
        assert a.coef_.shape == (1, 4)
        assert a.intercept_.shape == (1,)
        assert_close(a.coef_, -b.coef_, bound=1e-12)

    def test_coefficients_of_many_classes_sum_to_zero(self):
        X, y = toy(classes=4)
        model = SoftmaxClassifier().fit(X, y)
        assert model.coef_.shape == (4, 4)
        assert_close(model.coef_.sum(0), np.zeros(4), bound=1e-12)

    def test_rows_of_weight_zero_may_hold_anything_a_number_may(self):
        X, y = toy()
        weight = np.ones(len(y))
        weight[:10] = 0
        wild = X.copy()
        wild[:10] = 1e90
        a = SoftmaxClassifier().fit(wild, y, sample_weight=weight)
        b = SoftmaxClassifier().fit(X[10:], y[10:])
        assert np.array_equal(a.coef_, b.coef_)

    @pytest.mark.parametrize("kind", [np.float32, np.int8, ">f8", "F", "strided", "read-only", list])
    def test_any_layout_of_features(self, kind):
        X, y = toy()
        X = np.rint(4 * X)
        plain = SoftmaxClassifier(tol=1e-10).fit(X, y)
        if kind == "F":
            other = np.asfortranarray(X)
        elif kind == "strided":
            other = np.repeat(X, 2, axis=0)[::2]
        elif kind == "read-only":
            other = X.copy()
            other.setflags(write=False)
        else:
            other = X.tolist() if kind is list else X.astype(kind)
        model = SoftmaxClassifier(tol=1e-10).fit(other, y)
        assert_close(model.coef_, plain.coef_, bound=1e-8)


class TestPredictions:
    @pytest.mark.parametrize("labels", [["no", "yes"], [False, True], [-1, 1], [3.0, 7.0], ["c", "a", "b"]])
    def test_labels_of_any_type(self, labels):
        X, y = toy(classes=len(labels))
        model = SoftmaxClassifier().fit(X, np.array(labels)[y])
        assert model.classes_.tolist() == sorted(labels)
        assert set(model.predict(X).tolist()) <= set(labels)
        assert model.score(X, np.array(labels)[y]) > 0.5
        probs = model.predict_proba(X)
        assert probs.shape == (len(X), len(labels))
        assert_close(probs.sum(1), np.ones(len(X)), rtol=1e-14)
        assert_close(model.predict_log_proba(X), np.log(probs), rtol=1e-12)
        z = model.decision_function(X)
        assert z.shape == ((len(X),) if len(labels) == 2 else (len(X), len(labels)))

    def test_extreme_rows_keep_their_small_probability(self):
        X, y = toy(classes=2)
        model = SoftmaxClassifier().fit(X, y)
        far = 300 * model.coef_ / np.sum(model.coef_**2)
        low, high = model.predict_proba(far)[0]
        assert 0 < low < 1e-100
        assert high == 1
        assert model.predict_log_proba(1e3 * far)[0, 0] < -1e5

    def test_score_is_weighted_accuracy(self):
        X, y = toy()
        model, weight = SoftmaxClassifier().fit(X, y), np.arange(len(y))
        assert model.score(X, y, sample_weight=weight) == np.average(model.predict(X) == y, weights=weight)

    def test_no_rows_to_predict(self):
        model = SoftmaxClassifier().fit(*toy())
        assert model.predict_proba(np.empty((0, 4))).shape == (0, 3)

    def test_frames(self):
        X, y = toy()
        columns = ["a", "b", "c", "d"]
        plain = SoftmaxClassifier().fit(X, y)
        for frame in (pd.DataFrame(X, columns=columns), pl.DataFrame(X, schema=columns)):
            model = SoftmaxClassifier().fit(frame, y)
            assert model.feature_names_in_.tolist() == columns
            assert_close(model.coef_, plain.coef_, bound=1e-9)
            with pytest.raises(DataError, match="same order"):
                model.predict(frame[["b", "a", "c", "d"]])
        model.fit(X, pd.Series(y))
        assert not hasattr(model, "feature_names_in_")

    def test_to_model_gives_the_same_logits(self):
        X, y = toy()
        model = SoftmaxClassifier(class_weight={0: 2.0}).fit(X, y)
        stored = model.to_model(target="kind")
        assert stored.classes == ("0", "1", "2")
        assert stored.features == ("x0", "x1", "x2", "x3")
        assert stored.options["class_weight"] == {"0": 2.0}
        assert_close(model_logits(stored, X), model.decision_function(X), rtol=1e-13)
