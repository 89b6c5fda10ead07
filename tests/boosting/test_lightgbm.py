"""Real LightGBM models: the same curves as its built-in objectives, both APIs, early stopping, weights."""

import inspect
import pickle
from typing import Any

import numpy as np
import pytest

import crossent as ce
from boosters import Curves, Split, load, need, train_lightgbm
from crossent.boosting import lightgbm_metric, lightgbm_objective

lgb = need("lightgbm")

BINARY = {"objective": "binary", "metric": "binary_logloss", "boost_from_average": False, "max_depth": 4}
DIGITS = {"objective": "multiclass", "num_class": 10, "metric": "multi_logloss", "boost_from_average": False}
OURS = {"metric": "None"}  # LightGBM's own metrics do not turn a custom objective's scores into probabilities


def assert_same_curves(ours: Curves, theirs: Curves, name: str, metric: str, *, rtol: float = 1e-4) -> None:
    """Our metric on our model is their metric on theirs, in every round."""
    for part in ("train", "held"):
        mine, builtin = getattr(ours, part)[name], getattr(theirs, part)[metric]
        assert len(mine) == len(builtin) > 5
        np.testing.assert_allclose(mine, builtin, rtol=rtol)
    assert theirs.train[metric][-1] < 0.3 * theirs.train[metric][0]


