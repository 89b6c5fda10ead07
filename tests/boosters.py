"""What tests of boosting share: the libraries or a skip that CI does not let pass, real data, models, loss curves."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from programs import MISSING

__all__ = ["Curves", "Labelled", "Split", "load", "need", "split", "train_lightgbm", "train_xgboost", "weights"]


def need(library: str) -> Any:
    """The library, or a skip of the whole file, which fails the run where CI=true."""
    return pytest.importorskip(library, reason=f"{MISSING}the package {library}. Run: make test, which installs it")


@dataclass(frozen=True)
class Labelled:
    """Stands in for DMatrix and Dataset: what their `get_label` and `get_weight` hand over."""

    label: Any
    weight: Any = None

    def get_label(self) -> Any:
        """The labels, which both libraries keep as float32."""
        return None if self.label is None else np.asarray(self.label, np.float32)

    def get_weight(self) -> Any:
        """None (LightGBM), an empty array (XGBoost), or the weights."""
        return self.weight


@dataclass(frozen=True)
class Split:
    """Rows to train on and rows held out."""

    X: Any
    y: Any
    X_held: Any
    y_held: Any


def split(X: Any, y: Any, *, share: float = 0.7, seed: int = 0) -> Split:
    """Rows in random order, the first `share` of them to train on."""
    order = np.random.default_rng(seed).permutation(len(y))
    first, rest = np.split(order, [int(share * len(y))])
    return Split(X[first], y[first], X[rest], y[rest])


def load(name: str) -> Split:
    """scikit-learn's "breast_cancer" (two classes) or "digits" (ten)."""
    datasets = need("sklearn.datasets")
    return split(*getattr(datasets, f"load_{name}")(return_X_y=True))


def weights(rows: int, seed: int) -> Any:
    """Row weights between 0.2 and 3, as float32: the libraries round them to that."""
    return np.random.default_rng(seed).uniform(0.2, 3, rows).astype(np.float32)


@dataclass(frozen=True)
class Curves:
    """A model and its metrics per round: train[name], held[name]."""

    model: Any
    train: dict[str, Any]
    held: dict[str, Any]


def _weights_of(data: Split, weighted: bool) -> tuple[Any, Any]:
    return (weights(len(data.y), 1), weights(len(data.y_held), 2)) if weighted else (None, None)


def train_xgboost(data: Split, params: Any, *, rounds: int, weighted: bool = False, **options: Any) -> Curves:
    """xgb.train with both parts watched; one thread, so that sums have one order."""
    xgb = importlib.import_module("xgboost")
    weight, weight_held = _weights_of(data, weighted)
    train = xgb.DMatrix(data.X, label=data.y, weight=weight)
    held = xgb.DMatrix(data.X_held, label=data.y_held, weight=weight_held)
    seen: dict[str, Any] = {}
    fixed = {"nthread": 1, "verbosity": 0, "max_depth": 4}
    model = xgb.train(
        {**fixed, **params}, train, rounds, evals=[(train, "train"), (held, "held")], evals_result=seen,
        verbose_eval=False, **options,
    )  # fmt: skip
    return Curves(model, _arrays(seen["train"]), _arrays(seen["held"]))


def train_lightgbm(data: Split, params: Any, *, rounds: int, weighted: bool = False, **options: Any) -> Curves:
    """lgb.train with both parts watched; one thread. init_score= (a number for each class) starts both parts there."""
    lgb = importlib.import_module("lightgbm")
    weight, weight_held = _weights_of(data, weighted)
    start = options.pop("init_score", None)

    def dataset(X: Any, y: Any, weight: Any, **kind: Any) -> Any:
        scores = None if start is None else np.repeat(np.atleast_1d(start), len(y))  # class by class
        return lgb.Dataset(X, y, weight=weight, init_score=scores, **kind)

    train = dataset(data.X, data.y, weight)
    held = dataset(data.X_held, data.y_held, weight_held, reference=train)
    seen: dict[str, Any] = {}
    callbacks = [*options.pop("callbacks", []), lgb.record_evaluation(seen)]
    fixed = {"num_threads": 1, "verbosity": -1, "force_col_wise": True, "deterministic": True, "seed": 0}
    model = lgb.train(
        {**fixed, **params}, train, rounds, valid_sets=[train, held], valid_names=["train", "held"],
        callbacks=callbacks, **options,
    )  # fmt: skip
    return Curves(model, _arrays(seen["train"]), _arrays(seen["held"]))


def _arrays(curves: dict[str, Any]) -> dict[str, Any]:
    return {name: np.array(values) for name, values in curves.items()}
