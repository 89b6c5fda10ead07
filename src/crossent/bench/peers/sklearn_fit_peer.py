"""scikit-learn's LogisticRegression as a worker: whole fits."""

from typing import Any

import numpy as np
import scipy
import sklearn
from sklearn.linear_model import LogisticRegression

from .data import Spec
from .problems import estimator_fits, problem

__all__ = ["prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"scikit-learn": sklearn.__version__, "scipy": scipy.__version__, "numpy": np.__version__}


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The fits of a case; `flavour` and `threads` are not used: the BLAS has its threads, the loss has one."""
    return {"fit": estimator_fits(problem(spec), LogisticRegression, C=1.0, random_state=0)}
