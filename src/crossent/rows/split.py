"""Which rows are held out: a hash of each row's identity decides, so order, blocks and workers do not.

Row identity is (name of the source relative to the common root, row in that source). The number of a row is

    u = mix(h(seed, name) + row * G mod 2^64) >> 11, as a fraction of 2^53

with h the BLAKE2b digest of 8 bytes, G the golden ratio in 64 bits and mix the finaliser of SplitMix64.
Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
"""

import hashlib

import numpy as np
import numpy.typing as npt

from crossent.errors import OptionError
from crossent.rows.block import Block

__all__ = ["holdout", "row_uniforms"]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def row_uniforms(name: str, first_row: int, count: int, *, seed: int = 0) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) that belong to rows first_row .. first_row + count - 1 of a source, float64 [count].

    Args:
        name: name of the source relative to the common root.
        first_row: row of the source, counted from 0.
        count: number of rows.
        seed: another seed gives other numbers.

    >>> whole = row_uniforms("a.parquet", 0, 5)
    >>> bool((whole[3:] == row_uniforms("a.parquet", 3, 2)).all())
    True
    """
    digest = hashlib.blake2b(f"{int(seed)}\0{name}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    start = np.uint64(int.from_bytes(digest, "little"))
    with np.errstate(over="ignore"):  # arithmetic modulo 2^64 is meant
        x = start + np.arange(first_row + 1, first_row + 1 + count, dtype=np.uint64) * _GOLDEN
        x = (x ^ (x >> np.uint64(30))) * _MIX_1
        x = (x ^ (x >> np.uint64(27))) * _MIX_2
    x ^= x >> np.uint64(31)
    return (x >> np.uint64(11)).astype(np.float64) * 2.0**-53


def holdout(block: Block, fraction: float, *, seed: int = 0) -> npt.NDArray[np.bool_]:
    """True for the rows of a block that are held out, bool [n]; about `fraction` of all rows of the source.

    Args:
        block: some rows of a source.
        fraction: share of rows to hold out, 0 <= fraction < 1. A larger fraction holds out a superset.
        seed: another seed holds out other rows.
    Raises: OptionError.
    """
    if not 0.0 <= fraction < 1.0:
        raise OptionError(f"fraction is {fraction}; allowed is 0 <= fraction < 1, for example 0.1.")
    held: npt.NDArray[np.bool_] = row_uniforms(block.identity, block.first_row, len(block), seed=seed) < fraction
    return held
