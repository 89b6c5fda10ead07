"""scikit-learn as a worker: metrics.log_loss, or the private loss that its estimators minimise."""

from typing import Any

import numpy as np
import sklearn
from sklearn.metrics import (
    brier_score_loss,
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from .data import NDArray, Spec, make, softmax

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"scikit-learn": sklearn.__version__, "numpy": np.__version__}


def host(gradient: Any) -> Any:
    """The gradient of the mean; the private loss gives that of the sum."""
    return gradient / np.float32(len(gradient))


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is "log_loss", "metrics" or "_loss". Metrics get probabilities, made beforehand."""
    arrays = make(spec)
    z, y = arrays.prediction, arrays.targets
    if flavour in ("log_loss", "metrics"):
        labels = np.arange(max(2, spec.classes))
        p = z if spec.kind.endswith("probs") else softmax(z.astype(np.float64))
        truth = y.astype(np.int64)
        work = "tally" if spec.kind.startswith("score") else "forward"
        run = _metrics if flavour == "metrics" else log_loss
        return {work: lambda: (run(truth, p, labels=labels), None)}
    from sklearn._loss.loss import HalfBinomialLoss, HalfMultinomialLoss

    loss = HalfBinomialLoss() if spec.kind == "binary" else HalfMultinomialLoss(n_classes=spec.classes)
    truth = y.astype(z.dtype)

    def gradient() -> tuple[Any, NDArray]:
        losses, g = loss.loss_gradient(truth, z, n_threads=threads)
        return losses.mean(), g

    return {"forward": lambda: (loss.loss(truth, z, n_threads=threads).mean(), None), "gradient": gradient}


def _metrics(truth: NDArray, p: NDArray, *, labels: NDArray) -> float:
    """What scikit-learn can say of what a tally knows; the log loss is returned."""
    predicted = p.argmax(axis=1)
    confusion_matrix(truth, predicted, labels=labels)
    precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
    for k in labels:
        brier_score_loss(truth == k, p[:, k], pos_label=True)
    roc_auc_score(truth, p[:, 1] if len(labels) == 2 else p, multi_class="ovr", labels=labels)
    return float(log_loss(truth, p, labels=labels))
