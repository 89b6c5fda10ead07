"""keras.ops as the array namespace of core.formula, and what else tensors of any backend are asked here."""

import sys
from typing import Any

import keras
import numpy as np
from keras import ops

from crossent.core.types import NDArray

__all__ = ["Namespace", "compute_dtype", "concrete", "dtype_name", "limits", "rank", "tensor"]

Tensor = Any
_HALF = ("float16", "bfloat16")


class Namespace:
    """keras.ops with NumPy's names, for arrays of one floating dtype, which numbers alone take on."""

    def __init__(self, dtype: str) -> None:
        self.dtype = dtype

    def __getattr__(self, name: str) -> Any:
        return getattr(ops, name)

    def asarray(self, x: Any, dtype: Any) -> Tensor:
        """A tensor of the dtype, from a tensor or what NumPy takes."""
        return ops.cast(x if ops.is_tensor(x) else ops.convert_to_tensor(np.asarray(x)), dtype)

    def where(self, condition: Tensor, x: Any, y: Any) -> Tensor:
        """x where the condition holds, else y; two numbers have the namespace's dtype, not Keras' default one."""
        if isinstance(x, (int, float)) and isinstance(y, (int, float)):
            x = ops.convert_to_tensor(x, dtype=self.dtype)
        return ops.where(condition, x, y)

    def finfo(self, dtype: Any) -> Any:
        """NumPy's."""
        return limits(dtype)


def dtype_name(x: Tensor) -> str:
    """The dtype in Keras' words, which are NumPy's."""
    name: str = keras.backend.standardize_dtype(x.dtype)
    return name


def compute_dtype(dtype: str) -> str:
    """float32 for half precision and integers, else the same."""
    if dtype in _HALF:
        return "float32"
    return dtype if dtype.startswith("float") else str(keras.config.floatx())


def limits(dtype: Any) -> Any:
    """NumPy's finfo; float32's for bfloat16, which has its exponents."""
    name = keras.backend.standardize_dtype(dtype)
    return np.finfo("float32" if name == "bfloat16" else name)


def rank(x: Tensor) -> int:
    """The number of dimensions."""
    return len(x.shape)


def tensor(x: Any) -> Tensor:
    """A tensor of the backend with the dtype that it has."""
    return x if ops.is_tensor(x) or isinstance(x, keras.KerasTensor) else ops.convert_to_tensor(x)


def concrete(x: Tensor) -> NDArray | None:
    """The values, where they are at hand: not in a graph that is traced, and not on another device."""
    try:
        if keras.backend.backend() == "torch":
            return _of_torch(x)
        return np.asarray(ops.convert_to_numpy(x))
    except Exception:  # each backend has an error of its own for "this is being traced"
        return None


def _of_torch(x: Tensor) -> NDArray | None:
    """The values of a CPU tensor outside of torch.compile."""
    if x.device.type != "cpu" or sys.modules["torch"].compiler.is_compiling():
        return None
    values: NDArray = x.detach().numpy()
    return values
