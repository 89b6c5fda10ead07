"""Learning: fitting softmax models to arrays and files by minimising cross-entropy, and applying them.

What works on files is loaded when it is first asked for: `import crossent` needs the estimator only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crossent.learn.classifier import SoftmaxClassifier

if TYPE_CHECKING:
    from crossent.learn.fit import FitResult, fit_file
    from crossent.learn.predict import Predicted, predict_file
    from crossent.learn.store import SoftmaxModel, load_model, save_model

__all__ = [
    "FitResult",
    "Predicted",
    "SoftmaxClassifier",
    "SoftmaxModel",
    "fit_file",
    "load_model",
    "predict_file",
    "save_model",
]

_FILES = {
    "FitResult": "fit",
    "Predicted": "predict",
    "SoftmaxModel": "store",
    "fit_file": "fit",
    "load_model": "store",
    "predict_file": "predict",
    "save_model": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _FILES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_FILES[name]}"), name)
