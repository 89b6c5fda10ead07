"""Real XGBoost models: the same curves as its built-in objectives, both APIs, early stopping, weights, many labels."""

import pickle
from functools import cache
from typing import Any

import numpy as np
import pytest

import crossent as ce
from boosters import Curves, Split, load, need, train_xgboost
from crossent.boosting import xgboost_metric, xgboost_objective

xgb = need("xgboost")
PRINTED = 5e-7  # XGBoost passes a custom metric on as text with six decimals


def first_step(data: Any, scores: Any) -> Any:
    """The first tree's leaf for a single row that starts at these scores: -gradient / Hessian."""
    data.set_base_margin(scores)
    params = {"eta": 1, "reg_lambda": 0, "min_child_weight": 0, "max_depth": 1, "nthread": 1, "verbosity": 0}
    one: dict[str, Any] = {"objective": "binary:logistic", "base_score": 0.5}
    if scores.ndim == 2:
        one = {"objective": "multi:softprob", "num_class": scores.shape[1]}
    return xgb.train({**params, **one}, data, 1).predict(data, output_margin=True) - scores


@cache
def softmax_curvature() -> str:
    """Which curvature the installed multi:softprob has: "upper" to 3.2, "residual" in a later one (its pull 12537)."""
    scores = np.array([[1.5, -0.5, 0.25, 0.0]], np.float32)
    p = ce.softmax(scores.astype(np.float64))
    grad = p - np.eye(4)[[1]]
    hess = -grad / first_step(xgb.DMatrix(np.zeros((1, 1)), label=[1.0]), scores)
    known = {"upper": 2 * p * (1 - p), "residual": np.abs(grad), "exact": p * (1 - p)}
    found = [name for name, h in known.items() if np.allclose(hess, h, rtol=1e-5)]
    assert len(found) == 1, f"XGBoost {xgb.__version__} has a Hessian of its own: {hess} at p = {p}"
    return found[0]


def test_the_softmax_hessian_is_the_one_in_the_documentation() -> None:
    version = tuple(int(part) for part in xgb.__version__.split(".")[:2])
    if version <= (3, 2):
        assert softmax_curvature() == "upper"


def test_the_logistic_hessian_is_exact() -> None:
    scores = np.array([1.3], np.float32)
    p = ce.sigmoid(scores.astype(np.float64))
    step = first_step(xgb.DMatrix(np.zeros((1, 1)), label=[1.0]), scores)
    np.testing.assert_allclose((1 - p) / step, p * (1 - p), rtol=1e-5)


def assert_same_curves(ours: Curves, theirs: Curves, name: str, metric: str, *, rtol: float = 1e-4) -> None:
    """Their metric on both models, and our metric on ours, agree in every round."""
    for part in ("train", "held"):
        mine, builtin = getattr(ours, part), getattr(theirs, part)
        assert len(builtin[metric]) == len(mine[metric]) > 5
        np.testing.assert_allclose(mine[metric], builtin[metric], rtol=rtol)
        np.testing.assert_allclose(mine[name], builtin[metric], rtol=rtol, atol=PRINTED)
    assert theirs.train[metric][-1] < 0.3 * theirs.train[metric][0]


BINARY = {"objective": "binary:logistic", "eval_metric": "logloss", "base_score": 0.5}
DIGITS = {"objective": "multi:softprob", "num_class": 10, "eval_metric": "mlogloss", "base_score": 0.5}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("curvature", ["exact", "upper"])  # one and the same for independent labels
def test_binary_curves_are_the_builtin_ones(curvature: Any, weighted: bool) -> None:
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    theirs = train_xgboost(data, BINARY, rounds=40, weighted=weighted)
    ours = train_xgboost(
        data, BINARY, rounds=40, weighted=weighted, obj=xgboost_objective(loss, curvature=curvature),
        custom_metric=xgboost_metric(loss),
    )  # fmt: skip
    assert_same_curves(ours, theirs, "binary_cross_entropy", "logloss")


@pytest.mark.parametrize("weighted", [False, True])
def test_multiclass_curves_are_the_builtin_ones(weighted: bool) -> None:
    data, loss = load("digits"), ce.CrossEntropy()
    theirs = train_xgboost(data, DIGITS, rounds=15, weighted=weighted)
    ours = train_xgboost(
        data, DIGITS, rounds=15, weighted=weighted, obj=xgboost_objective(loss, curvature=softmax_curvature()),
        custom_metric=xgboost_metric(loss),
    )  # fmt: skip
    assert_same_curves(ours, theirs, "cross_entropy", "mlogloss")
    other = "exact" if softmax_curvature() == "upper" else "upper"
    differs = train_xgboost(
        data, DIGITS, rounds=15, weighted=weighted, obj=xgboost_objective(loss, curvature=other),
        custom_metric=xgboost_metric(loss),
    )  # fmt: skip
    with pytest.raises(AssertionError):
        assert_same_curves(differs, theirs, "cross_entropy", "mlogloss", rtol=0.1)


