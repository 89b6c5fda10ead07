"""What a solver reports: one Step per iteration, and the Solution with the reason why it stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from crossent.learn.types import Floats

__all__ = ["OnStep", "Solution", "Step", "StepLog"]


class Step(NamedTuple):
    """State after an iteration; iteration 0 is the starting point."""

    iteration: int
    loss: float
    gradient_norm: float


OnStep: TypeAlias = Callable[[Step], None]


class StepLog:
    """Collects steps and hands each to a listener, such as a progress bar."""

    def __init__(self, listener: OnStep | None = None) -> None:
        self.steps: list[Step] = []
        self._listener = listener

    def add(self, loss: float, gradient_norm: float) -> None:
        """Record the next iteration."""
        step = Step(len(self.steps), loss, gradient_norm)
        self.steps.append(step)
        if self._listener is not None:
            self._listener(step)


@dataclass(frozen=True)
class Solution:
    """Where a solver stopped and why.

    Attributes:
        point: the parameters, flat.
        steps: one entry per iteration, the starting point first.
        converged: whether the largest gradient entry came down to the tolerance.
        reason: what stopped the solver, in words that can end a sentence.
        advice: what to do if it did not converge; empty if it did.
    """

    point: Floats
    steps: tuple[Step, ...]
    converged: bool
    reason: str
    advice: str = ""

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
