"""Tensors of PyTorch, JAX and TensorFlow in the NumPy functions: read where they lie, refused with the way out."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
import torch

import crossent as ce
from crossent.core import interchange

pytestmark = pytest.mark.frameworks

RNG = np.random.default_rng(3)
Z = RNG.normal(size=(6, 5)).astype(np.float32)
Y = RNG.integers(0, 5, 6).astype(np.int32)
W = RNG.uniform(1, 2, 6).astype(np.float32)
LIBRARIES = {"torch": torch.tensor, "jax": jnp.asarray, "tensorflow": tf.constant, "variable": tf.Variable}


@pytest.mark.parametrize("library", LIBRARIES)
def test_every_argument(library: str) -> None:
    of = LIBRARIES[library]
    loss = ce.CrossEntropy(class_weight=of(np.arange(5, dtype=np.float32) + 1))
    theirs = loss.value_and_grad(of(Y), logits=of(Z), sample_weight=of(W))
    ours = ce.CrossEntropy(class_weight=np.arange(5) + 1).value_and_grad(Y, logits=Z, sample_weight=W)
    assert theirs.value == ours.value
    assert np.array_equal(theirs.grad, ours.grad)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_dtype(library: str, dtype: str) -> None:
    array = Z.astype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    if library == "torch":
        tensor = torch.tensor(Z.astype(np.float64)).to(getattr(torch, dtype))
    elif library == "jax":
        jax.config.update("jax_enable_x64", True)
        tensor = jnp.asarray(array)
        jax.config.update("jax_enable_x64", False)
    else:
        tensor = LIBRARIES[library](array)
    assert interchange.as_array(tensor, "logits").dtype == array.dtype
    assert ce.cross_entropy(Y, logits=tensor) == ce.cross_entropy(Y, logits=array)


def test_no_copy() -> None:
    for tensor in (torch.tensor(Z), torch.tensor(Z).bfloat16()):
        array = interchange.as_array(tensor, "logits")
        assert array.ctypes.data == tensor.data_ptr()
    array = jnp.asarray(Z)
    assert interchange.as_array(array, "logits").ctypes.data == array.unsafe_buffer_pointer()


def test_views() -> None:
    tensor = torch.tensor(np.stack([Z, 2 * Z], axis=-1))[:, :, 1]
    assert not tensor.is_contiguous()
    assert ce.cross_entropy(Y, logits=tensor) == ce.cross_entropy(Y, logits=2 * Z)
    assert ce.cross_entropy(Y, logits=torch.tensor(Z.T.copy()).T) == ce.cross_entropy(Y, logits=Z)


def test_out_of_torch() -> None:
    if np.__version__.startswith("1."):  # to which all memory that comes by DLPack is read-only
        with pytest.raises(ce.ShapeError, match="out is read-only"):
            ce.CrossEntropy().value_and_grad(Y, logits=Z, out=torch.empty(6, 5))
        return
    exact = ce.CrossEntropy().value_and_grad(Y, logits=Z).grad
    buffer = torch.empty(6, 5)
    got = ce.CrossEntropy().value_and_grad(Y, logits=Z, out=buffer)
    assert np.array_equal(buffer.numpy(), exact)
    assert got.grad.ctypes.data == buffer.data_ptr()
    both = torch.tensor(Z)
    ce.CrossEntropy().value_and_grad(Y, logits=both, out=both)
    assert np.array_equal(both.numpy(), exact)


@pytest.mark.parametrize("make", [jnp.zeros, tf.zeros])
def test_arrays_that_never_change_are_no_out(make: Any) -> None:
    buffer = make((6, 5))
    with pytest.raises(ce.ShapeError, match=r"out is (read-only|EagerTensor)"):
        ce.CrossEntropy().value_and_grad(Y, logits=Z, out=buffer)
    assert not np.asarray(buffer).any()


@pytest.mark.parametrize("call", [
    lambda x: ce.cross_entropy(Y, logits=x),
    lambda x: ce.CrossEntropy().value_and_grad(Y, logits=Z, out=x),
])  # fmt: skip
def test_gradients_are_not_dropped(call: Any) -> None:
    with pytest.raises(ce.UnsupportedError, match=r"records gradients .*\.detach\(\), or use crossent\.torch"):
        call(torch.tensor(Z, requires_grad=True))
    with torch.no_grad():
        assert ce.cross_entropy(Y, logits=torch.tensor(Z, requires_grad=True).detach()) > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.empty(6, 5, device="meta"),
        lambda: torch.tensor(Z).to_sparse(),
        lambda: torch.tensor(Z).to(torch.float8_e4m3fn),
        lambda: torch.tensor(Z).to(torch.complex64).conj(),
    ],
)
def test_tensors_without_an_array(make: Any) -> None:
    with pytest.raises((ce.UnsupportedError, ce.DtypeError), match=r"logits (is a Tensor, which gives no|has dtype)"):
        ce.cross_entropy(Y, logits=make())


def test_within_a_compiled_function() -> None:
    with pytest.raises(
        ce.UnsupportedError, match=r"inside a compiled function .* use crossent\.torch or crossent\.jax"
    ):
        jax.jit(lambda z: ce.cross_entropy(Y, logits=z))(jnp.asarray(Z))
