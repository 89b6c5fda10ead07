"""crossent.torch as a worker: the runs of PyTorch's own worker with the import swapped."""

from typing import Any

import crossent.torch

from . import crossent_peer, torch_peer
from .data import Spec

__all__ = ["host", "prepare", "versions"]

host = torch_peer.host


def versions() -> dict[str, str]:
    """What is measured: crossent as it is installed beside torch."""
    return {**crossent_peer.versions(), **torch_peer.versions()}


def _layer_loss(h: Any, w: Any, b: Any, y: Any) -> Any:
    from crossent.torch.linear import linear_cross_entropy

    return linear_cross_entropy(h, w, y, linear_bias=b)


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is not used. crossent takes as many threads as torch."""
    return torch_peer.prepare_with(crossent.torch, _layer_loss, spec, threads)
