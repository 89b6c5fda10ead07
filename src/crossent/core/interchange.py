"""Arrays of other libraries as NumPy arrays on the same memory: what has `__array__`, `__array_interface__` or DLPack.

No library is imported for it. What NumPy cannot see is refused by name, with the way out: memory of a device, and a
tensor that records gradients, which would be lost without a word. bfloat16, which NumPy lacks, comes as ml_dtypes'.
"""

import ctypes
from typing import Any

import numpy as np

from crossent.core.types import NDArray
from crossent.errors import DtypeError, ShapeError, UnsupportedError

__all__ = ["as_array", "shared_array"]

_CPU, _BFLOAT16, _UINT = 1, 4, 1  # kDLCPU, kDLBfloat, kDLUInt
_HOST = (_CPU, 3, 11)  # kDLCUDAHost, kDLROCMHost: memory that the CPU reads as well
_DEVICES = {2: "CUDA", 4: "OpenCL", 7: "Vulkan", 8: "Metal", 10: "ROCm", 13: "CUDA (managed)", 14: "oneAPI"}
_CODE = 20  # where a DLTensor holds its type: behind data, device (2 x 4 bytes) and ndim
_NUMPY_READS = ("__array__", "__array_interface__", "__array_struct__", "__buffer__")


def as_array(value: Any, name: str) -> NDArray:
    """The array on the memory of `value` where that is possible, else a copy; anything that NumPy reads, as NumPy does.

    Raises: UnsupportedError (another device, gradients recorded, no array), ShapeError (ragged rows), DtypeError.
    """
    exports = hasattr(value, "__dlpack__")
    if exports:
        _refuse(value, name)
        if not any(hasattr(value, way) for way in _NUMPY_READS):
            return _from_dlpack(value, name)
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{name} is no array: {error}. Rows of one length are needed.") from None
    except (TypeError, RuntimeError) as error:
        if exports:
            return _from_dlpack(value, name)
        raise _no_array(value, name, error) from error


def _no_array(value: Any, name: str, error: Exception) -> UnsupportedError:
    reason = str(error).partition("\n")[0]
    return UnsupportedError(
        f"{name} is a {type(value).__name__}, which gives no NumPy array ({reason}). Pass an array in the CPU's memory "
        "of a dtype that NumPy has; inside a compiled function of PyTorch or JAX use crossent.torch or crossent.jax."
    )


def shared_array(value: Any, name: str) -> NDArray:
    """The array on the memory of `value`, never a copy: what is written to it, the caller sees.

    Raises: ShapeError where memory cannot be shared; as `as_array`.
    """
    _refuse(value, name)
    if hasattr(value, "__array_interface__"):
        return np.asarray(value)
    if hasattr(value, "__dlpack__"):
        return _from_dlpack(value, name)
    raise ShapeError(
        f"{name} is {type(value).__name__}; a writable NumPy array, or one of another library that lets NumPy write to "
        "its memory (by DLPack), is needed."
    )


def _refuse(value: Any, name: str) -> None:
    """Gradients that would be lost, and memory of a device."""
    if getattr(value, "requires_grad", False) is True:
        raise UnsupportedError(
            f"{name} records gradients (requires_grad is True), and they would end here. Pass {name}.detach(), or use "
            "crossent.torch, which carries them on."
        )
    ask = getattr(value, "__dlpack_device__", None)
    if not callable(ask):
        return
    try:
        kind, number = ask()
    except (TypeError, ValueError, RuntimeError, BufferError, NotImplementedError):  # NumPy will say what is wrong
        return
    if int(kind) not in _HOST:
        device = f"{_DEVICES.get(int(kind), f'DLPack device type {int(kind)}')} device {int(number)}"
        raise UnsupportedError(
            f"{name} lies on {device}, and crossent's NumPy functions read memory of the CPU. Copy it there first: "
            f"{name}.cpu() of PyTorch, .get() of CuPy, jax.device_get({name}) of JAX."
        )


class _Capsule:
    """A DLPack capsule in the shape that `numpy.from_dlpack` takes."""

    def __init__(self, capsule: Any) -> None:
        self.capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self.capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return _CPU, 0


def _from_dlpack(value: Any, name: str) -> NDArray:
    try:
        return np.from_dlpack(value)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        array = _bfloat16(value, name)
        if array is None:
            raise _no_array(value, name, error) from error
        return array


def _bfloat16(value: Any, name: str) -> NDArray | None:
    """The array of bfloat16 numbers that DLPack has and NumPy has not: read as uint16, seen as ml_dtypes' type.

    The consumer of a capsule owns the description in it, so that its type may be changed.
    """
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    try:
        capsule = value.__dlpack__()
        address = pointer(capsule, b"dltensor")
    except (BufferError, RuntimeError, TypeError, ValueError):
        return None
    code = ctypes.c_uint8.from_address(address + _CODE)
    if code.value != _BFLOAT16:
        return None
    try:
        from ml_dtypes import bfloat16  # only for who has such numbers, and no other library that brought them
    except ImportError:
        raise DtypeError(
            f"{name} is bfloat16, which NumPy lacks: install ml_dtypes (pip install ml_dtypes), or pass it as float32."
        ) from None
    code.value = _UINT
    array: NDArray = np.from_dlpack(_Capsule(capsule)).view(bfloat16)
    return array
