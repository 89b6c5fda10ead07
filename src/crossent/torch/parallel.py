"""Cross-entropy of a vocabulary that is spread over processes, with or without the linear layer in front of it.

Each function looks at its arguments inside `meet`, so that what is wrong with those of one process is told to the
others. Two things are raised on the spot, for then there is no meeting: a group that is none, and a call under
torch.compile, which runs no exchange while it traces.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F

from crossent.core.linear.plan import checked_limit
from crossent.errors import DtypeError, OptionError, ShapeError, UnsupportedError
from crossent.torch.arguments import float_of, is_floating, reduction_name
from crossent.torch.linear import cast_layer
from crossent.torch.linear_call import layer_of
from crossent.torch.linear_chunks import plan_for
from crossent.torch.parallel_call import LinearShard, LogitShard, ParallelCall
from crossent.torch.parallel_device import SummedGradient
from crossent.torch.parallel_group import Own, Vocabulary, checksum, meet

__all__ = ["vocab_parallel_cross_entropy", "vocab_parallel_linear_cross_entropy"]


def vocab_parallel_cross_entropy(
    logits_shard: Tensor,
    target: Tensor,
    *,
    group: Any = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of logits whose classes are spread over the processes of a group.

        loss_i = lse_i - z_i[y_i],  lse_i = log(sum_k exp(z_ik)) over the classes of all processes      [nat]

    Each process holds some consecutive classes, those of process 0 first, and calls with the same targets and options;
    shards may differ in size. Of each row the processes exchange eight numbers, no logits. All get the same loss, and
    each the gradient of its logits; what the backward pass brings must be the same on all. A second derivative,
    torch.func and torch.compile are refused. Other devices than CPU take torch operations, in float32 at least.

    Args:
        logits_shard: [..., K'] this process's logits; classes are on the last axis.
        target: [...] int64 class indices in 0..K-1 of the whole vocabulary.
        group: of torch.distributed; None: all processes.
        weight: [K] class weights of the whole vocabulary.
        reduction: "mean", divided by the sum of the weights of the targets, "sum" or "none".
        ignore_index: rows with this index are left out.
        label_smoothing: from 0 to 1, over all K classes.
    Returns: the loss, with the logits' dtype; under autocast float32.
    Raises: ShapeError, DtypeError, OptionError, WeightError, UnsupportedError; IndexError for a target out of range;
        RuntimeError where another process refused its inputs.
    Source: Shoeybi et al., Megatron-LM, arXiv:1909.08053, section 3.

    >>> from torch import distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> round(vocab_parallel_cross_entropy(torch.tensor([[2.0, 0.0, 0.0]]), torch.tensor([0])).item(), 6)
    0.239545
    >>> dist.destroy_process_group()
    """
    _refuse_compiling()
    z = float_of(logits_shard)

    def look() -> Own:
        _refuse_transforms()
        reduction_name(reduction, None, None)
        if not is_floating(z) or z.dim() == 0 or z.shape[-1] == 0:
            raise ShapeError(f"logits_shard is {_told(z)}; floats [..., K'] are needed, with one class or more.")
        _check(z.shape[:-1], z, target, weight, label_smoothing)
        options = (z.dtype, reduction, ignore_index, label_smoothing, z.requires_grad and torch.is_grad_enabled())
        return _own(z, target, weight, options, z.shape[-1], 0)

    vocabulary = meet(group, logits_shard, look)
    call = _call(vocabulary, target, weight, ignore_index, label_smoothing, reduction, z.dtype)
    flat = z.reshape(-1, z.shape[-1])
    loss: Tensor = LogitShard.apply(flat.contiguous(), call) if _is_native(z) else call.on_device(flat)
    return loss if reduction != "none" else loss.reshape(target.shape)


def vocab_parallel_linear_cross_entropy(
    input: Tensor,
    weight_shard: Tensor,
    target: Tensor,
    *,
    bias_shard: Tensor | None = None,
    group: Any = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    memory_limit: int | None = None,
) -> Tensor:
    """Cross-entropy behind a linear layer whose classes are spread over the processes of a group.

        loss_i = lse_i - z_i[y_i],  z_i = W input_i + b,  W the weights of all processes      [nat]

    as `vocab_parallel_cross_entropy` of each process's logits, which are never held at once, as in
    `linear_cross_entropy`. The input is the same on all processes, and so is its gradient, which is summed over them;
    weights and biases get the gradients of their own classes. On other devices than CPU each process makes all its
    logits.

    Args:
        input: [..., D] features, the same on all processes.
        weight_shard: [K', D], a row for each class of this process.
        target: [...] int64 class indices in 0..K-1 of the whole vocabulary.
        bias_shard: [K'].
        group, weight, reduction, ignore_index, label_smoothing: as in `vocab_parallel_cross_entropy`.
        memory_limit: as in `linear_cross_entropy`, for each process; the smallest chunk of any process decides.
    Returns: the loss, with the input's dtype; under autocast float32.
    Raises: as `vocab_parallel_cross_entropy`.
    Source: as `vocab_parallel_cross_entropy`.

    >>> from torch import distributed as dist
    >>> dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    >>> h, W = torch.ones(2, 3), torch.zeros(5, 3)
    >>> round(vocab_parallel_linear_cross_entropy(h, W, torch.tensor([0, 4])).item(), 6)
    1.609438
    >>> dist.destroy_process_group()
    """
    _refuse_compiling()
    part: Any = None

    def look() -> Own:
        nonlocal part
        _refuse_transforms()
        reduction_name(reduction, None, None)
        h, W, b, w, _ = part = cast_layer(input, weight_shard, bias_shard, weight)
        _check_layer(h, W, b)
        _check(h.shape[:-1], h, target, w, label_smoothing)
        rows = plan_for(layer_of(h.reshape(-1, h.shape[-1]), W, b), checked_limit(memory_limit), None).rows
        wanted = torch.is_grad_enabled() and [x is not None and x.requires_grad for x in (h, W, b)]
        options = (h.dtype, h.shape[-1], reduction, ignore_index, label_smoothing, wanted)
        return _own(h, target, w, options, W.shape[0], rows)

    vocabulary = meet(group, input, look)
    h, W, b, weight, lower = part
    dtype = torch.float32 if lower else h.dtype
    call = _call(vocabulary, target, weight, ignore_index, label_smoothing, reduction, dtype, memory_limit)
    rows = h.reshape(-1, h.shape[-1])
    if _is_native(h):
        loss: Tensor = LinearShard.apply(rows, W, b, call)
    else:
        loss = call.on_device(F.linear(SummedGradient.apply(rows, vocabulary), W, b))
    return loss if reduction != "none" else loss.reshape(target.shape)


