"""Folds of cross-validation: stratified ones of our own, or those that the caller gives."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from crossent.errors import LabelError, OptionError, ShapeError
from crossent.learn.training_rows import TrainingRows
from crossent.learn.types import Codes

__all__ = ["Fold", "check_folds", "make_folds", "stratified_folds"]


class Fold(NamedTuple):
    """Positions of the rows to train on, and of those held out."""

    train: Codes
    test: Codes


def check_folds(cv: Any) -> None:
    """Check the form of the option, before any row is looked at.

    Raises: OptionError.
    """
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        if cv < 2:
            raise OptionError(f"cv is {cv}; a number of folds must be >= 2, for instance 5.")
    elif (not hasattr(cv, "split") and not isinstance(cv, Iterable)) or isinstance(cv, str):
        raise OptionError(
            f"cv is {cv!r}; it must be a number of folds >= 2, pairs of positions (train, test), or an object with a "
            "method split(X, y)."
        )


def make_folds(cv: Any, rows: TrainingRows, X: Any, y: Any, *, seed: int) -> list[Fold]:
    """The folds of `cv` over rows of positive weight.

    Args:
        cv: number of folds, pairs (train, test) of positions among the rows given, or an object with split(X, y).
        rows: made of X and y.
        seed: of the order in which rows are dealt to folds.
    Raises: OptionError, ShapeError for folds that cannot be used; LabelError where a fold trains without a class.
    """
    if isinstance(cv, int | np.integer):
        folds = stratified_folds(rows.codes, int(cv), seed=seed, names=rows.classes.tolist())
    else:
        pairs = list(cv.split(X, y) if hasattr(cv, "split") else cv)
        if not pairs:
            raise OptionError("cv has no folds; give at least one pair (train, test).")
        place = np.full(rows.given, -1)
        place[rows.kept] = np.arange(len(rows.kept))
        folds = [_given(pair, place, number) for number, pair in enumerate(pairs)]
    for number, fold in enumerate(folds):
        _refuse_unlearnt(fold, rows, number)
    return folds


def stratified_folds(codes: Codes, count: int, *, seed: int, names: list[Any]) -> list[Fold]:
    """Folds in which every class is spread as evenly as it goes, and whose sizes differ by 1 at most.

    The rows of each class in turn, in random order, are dealt to the folds like cards. So a class of two rows or more
    never has all of them in one fold.

    Args:
        codes: [N] class of every row, each class at least twice.
        count: number of folds, 2..N.
        seed: of the random order.
        names: of the classes, for messages.
    Raises: LabelError, OptionError.

    >>> [fold.test.tolist() for fold in stratified_folds(np.array([0, 0, 0, 1, 1, 1]), 3, seed=0, names=["a", "b"])]
    [[2, 3], [0, 5], [1, 4]]
    """
    counts = np.bincount(codes, minlength=len(names))
    if counts.min() < 2:
        raise LabelError(
            f"Class {names[int(np.argmin(counts))]!r} has 1 row; held out, no other row tells of it. Cross-validation "
            "needs at least 2 rows of each class: add some, or leave the class out."
        )
    if count > len(codes):
        raise OptionError(f"cv={count} folds of {len(codes)} rows: lower cv to {len(codes)} or less.")
    order = np.random.default_rng(seed).permutation(len(codes))
    dealt = order[np.argsort(codes[order], kind="stable")]
    fold_of = np.empty(len(codes), dtype=np.int64)
    fold_of[dealt] = np.arange(len(codes)) % count
    return [Fold(np.flatnonzero(fold_of != k), np.flatnonzero(fold_of == k)) for k in range(count)]


def _given(pair: Any, place: Codes, number: int) -> Fold:
    """A fold that the caller gave, in positions of the rows of positive weight."""
    try:
        train, test = pair
    except (TypeError, ValueError):
        raise OptionError(f"Fold {number} of cv is {pair!r}; it must be a pair (train, test) of positions.") from None
    fold = Fold(_positions(train, place, f"train of fold {number}"), _positions(test, place, f"test of fold {number}"))
    both = np.intersect1d(*fold)
    if both.size:
        row = int(np.flatnonzero(place == both[0])[0])
        raise OptionError(f"Fold {number} of cv has row {row} both in train and in test; held-out rows must be unseen.")
    return fold


def _positions(index: Any, place: Codes, name: str) -> Codes:
    array = np.asarray(index)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ShapeError(f"{name} has shape {array.shape} and dtype {array.dtype}; it must be a list of positions.")
    if array.size and not (array.min() >= 0 and array.max() < len(place)):
        raise OptionError(f"{name} has positions {array.min()} to {array.max()}; the rows are 0 to {len(place) - 1}.")
    found = place[array]
    if not (found >= 0).any():
        raise OptionError(f"{name} has no row of positive weight. Give it some rows.")
    return np.asarray(found[found >= 0])


def _refuse_unlearnt(fold: Fold, rows: TrainingRows, number: int) -> None:
    counts = np.bincount(rows.codes[fold.train], minlength=len(rows.classes))
    if counts.min() == 0:
        raise LabelError(
            f"Fold {number} of cv trains without any row of class {rows.classes.tolist()[int(np.argmin(counts))]!r}, "
            "of which its model could say nothing. Use cv as a number, whose folds are stratified, or shuffle the rows "
            "before they are split."
        )
