"""SoftmaxClassifierCV: scikit-learn's losses and choice on the same folds, its conventions, and clear refusals."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris, load_wine
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, KFold, ShuffleSplit, StratifiedKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import crossent as ce
from closeness import assert_close
from crossent.errors import LabelError, NotFittedError, OptionError, UnsupportedError
from crossent.learn import load_model, save_model
from crossent.learn.folds import stratified_folds
from crossent.learn.path import Path, PathFit
from crossent.learn.solvers import SolverOptions
from toys import toy


def scaled(load, rows):
    X, y = load(return_X_y=True)
    return StandardScaler().fit_transform(X)[-rows:], y[-rows:]


class TestAgainstScikitLearn:
    @pytest.mark.parametrize(("load", "rows"), [(load_iris, 150), (load_breast_cancer, 500), (load_wine, 175)])
    def test_losses_and_choice_on_the_same_folds(self, load, rows):
        X, y = scaled(load, rows)
        cv = StratifiedKFold(5, shuffle=True, random_state=0)
        assert {len(train) for train, _ in cv.split(X, y)} == {rows * 4 // 5}
        l2s = np.geomspace(1, 3e-5, 9)  # below, where folds are separable, its own path ends off the optimum
        ours = ce.SoftmaxClassifierCV(l2s=l2s, cv=cv, tol=1e-9, max_iter=10_000).fit(X, y)
        theirs = LogisticRegressionCV(
            Cs=1 / (l2s * rows * 4 / 5), cv=cv, scoring="neg_log_loss", l1_ratios=(0.0,), use_legacy_attributes=False,
            solver="newton-cholesky", tol=1e-10, max_iter=1000,
        ).fit(X, y)  # fmt: skip
        assert_close(ours.losses_, -theirs.scores_.reshape(5, 9), bound=1e-5)
        assert ours.l2_ == pytest.approx(1 / (theirs.C_ * rows * 4 / 5), rel=1e-12)
        assert 0 < list(ours.l2s_).index(ours.l2_) < 8

    def test_held_out_losses_of_our_own_folds(self):
        X, y = toy(rows=90)
        weight = np.random.default_rng(0).uniform(0.5, 2, 90)
        model = ce.SoftmaxClassifierCV(l2s=[0.01], cv=3, seed=5, tol=1e-9).fit(X, y, weight)
        for fold, loss in zip(stratified_folds(y, 3, seed=5, names=[0, 1, 2]), model.losses_[:, 0], strict=True):
            plain = ce.SoftmaxClassifier(l2=0.01, tol=1e-9).fit(X[fold.train], y[fold.train], weight[fold.train])
            exact = log_loss(y[fold.test], plain.predict_proba(X[fold.test]), sample_weight=weight[fold.test])
            assert loss == pytest.approx(exact, abs=1e-8)


class TestTheFitOnAllRows:
    @pytest.mark.parametrize("classes", [2, 3])
    def test_is_the_plain_classifiers(self, classes):
        X, y = toy(classes=classes, rows=200)
        weight = np.random.default_rng(0).integers(0, 3, 200)
        options = {"class_weight": "balanced", "fit_intercept": False, "tol": 1e-8}
        model = ce.SoftmaxClassifierCV(l2s=5, cv=4, **options).fit(X, y, weight)
        plain = ce.SoftmaxClassifier(l2=model.l2_, **options).fit(X, y, weight)
        assert np.array_equal(model.coef_, plain.coef_)
        assert np.array_equal(model.predict_proba(X), plain.predict_proba(X))
        assert model.trace_ == plain.trace_
        assert model.l2_ in model.l2s_

    def test_l1_is_the_same_in_every_fit(self):
        X, y = toy(rows=200)
        model = ce.SoftmaxClassifierCV(l2s=[0.1, 0.01], cv=3, l1=0.05, tol=1e-13).fit(X, y)
        plain = ce.SoftmaxClassifier(l2=model.l2_, l1=0.05, tol=1e-13).fit(X, y)
        assert np.array_equal(model.coef_, plain.coef_)
        assert (model.coef_ == 0).any()
        fold = stratified_folds(y, 3, seed=0, names=[0, 1, 2])[0]
        part = ce.SoftmaxClassifier(l2=0.01, l1=0.05, tol=1e-13).fit(X[fold.train], y[fold.train])
        exact = log_loss(y[fold.test], part.predict_proba(X[fold.test]))
        assert model.losses_[0, 1] == pytest.approx(exact, abs=1e-6)
        with pytest.raises(UnsupportedError, match="L1 penalty"):
            model.summary(X, y)

    def test_its_tools_come_with_it(self, tmp_path):
        X, y = toy(rows=200)
        frame = pd.DataFrame(X, columns=list("abcd"))
        model = ce.SoftmaxClassifierCV(l2s=4, cv=StratifiedKFold(3)).fit(frame, y)
        summary = model.summary(frame, y)
        assert summary.terms == ("intercept", "a", "b", "c", "d")
        assert "Penalised" in str(summary)
        save_model(model.to_model(), tmp_path / "model.safetensors")
        assert load_model(tmp_path / "model.safetensors").options["l2"] == model.l2_
        assert model.feature_names_in_.tolist() == list("abcd")
        assert not hasattr(model.fit(X, y), "feature_names_in_")

    def test_frames_of_polars_and_labels_of_text(self):
        X, y = toy(rows=120)
        names = np.array(["ant", "bee", "cat"])[y]
        model = ce.SoftmaxClassifierCV(l2s=3).fit(pl.DataFrame(X, schema=list("abcd")), names)
        assert_close(model.losses_, ce.SoftmaxClassifierCV(l2s=3).fit(X, y).losses_, rtol=1e-12)
        assert set(model.predict(pl.DataFrame(X, schema=list("abcd")))) <= set(names)


class TestChoice:
    def test_means_and_standard_errors(self):
        X, y = toy(rows=200)
        model = ce.SoftmaxClassifierCV(l2s=6, cv=4).fit(X, y)
        assert model.losses_.shape == (4, 6)
        assert_close(model.mean_losses_, model.losses_.mean(axis=0), rtol=1e-14)
        assert_close(model.standard_errors_, model.losses_.std(axis=0, ddof=1) / 2, rtol=1e-14)
        assert model.l2_ == model.l2s_[np.argmin(model.mean_losses_)]

    def test_one_standard_error_takes_a_larger_penalty_within_it(self):
        X, y = scaled(load_wine, 178)
        best = ce.SoftmaxClassifierCV().fit(X, y)
        simple = ce.SoftmaxClassifierCV(rule="one_se").fit(X, y)
        assert np.array_equal(simple.losses_, best.losses_)
        k, least = list(simple.l2s_).index(simple.l2_), np.argmin(best.mean_losses_)
        assert k < least
        limit = best.mean_losses_[least] + best.standard_errors_[least]
        assert best.mean_losses_[k] <= limit < best.mean_losses_[k - 1]

    @pytest.mark.parametrize("load", [load_iris, load_breast_cancer, load_wine])
    def test_the_default_range_has_the_best_inside_for_features_as_they_come(self, load):
        model = ce.SoftmaxClassifierCV(cv=3, l2s=12, max_iter=5000).fit(*load(return_X_y=True))
        assert 0 < np.argmin(model.mean_losses_) < 11

    def test_the_same_again_and_another_seed(self):
        X, y = toy(rows=120)
        one, same, other = (ce.SoftmaxClassifierCV(l2s=3, seed=seed).fit(X, y) for seed in (0, 0, 1))
        assert np.array_equal(one.losses_, same.losses_)
        assert not np.array_equal(one.losses_, other.losses_)

    @pytest.mark.parametrize("lost", [slice(0, 1), slice(None)])
    def test_infinite_losses_are_not_chosen_if_any_is_finite(self, lost):
        losses = np.array([[0.9, 0.5, 0.4], [0.8, 0.6, 0.5]])
        losses[0, lost] = np.inf
        model = ce.SoftmaxClassifierCV(rule="one_se")
        path = Path(np.array([1.0, 0.1, 0.01]), "auto", SolverOptions(), True, None)
        model._choose(path, [PathFit(fold, ()) for fold in losses])
        assert model.l2_ == (1.0 if lost == slice(None) else 0.01)

    def test_a_rate_that_the_solver_does_not_take(self):
        with pytest.raises(OptionError, match=r"learning_rate=0\.5 is for 'gd'"):
            ce.SoftmaxClassifierCV(learning_rate=0.5).fit(*toy())

    def test_a_single_split(self):
        X, y = toy(rows=120)
        model = ce.SoftmaxClassifierCV(l2s=3, cv=ShuffleSplit(1, random_state=0)).fit(X, y)
        assert np.isnan(model.standard_errors_).all()
        with pytest.raises(OptionError, match="at least 2 folds"):
            model.set_params(rule="one_se").fit(X, y)

    def test_rare_classes_of_two_rows_and_more(self):
        X, y = toy(rows=120)
        y[y == 2] = 0
        y[:2] = 2
        assert ce.SoftmaxClassifierCV(l2s=3).fit(X, y).classes_.tolist() == [0, 1, 2]
        y[0] = 0
        with pytest.raises(LabelError, match=r"Class 2 has 1 row"):
            ce.SoftmaxClassifierCV(l2s=3).fit(X, y)

    def test_a_class_that_a_fold_has_never_seen(self):
        X, y = load_iris(return_X_y=True)  # sorted by class
        with pytest.raises(LabelError, match=r"Fold 0 of cv trains without any row of class 0.*shuffle"):
            ce.SoftmaxClassifierCV(cv=KFold(3)).fit(X, y)


class TestConvergence:
    def test_one_warning_for_the_path(self):
        X, y = load_digits(return_X_y=True)
        with pytest.warns(ce.ConvergenceWarning) as caught:
            ce.SoftmaxClassifierCV(l2s=[1.0, 1e-3], cv=2, max_iter=3).fit(X[:300], y[:300])
        texts = [str(each.message) for each in caught]
        assert any(text.startswith("auto did not converge") for text in texts)
        assert (
            sum("4 of the 4 fits of the path did not converge, the first in fold 0 at l2=1:" in t for t in texts) == 1
        )
        assert len(texts) == 2
        assert all(each.filename == __file__ for each in caught if "of the path" in str(each.message))

    def test_separable_folds_without_penalty_still_give_a_path(self):
        X = np.arange(20.0)[:, None]
        y = (X[:, 0] > 9.5).astype(int)
        with warnings.catch_warnings(action="ignore", category=ce.ConvergenceWarning):
            model = ce.SoftmaxClassifierCV(l2s=[0.1, 0.0], cv=2).fit(X, y)
        assert np.isfinite(model.losses_).all()


with warnings.catch_warnings():
    # scikit-learn warns of estimators that are not children of its BaseEstimator; ours must not import it
    warnings.filterwarnings("ignore", "Estimator SoftmaxClassifierCV does not inherit", UserWarning)
    with_checks = parametrize_with_checks([ce.SoftmaxClassifierCV(l2s=2, cv=2)])


# the checks run few iterations on purpose
@pytest.mark.filterwarnings("ignore::crossent.errors.ConvergenceWarning")
@with_checks
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


class TestConventions:
    def test_parameters(self):
        model = ce.SoftmaxClassifierCV(l2s=[0.1, 1.0], rule="one_se")
        assert clone(model).get_params() == model.get_params()
        assert repr(model) == "SoftmaxClassifierCV(l2s=[0.1, 1.0], rule='one_se')"
        with pytest.raises(OptionError, match=r"Invalid parameter 'l2'"):
            model.set_params(l2=1.0)
        with pytest.raises(NotFittedError):
            model.predict([[1.0]])
        with pytest.raises(NotFittedError):
            model.to_model()

    def test_works_in_scikit_learns_tools(self):
        X, y = load_iris(return_X_y=True)
        pipeline = make_pipeline(StandardScaler(), ce.SoftmaxClassifierCV(l2s=4, cv=3))
        assert np.all(cross_val_score(pipeline, X, y, scoring="neg_log_loss", cv=2) > -0.4)
        search = GridSearchCV(ce.SoftmaxClassifierCV(l2s=4, cv=3), {"rule": ["best", "one_se"]}, cv=2).fit(X, y)
        assert search.best_params_["rule"] in ("best", "one_se")

    def test_callbacks_of_scikit_learn_belong_to_one_fit(self):
        with pytest.raises(UnsupportedError, match=r"many fits.*SoftmaxClassifier\(l2=\.\.\.\)"):
            ce.SoftmaxClassifierCV().set_callbacks()

    def test_pickle(self):
        X, y = toy(rows=120)
        model = ce.SoftmaxClassifierCV(l2s=3).fit(X, y)
        copy = pickle.loads(pickle.dumps(model))
        assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))
        assert np.array_equal(copy.losses_, model.losses_)

    def test_wrong_options_are_refused_before_any_fit(self):
        X, y = toy()
        wrong = [{"l2s": -1}, {"cv": 1}, {"rule": "1se"}, {"seed": -1}, {"solver": "adamm"}, {"fit_intercept": 3}]
        for options in [*wrong, {"l1": -1}]:
            with pytest.raises(OptionError, match=next(iter(options))):
                ce.SoftmaxClassifierCV(**options).fit(X, y)
        with pytest.raises(LabelError, match="class_weight has the class 7"):
            ce.SoftmaxClassifierCV(class_weight={7: 2.0}).fit(X, y)

    def test_needs_numpy_only(self):
        script = """
import sys, numpy as np, crossent as ce
X = np.linspace(-1, 1, 40)[:, None]
y = (X[:, 0] + 0.9 * np.cos(50 * X[:, 0]) > 0).astype(int)
model = ce.SoftmaxClassifierCV(l2s=3).fit(X, y)
str(model.summary(X, y))
others = {"sklearn", "scipy", "pandas", "pyarrow", "duckdb", "safetensors", "statsmodels"} & set(sys.modules)
assert not others, others
"""
        subprocess.run([sys.executable, "-W", "error", "-c", script], check=True, timeout=60)
