"""PyTorch as a worker: eager, or through torch.compile (Inductor)."""

from typing import Any

import torch
import torch.nn.functional as F

from .data import Arrays, Spec, joined, make

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"torch": torch.__version__}


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array; those of a linear layer as one."""
    if isinstance(gradient, tuple):
        return joined(gradient)
    return gradient.float().numpy() if gradient.dtype == torch.bfloat16 else gradient.numpy()


def _loss(spec: Spec) -> Any:
    if spec.kind == "binary":
        return F.binary_cross_entropy_with_logits
    if spec.kind == "binary_probs":
        return F.binary_cross_entropy
    if spec.kind == "probs":  # gathered first: log of the whole matrix would be hundreds of times the work
        return lambda p, y: -torch.log(p.gather(1, y[:, None])).mean()
    smoothing = 0.1 if spec.kind == "smoothed" else 0.0
    return lambda z, y: F.cross_entropy(z, y, label_smoothing=smoothing)


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is "eager" or "compile"."""
    torch.set_num_threads(threads)
    arrays = make(spec)
    if spec.kind == "linear":
        return _linear(arrays, flavour)
    if spec.axis not in (1, -1) or (spec.axis == -1 and len(spec.shape) > 2):
        raise ValueError("PyTorch has its classes on axis 1")
    dtype = torch.bfloat16 if spec.dtype == "bfloat16" else None
    z = torch.tensor(arrays.prediction, dtype=dtype)  # a copy, aligned as PyTorch likes it
    y = torch.tensor(arrays.targets)
    loss: Any = _loss(spec)
    if flavour == "compile":
        loss = torch.compile(loss, dynamic=False)
    leaf = z.detach().requires_grad_()

    def forward() -> tuple[Any, None]:
        with torch.no_grad():
            return loss(z, y), None

    def gradient() -> tuple[Any, Any]:
        value = loss(leaf, y)
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    return {"forward": forward, "gradient": gradient}


def _linear(arrays: Arrays, flavour: str) -> dict[str, Any]:
    """The layer and the loss behind it, as a model has them."""
    y = torch.tensor(arrays.targets)
    layer = [torch.tensor(array) for array in (arrays.prediction, arrays.weight, arrays.bias)]
    leaves = [each.clone().requires_grad_() for each in layer]

    def loss(h: Any, w: Any, b: Any) -> Any:
        return F.cross_entropy(F.linear(h, w, b), y)

    run = torch.compile(loss, dynamic=False) if flavour == "compile" else loss

    def forward() -> tuple[Any, None]:
        with torch.no_grad():
            return run(*layer), None

    def gradient() -> tuple[Any, Any]:
        value = run(*leaves)
        return value.detach(), torch.autograd.grad(value, leaves)

    return {"forward": forward, "gradient": gradient}
