"""What is fitted, and how every fit is judged: data sets from seeds, and the objective in float64.

The objective is that of scikit-learn's C=1 and of crossent's default penalty, l2 = 1/N:

    F = mean_i cross-entropy_i + |coef|^2 / (2 N)                    [nat]
"""

import gzip
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from .data import NDArray, Spec

__all__ = ["PROBLEMS", "Fitted", "Problem", "estimator_fits", "objective", "problem"]

_BLOCK = 1 << 14  # rows that the objective takes at a time
_LABEL_NOISE = 0.12


@dataclass
class Problem:
    """Features [N, D], an array or a CSR matrix of SciPy, and class indices [N], every class at least once."""

    features: Any
    labels: NDArray


@dataclass
class Fitted:
    """A fitted model, judged when it is taken for a number; bound: what it says itself of F - F*, if it does."""

    problem: Problem
    coef: NDArray
    intercept: NDArray
    iterations: int
    bound: float | None = None

    def __float__(self) -> float:
        return objective(self.problem, self.coef, self.intercept)


def objective(data: Problem, coef: NDArray, intercept: NDArray) -> float:
    """F in float64.

    Args:
        data: features and class indices.
        coef: [K, D]; [1, D] for two classes, of the second one's logit. intercept: [K] or [1].
    Returns: F in nats.
    """
    coef, intercept = np.asarray(coef, np.float64), np.asarray(intercept, np.float64)
    rows = len(data.labels)
    losses = []
    for low in range(0, rows, _BLOCK):
        block, y = data.features[low : low + _BLOCK], data.labels[low : low + _BLOCK]
        z = np.asarray(block.astype(np.float64) @ coef.T) + intercept
        if len(coef) == 1:
            losses.append(float(np.logaddexp(0, np.where(y == 1, -z[:, 0], z[:, 0])).sum()))
            continue
        z -= z.max(axis=1, keepdims=True)
        losses.append(float((np.log(np.exp(z).sum(axis=1)) - z[np.arange(len(y)), y]).sum()))
    return math.fsum(losses) / rows + float((coef * coef).sum()) / (2 * rows)


def estimator_fits(data: Problem, estimator: Any, **options: Any) -> Callable[..., tuple[Fitted, None]]:
    """A function of a setting (solver, tol, max_iter) that fits an estimator of scikit-learn's kind.

    solver "" and what is not given are left to the estimator; its warnings say what the sweep finds out itself.
    """

    def fit(**setting: Any) -> tuple[Fitted, None]:
        given = {name: value for name, value in setting.items() if value != ""}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = estimator(**options, **given).fit(data.features, data.labels)
        told = getattr(model, "certificate_", None)
        bound = float(told.value) if told is not None and told.kind == "gap" else None
        iterations = int(np.max(model.n_iter_))
        return Fitted(data, model.coef_, model.intercept_, iterations, bound), None

    return fit


# ---------------------------------------------------------------- data


def problem(spec: Spec) -> Problem:
    """The data of a case, the same in every process; classes that no row has are left out."""
    features, labels = PROBLEMS[spec.kind](*spec.shape)
    if spec.dtype == "float32":
        features = features.astype(np.float32)
    return Problem(features, np.unique(labels, return_inverse=True)[1])


def _binary(rows: int, columns: int, classes: int) -> tuple[NDArray, NDArray]:
    """A logistic model of slightly correlated normal columns; its larger class has about 3 of 4 rows."""
    rng = np.random.default_rng(0)
    mixing = np.eye(columns) + 0.3 * rng.standard_normal((columns, columns)) / columns**0.5
    features = rng.standard_normal((rows, columns)) @ mixing
    weights = rng.standard_normal(columns) / 5
    return features, rng.random(rows) < 1 / (1 + np.exp(1 - features @ weights))


def _correlated(
    rows: int, columns: int, classes: int, *, noise: float, blur: float = 0.0, factors: int = 60
) -> tuple[NDArray, NDArray]:
    """Columns driven by a few factors of falling strength, on scales of their own; a linear model's best class.

    noise: share of rows whose class is drawn anew. blur: noise of the scores, of which the best decides, as a share of
    their spread. Without both a linear model separates the classes.
    """
    rng = np.random.default_rng(0)
    loadings = rng.standard_normal((factors, columns)) * (np.arange(1, factors + 1) ** -0.7)[:, None]
    features = rng.standard_normal((rows, factors)) @ loadings
    features += 0.3 * rng.standard_normal((rows, columns))
    features *= np.exp(0.7 * rng.standard_normal(columns))
    scores = features @ (rng.standard_normal((columns, classes)) / features.std(axis=0)[:, None])
    if blur:
        scores += blur * scores.std() * rng.gumbel(size=scores.shape)
    labels = scores.argmax(axis=1)
    drawn = rng.random(rows) < noise
    labels[drawn] = rng.integers(0, classes, int(drawn.sum()))
    return features, labels


def _digits(rows: int, columns: int, classes: int) -> tuple[NDArray, NDArray]:
    """The images that come with scikit-learn, as they are."""
    found = find_spec("sklearn")
    if found is None or not found.submodule_search_locations:
        raise ImportError("the digits come with scikit-learn, which is not installed", name="sklearn")
    path = Path(found.submodule_search_locations[0]) / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(path, "rt", encoding="ascii") as file:
        table = np.loadtxt(file, delimiter=",", max_rows=rows)
    return np.ascontiguousarray(table[:, :columns]), table[:, -1].astype(np.int64)


def _sparse(rows: int, columns: int, classes: int) -> tuple[Any, NDArray]:
    """Like words of texts: about 100 different ones a row, frequent ones for all (Zipf), a third by class; tf-idf."""
    from scipy.sparse import csr_matrix

    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, rows)
    words = rng.poisson(112, rows) + 1
    row = np.repeat(np.arange(rows), words)
    chance = np.cumsum(1 / (np.arange(columns) + 2.7))
    rank = np.searchsorted(chance, rng.random(len(row)) * chance[-1])
    own = np.stack([rng.permutation(columns) for _ in range(classes)])
    column = np.where(rng.random(len(row)) < 1 / 3, own[labels[row], rank], rank)
    place, count = np.unique(row * columns + column, return_counts=True)
    row, column = np.divmod(place, columns)
    rarity = np.log((1 + rows) / (1 + np.bincount(column, minlength=columns))) + 1
    values = (1 + np.log(count)) * rarity[column]
    values /= np.sqrt(np.bincount(row, weights=values * values, minlength=rows))[row]
    starts = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=rows))])
    drawn = rng.random(rows) < 0.05
    labels[drawn] = rng.integers(0, classes, int(drawn.sum()))
    return csr_matrix((values, column.astype(np.int32), starts.astype(np.int32)), shape=(rows, columns)), labels


PROBLEMS: dict[str, Callable[[int, int, int], tuple[Any, NDArray]]] = {
    "fit binary": _binary,
    "fit noisy": partial(_correlated, noise=_LABEL_NOISE),
    "fit separable": partial(_correlated, noise=0.0, blur=0.01),
    "fit digits": _digits,
    "fit sparse": _sparse,
}