def test_pos_weight_is_scale_pos_weight() -> None:
    data = load("breast_cancer")
    theirs = train_xgboost(data, {**BINARY, "scale_pos_weight": 3}, rounds=30)
    objective = xgboost_objective(ce.BinaryCrossEntropy(pos_weight=3.0))
    ours = train_xgboost(data, BINARY, rounds=30, obj=objective)
    np.testing.assert_allclose(ours.held["logloss"], theirs.held["logloss"], rtol=1e-4)


def test_the_default_start_is_base_score() -> None:
    """A built-in objective starts at the share of positives, a custom one at 0.5 unless it is told."""
    data = load("breast_cancer")
    theirs = train_xgboost(data, {**BINARY, "base_score": None}, rounds=20)
    start = {**BINARY, "base_score": float(np.mean(data.y))}
    ours = train_xgboost(data, start, rounds=20, obj=xgboost_objective(ce.BinaryCrossEntropy()))
    np.testing.assert_allclose(ours.held["logloss"], theirs.held["logloss"], rtol=1e-4)
    untold = train_xgboost(
        data, {**BINARY, "base_score": None}, rounds=20, obj=xgboost_objective(ce.BinaryCrossEntropy())
    )
    assert abs(untold.held["logloss"][0] / theirs.held["logloss"][0] - 1) > 1e-3


def test_early_stopping_minimises() -> None:
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    params = {**BINARY, "eta": 0.6}
    theirs = train_xgboost(data, params, rounds=200, early_stopping_rounds=5)
    ours = train_xgboost(
        data, {**params, "eval_metric": None, "disable_default_eval_metric": True}, rounds=200,
        early_stopping_rounds=5, obj=xgboost_objective(loss), custom_metric=xgboost_metric(loss),
    )  # fmt: skip
    assert 5 < theirs.model.best_iteration < 150
    assert ours.model.best_iteration == theirs.model.best_iteration
    assert ours.model.best_score == pytest.approx(theirs.model.best_score, rel=1e-4)


def test_metrics_beside_a_builtin_objective_take_probabilities() -> None:
    for name, params, metric, loss in (
        ("breast_cancer", BINARY, "logloss", ce.BinaryCrossEntropy()),
        ("digits", DIGITS, "mlogloss", ce.CrossEntropy()),
    ):
        curves = train_xgboost(load(name), params, rounds=8, custom_metric=xgboost_metric(loss, prediction="probs"))
        np.testing.assert_allclose(curves.held[xgboost_metric(loss).name], curves.held[metric], atol=2 * PRINTED)


def test_cross_validation() -> None:
    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    train = xgb.DMatrix(data.X, label=data.y)
    told: Any = {"nfold": 3, "seed": 0, "as_pandas": False}
    theirs = xgb.cv({**BINARY, "nthread": 1}, train, 10, **told)
    ours = xgb.cv(
        {**BINARY, "nthread": 1}, train, 10, obj=xgboost_objective(loss), custom_metric=xgboost_metric(loss), **told
    )
    assert isinstance(ours, dict)
    np.testing.assert_allclose(ours["test-logloss-mean"], theirs["test-logloss-mean"], rtol=1e-4)
    np.testing.assert_allclose(ours["test-binary_cross_entropy-mean"], theirs["test-logloss-mean"], rtol=1e-4)


# ---------------------------------------------------------------- scikit-learn's API


def classifier(**options: Any) -> Any:
    """Few shallow trees on one thread."""
    return xgb.XGBClassifier(n_estimators=15, max_depth=4, n_jobs=1, base_score=0.5, **options)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", ["breast_cancer", "digits"])
