"""The probability kernels called directly: what a bad row leaves behind."""

import numpy as np

from crossent import _native  # type: ignore[attr-defined]  # built, not written
from native_calls import NO_BAD_ROW, call_of


def test_a_bad_row_is_left_as_it_was() -> None:
    """In place: the message shows what the row held, so the kernel does not write it."""
    call = call_of("probability", "f64")
    p = call["probs"]
    p[7, 2] = 9.0
    before = p[7].copy()
    _native.probability_f64(**call | {"grad": p})
    assert call["state"][1] == 7 * 8 + 5
    np.testing.assert_array_equal(p[7], before)
    p[7, 2] = 0.5
    call["state"][:] = 0, NO_BAD_ROW
    _native.probability_f64(**call | {"probs": np.where(p == 0.5, p, 0.2)})
    assert call["state"][1] == 7 * 8 + 6
