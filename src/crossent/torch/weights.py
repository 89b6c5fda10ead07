"""Weights as native code reads them."""

import numpy as np
from torch import Tensor

from crossent.core.blocks import BadRow
from crossent.core.faults import Fault
from crossent.core.types import NDArray
from crossent.torch.fused import array_of

__all__ = ["native_weights"]


def native_weights(weight: Tensor, *, positive: bool = False) -> NDArray:
    """The weights in float64; BadRow for what only the formula can take.

    positive: a weight of 0 is such a case too: native code leaves out a row whose target has none, torch does not.
    """
    w = np.require(array_of(weight), np.float64, ["C", "A"])
    if not ((w > 0 if positive else w >= 0) & (w < np.inf)).all():
        raise BadRow(0, Fault.ENTRY)
    return w
