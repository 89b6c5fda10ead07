"""scikit-learn's tools around SoftmaxClassifier: pipelines, searches, calibration, ensembles, cloning, pickling."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectFromModel
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

import crossent as ce
from closeness import assert_close
from crossent.learn.classifier import SoftmaxClassifier
from toys import toy

TEXTS = ["a good film", "good fun", "a bad film", "bad and dull", "fun for all", "dull"] * 5
MOODS = np.array(["+", "+", "-", "-", "+", "-"] * 5)


def test_tags():
    tags = get_tags(SoftmaxClassifier())
    assert tags.input_tags.sparse
    assert tags.classifier_tags.multi_class
    assert not tags.classifier_tags.multi_label
    tags = get_tags(SoftmaxClassifier(loss=ce.BinaryFocal()))
    assert not tags.classifier_tags.multi_class
    assert tags.classifier_tags.multi_label


def test_pipeline_of_texts_is_sparse():
    pipeline = make_pipeline(TfidfVectorizer(), SoftmaxClassifier(tol=1e-14)).fit(TEXTS, MOODS)
    theirs = make_pipeline(TfidfVectorizer(), LogisticRegression(C=1, tol=1e-10, max_iter=5000)).fit(TEXTS, MOODS)
    assert pipeline.score(TEXTS, MOODS) == 1
    assert_close(pipeline.predict_proba(TEXTS), theirs.predict_proba(TEXTS), bound=1e-6)


def test_pipeline_of_frames_with_sparse_columns():
    frame = pd.DataFrame({"n": [1.0, 2.0, 3.0, 4.0] * 5, "kind": ["a", "b", "a", "c"] * 5})
    columns = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough", sparse_threshold=1.0)
    pipeline = make_pipeline(columns, SoftmaxClassifier()).fit(frame, [0, 1, 0, 1] * 5)
    assert pipeline.predict(frame).tolist() == [0, 1, 0, 1] * 5


def test_grid_search_over_penalties_and_losses():
    X, y = load_iris(return_X_y=True)
    grid = {"l2": [1e-3, 1e-1], "loss": [None, ce.CrossEntropy(label_smoothing=0.4)]}
    search = GridSearchCV(SoftmaxClassifier(), grid, scoring="neg_log_loss", n_jobs=1).fit(X, y)
    assert search.best_params_ == {"l2": 1e-3, "loss": None}
    assert not np.isnan(search.cv_results_["mean_test_score"]).any()


def test_cross_validation_scores_as_scikit_learns_own():
    X, y = load_iris(return_X_y=True)
    scoring = ["neg_log_loss", "accuracy", "roc_auc_ovr", "neg_brier_score"]
    ours = cross_validate(SoftmaxClassifier(l2=1 / 120, tol=1e-14), X, y, scoring=scoring)
    theirs = cross_validate(LogisticRegression(C=1, solver="newton-cholesky", tol=1e-9), X, y, scoring=scoring)
    for name in scoring:
        assert_close(ours[f"test_{name}"], theirs[f"test_{name}"], bound=1e-5)


def test_cross_validation_of_independent_labels():
    X, _ = toy()
    y = np.random.default_rng(0).integers(0, 2, (60, 3))
    p = cross_val_predict(SoftmaxClassifier(loss=ce.BinaryCrossEntropy()), X, y, method="predict_proba", cv=3)
    assert p.shape == (60, 3)
    assert cross_val_score(SoftmaxClassifier(loss=ce.BinaryCrossEntropy()), X, y, cv=3, scoring="f1_macro").min() > 0


@pytest.mark.parametrize("method", ["sigmoid", "isotonic", "temperature"])
def test_calibration(method):
    X, y = load_iris(return_X_y=True)
    focal = SoftmaxClassifier(loss=ce.Focal(gamma=4.0))
    calibrated = CalibratedClassifierCV(focal, method=method, cv=3).fit(X, y)
    assert log_loss(y, calibrated.predict_proba(X)) < log_loss(y, focal.fit(X, y).predict_proba(X))


def test_ensembles():
    X, y = load_iris(return_X_y=True)
    bagged = BaggingClassifier(SoftmaxClassifier(), n_estimators=3, random_state=0).fit(X, y)
    voted = VotingClassifier([("a", SoftmaxClassifier()), ("b", SoftmaxClassifier(l2=1.0))], voting="soft").fit(X, y)
    assert min(bagged.score(X, y), voted.score(X, y)) > 0.9


def test_inspection():
    X, y = toy()
    X = np.column_stack([X, np.random.default_rng(0).normal(size=60)])
    model = SoftmaxClassifier().fit(X, y)
    assert permutation_importance(model, X, y, random_state=0).importances_mean.shape == (5,)
    assert SelectFromModel(SoftmaxClassifier(), max_features=2).fit(X, y).transform(X).shape == (60, 2)


@pytest.mark.parametrize(
    "options",
    [
        {"loss": ce.Focal(gamma=1.5), "l2": 0.5, "random_state": 7},
        {"loss": ce.BinaryCrossEntropy(label_smoothing=0.1), "solver": "momentum", "batch_size": 10, "momentum": 0.5},
        {"solver": "gd", "learning_rate": 0.2, "warm_start": True, "class_weight": {0: 2.0}, "verbose": True},
    ],
)
def test_clone_pickle_and_repr(options):
    X, y = toy(classes=2)
    model = SoftmaxClassifier(**options, max_iter=3000, tol=1e-3)
    again = clone(model)
    assert again is not model
    assert again.get_params() == model.get_params()
    assert not hasattr(clone(model.fit(X, y)), "coef_")
    assert again.fit(X, y).coef_.tolist() == model.coef_.tolist()
    loaded = pickle.loads(pickle.dumps(model))
    assert np.array_equal(loaded.predict_proba(X), model.predict_proba(X))
    assert [step.loss for step in loaded.steps_] == model.trace_
    changed = repr(model)
    assert all(f"{name}=" in changed for name in options)
    assert "schedule" not in changed


def test_after_scaling_the_pipeline_is_the_same_model():
    X, y = toy()
    plain = SoftmaxClassifier(l2=0.0, tol=1e-14)
    scaled = make_pipeline(StandardScaler(), clone(plain)).fit(X, y)
    assert_close(scaled.predict_proba(X), plain.fit(X, y).predict_proba(X), bound=1e-7)
