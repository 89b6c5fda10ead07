"""What a solver reports: one Step per iteration, and the Solution with the reason why it stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from crossent.learn.certificate import Certificate
from crossent.learn.types import Floats

__all__ = ["OnStep", "Solution", "Step"]


class Step(NamedTuple):
    """State after an iteration; iteration 0 is the starting point.

    `loss` is F with its penalties in nats, `gradient_norm` the largest absolute entry of its gradient (with l1: of the
    smallest subgradient), `passes` how often all rows were read so far, `seconds` the time since the start, `gap` the
    proven bound on F - F* where it was computed, otherwise NaN.
    """

    iteration: int
    loss: float
    gradient_norm: float
    passes: float = 0.0
    seconds: float = 0.0
    gap: float = float("nan")


# Called after every iteration with its Step and the parameters; anything true that it returns ends the fit.
OnStep: TypeAlias = Callable[[Step, Floats], object]


@dataclass(frozen=True)
class Solution:
    """Where a solver stopped and why.

    Attributes:
        point: the parameters, flat.
        steps: one entry per iteration, the starting point first.
        converged: whether the stopping rule was met.
        reason: what stopped the solver, in words that can end a sentence.
        advice: what to do if it did not converge; empty if it did.
        certificate: how far F(point) can be from its minimum.
    """

    point: Floats
    steps: tuple[Step, ...]
    converged: bool
    reason: str
    advice: str = ""
    certificate: Certificate | None = None

    @property
    def iterations(self) -> int:
        """Number of iterations done."""
        return self.steps[-1].iteration

    @property
    def loss(self) -> float:
        """Value of the objective at the end."""
        return self.steps[-1].loss

    @property
    def gradient_norm(self) -> float:
        """Largest absolute gradient entry at the end."""
        return self.steps[-1].gradient_norm

    def as_dicts(self) -> list[dict[str, Any]]:
        """The steps as plain dictionaries, for a model file."""
        return [step._asdict() for step in self.steps]
