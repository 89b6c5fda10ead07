"""Sparse soft targets: k classes and their probabilities for each row, put into dense rows a few at a time."""

import math
from typing import Any

import numpy as np

from crossent.core.check import unmasked
from crossent.core.faults import place
from crossent.core.labels import Targets
from crossent.core.linear.rows import Part
from crossent.core.softmax import SMALLEST_SUM, sum_tolerance
from crossent.core.types import NDArray
from crossent.core.weights import balanced
from crossent.errors import DtypeError, LabelError, ShapeError

__all__ = ["SparseTargets", "is_sparse"]


def is_sparse(targets: Any, lead: tuple[int, ...]) -> bool:
    """Whether targets are (indices, probs): a tuple of two arrays with an axis more than the rows."""
    if not isinstance(targets, tuple) or len(targets) != 2:
        return False
    try:
        return all(hasattr(each, "__len__") and np.ndim(each) == len(lead) + 1 for each in targets)
    except ValueError:  # rows of several lengths: that is refused with the name of the part
        return True


def _pair(targets: tuple[Any, Any], lead: tuple[int, ...]) -> tuple[NDArray, NDArray]:
    """Both parts [N, k] after the checks of their shapes and dtypes; probabilities as float64 or float32."""
    indices, probs = unmasked(targets[0], "targets[0]"), unmasked(targets[1], "targets[1]")
    if indices.shape != probs.shape or indices.shape[:-1] != lead:
        raise ShapeError(
            f"targets are (indices, probs) of shapes {indices.shape} and {probs.shape}; both need shape "
            f"({', '.join(map(str, (*lead, 'k')))}), k classes for each row of hidden."
        )
    if indices.dtype.kind not in "iu":
        raise DtypeError(f"targets[0] has dtype {indices.dtype}; class indices are integers.")
    if probs.dtype.kind not in "buif" and probs.dtype.name != "bfloat16":
        raise DtypeError(f"targets[1] has dtype {probs.dtype}; probabilities are floats.")
    wide = probs.dtype.kind == "f" and probs.dtype.itemsize == 8
    flat = (math.prod(lead), indices.shape[-1])
    return indices.reshape(flat), probs.astype(np.float64 if wide else np.float32, copy=False).reshape(flat)


class SparseTargets:
    """Rows of k class indices and probabilities; checked, for the rows kept, when made."""

    def __init__(
        self, targets: tuple[Any, Any], lead: tuple[int, ...], K: int, row_weight: NDArray | None, *, normalize: bool,
        empty_rows: str,
    ) -> None:  # fmt: skip
        self.indices, self.probs = _pair(targets, lead)
        self.K, self._lead = K, lead
        self._row_weight = None if row_weight is None else row_weight.reshape(-1)
        kept = np.ones(len(self.indices), bool) if self._row_weight is None else self._row_weight > 0
        self._check_indices(kept)
        self.factor = self._check_probs(kept, targets[1], normalize, empty_rows)

    def _place(self, part: int, row: int, column: int | None) -> str:
        index = tuple(int(i) for i in np.unravel_index(row, self._lead)) if self._lead else ()
        return place(f"targets[{part}]", (*index, column))

    def _first(self, bad: NDArray) -> tuple[int, int]:
        row, column = np.unravel_index(int(np.argmax(bad)), bad.shape)
        return int(row), int(column)

    def _check_indices(self, kept: NDArray) -> None:
        outside = ((self.indices < 0) | (self.indices >= self.K)) & kept[:, None]
        if outside.any():
            row, column = self._first(outside)
            raise LabelError(
                f"{self._place(0, row, column)} is {self.indices[row, column]}, but the prediction has {self.K} "
                f"classes (indices 0..{self.K - 1}). Correct it, or give the row sample_weight 0 to leave it out."
            )
        if self.indices.shape[1] < 2:
            return
        used = np.where(self.probs != 0, self.indices.astype(np.int64), -1)
        used.sort(axis=1)
        twice = (used[:, 1:] == used[:, :-1]) & (used[:, 1:] >= 0) & kept[:, None]
        if twice.any():
            row, column = self._first(twice)
            raise LabelError(
                f"{self._place(0, row, None)} names class {used[row, column]} twice. Add its probabilities up and name "
                "it once; entries to fill up with have probability 0."
            )

    def _check_probs(self, kept: NDArray, given: Any, normalize: bool, empty_rows: str) -> NDArray | None:
        """The factor of each row where sums are normalised; else sums must be 1."""
        bad = ~((self.probs >= 0) & (self.probs < np.inf)) & kept[:, None]
        if bad.any():
            row, column = self._first(bad)
            raise LabelError(
                f"{self._place(1, row, column)} is {float(self.probs[row, column]):g}; probabilities are finite and "
                ">= 0."
            )
        with np.errstate(over="ignore", invalid="ignore"):
            sums = self.probs.sum(axis=1, dtype=np.float64)
        if not normalize:
            self._refuse_sum(kept & ~(np.abs(sums - 1) <= sum_tolerance(np.asarray(given).dtype)), sums)
            return None
        if empty_rows == "error" and (kept & (sums == 0)).any():
            row = int(np.argmax(kept & (sums == 0)))
            raise LabelError(
                f"{self._place(1, row, None)} have no positive; pass empty_rows='ignore' to leave such rows out."
            )
        usable = kept & (sums >= SMALLEST_SUM) & (sums <= 1 / SMALLEST_SUM)
        self._refuse_sum(kept & (sums > 0) & ~usable, sums, normalize=True)
        return np.asarray(np.divide(1.0, sums, out=np.zeros_like(sums), where=usable))

    def _refuse_sum(self, bad: NDArray, sums: NDArray, *, normalize: bool = False) -> None:
        if not bad.any():
            return
        row = int(np.argmax(bad))
        where = f"{self._place(1, row, None)} sum to {sums[row]:.6g}"
        if normalize:
            raise LabelError(f"{where}, too extreme to normalise; sums from 1e-300 to 1e300 are allowed.")
        raise LabelError(
            f"{where}, but a distribution sums to 1. Pass normalize_targets=True to divide each row by its sum (the k "
            "largest probabilities of a teacher, say)."
        )

    def row_mass(self, class_weight: NDArray | None) -> NDArray:
        """D of each row: the (weighted) sum of its targets before smoothing; 0 for rows with weight 0."""
        kept = slice(None) if self._row_weight is None else self._row_weight > 0
        mass = np.zeros(len(self.probs))
        p = self.probs[kept].astype(np.float64)
        mass[kept] = p.sum(axis=1) if class_weight is None else (p * class_weight[self.indices[kept]]).sum(axis=1)
        return mass if self.factor is None else np.asarray(mass * self.factor)

    def balanced(self) -> NDArray:
        """n / (K count_k), each probability counted with its row's weight."""
        entries = self.probs.astype(np.float64)
        for each in (self.factor, self._row_weight):
            if each is not None:
                entries = np.where(each[:, None] > 0, entries, 0) * each[:, None]
        return balanced(Targets(self.indices.reshape(-1), None), self.K, entries.reshape(-1), None)

    def fill(self, part: Part, classes: slice, out: NDArray) -> None:
        """The targets of a part on some of the classes, as dense rows [n, classes]."""
        p, k = self.probs[part.selection], self.indices[part.selection].astype(np.int64)
        row, column = np.nonzero((p != 0) & (k >= classes.start) & (k < classes.stop))
        out[...] = 0
        out[row, k[row, column] - classes.start] = p[row, column]