def _is_native(x: Tensor) -> bool:
    """Whether native code reaches the tensor."""
    return bool(x.is_cpu)


_EAGER = (
    "vocabulary-parallel losses run eagerly only, not under torch.compile, torch.func, torch.jit or forward mode. Call "
    "them outside (torch.compiler.disable keeps them out of a compiled model)."
)


def _refuse_compiling() -> None:
    if torch.compiler.is_compiling():
        raise UnsupportedError(_EAGER)


def _refuse_transforms() -> None:
    """Refuses what would be silently wrong: transforms and tracers see no other process."""
    if (
        torch._C._are_functorch_transforms_active()
        or forward_ad._current_level >= 0
        or torch._C._get_tracing_state() is not None
    ):
        raise UnsupportedError(_EAGER)


def _told(x: Tensor) -> str:
    return f"{str(x.dtype).removeprefix('torch.')} of shape {tuple(x.shape)}"


def _check(
    shape: torch.Size, like: Tensor, target: Tensor, weight: Tensor | None, label_smoothing: float
) -> None:  # fmt: skip
    """What a process can tell of its targets and weights alone."""
    if target.dtype is not torch.int64:
        raise DtypeError(f"target is {_told(target)}; int64 class indices of the whole vocabulary are needed.")
    if target.shape != shape:
        raise ShapeError(f"target has shape {tuple(target.shape)}, the rows {tuple(shape)}: they must agree.")
    if target.device != like.device or (weight is not None and weight.device != like.device):
        raise ShapeError(f"target and weight must be on {like.device}, as the rows are.")
    if not 0 <= label_smoothing <= 1:
        raise OptionError(f"label_smoothing is {label_smoothing!r}; a number from 0 to 1 is allowed.")
    if weight is None:
        return
    if not is_floating(weight) or weight.dim() != 1:
        raise ShapeError(f"weight is {_told(weight)}; floats [K] are needed, one for each class of the vocabulary.")
    if weight.requires_grad:
        raise UnsupportedError("weight asks for a gradient; class weights of vocabulary-parallel losses are constants.")
    if label_smoothing and bool((weight == 0).any()):
        raise UnsupportedError("label_smoothing beside a class weight of 0 is not supported here; give it a tiny one.")


def _check_layer(h: Tensor, W: Tensor, b: Tensor | None) -> None:
    if h.dim() == 0 or W.dim() != 2 or W.shape[0] == 0 or h.shape[-1] != W.shape[1]:
        raise ShapeError(f"input is {_told(h)}, weight_shard {_told(W)}; [..., D] and [K', D] with K' >= 1 are needed.")
    if b is not None and b.shape != W.shape[:1]:
        raise ShapeError(f"bias_shard is {_told(b)}, weight_shard {_told(W)}; [K'] and [K', D] are needed.")
    for name, x in (("input", h), ("weight_shard", W), ("bias_shard", b)):
        if x is not None and (not is_floating(x) or x.dtype is not h.dtype or x.device != h.device):
            raise DtypeError(f"{name} is {_told(x)} on {x.device}; floats of one dtype on one device are needed.")


def _own(like: Tensor, target: Tensor, weight: Tensor | None, options: Any, width: int, rows: int) -> Own:
    facts = {"rows": tuple(like.shape[:-1]), "target": target, "weight": weight, "options": options}
    return Own(width, rows, {name: checksum(value) for name, value in facts.items()})


def _call(
    vocabulary: Vocabulary, target: Tensor, weight: Tensor | None, ignore_index: int, label_smoothing: float,
    reduction: str, dtype: torch.dtype, memory_limit: int | None = None,
) -> ParallelCall:  # fmt: skip
    """The call after checks that need the size of the vocabulary; all processes fail alike."""
    K, t = vocabulary.classes, target.detach().reshape(-1)
    outside = ((t < 0) | (t >= K)) & (t != ignore_index)
    if outside.any():
        raise IndexError(f"Target {int(t[outside][0])} is out of bounds.")
    if weight is not None and weight.shape != (K,):
        raise ShapeError(f"weight has shape {tuple(weight.shape)}; ({K},) is needed, the whole vocabulary.")
    weight = None if weight is None else weight.detach()
    return ParallelCall(vocabulary, t, weight, ignore_index, label_smoothing, reduction, dtype, memory_limit)
