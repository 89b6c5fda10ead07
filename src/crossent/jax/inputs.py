"""What a loss in JAX takes: arrays by their dtype, class axes, masks. Metadata only: values are traced."""

import math
from typing import Any

import jax.numpy as jnp

from crossent.errors import DtypeError, ShapeError

__all__ = ["Rows", "floats", "integers", "working_dtype"]

Array = Any


def floats(x: Any, name: str) -> Array:
    """An array of floats; anything else is refused."""
    array = jnp.asarray(x)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        raise DtypeError(f"{name} has dtype {array.dtype}; floats are allowed. Convert it with .astype(jnp.float32).")
    return array


def integers(x: Any, name: str) -> Array:
    """An array of integers; anything else is refused."""
    array = jnp.asarray(x)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise DtypeError(f"{name} have dtype {array.dtype}; class indices, integers from 0 to K - 1, are allowed.")
    return array


def working_dtype(*arrays: Array) -> Any:
    """float64 if one of them is, else float32: half precision is computed in float32."""
    return jnp.promote_types(jnp.result_type(*arrays), jnp.float32)


class Rows:
    """Arrays of one shape with their class axis (a number, several, or None for all) as the last, flattened."""

    def __init__(self, shape: tuple[int, ...], axis: int | tuple[int, ...] | None, where: Any = None) -> None:
        ndim = len(shape)
        axes = tuple(range(ndim)) if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        if not axes or not all(-ndim <= a < ndim for a in axes) or len({a % ndim for a in axes}) != len(axes):
            raise ShapeError(f"axis is {axis!r}; distinct axes of logits of shape {shape} are allowed.")
        self.shape = shape
        self.axes = tuple(a % ndim for a in axes)
        self.lead = tuple(n for a, n in enumerate(shape) if a not in self.axes)
        self.K = math.prod(shape[a] for a in self.axes)
        if not self.K:
            raise ShapeError(f"logits have shape {shape}: no classes on axis {axis!r}.")
        self.kept = None if where is None else self.read(self._mask(jnp.asarray(where)))

    def _mask(self, where: Array) -> Array:
        """One flag for each row, or one for each logit."""
        if where.dtype != jnp.bool_:
            raise DtypeError(f"where has dtype {where.dtype}; bool is allowed.")
        return where if where.ndim == len(self.shape) else jnp.expand_dims(where, self.axes)

    def read(self, x: Array) -> Array:
        """[..., K] of an array that broadcasts to the shape."""
        moved = jnp.moveaxis(jnp.broadcast_to(x, self.shape), self.axes, range(-len(self.axes), 0))
        return moved.reshape(*self.lead, self.K)

    def logits(self, z: Array) -> Array:
        """The logits as rows: what `where` leaves out is ruled out, a row without a class is all 0."""
        z = self.read(z)
        if self.kept is None:
            return z
        return jnp.where(self.kept, z, jnp.where(self.kept.any(axis=-1, keepdims=True), -jnp.inf, 0.0))

    def targets(self, q: Array) -> Array:
        """The targets as rows, 0 where left out."""
        q = self.read(q)
        return q if self.kept is None else jnp.where(self.kept, q, 0.0)
