"""What makes a member of the family of plain cross-entropy: a shape, a transform of the logits, terms added to a row.

    loss_i = sum_j q_ij [f(-log p_ij) + entropy_weight H(p_i) + z_loss lse_i^2],  p = softmax(z'),
    z'_k = softcap(z_k) / temperature + tau log prior_k,  lse = log sum_k exp(z'_k)

with targets q after smoothing, class weights and alpha. `hard` is the part of the target that goes to the first maximum
of the logits, after smoothing.
"""

from dataclasses import dataclass
from typing import Any

from crossent.core.shapes import Shape
from crossent.core.types import NDArray

__all__ = ["CROSS_ENTROPY", "BinaryTerms", "Terms", "focal_shape"]

CROSS_ENTROPY = Shape()


def focal_shape(gamma: float, alpha: float = 1.0) -> Shape:
    """alpha (1 - p)^gamma (-log p)."""
    return Shape("focal", alpha, gamma) if gamma else Shape("log", alpha)


@dataclass(frozen=True, slots=True)
class Terms:
    """Of a loss over classes: what native code takes, and the array formula.

    prior: [2, K], the logarithms of the priors and what rounding them lost.
    """

    shape: Shape = CROSS_ENTROPY
    softcap: float | None = None
    temperature: float = 1.0
    prior: NDArray | None = None
    tau: float = 1.0
    alpha: NDArray | None = None
    z_loss: float = 0.0
    entropy_weight: float = 0.0
    hard: float = 0.0

    @property
    def log_prior(self) -> NDArray | None:
        """tau log prior, [K], which is added to the logits."""
        return None if self.prior is None else self.tau * (self.prior[0] + self.prior[1])

    @property
    def of_logits(self) -> bool:
        """Whether there is more than probabilities tell."""
        return self.prior is not None or self.hard != 0 or self.entropy_weight != 0 or self.z_loss != 0

    @property
    def native(self) -> tuple[Any, ...]:
        """As the native kernel takes them."""
        return (
            self.shape.code, self.shape.a, self.shape.b, self.softcap or 0.0, self.temperature, self.prior, self.tau,
            self.alpha, self.z_loss, self.entropy_weight, self.hard,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class BinaryTerms:
    """Of a loss over independent labels: the shape of both terms, and a factor of each that no divisor has."""

    shape: Shape = CROSS_ENTROPY
    positive: float = 1.0
    negative: float = 1.0

    @property
    def native(self) -> tuple[Any, ...]:
        """As the native kernel takes them."""
        return (self.shape.code, self.shape.a, self.shape.b, self.positive, self.negative)
