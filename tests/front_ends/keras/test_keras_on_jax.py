"""Plain JAX around crossent.keras: jit, vmap, grad and second derivatives of each other."""

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

import crossent.keras as ck

pytestmark = pytest.mark.frameworks

Z = np.random.default_rng(4).normal(size=(4, 5))
LABELS = np.array([0, 1, 4, 2])


def row(label: jax.Array, z: jax.Array) -> jax.Array:
    """The loss of one row, without a batch axis."""
    return ck.sparse_categorical_crossentropy(label, z, from_logits=True)


def test_transformations_combine() -> None:
    p = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
    grad = jax.jit(jax.vmap(jax.grad(row, argnums=1)))(jnp.asarray(LABELS), jnp.asarray(Z))
    np.testing.assert_allclose(grad, p - np.eye(5)[LABELS], rtol=1e-12, atol=1e-14)
    hessian = jax.jit(jax.vmap(jax.hessian(row, argnums=1)))(jnp.asarray(LABELS), jnp.asarray(Z))
    np.testing.assert_allclose(hessian, p[:, :, None] * (np.eye(5) - p[:, None, :]), rtol=1e-12, atol=1e-14)


def test_eager_arrays_carry_the_logits_too() -> None:
    z = np.array([[200.0, 0.0]], np.float32)
    loss = ck.CategoricalCrossentropy()(np.float32([[0.0, 1.0]]), keras.activations.softmax(jnp.asarray(z)))
    np.testing.assert_allclose(loss, 200)