@pytest.mark.parametrize("K", [2, 3, 5])
def test_the_softmax_hessian_has_the_factor_of_the_documentation(K: int) -> None:
    """A tree with a row of each of two classes in a leaf of its own steps by -gradient / (K / (K - 1) p (1 - p))."""
    scores = np.random.default_rng(K).normal(size=(4, K))
    X, y = np.array([[0.0], [0.0], [1.0], [1.0]]), np.array([0, 0, 1, 1])
    scores[1], scores[3] = scores[0], scores[2]
    data = lgb.Dataset(
        X, y, init_score=scores.ravel(order="F"), params={"min_data_in_bin": 1, "feature_pre_filter": False}
    )
    params = {"objective": "multiclass", "num_class": K, "learning_rate": 1, "min_data_in_leaf": 1, "verbosity": -1}
    model = lgb.train({**params, "min_sum_hessian_in_leaf": 0, "num_threads": 1}, data, 1)
    step = model.predict(X, raw_score=True)
    p = ce.softmax(scores)
    grad = p - np.eye(K)[y]
    split = step != 0
    assert split.sum() >= 4
    ratio = (-grad[split] / step[split]) / (p * (1 - p))[split]
    np.testing.assert_allclose(ratio, K / (K - 1), rtol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("curvature", ["exact", "upper"])  # one and the same for independent labels
def test_binary_curves_are_the_builtin_ones(curvature: Any, weighted: bool) -> None:
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    theirs = train_lightgbm(data, BINARY, rounds=60, weighted=weighted)
    params = {**BINARY, **OURS, "objective": lightgbm_objective(loss, curvature=curvature)}
    ours = train_lightgbm(data, params, rounds=60, weighted=weighted, feval=lightgbm_metric(loss))
    assert_same_curves(ours, theirs, "binary_cross_entropy", "binary_logloss")


@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_curves_are_the_builtin_ones(weighted: bool) -> None:
    data, loss = load("digits"), ce.CrossEntropy()
    theirs = train_lightgbm(data, DIGITS, rounds=20, weighted=weighted)

    def ours(curvature: Any) -> Curves:
        params = {**DIGITS, **OURS, "objective": lightgbm_objective(loss, curvature=curvature)}
        return train_lightgbm(data, params, rounds=20, weighted=weighted, feval=lightgbm_metric(loss))

    assert_same_curves(ours("sum_to_zero"), theirs, "cross_entropy", "multi_logloss")
    with pytest.raises(AssertionError):
        assert_same_curves(ours("exact"), theirs, "cross_entropy", "multi_logloss", rtol=0.05)


def test_weights_are_ours_to_apply() -> None:
    """LightGBM does not multiply a custom gradient by them: without weights in the gradient, the curve is another."""
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    theirs = train_lightgbm(data, BINARY, rounds=20, weighted=True)

    def forgetful(scores: Any, dataset: Any) -> Any:
        return lightgbm_objective(loss)(dataset.get_label(), scores)

    params = {**BINARY, **OURS, "objective": forgetful}
    ours = train_lightgbm(data, params, rounds=20, weighted=True, feval=lightgbm_metric(loss))
    differences = ours.train["binary_cross_entropy"] / theirs.train["binary_logloss"] - 1
    assert np.abs(differences).max() > 0.01


def test_pos_weight_is_scale_pos_weight() -> None:
    data = load("breast_cancer")
    theirs = train_lightgbm(data, {**BINARY, "scale_pos_weight": 3.0}, rounds=30)
    params = {**BINARY, "objective": lightgbm_objective(ce.BinaryCrossEntropy(pos_weight=3.0))}
    ours = train_lightgbm(data, {**params, **OURS}, rounds=30, feval=lightgbm_metric(ce.BinaryCrossEntropy()))
    mine, builtin = ours.model.predict(data.X_held), theirs.model.predict(data.X_held, raw_score=True)
    np.testing.assert_allclose(mine, builtin, rtol=1e-6)


@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_the_default_start_is_init_score(name: str) -> None:
    """A built-in objective starts at the class shares; a custom one at 0 unless init_score= says where."""
    data = load(name)
    if name == "digits":
        builtin, loss, curvature, metric = DIGITS, ce.CrossEntropy(), "sum_to_zero", "multi_logloss"
        start = np.log(np.bincount(data.y) / len(data.y))
    else:
        builtin, loss, curvature, metric = BINARY, ce.BinaryCrossEntropy(), "exact", "binary_logloss"
        start = np.log(np.mean(data.y) / (1 - np.mean(data.y)))
    theirs = train_lightgbm(data, {**builtin, "boost_from_average": True}, rounds=20)
    params = {**builtin, **OURS, "objective": lightgbm_objective(loss, curvature=curvature)}
    ours = train_lightgbm(data, params, rounds=20, feval=lightgbm_metric(loss), init_score=start)
    np.testing.assert_allclose(ours.held[lightgbm_metric(loss).name], theirs.held[metric], rtol=1e-4)


def test_early_stopping_minimises() -> None:
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()

    def trained(params: dict[str, Any], **options: Any) -> Any:
        stop = lgb.early_stopping(8, verbose=False)
        return train_lightgbm(data, {**params, "learning_rate": 0.3}, rounds=300, callbacks=[stop], **options).model

    theirs = trained(BINARY)
    ours = trained({**BINARY, **OURS, "objective": lightgbm_objective(loss)}, feval=lightgbm_metric(loss))
    assert 5 < theirs.best_iteration < 250
    assert ours.best_iteration == theirs.best_iteration


def test_metrics_beside_a_builtin_objective_take_probabilities() -> None:
    for name, params, metric, loss in (
        ("breast_cancer", BINARY, "binary_logloss", ce.BinaryCrossEntropy()),
        ("digits", DIGITS, "multi_logloss", ce.CrossEntropy()),
    ):
        measure: Any = lightgbm_metric(loss, prediction="probs")
        curves = train_lightgbm(load(name), params, rounds=8, feval=measure)
        np.testing.assert_allclose(curves.held[measure.name], curves.held[metric], rtol=1e-9)


def test_cross_validation() -> None:
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    fixed: dict[str, Any] = {**BINARY, "verbosity": -1, "num_threads": 1}
    theirs = lgb.cv(fixed, lgb.Dataset(data.X, data.y), 10, nfold=3, seed=0)
    params = {**fixed, **OURS, "objective": lightgbm_objective(loss)}
    ours = lgb.cv(params, lgb.Dataset(data.X, data.y), 10, nfold=3, seed=0, feval=lightgbm_metric(loss))
    np.testing.assert_allclose(ours["valid binary_cross_entropy-mean"], theirs["valid binary_logloss-mean"], rtol=1e-4)


# ---------------------------------------------------------------- scikit-learn's API


def classifier(**options: Any) -> Any:
    """Few small trees on one thread."""
    return lgb.LGBMClassifier(n_estimators=15, n_jobs=1, verbosity=-1, boost_from_average=False, **options)


def watching(data: Split) -> dict[str, Any]:
    """How `fit` is told the held-out rows: by eval_set= before LightGBM 4.7."""
    if "eval_X" in inspect.signature(lgb.LGBMClassifier.fit).parameters:
        return {"eval_X": data.X_held, "eval_y": data.y_held}
    return {"eval_set": [(data.X_held, data.y_held)]}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_classifiers_agree_with_the_builtin_objective(name: str, weighted: bool) -> None:
    data = load(name)
    binary = name == "breast_cancer"
    loss = ce.BinaryCrossEntropy() if binary else ce.CrossEntropy()
    curvature: Any = "exact" if binary else "sum_to_zero"
    told: Any = {
        "sample_weight": np.random.default_rng(3).uniform(0.2, 3, len(data.y)) if weighted else None,
        **watching(data),
    }
    theirs = classifier().fit(data.X, data.y, **told)
    ours = classifier(objective=lightgbm_objective(loss, curvature=curvature), metric="None")
    ours.fit(data.X, data.y, eval_metric=lightgbm_metric(loss), **told)
    raw = ours.predict(data.X_held, raw_score=True)
    p = ce.sigmoid(raw) if binary else ce.softmax(raw)  # LightGBM leaves this to the user
    builtin = theirs.predict_proba(data.X_held)
    np.testing.assert_allclose(p, builtin[:, 1] if binary else builtin, rtol=1e-6)
    curve = ours.evals_result_["valid_0"][lightgbm_metric(loss).name]
    metric = "binary_logloss" if binary else "multi_logloss"
    np.testing.assert_allclose(curve, theirs.evals_result_["valid_0"][metric], rtol=1e-4)


def test_classifiers_can_be_cloned_and_pickled() -> None:
    from sklearn.base import clone

    data, loss = load("digits"), ce.CrossEntropy()
    model = clone(classifier(objective=lightgbm_objective(loss, curvature="upper"))).fit(data.X, data.y)
    again = pickle.loads(pickle.dumps(model))
    raw = model.predict(data.X_held, raw_score=True)
    np.testing.assert_array_equal(again.predict(data.X_held, raw_score=True), raw)
    assert again.objective == lightgbm_objective(loss, curvature="upper")
    assert np.mean(raw.argmax(axis=1) == data.y_held) > 0.9


def test_every_curvature_trains() -> None:
    data, loss = load("digits"), ce.CrossEntropy()
    last = {}
    for curvature in ("exact", "upper", "residual", "sum_to_zero"):
        params = {**DIGITS, **OURS, "objective": lightgbm_objective(loss, curvature=curvature)}
        curves = train_lightgbm(data, params, rounds=20, feval=lightgbm_metric(loss))
        last[curvature] = curves.held["cross_entropy"][-1]
        assert last[curvature] < 0.6
    assert len(set(np.round(list(last.values()), 4))) == 4


def test_bad_labels_end_training_with_their_row() -> None:
    data = load("digits")
    data.y[7] = 11
    params = {**DIGITS, **OURS, "objective": lightgbm_objective(ce.CrossEntropy())}
    with pytest.raises(ce.LabelError, match=r"targets\[7\] is 11, but the prediction has 10 classes"):
        train_lightgbm(data, params, rounds=2)
