"""What both losses behind a linear layer are to reductions: a job that never holds all logits."""

import numpy as np

from crossent.core.blocks import BadRow, Sums, flat
from crossent.core.faults import Fault
from crossent.core.linear.layer import Layer, logit_error
from crossent.core.linear.loop import Gradients, RowLoss, run_chunks
from crossent.core.linear.products import one_row
from crossent.core.options import SharedOptions
from crossent.core.types import NDArray
from crossent.errors import CrossentError

__all__ = ["LinearJob"]


class LinearJob:
    """Meets reduction.Job; `run` makes the logits chunk by chunk. What differs is the targets and their kernel."""

    options: SharedOptions

    def __init__(self, layer: Layer, memory_limit: int | None) -> None:
        self.layer, self._limit = layer, memory_limit
        self.array, self.shape = layer.stand_in(), layer.shape
        self.gradients: Gradients | None = None  # what `run` fills, times this:
        self.grad_factor = 1.0

    @property
    def known_mass(self) -> float | None:
        """The targets' mass where it follows from shapes alone."""
        raise NotImplementedError

    def mass(self) -> Sums:
        """Checks the targets and sums their mass."""
        raise NotImplementedError

    def scale_weights(self) -> None:
        """For a mean: weights of extreme size are brought near 1."""
        raise NotImplementedError

    def _left(self) -> NDArray:
        """Whether each row leaves: weight 0, ignored, or no mass."""
        raise NotImplementedError

    def _pass(self, values: NDArray | None, value_factor: float, *, gathered: bool) -> RowLoss:
        """The kernel with the targets of all rows."""
        raise NotImplementedError

    def _target_error(self, bad: BadRow) -> CrossentError:
        """The error for a row with bad targets."""
        raise NotImplementedError

    @property
    def inputs(self) -> list[NDArray | None]:
        """Nothing: gradients are new arrays."""
        return []

    def bound_curvature(self) -> None:
        """Never asked for."""

    def notes(self) -> list[Warning]:
        """None."""
        return []

    def error(self, bad: BadRow) -> CrossentError:
        """The error for a bad row: of its targets, or of its logits, which are computed again."""
        if bad.code == Fault.NON_FINITE:
            return logit_error(self.layer, bad.row, one_row(self.layer, bad.row))
        return self._target_error(bad)

    def run(
        self,
        *,
        values: NDArray | None,
        grad: NDArray | None,
        hess: NDArray | None,
        value_factor: float,
        grad_factor: float,
    ) -> Sums:
        """One pass over the rows that are kept. `grad` and `hess` of logits are never asked for."""
        assert grad is None
        assert hess is None
        left = self._left()
        kept = np.flatnonzero(~left) if left.any() else None  # the others' hidden may be anything: it is not touched
        if values is not None and kept is not None:
            values[...] = 0
        loss = self._pass(flat(values), value_factor, gathered=kept is not None)
        return run_chunks(self.layer, loss, kept, self._limit, self.gradients)
