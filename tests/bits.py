"""Equality of bits, for results that must be the very same: signs of zeros and the bits of NaN count."""

from typing import Any

import numpy as np

__all__ = ["assert_same"]


def assert_same(got: Any, want: Any) -> None:
    """Same dtype (byte order aside), shape and bits: of two arrays or numbers, or of two lists or tuples of them."""
    __tracebackhide__ = True
    if isinstance(got, list | tuple):
        for a, b in zip(got, want, strict=True):
            assert_same(a, b)
        return
    a, b = np.asarray(got), np.asarray(want)
    assert (a.dtype.newbyteorder("="), a.shape) == (b.dtype.newbyteorder("="), b.shape)
    np.testing.assert_array_equal(_unsigned(a), _unsigned(b))


def _unsigned(array: Any) -> Any:
    """The array's bits as integers."""
    native = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("="), copy=False))
    return native.view(f"u{native.dtype.itemsize}")
