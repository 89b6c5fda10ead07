"""One question of the error table: a call, its exact answer, and how near the contract wants the result."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from closeness import errors_in_ulps, ulp_of, worst_of_bound, worst_ulps
from wide import Wide

__all__ = ["DTYPES", "Question", "compute_dtype"]

DTYPES: dict[str, Any] = {
    "float32": np.dtype(np.float32),
    "float64": np.dtype(np.float64),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}


@dataclass(frozen=True)
class Question:
    """`call()` against `exact`: at most `allowed` ulp of the exact value, or of `of`; or at most `bound`.

    With a bound (an array), errors are shares of it and 1 is allowed. 16-bit results of float32 arithmetic may be off
    by their one rounding, half an ulp: what is counted and allowed is the rest, in ulp of float32.
    """

    function: str
    dtype: str
    call: Callable[[], Any]
    exact: Wide
    allowed: float = 1.0
    of: Wide | None = None
    bound: Any = None

    def error(self) -> float:
        """The worst error of the call on the instruction set in use."""
        got = np.asarray(self.call())
        if self.bound is not None:
            return worst_of_bound(got, self.exact, self.bound)
        if got.dtype.itemsize > 2:
            return worst_ulps(got, self.exact, of=self.of)
        in_float32 = ulp_of(self.exact, got.dtype) / ulp_of(self.exact if self.of is None else self.of, np.float32)
        return float(np.max((errors_in_ulps(got, self.exact) - 0.5) * in_float32, initial=0.0))


def compute_dtype(dtype: Any) -> Any:
    """What the arithmetic and the losses are in."""
    return np.dtype(np.float64 if np.dtype(dtype) == np.float64 else np.float32)
