"""Row losses with their gradients on the Keras backend of this process, and the ways in which it runs a function."""

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np

__all__ = ["BACKEND", "GRAPHS", "WAYS", "Answer", "answer", "array", "compiled", "tensor"]

BACKEND = keras.backend.backend()
WAYS = {"tensorflow": ("eager", "graph", "XLA"), "jax": ("XLA",), "torch": ("eager",)}[BACKEND]
GRAPHS = tuple(way for way in WAYS if way != "eager")  # where a function runs without values


class Answer(NamedTuple):
    """Losses, and the gradient of their sum by the prediction."""

    losses: Any
    grad: Any


def tensor(x: Any) -> Any:
    """A tensor of the same dtype."""
    return keras.ops.convert_to_tensor(x, dtype=np.asarray(x).dtype.name)


def array(x: Any) -> Any:
    """NumPy's view of a tensor."""
    if BACKEND == "torch":  # Keras' own conversion warns on newer NumPy
        return x.detach().numpy()
    return keras.ops.convert_to_numpy(x)


def answer(f: Callable[[Any], Any], x: Any, way: str = "") -> Answer:
    """f(x) and d sum f / dx, from the backend's own differentiation; on JAX compiled unless said otherwise."""
    losses, grad = _SIDES[BACKEND](f, tensor(x), way)
    return Answer(array(losses), array(grad))


def _tensorflow(f: Callable[[Any], Any], x: Any, way: str) -> Any:
    import tensorflow as tf

    def both(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            losses = f(x)
        return losses, tape.gradient(losses, x)

    if way in ("graph", "XLA"):
        both = tf.function(both, jit_compile=way == "XLA", autograph=False)
    return both(x)


def _jax(f: Callable[[Any], Any], x: Any, way: str) -> Any:
    import jax

    def both(x: Any) -> Any:
        return f(x), jax.grad(lambda x: f(x).sum())(x)

    return (both if way == "eager" else jax.jit(both))(x)


def _torch(f: Callable[[Any], Any], x: Any, way: str) -> Any:
    x = x.clone().requires_grad_()
    losses = f(x)
    losses.sum().backward()
    return losses.detach(), x.grad


_SIDES = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}


def compiled(f: Callable[[Any], Any], x: Any, way: str) -> Any:
    """f(x) where x has no values while f runs."""
    if BACKEND == "jax":
        import jax

        return array(jax.jit(f)(tensor(x)))
    import tensorflow as tf

    return array(tf.function(f, autograph=False, jit_compile=way == "XLA")(tensor(x)))
