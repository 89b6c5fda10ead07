"""The processes that hold a vocabulary together: they agree on the call before any of them computes, then share rows.

A process that raised alone would leave the others waiting for its numbers. So everything that can be wrong with one
process's inputs is found by one function, whose error is told to all before it is raised, and a few checksums show
whether all mean the same rows, targets and options. What is exchanged afterwards cannot fail but by the network.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from crossent.errors import ShapeError, UnsupportedError

__all__ = ["FACTS", "Own", "Vocabulary", "checksum", "meet", "refuse_second_order"]


FACTS = ("rows", "target", "weight", "options")  # what must be the same everywhere


@dataclass(frozen=True)
class Vocabulary:
    """Process `rank` of the group has `sizes[rank]` consecutive classes, behind those of the processes before it.

    rows: that all processes can take at a time.
    """

    group: Any
    sizes: tuple[int, ...]
    rank: int
    rows: int

    @property
    def first(self) -> int:
        """The number of this process's first class."""
        return sum(self.sizes[: self.rank])

    @property
    def classes(self) -> int:
        """Of all processes."""
        return sum(self.sizes)

    def gathered(self, x: Tensor) -> Tensor:
        """[processes, ...]: x of all of them, in order."""
        return _gathered(x, self.group)

    def add(self, x: Tensor) -> None:
        """Puts the sum over all processes into x of each."""
        dist.all_reduce(x, group=self.group)


def _gathered(x: Tensor, group: Any) -> Tensor:
    found = [torch.empty_like(x) for _ in range(dist.get_world_size(group))]
    dist.all_gather(found, x, group=group)
    return torch.stack(found)


def checksum(value: Any) -> int:
    """A number that differs where values do, as good as always."""
    if isinstance(value, Tensor):
        flat = value.detach().to("cpu").contiguous().reshape(-1).view(torch.uint8)
        return zlib.crc32(flat.numpy(), zlib.crc32(repr((value.dtype, tuple(value.shape))).encode()))
    return zlib.crc32(repr(value).encode())


@dataclass(frozen=True)
class Own:
    """What a process has. width, rows: its classes, and rows that it can take at a time; facts: checksums, as FACTS."""

    width: int
    rows: int
    facts: Mapping[str, int]


def meet(group: Any, like: Any, look: Callable[[], Own]) -> Vocabulary:
    """Tells the other processes what this one has, and hears what they have.

    Args:
        like: a tensor of the device that the exchange takes.
        look: checks this process's inputs.
    Raises: what `look` raises; RuntimeError where it raised in another process; ShapeError where the processes do not
        agree.
    """
    own, problem = Own(0, 0, dict.fromkeys(FACTS, 0)), None
    try:
        own = look()
    except Exception as error:  # told to the others first, raised after
        problem = error
    numbers = [int(problem is not None), own.width, own.rows, *(own.facts[name] for name in FACTS)]
    device = like.device if isinstance(like, Tensor) else "cpu"
    with torch._C._DisableFuncTorch():  # a transform, too, is a problem that the others hear of
        told = _gathered(torch.tensor(numbers, dtype=torch.int64, device=device), group).cpu()
    if problem is not None:
        raise problem
    rank, ill = dist.get_rank(group), told[:, 0].nonzero().flatten().tolist()
    if ill:
        raise RuntimeError(f"process {ill[0]} of the group refused its inputs; its own error says why.")
    for column, name in enumerate(FACTS, start=3):
        other = (told[:, column] != told[rank, column]).nonzero().flatten().tolist()
        if other:
            raise ShapeError(
                f"{name} of process {rank} and process {other[0]} differ; vocabulary-parallel processes need the same "
                "rows, targets and options, each with its own classes."
            )
    sizes = tuple(told[:, 1].tolist())
    return Vocabulary(group, sizes, rank, int(told[:, 2].min()))


def refuse_second_order() -> None:
    """In a backward pass: under create_graph=True its gradients would be taken for constants, without a word."""
    if torch.is_grad_enabled():
        raise UnsupportedError(
            "vocabulary-parallel losses have no second derivative: create_graph=True is refused. Use the loss of one "
            "process, cross_entropy or linear_cross_entropy, for gradients of gradients."
        )
