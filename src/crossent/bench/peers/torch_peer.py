"""PyTorch as a worker: eager, through torch.compile (Inductor), or with a linear layer in its own chunks.

Other functions with the signatures of torch.nn.functional take the same way: see crossent_torch_peer.
"""

from typing import Any

import torch
import torch.nn.functional as F

from .data import Arrays, Spec, joined, make

__all__ = ["host", "prepare", "prepare_with", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"torch": torch.__version__}


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array; those of a linear layer as one."""
    if isinstance(gradient, tuple):
        return joined(host(part) for part in gradient)
    return gradient.float().numpy() if gradient.dtype == torch.bfloat16 else gradient.numpy()


def _loss(spec: Spec, functions: Any) -> Any:
    if spec.kind == "binary":
        return functions.binary_cross_entropy_with_logits
    if spec.kind == "binary_probs":
        return functions.binary_cross_entropy
    if spec.kind == "probs":  # gathered first: log of the whole matrix would be hundreds of times the work
        return lambda p, y: -torch.log(p.gather(1, y[:, None])).mean()
    smoothing = 0.1 if spec.kind == "smoothed" else 0.0
    return lambda z, y: functions.cross_entropy(z, y, label_smoothing=smoothing)


def _layer_loss(h: Any, w: Any, b: Any, y: Any) -> Any:
    """The layer and the loss behind it, as a model has them."""
    return F.cross_entropy(F.linear(h, w, b), y)


def _chunked_loss(h: Any, w: Any, b: Any, y: Any) -> Any:
    return F.linear_cross_entropy(h, w, y, linear_bias=b, options=torch.nn.LinearCrossEntropyOptions())


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is "eager", "compile" or, for linear layers, "chunked"."""
    layer_loss = _chunked_loss if flavour == "chunked" else _layer_loss
    return prepare_with(F, layer_loss, spec, threads, compiled=flavour == "compile")


def prepare_with(
    functions: Any, layer_loss: Any, spec: Spec, threads: int, *, compiled: bool = False
) -> dict[str, Any]:
    """The runs of a case.

    functions: has torch.nn.functional's losses; layer_loss: of input, weight and bias of a linear layer, and targets.
    """
    torch.set_num_threads(threads)
    arrays = make(spec)
    dtype = torch.bfloat16 if spec.dtype == "bfloat16" else None
    if spec.kind == "linear":
        return _linear(layer_loss, arrays, dtype, compiled)
    if spec.axis not in (1, -1) or (spec.axis == -1 and len(spec.shape) > 2):
        raise ValueError("PyTorch has its classes on axis 1")
    z = torch.tensor(arrays.prediction, dtype=dtype)  # a copy, aligned as PyTorch likes it
    y = torch.tensor(arrays.targets)
    loss: Any = _loss(spec, functions)
    if compiled:
        loss = torch.compile(loss, dynamic=False)
    leaf = z.detach().requires_grad_()

    def forward() -> tuple[Any, None]:
        with torch.no_grad():
            return loss(z, y), None

    def gradient() -> tuple[Any, Any]:
        value = loss(leaf, y)
        return value.detach(), torch.autograd.grad(value, leaf)[0]

    return {"forward": forward, "gradient": gradient}


def _linear(loss: Any, arrays: Arrays, dtype: Any, compiled: bool) -> dict[str, Any]:
    y = torch.tensor(arrays.targets)
    layer = [torch.tensor(array, dtype=dtype) for array in (arrays.prediction, arrays.weight, arrays.bias)]
    leaves = [each.clone().requires_grad_() for each in layer]
    run = torch.compile(loss, dynamic=False) if compiled else loss

    def forward() -> tuple[Any, None]:
        with torch.no_grad():
            return run(*layer, y), None

    def gradient() -> tuple[Any, Any]:
        value = run(*leaves, y)
        return value.detach(), torch.autograd.grad(value, leaves)

    return {"forward": forward, "gradient": gradient}