def test_classifiers_agree_with_the_builtin_objective(name: str, weighted: bool) -> None:
    data = load(name)
    loss = ce.BinaryCrossEntropy() if name == "breast_cancer" else ce.CrossEntropy()
    curvature: Any = "exact" if name == "breast_cancer" else softmax_curvature()
    weight = np.random.default_rng(3).uniform(0.2, 3, len(data.y)) if weighted else None
    told: Any = {"sample_weight": weight, "eval_set": [(data.X_held, data.y_held)], "verbose": False}
    theirs = classifier().fit(data.X, data.y, **told)
    ours = classifier(objective=xgboost_objective(loss, curvature=curvature), eval_metric=xgboost_metric(loss))
    ours.fit(data.X, data.y, **told)
    builtin, mine = theirs.predict_proba(data.X_held), ours.predict_proba(data.X_held)
    assert mine.shape == (len(data.y_held), len(np.unique(data.y)))
    np.testing.assert_allclose(mine, builtin, rtol=1e-3)
    np.testing.assert_array_equal(ours.predict(data.X_held), theirs.predict(data.X_held))
    curve = ours.evals_result()["validation_0"][xgboost_metric(loss).name]
    metric = "logloss" if name == "breast_cancer" else "mlogloss"
    np.testing.assert_allclose(curve, theirs.evals_result()["validation_0"][metric], rtol=1e-4, atol=PRINTED)


def test_classifiers_stop_early_can_be_cloned_and_pickled() -> None:
    from sklearn.base import clone

    data, loss = load("breast_cancer"), ce.BinaryCrossEntropy()
    model = clone(
        classifier(objective=xgboost_objective(loss), eval_metric=xgboost_metric(loss)).set_params(
            n_estimators=300, learning_rate=0.6, early_stopping_rounds=5
        )
    )
    model.fit(data.X, data.y, eval_set=[(data.X_held, data.y_held)], verbose=False)
    assert 5 < model.best_iteration < 150
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(data.X_held), model.predict_proba(data.X_held))
    assert again.objective == xgboost_objective(loss)


@pytest.mark.parametrize("strategy", ["one_output_per_tree", "multi_output_tree"])
def test_several_labels_a_row(strategy: str) -> None:
    digits = load("digits")
    sides = Split(digits.X, _facts(digits.y), digits.X_held, _facts(digits.y_held))
    params = {**BINARY, "multi_strategy": strategy}
    theirs = train_xgboost(sides, params, rounds=10)
    loss = ce.BinaryCrossEntropy()
    ours = train_xgboost(sides, params, rounds=10, obj=xgboost_objective(loss), custom_metric=xgboost_metric(loss))
    np.testing.assert_allclose(ours.held["logloss"], theirs.held["logloss"], rtol=1e-4)
    np.testing.assert_allclose(ours.held["binary_cross_entropy"], theirs.held["logloss"], rtol=1e-4)


def _facts(y: Any) -> Any:
    """Even? Above four? Divisible by three?"""
    return np.stack([y % 2 == 0, y > 4, y % 3 == 0], axis=1).astype(int)


def test_soft_labels_train() -> None:
    """A distribution a row, as from a teacher, goes in as labels [N, K] with K targets and no num_class."""
    digits = load("digits")
    q = ce.softmax(4 * np.eye(10)[digits.y])
    q_held = ce.softmax(4 * np.eye(10)[digits.y_held])
    loss = ce.CrossEntropy()
    params = {"objective": "reg:squarederror", "base_score": 0.0, "disable_default_eval_metric": True}
    curves = train_xgboost(
        Split(digits.X, q, digits.X_held, q_held), params, rounds=15,
        obj=xgboost_objective(loss, curvature="upper"), custom_metric=xgboost_metric(loss),
    )  # fmt: skip
    floor = float(ce.entropy(q).mean())
    held = curves.held["cross_entropy"] - floor
    assert held[-1] < 0.25 * held[0]
    scores = curves.model.predict(xgb.DMatrix(digits.X_held), output_margin=True)
    assert np.mean(scores.argmax(axis=1) == digits.y_held) > 0.93


def test_every_curvature_trains() -> None:
    data = load("digits")
    last = {}
    for curvature in ("exact", "upper", "residual", "sum_to_zero"):
        loss = ce.CrossEntropy()
        curves = train_xgboost(
            data, DIGITS, rounds=15, obj=xgboost_objective(loss, curvature=curvature),
        )  # fmt: skip
        last[curvature] = curves.held["mlogloss"][-1]
        assert last[curvature] < 0.5
    assert len(set(np.round(list(last.values()), 4))) == 4


def test_bad_labels_end_training_with_their_row() -> None:
    data = load("digits")
    data.y[7] = 11
    with pytest.raises(ce.LabelError, match=r"targets\[7\] is 11, but the prediction has 10 classes"):
        train_xgboost(data, {**DIGITS, "eval_metric": "merror"}, rounds=2, obj=xgboost_objective(ce.CrossEntropy()))
