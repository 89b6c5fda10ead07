"""Learning: fitting softmax models to arrays and files by minimising cross-entropy, and applying them.

All but the estimator is loaded when it is first asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crossent.learn.classifier import SoftmaxClassifier

if TYPE_CHECKING:
    from crossent.learn.classifier_cv import SoftmaxClassifierCV
    from crossent.learn.fit import FitResult, fit_file
    from crossent.learn.predict import Predicted, predict_file
    from crossent.learn.store import SoftmaxModel, load_model, save_model
    from crossent.learn.summary import Summary

__all__ = [
    "FitResult",
    "Predicted",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "SoftmaxModel",
    "Summary",
    "fit_file",
    "load_model",
    "predict_file",
    "save_model",
]

_ON_FIRST_USE = {
    "FitResult": "fit",
    "Predicted": "predict",
    "SoftmaxClassifierCV": "classifier_cv",
    "SoftmaxModel": "store",
    "Summary": "summary",
    "fit_file": "fit",
    "load_model": "store",
    "predict_file": "predict",
    "save_model": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
