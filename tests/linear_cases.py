"""Small linear layers with every kind of targets, and a budget that forces them through several chunks."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import crossent as ce

__all__ = ["LinearCase", "case_of", "least_limit", "offsets_of", "with_least_limit"]


@dataclass(frozen=True)
class LinearCase:
    """hidden [N, D], weight [K, D], bias [K], labels [N], dense soft targets [N, K], binary labels [N, K]."""

    hidden: Any
    weight: Any
    bias: Any
    labels: Any
    soft: Any
    binary: Any

    @property
    def layer(self) -> dict[str, Any]:
        """The layer as arguments."""
        return {"hidden": self.hidden, "weight": self.weight, "bias": self.bias}

    @property
    def onehot(self) -> Any:
        """The labels as distributions."""
        return np.eye(len(self.weight))[self.labels]

    def sparse(self, dtype: Any = None) -> tuple[Any, Any]:
        """`soft`, of which each row has at most three classes, as (indices, probs); fillers have probability 0."""
        indices = np.argsort(-self.soft, axis=1, kind="stable")[:, :4]
        return indices, np.take_along_axis(self.soft, indices, 1).astype(dtype or self.soft.dtype)


def case_of(dtype: Any, N: int = 9, K: int = 11, D: int = 5, *, seed: int = 0) -> LinearCase:
    """Random numbers; one class in six is positive, some rows have none."""
    rng = np.random.default_rng([seed, N, K, D])
    soft = np.zeros((N, K))
    for row in soft:
        chosen = rng.choice(K, min(K, 3), replace=False)
        row[chosen] = rng.dirichlet(np.ones(chosen.size))
    binary = rng.random((N, K)) < 1 / 6
    binary[: N // 4] = False
    assert N < 4 or (binary.any() and not binary.any(axis=1).all())
    hidden, weight, bias = (rng.normal(size=shape).astype(dtype) for shape in ((N, D), (K, D), K))
    return LinearCase(hidden, weight, bias, rng.integers(0, K, N), soft, binary)


def offsets_of(binary: Any) -> tuple[Any, Any]:
    """Dense labels as (indices, offsets); the indices of a row are in no order."""
    rng = np.random.default_rng(5)
    rows = [rng.permutation(np.flatnonzero(row)) for row in binary]
    return np.concatenate([np.zeros(0, np.int64), *rows]), np.cumsum([0, *map(len, rows)])


def least_limit(loss: Any, targets: Any, **inputs: Any) -> int:
    """The smallest memory_limit that a call allows, as its message tells."""
    with pytest.raises(ce.OptionError, match="memory_limit is 1 bytes, but one row takes") as caught:
        dataclasses.replace(loss, memory_limit=1).value_and_grad(targets, **inputs)
    found = re.search(r"Pass memory_limit=(\d+) or more", str(caught.value))
    assert found is not None
    return int(found[1])


def with_least_limit(loss: Any, targets: Any, *, rows: int = 1, **inputs: Any) -> Any:
    """The loss with a budget that `rows` rows need about."""
    least = least_limit(loss, targets, **inputs)
    hidden, weight = np.asarray(inputs["hidden"]), np.asarray(inputs["weight"])
    each = len(weight) * max(hidden.itemsize, weight.itemsize, 4)
    return dataclasses.replace(loss, memory_limit=least + (rows - 1) * each)
