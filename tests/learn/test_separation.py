"""Whether a model has every row strictly right: then, and for hard targets only, the loss falls to 0 as it grows."""

import numpy as np
import pytest

from crossent import BinaryCrossEntropy, CrossEntropy, LogitAdjusted
from crossent.core.matrix import DenseMatrix
from crossent.learn.linear_objective import LinearObjective


def separable(loss, targets, outputs):
    X = np.array([[-2.0], [-1.0], [1.0], [2.0]])
    return LinearObjective(DenseMatrix(X), targets, loss=loss, outputs=outputs)


@pytest.mark.parametrize(
    ("loss", "targets", "right", "wrong"),
    [
        (BinaryCrossEntropy(), [0, 0, 1, 1], [[1, 0]], [[-1, 0]]),
        (BinaryCrossEntropy(), [0, 0, 1, 1], [[1, 0.99]], [[1, 1]]),
        (CrossEntropy(), [0, 1, 1, 1], [[-2, -2], [0, 1]], [[-2, -4], [0, 0]]),
        (CrossEntropy(ignore_index=7), [0, 7, 1, 7], [[-1, 0], [1, 0]], [[1, 0], [0, 0]]),
        (CrossEntropy(), [[1, 0], [1, 0], [0, 1], [0, 1]], [[-1, 0], [1, 0]], [[0, 0], [0, 0]]),
        (BinaryCrossEntropy(), [[0, 1], [0, 1], [1, 1], [1, 1]], [[1, 0], [0, 1]], [[1, 0], [-1, 1]]),
        (LogitAdjusted(priors=[1000, 1]), [0, 0, 1, 1], [[-1, 0], [1, 0]], [[0, 0], [0, 0]]),
    ],
)
def test_separation(loss, targets, right, wrong):
    objective = separable(loss, np.asarray(targets, float if np.ndim(targets) == 2 else int), len(right))
    assert objective.is_separated(np.ravel(right).astype(float))
    assert not objective.is_separated(np.ravel(wrong).astype(float))
    far, near = (objective.value_and_grad(t * np.ravel(right).astype(float)).value for t in (1e5, 1.0))
    assert far < 1e-100 < near


@pytest.mark.parametrize(
    ("loss", "targets"),
    [
        (BinaryCrossEntropy(label_smoothing=0.1), [[0], [0], [1], [1]]),
        (BinaryCrossEntropy(), [[0], [0], [1], [0.9]]),
        (CrossEntropy(label_smoothing=0.1), [[1, 0], [1, 0], [0, 1], [0, 1]]),
        (CrossEntropy(), [[1, 0], [1, 0], [0, 1], [0.1, 0.9]]),
    ],
)
def test_soft_targets_are_never_separated(loss, targets):
    objective = separable(loss, np.asarray(targets, float), len(targets[0]))
    assert not objective.is_separated(np.ravel([[1.0, 0.0]] if len(targets[0]) == 1 else [[-1.0, 0], [1, 0]]))
