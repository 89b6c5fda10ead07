"""Plain torch around crossent.keras: tensors that require gradients, second derivatives, torch.func."""

import numpy as np
import pytest
import torch

import crossent.keras as ck

pytestmark = pytest.mark.frameworks

Z = torch.tensor(np.random.default_rng(4).normal(size=(4, 5)))
LABELS = torch.tensor([0, 1, 4, 2])


def row(label: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
    """The loss of one row, without a batch axis."""
    return ck.sparse_categorical_crossentropy(label, z, from_logits=True)


def test_second_derivatives() -> None:
    p = torch.softmax(Z, 1)
    want = p[:, :, None] * (torch.eye(5) - p[:, None, :])
    for i, label in enumerate(LABELS):
        hessian = torch.autograd.functional.hessian(lambda z, label=label: row(label, z), Z[i])
        torch.testing.assert_close(hessian, want[i], rtol=1e-12, atol=1e-14)


def test_torch_func() -> None:
    grad = torch.func.vmap(torch.func.grad(row, argnums=1))(LABELS, Z)
    want = torch.softmax(Z, 1) - torch.nn.functional.one_hot(LABELS, 5)
    torch.testing.assert_close(grad, want, rtol=1e-12, atol=1e-14)
