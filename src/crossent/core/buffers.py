"""Memory of large results: NumPy arrays on the pool of native/buffers.cpp, which keeps what was dropped for the next.

An array's base owns the memory, so views, memoryviews and DLPack keep it as they keep any array's; a raw pointer does
not. A forked child starts with an empty pool, for its parent's pages would be copied at the first write.
"""

import math
import os
from typing import Any

import numpy as np

from crossent import _native
from crossent.core.types import NDArray

__all__ = ["empty_cache", "keep_buffers", "kept_bytes", "new_array", "new_like", "streams"]

_POOLED_BYTES = 1 << 20
_STREAM_BYTES = 8 << 20  # from here on a gradient would push everything else out of the caches
_keeping = True

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_native.empty_cache)


def new_array(shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray:
    """An array of unset numbers, in C order; from the pool if it is large."""
    size = math.prod(shape) * dtype.itemsize
    if size < _POOLED_BYTES:
        return np.empty(shape, dtype)
    return np.ndarray(shape, dtype, _native.Buffer(size))  # type: ignore[arg-type]  # the stub shows no buffer protocol


def new_like(array: NDArray) -> NDArray:
    """An array of unset numbers with the shape and dtype of another, in C order and in the machine's byte order."""
    dtype = array.dtype
    return new_array(array.shape, dtype if dtype.isnative else dtype.newbyteorder("="))


def streams(grad: NDArray | None, array: NDArray) -> bool:
    """Whether the pass about to fill a gradient shall write past the caches: it is large, its pages are there already.

    Regular stores are better on fresh pages, and in place, where the numbers are in the caches anyway. The caller's own
    buffer counts as used before.
    """
    if grad is None or grad.nbytes < _STREAM_BYTES or np.may_share_memory(grad, array):
        return False
    owner: object = grad.base
    if not isinstance(owner, _native.Buffer) or owner.used:
        return True
    owner.used = True
    return False


def keep_buffers(on: bool) -> None:
    """Whether memory is kept from now on; what was kept is given back where not."""
    global _keeping
    _keeping = on
    _native.keep_buffers(on)


def kept_bytes() -> int | None:
    """Bytes kept for the next large result; None where none may be kept."""
    return _native.pool_bytes() if _keeping else None


def empty_cache() -> int:
    """Gives memory kept for the next gradient back to the system; the number of bytes.

    Gradients, probabilities and Hessians of 1 MiB and more lie in memory that is used again once the array and all its
    views are gone: up to two such pieces are kept, together at most a quarter of the machine's memory. The environment
    variable CROSSENT_POOL=0 turns that off; `show_config` tells how much is kept.

    Returns: the bytes given back, 0 if nothing was kept.

    >>> from crossent import softmax
    >>> float(softmax(np.zeros((1000, 1000)))[0, 0])  # 8 MB, dropped at once
    0.001
    >>> empty_cache() >= 8_000_000
    True
    >>> empty_cache()
    0
    """
    return _native.empty_cache()
