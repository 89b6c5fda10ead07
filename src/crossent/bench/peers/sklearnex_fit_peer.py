"""scikit-learn-intelex as a worker: its LogisticRegression, on processors."""

import os
from importlib.metadata import version
from typing import Any

os.environ["SKLEARNEX_PREVIEW"] = "1"  # without it newton-cg is scikit-learn's
from sklearnex.linear_model import LogisticRegression

from .data import Spec
from .problems import estimator_fits, problem

__all__ = ["prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"scikit-learn-intelex": version("scikit-learn-intelex")}


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The fits of a case; `flavour` and `threads` are not used: the library counts processors itself."""
    return {"fit": estimator_fits(problem(spec), LogisticRegression, C=1.0)}
