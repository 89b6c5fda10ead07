"""scikit-learn's own checks of an estimator, its tools around ours, and that learning does not import it."""

import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
import sklearn.exceptions
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from crossent.errors import NotFittedError, OptionError
from crossent.learn.classifier import SoftmaxClassifier
from crossent.losses import BinaryCrossEntropy, CrossEntropy

ESTIMATORS = [
    SoftmaxClassifier(),
    SoftmaxClassifier(solver="gd", learning_rate=0.5),
    SoftmaxClassifier(loss=CrossEntropy(label_smoothing=0.05), warm_start=True),
    SoftmaxClassifier(loss=BinaryCrossEntropy()),
]


with warnings.catch_warnings():
    # scikit-learn warns of estimators that are not children of its BaseEstimator; ours must not import it
    warnings.filterwarnings("ignore", "Estimator SoftmaxClassifier does not inherit", UserWarning)
    with_checks = parametrize_with_checks(ESTIMATORS)


# the checks run few iterations on purpose
@pytest.mark.filterwarnings("ignore::crossent.errors.ConvergenceWarning")
@with_checks
def test_scikit_learn_estimator_checks(estimator, check):
    check(estimator)


def test_parameters():
    model = SoftmaxClassifier(l2=0.5)
    assert model.get_params()["l2"] == 0.5
    assert clone(model).get_params() == model.get_params()
    assert model.set_params(l2=2.0, solver="gd") is model
    assert repr(model) == "SoftmaxClassifier(l2=2.0, solver='gd')"
    with pytest.raises(OptionError, match=r"Invalid parameter 'C'.*Valid parameters are: batch_size"):
        model.set_params(C=1.0)


def test_works_in_scikit_learns_tools():
    X, y = load_iris(return_X_y=True)
    assert is_classifier(SoftmaxClassifier())
    pipeline = make_pipeline(StandardScaler(), SoftmaxClassifier())
    assert "SoftmaxClassifier" in pipeline._repr_html_()
    scores = cross_val_score(pipeline, X, y, scoring="neg_log_loss")
    assert np.all(scores > -0.4)
    search = GridSearchCV(SoftmaxClassifier(), {"l2": [1e-3, 1e-1]}, n_jobs=1).fit(X, y)
    assert search.best_params_ == {"l2": 1e-3}
    calibrated = CalibratedClassifierCV(SoftmaxClassifier(), cv=3).fit(X, y)
    assert calibrated.predict_proba(X).shape == (150, 3)


def test_pickle():
    X, y = load_iris(return_X_y=True)
    model = SoftmaxClassifier().fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(copy.predict_proba(X), model.predict_proba(X))


def test_not_fitted_error_is_both_ours_and_scikit_learns():
    with pytest.raises(NotFittedError) as caught:
        SoftmaxClassifier().predict([[1.0]])
    assert isinstance(caught.value, sklearn.exceptions.NotFittedError)


SCRIPT = """
import sys, warnings
from crossent.learn.classifier import SoftmaxClassifier
from crossent.errors import NotFittedError
try:
    SoftmaxClassifier().predict([[1.0]])
except NotFittedError as error:
    assert type(error) is NotFittedError
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    model = SoftmaxClassifier(l2=1.0).fit([[1.0], [2.0], [3.0]], [[0], [1], [0]])
assert [w.category for w in caught] == [UserWarning], caught
model.predict_proba([[1.0]])
others = {"sklearn", "scipy", "pandas", "pyarrow", "duckdb", "safetensors"} & set(sys.modules)
assert not others, others
"""


def test_needs_numpy_only():
    subprocess.run([sys.executable, "-W", "error", "-c", SCRIPT], check=True, timeout=60)
