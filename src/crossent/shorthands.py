"""The functions of the family: each makes its loss object and calls it."""

from collections.abc import Mapping
from typing import Any

from crossent.core.types import ArrayLike
from crossent.family import (
    BinaryFocal,
    Bootstrap,
    Focal,
    GeneralizedCrossEntropy,
    LogitAdjusted,
    Poly1,
    SymmetricCrossEntropy,
)

__all__ = [
    "binary_focal",
    "bootstrap",
    "focal",
    "generalized_cross_entropy",
    "logit_adjusted",
    "poly1",
    "symmetric_cross_entropy",
]


def focal(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    gamma: float = 2.0,
    alpha: ArrayLike | Mapping[Any, float] | None = None,
    **options: Any,
) -> Any:
    """`Focal(gamma, alpha, **options)(targets, ...)`.

        loss = (1 - p)^gamma (-log p)      [nat]

    Args:
        targets, logits, probs, log_probs, sample_weight: as in calling the loss.
        gamma, alpha, options: of `Focal`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `Focal` and its call.
    Source: as `Focal`.

    >>> round(focal([0], probs=[[0.9, 0.1]]), 6)
    0.001054
    """
    return Focal(gamma=gamma, alpha=alpha, **options)(
        targets, logits=logits, probs=probs, log_probs=log_probs, sample_weight=sample_weight
    )


def poly1(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    epsilon: float = 1.0,
    **options: Any,
) -> Any:
    """`Poly1(epsilon, **options)(targets, ...)`.

        loss = -log p + epsilon (1 - p)      [nat]

    Args:
        targets, logits, probs, log_probs, sample_weight: as in calling the loss.
        epsilon, options: of `Poly1`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `Poly1` and its call.
    Source: as `Poly1`.

    >>> round(poly1([0], probs=[[0.5, 0.5]]), 6)
    1.193147
    """
    return Poly1(epsilon=epsilon, **options)(
        targets, logits=logits, probs=probs, log_probs=log_probs, sample_weight=sample_weight
    )


def generalized_cross_entropy(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    q: float = 0.7,
    **options: Any,
) -> Any:
    """`GeneralizedCrossEntropy(q, **options)(targets, ...)`.

        loss = (1 - p^q) / q      [nat]

    Args:
        targets, logits, probs, log_probs, sample_weight: as in calling the loss.
        q, options: of `GeneralizedCrossEntropy`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `GeneralizedCrossEntropy` and its call.
    Source: as `GeneralizedCrossEntropy`.

    >>> round(generalized_cross_entropy([0], probs=[[0.25, 0.75]], q=1.0), 6)
    0.75
    """
    return GeneralizedCrossEntropy(q=q, **options)(
        targets, logits=logits, probs=probs, log_probs=log_probs, sample_weight=sample_weight
    )


def symmetric_cross_entropy(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    alpha: float = 1.0,
    beta: float = 1.0,
    log_zero: float = -4.0,
    **options: Any,
) -> Any:
    """`SymmetricCrossEntropy(alpha, beta, log_zero, **options)(targets, ...)`.

        loss = alpha (-log p) - beta log_zero (1 - p)      [nat]

    Args:
        targets, logits, probs, log_probs, sample_weight: as in calling the loss.
        alpha, beta, log_zero, options: of `SymmetricCrossEntropy`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `SymmetricCrossEntropy` and its call.
    Source: as `SymmetricCrossEntropy`.

    >>> round(symmetric_cross_entropy([0], probs=[[0.5, 0.5]], beta=0.5), 6)
    1.693147
    """
    return SymmetricCrossEntropy(alpha=alpha, beta=beta, log_zero=log_zero, **options)(
        targets, logits=logits, probs=probs, log_probs=log_probs, sample_weight=sample_weight
    )


def logit_adjusted(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    priors: ArrayLike,
    tau: float = 1.0,
    **options: Any,
) -> Any:
    """`LogitAdjusted(priors, tau, **options)(targets, ...)`.

        loss = lse(z + tau log pi) - z_y - tau log pi_y      [nat]

    Args:
        targets, logits, sample_weight: as in calling the loss.
        priors, tau, options: of `LogitAdjusted`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `LogitAdjusted` and its call.
    Source: as `LogitAdjusted`.

    >>> round(logit_adjusted([1], logits=[[0.0, 0.0]], priors=[90, 10]), 6)
    2.302585
    """
    return LogitAdjusted(priors=priors, tau=tau, **options)(targets, logits=logits, sample_weight=sample_weight)


def bootstrap(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    beta: float = 0.95,
    hard: bool = False,
    **options: Any,
) -> Any:
    """`Bootstrap(beta, hard, **options)(targets, ...)`.

        loss = beta (-log p_y) + (1 - beta) H(p)      [nat]

    Args:
        targets, logits, sample_weight: as in calling the loss.
        beta, hard, options: of `Bootstrap`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `Bootstrap` and its call.
    Source: as `Bootstrap`.

    >>> round(bootstrap([1], logits=[[1.0, 0.0]], beta=0.8, hard=True), 6)
    1.113262
    """
    return Bootstrap(beta=beta, hard=hard, **options)(targets, logits=logits, sample_weight=sample_weight)


def binary_focal(
    targets: Any,
    *,
    logits: ArrayLike | None = None,
    probs: ArrayLike | None = None,
    log_probs: ArrayLike | None = None,
    sample_weight: ArrayLike | None = None,
    gamma: float = 2.0,
    alpha: float | None = None,
    **options: Any,
) -> Any:
    """`BinaryFocal(gamma, alpha, **options)(targets, ...)`.

        loss = alpha y (1 - p)^gamma (-log p) + (1 - alpha)(1 - y) p^gamma (-log(1 - p))      [nat]

    Args:
        targets, logits, probs, log_probs, sample_weight: as in calling the loss.
        gamma, alpha, options: of `BinaryFocal`.
    Returns: a float, or row losses for reduction="none".
    Raises: as `BinaryFocal` and its call.
    Source: as `BinaryFocal`.

    >>> round(binary_focal([1, 0], probs=[0.8, 0.3], alpha=0.25), 6)
    0.013153
    """
    return BinaryFocal(gamma=gamma, alpha=alpha, **options)(
        targets, logits=logits, probs=probs, log_probs=log_probs, sample_weight=sample_weight
    )
