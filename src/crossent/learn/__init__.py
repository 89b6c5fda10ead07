"""Learning: fitting softmax models to arrays and files by minimising cross-entropy, and applying them.

What is more than the estimator is loaded when it is first asked for: `import crossent` needs the estimator only.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from crossent.learn.certificate import Certificate
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.trace import Step

if TYPE_CHECKING:
    from crossent.learn.classifier_cv import SoftmaxClassifierCV
    from crossent.learn.comparison import compare_solvers
    from crossent.learn.comparison_files import FileComparison, compare_file
    from crossent.learn.curves import SolverComparison, SolverCurve
    from crossent.learn.fit import FitResult, fit_file
    from crossent.learn.predict import Predicted, predict_file
    from crossent.learn.store import SoftmaxModel, load_model, save_model
    from crossent.learn.summary import Summary

__all__ = [
    "Certificate",
    "FileComparison",
    "FitResult",
    "Predicted",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "SoftmaxModel",
    "SolverComparison",
    "SolverCurve",
    "Step",
    "Summary",
    "compare_file",
    "compare_solvers",
    "fit_file",
    "load_model",
    "predict_file",
    "save_model",
]

_ON_FIRST_USE = {
    "FileComparison": "comparison_files",
    "FitResult": "fit",
    "Predicted": "predict",
    "SoftmaxClassifierCV": "classifier_cv",
    "SoftmaxModel": "store",
    "Summary": "summary",
    "SolverComparison": "curves",
    "SolverCurve": "curves",
    "compare_file": "comparison_files",
    "compare_solvers": "comparison",
    "fit_file": "fit",
    "load_model": "store",
    "predict_file": "predict",
    "save_model": "store",
}


def __getattr__(name: str) -> Any:
    if name not in _ON_FIRST_USE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ON_FIRST_USE[name]}"), name)
