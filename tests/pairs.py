"""Two sets of predictions of the same rows, for tests of comparisons."""

import numpy as np

from crossent.scoring.compare_tally import CompareTally

__all__ = ["CLASSES", "batch", "losses", "softmax", "tally_of", "zeroed"]

CLASSES = ["ant", "bee", "cat"]


def softmax(z):
    p = np.exp(z - z.max(axis=1, keepdims=True))
    return p / p.sum(axis=1, keepdims=True)


def batch(n=400, k=3, seed=0):
    rng = np.random.default_rng(seed)
    z = rng.normal(size=(n, k)) * 1.5
    p = softmax(z)
    y = np.array([rng.choice(k, p=row) for row in p])
    return y, p, softmax(z + 0.5 * rng.normal(size=(n, k))), rng.random(n) + 0.1


def losses(y, p):
    with np.errstate(divide="ignore"):
        return -np.log(p[np.arange(len(y)), y])


def tally_of(y, a, b, **more):
    options = {name: more.pop(name) for name in ("kind", "names", "ci") if name in more}
    by = more.get("by") or {}
    tally = CompareTally(CLASSES[: a.shape[1]], by=tuple(by), cluster=more.get("cluster") is not None, **options)
    tally.update(y, a, b, source="a.parquet", **more)
    return tally


def zeroed(p, y, rows):
    p = p.copy()
    p[rows, y[rows]] = 0.0
    p[rows] /= p[rows].sum(axis=1, keepdims=True)
    return p
