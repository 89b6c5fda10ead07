"""JAX as a worker: jax.jit of each loss in the form that XLA's CPU compiler makes fastest."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .data import Arrays, Spec, joined, make

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"jax": jax.__version__}


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array; those of a linear layer as one."""
    if isinstance(gradient, tuple):
        return joined(gradient)
    return np.asarray(gradient.astype(jnp.float32) if gradient.dtype == jnp.bfloat16 else gradient)


def _loss(spec: Spec) -> Any:
    axis = spec.axis

    def at_target(z: Any, y: Any) -> Any:
        return jnp.squeeze(jnp.take_along_axis(z, jnp.expand_dims(y, axis), axis=axis), axis)

    def index(z: Any, y: Any) -> Any:
        z = z.astype(jnp.float32) if spec.dtype == "bfloat16" else z  # faster, and right to more digits
        return jnp.mean(jax.nn.logsumexp(z, axis=axis) - at_target(z, y))

    def smoothed(z: Any, y: Any) -> Any:
        return jnp.mean(jax.nn.logsumexp(z, axis=axis) - 0.9 * at_target(z, y) - 0.1 * jnp.mean(z, axis=axis))

    def soft(z: Any, q: Any) -> Any:
        return -jnp.mean(jnp.sum(q * jax.nn.log_softmax(z, axis=axis), axis=axis))

    def binary(z: Any, y: Any) -> Any:  # softplus is three times slower
        return jnp.mean(jnp.maximum(z, 0) - y * z + jnp.log1p(jnp.exp(-jnp.abs(z))))

    return {"index": index, "smoothed": smoothed, "soft": soft, "binary": binary}[spec.kind]


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; threads are set by the environment (NPROC) and the processors that the process may use."""
    arrays = make(spec)
    if spec.kind == "linear":
        return _linear(arrays)
    z = jnp.asarray(arrays.prediction, dtype=jnp.bfloat16 if spec.dtype == "bfloat16" else None)
    y = jnp.asarray(arrays.targets)
    loss = _loss(spec)
    value, both = jax.jit(loss), jax.jit(jax.value_and_grad(loss))
    jax.block_until_ready((z, y))
    return {
        "forward": lambda: (value(z, y).block_until_ready(), None),
        "gradient": lambda: jax.block_until_ready(both(z, y)),
    }


def _linear(arrays: Arrays) -> dict[str, Any]:
    y = jnp.asarray(arrays.targets)
    layer = [jnp.asarray(array) for array in (arrays.prediction, arrays.weight, arrays.bias)]

    def loss(h: Any, w: Any, b: Any) -> Any:
        z = h @ w.T + b
        return jnp.mean(jax.nn.logsumexp(z, axis=-1) - jnp.take_along_axis(z, y[:, None], axis=-1)[:, 0])

    value, both = jax.jit(loss), jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)))
    jax.block_until_ready(layer)
    return {
        "forward": lambda: (value(*layer).block_until_ready(), None),
        "gradient": lambda: jax.block_until_ready(both(*layer)),
    }
