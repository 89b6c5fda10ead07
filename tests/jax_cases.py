"""What the tests of crossent.jax share: precision by dtype, hard rows thinned out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import jax
import numpy as np

from cases import hard_cases, soft_targets

__all__ = ["hard_rows", "precision"]


@contextmanager
def precision(dtype: Any) -> Iterator[None]:
    """JAX as it is by default, or with float64 where that is asked for."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", np.dtype(dtype) == np.float64)
    try:
        yield
    finally:
        jax.config.update("jax_enable_x64", before)


def hard_rows(K: int, dtype: Any, *, infinite: bool = False, each: int = 6) -> tuple[Any, Any, Any]:
    """(logits, labels, soft targets) of all hard cases, some of each."""
    z, y, q = [], [], []
    for case in hard_cases(K, dtype, infinite=infinite):
        if len(case.targets):
            some = slice(None, None, max(1, len(case.targets) // each))
            z.append(case.logits[some])
            y.append(case.targets[some])
            q.append(soft_targets(case).astype(dtype)[some])
    return np.concatenate(z), np.concatenate(y), np.concatenate(q)
