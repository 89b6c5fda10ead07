"""The shapes of the family that tests ask about, hard probabilities for them, and the bounds of core/shapes.py."""

from typing import Any

import numpy as np

from crossent.core.shapes import Shape

__all__ = ["SHAPES", "allowed_ulps", "hard_probabilities", "words"]

SHAPES = [
    Shape(), Shape("log", 0.5), Shape("focal", 1.0, 0.5), Shape("focal", 0.25, 1.0), Shape("focal", 1.0, 2.0),
    Shape("focal", 1.0, 5.0), Shape("focal", 1.0, 0.0), Shape("poly", 1.0, 2.0), Shape("poly", 1.0, -1.0),
    Shape("poly", 1.0, -0.5), Shape("poly", 0.0, 4.0), Shape("power", 1.0, 0.7), Shape("power", 1.0, 1.0),
    Shape("power", 1.0, 0.01),
]  # fmt: skip


def words(shape: Shape) -> tuple[Any, ...]:
    """The oracle's words for a shape."""
    if shape.kind == "power":
        return ("power", shape.b)
    return (shape.kind, shape.a) if shape.kind == "log" else tuple(shape)


def hard_probabilities(dtype: Any) -> Any:
    """0, the smallest, powers of ten, next to 1/2 and to 1, 1."""
    tiny, half, one = np.finfo(dtype).smallest_subnormal, dtype(0.5), dtype(1)
    near = [np.nextafter(half, 0), half, np.nextafter(half, one), one - dtype(2) ** -10, np.nextafter(one, 0), one]
    powers = 10.0 ** -np.arange(1.0, 38, 3)
    return np.array([0, tiny, np.finfo(dtype).tiny, *powers, *near, 0.3, 0.7, 0.99], dtype)


def allowed_ulps(shape: Shape) -> float:
    """The bound of core/shapes.py, in units of 2 u."""
    return 8 * (1 + (shape.b if shape.kind == "focal" else 0))
