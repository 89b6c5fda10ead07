"""Applying a fitted linear model: logits, probabilities and decisions, the same for arrays and files."""

import numpy as np

from crossent.activations import log_sigmoid, log_softmax, sigmoid, softmax
from crossent.learn.types import Codes, Floats

__all__ = ["decide", "linear_logits", "log_probabilities", "probabilities"]


def linear_logits(features: Floats, coef: Floats, intercept: Floats) -> Floats:
    """Logits z = X coef^T + intercept.

    Args:
        features: [N, D].
        coef: [1, D] for two classes, [K, D] for more.
        intercept: [1] or [K].
    Returns: [N] for two classes (the logit of the second), [N, K] for more.

    >>> linear_logits(np.array([[1.0], [2.0]]), np.array([[3.0]]), np.array([1.0])).tolist()
    [4.0, 7.0]
    """
    logits: Floats = features @ coef.T + intercept
    return logits[:, 0] if len(coef) == 1 else logits


def probabilities(logits: Floats) -> Floats:
    """Class probabilities [N, K]; of two classes neither column is computed as 1 minus the other.

    >>> probabilities(np.array([0.0, 40.0]))[1, 0] > 0
    np.True_
    """
    if logits.ndim == 1:
        return np.stack([sigmoid(-logits), sigmoid(logits)], axis=1)
    return np.asarray(softmax(logits))


def log_probabilities(logits: Floats) -> Floats:
    """Logarithms of the class probabilities [N, K], accurate where the probability itself underflows."""
    if logits.ndim == 1:
        return np.stack([log_sigmoid(-logits), log_sigmoid(logits)], axis=1)
    return np.asarray(log_softmax(logits))


def decide(logits: Floats) -> Codes:
    """The most probable class index [N]; the first of ties."""
    if logits.ndim == 1:
        return (logits > 0).astype(np.int64)
    best: Codes = np.argmax(logits, axis=1).astype(np.int64)
    return best
