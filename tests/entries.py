"""Hard probabilities, and the same array laid out differently: what tests of probabilities share."""

from typing import Any

import numpy as np

__all__ = ["LAYOUTS", "hard_entries", "laid_out"]

LAYOUTS = ("C", "Fortran", "strided", "big-endian", "read-only", "reversed")


def hard_entries(dtype: Any) -> Any:
    """0, subnormal and smallest normal numbers, the logarithm's seams, neighbours of 1/2 and 1, random sizes."""
    info = np.finfo(dtype)
    seams = np.array([0.25, 0.5, 0.70710678118654752, 0.75, 0.2928932188134525, 1.0], dtype)
    around = np.concatenate([np.nextafter(seams, dtype(0)), seams, np.nextafter(seams[:-1], dtype(1))])
    low = np.array([0, info.smallest_subnormal, 7 * info.smallest_subnormal, info.tiny / 2, info.tiny, 1e-30], dtype)
    rng = np.random.default_rng(11)
    sizes = (10.0 ** rng.uniform(np.log10(float(info.tiny)) - 5, 0, 300)).astype(dtype)
    near_one = (1 - 10.0 ** rng.uniform(-16, 0, 200)).astype(dtype)
    entries = np.concatenate([low, around, sizes, near_one, rng.random(300).astype(dtype)])
    assert entries.min() == 0
    assert entries.max() == 1
    assert (entries[1:] < info.tiny).sum() > 3
    return rng.permutation(entries)


def laid_out(a: Any, layout: str) -> Any:
    """The same values, elsewhere in memory."""
    if layout == "Fortran":
        return np.asfortranarray(a)
    if layout == "strided":
        return np.repeat(np.repeat(a, 2, axis=-1), 3, axis=0)[::3, ::2]
    if layout == "big-endian":
        return a.astype(a.dtype.newbyteorder(">"))
    if layout == "reversed":
        return np.ascontiguousarray(a[::-1])[::-1]
    copy = a.copy()
    copy.flags.writeable = layout != "read-only"
    return copy
