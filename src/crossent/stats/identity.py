"""Row identity and key identity: 64-bit numbers that depend on what a row is, never on the order in which it came.

A row is (source name, row there); a key is the canonical text of a cell, so that 1, 1.0 and "1" are the same key in
whatever table they stand. Groups of the bootstrap and buckets of clusters are the top bits of these numbers, so every
bit of them must depend on every bit of the input.
"""

import hashlib
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from crossent.core.accumulate import Int64
from crossent.core.text import distinct_texts
from crossent.core.types import ArrayLike
from crossent.errors import DataError

__all__ = ["Identity", "key_identity", "row_identity", "top_bits"]

Identity: TypeAlias = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def row_identity(source: str, rows: Int64) -> Identity:
    """The identity of rows of one source: mix(hash(source) + (row + 1) golden) modulo 2^64.

    Args:
        source: name of the file or table, relative to the root that all sources share.
        rows: [n] row numbers there, >= 0.
    Returns: [n] uint64; different for different rows of one source, since each step can be undone.
    Source: Steele, Lea & Flood, Fast splittable pseudorandom number generators, OOPSLA (2014): SplitMix64.

    >>> row_identity("a.csv", np.array([0, 1])).tolist()
    [2648405339029178796, 13113680717954677285]
    """
    steps = np.asarray(rows).astype(np.uint64) + np.uint64(1)
    return _mixed(np.uint64(_text_hash(source)) + steps * _GOLDEN)


def key_identity(keys: ArrayLike) -> Identity:
    """The identity of join or cluster keys, by their canonical text.

    Args:
        keys: [n] values of any type: integers, floats, booleans, text, bytes, dates, or objects of several types.
    Returns: [n] uint64; equal exactly where the canonical texts are equal (but for hashes that meet by chance: 3 in
        10^10 for 100 000 keys).
    Raises: DataError for a missing key (None or NaN); ShapeError unless there is one key a row.

    >>> a, b = key_identity([1, 2]), key_identity(["2", "1"])
    >>> a[0] == b[1], a[1] == b[0]
    (np.True_, np.True_)
    """
    distinct, inverse = distinct_texts(keys, what="keys")
    missing = [k for k, text in enumerate(distinct) if text is None]
    if missing:
        row = int(np.argmax(np.isin(inverse, missing)))
        raise DataError(f"keys[{row}] is missing (null or NaN); every row needs a key. Leave out such rows first.")
    hashes = np.array([_text_hash(text) for text in distinct if text is not None], np.uint64)
    identities: Identity = hashes[inverse]
    return identities


def top_bits(identity: Identity, bits: int) -> Int64:
    """The group of every identity among 2^bits: its top bits.

    >>> top_bits(np.array([0, 2**63], np.uint64), 1).tolist()
    [0, 1]
    """
    return (identity >> np.uint64(64 - bits)).astype(np.int64)


def _text_hash(text: str) -> int:
    """BLAKE2b of the text, 64 bits."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


def _mixed(x: Identity) -> Identity:
    """The finaliser of SplitMix64: multiplications and shifts that can be undone."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
