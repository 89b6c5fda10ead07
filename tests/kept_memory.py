"""Large results and where they lie, for the tests of the pool of their memory."""

from typing import Any

import numpy as np

import crossent as ce
from crossent.core.buffers import new_array

__all__ = ["F32", "MIB", "address", "gradient", "mebibytes"]

MIB = 1 << 20
F32 = np.dtype(np.float32)


def address(array: Any) -> int:
    """Where the array's numbers lie."""
    return int(array.__array_interface__["data"][0])


def mebibytes(size: float) -> Any:
    """A new array of that size."""
    return new_array((int(size * MIB) // 4,), F32)


def gradient(N: int = 300, K: int = 1000) -> Any:
    """The gradient at zero logits: 1.2 MB."""
    return ce.CrossEntropy(reduction="sum").value_and_grad(np.zeros(N, int), logits=np.zeros((N, K), np.float32)).grad
