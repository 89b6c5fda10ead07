"""scikit-learn as a worker: metrics.log_loss, or the private loss that its estimators minimise."""

from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import log_loss

from .data import NDArray, Spec, make

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"scikit-learn": sklearn.__version__, "numpy": np.__version__}


def host(gradient: Any) -> Any:
    """The gradient of the mean; the private loss gives that of the sum."""
    return gradient / np.float32(len(gradient))


def _softmax(z: NDArray) -> NDArray:
    e = np.exp(z.astype(np.float64))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is "log_loss" or "_loss". log_loss gets probabilities, made beforehand."""
    arrays = make(spec)
    z, y = arrays.prediction, arrays.targets
    if flavour == "log_loss":
        labels = np.arange(max(2, spec.classes))
        p = z if spec.kind.endswith("probs") else _softmax(z)
        truth = y.astype(np.int64)
        return {"forward": lambda: (log_loss(truth, p, labels=labels), None)}
    from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss

    loss = HalfBinomialLoss() if spec.kind == "binary" else HalfMultinomialLoss(n_classes=spec.classes)
    truth = y.astype(z.dtype)

    def gradient() -> tuple[Any, NDArray]:
        losses, g = loss.loss_gradient(truth, z, n_threads=threads)
        return losses.mean(), g

    return {"forward": lambda: (loss.loss(truth, z, n_threads=threads).mean(), None), "gradient": gradient}
