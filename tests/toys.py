"""Small classification problems whose optimum is finite and away from the start, for tests of learning."""

import numpy as np

__all__ = ["toy"]


def toy(rows=60, width=4, classes=3, seed=0):
    """Features [rows, width] and labels 0..classes-1 of overlapping classes, every class present."""
    random = np.random.default_rng(seed)
    X = random.normal(size=(rows, width))
    centers = random.normal(size=(classes, width))
    y = np.argmax(X @ centers.T + random.gumbel(size=(rows, classes)), axis=1)
    assert len(np.unique(y)) == classes
    return X, y
