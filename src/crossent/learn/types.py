"""The array types of learning, which computes in float64 throughout."""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossent.core.loss import Loss

__all__ = ["AnyLoss", "Codes", "Floats"]

# coefficients, weights, flat parameters
Floats: TypeAlias = npt.NDArray[np.float64]
# class indices in 0..K-1
Codes: TypeAlias = npt.NDArray[np.int64]
# a loss of logits over classes or over independent labels
AnyLoss: TypeAlias = Loss
