"""The machine's own limits: how fast all threads together read, scale in place and copy a case's arrays.

NumPy's loops over slices, one slice a thread, in the fastest of several forms: a plain float32 sum stays behind
memory, a byte-wise maximum does not. Behind a linear layer the limit is the matrix products, into memory that is there.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from time import perf_counter
from typing import Any

import numpy as np

from .data import Arrays, NDArray, Spec, make

__all__ = ["host", "prepare", "versions"]

_CHUNK = 1 << 18  # bytes: a chunk stays in the second-level cache
_WORTH_A_THREAD = 1 << 20  # bytes


def versions() -> dict[str, str]:
    """What is measured."""
    return {"numpy": np.__version__}


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array."""
    return gradient


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """forward: one read of all arrays; gradient: the prediction scaled in place, the targets read; copy."""
    arrays = make(spec)
    if spec.kind == "linear":
        return _products(arrays)
    z = np.ravel(arrays.prediction)
    if spec.dtype == "bfloat16":
        z = z[: max(1, z.size // 2)].copy()  # as many bytes
    pool = ThreadPoolExecutor(threads)
    y = np.ravel(arrays.targets)
    copied = np.zeros_like(z)
    read_z, read_y = (_fastest([_over(pool, threads, form, part) for form in _READS]) for part in (z, y))
    scale, copy = _over(pool, threads, _scale, z), _over(pool, threads, np.copyto, copied, z)
    return {"forward": _in_turn(read_z, read_y), "gradient": _in_turn(scale, read_y), "copy": _in_turn(copy)}


def _products(arrays: Arrays) -> dict[str, Any]:
    """forward: the product that gives the logits; gradient: also the two that give the gradients of the layer."""
    h, w = arrays.prediction, np.asarray(arrays.weight)
    z, g, dh, dw = np.zeros((len(h), len(w)), h.dtype), np.zeros((len(h), len(w)), h.dtype), h.copy(), w.copy()

    def forward() -> tuple[float, None]:
        np.matmul(h, w.T, out=z)
        return 0.0, None

    def gradient() -> tuple[float, None]:
        forward()
        np.matmul(g, w, out=dh)
        np.matmul(g.T, h, out=dw)
        return 0.0, None

    return {"forward": forward, "gradient": gradient}


def _in_turn(*parts: Callable[[], None]) -> Callable[[], tuple[float, None]]:
    def run() -> tuple[float, None]:
        for part in parts:
            part()
        return 0.0, None

    return run


def _over(pool: ThreadPoolExecutor, threads: int, form: Callable[..., Any], *arrays: NDArray) -> Callable[[], None]:
    """A function that runs `form` on as many slices as there are threads, each in its own; little data in one."""
    threads = threads if arrays[0].nbytes >= _WORTH_A_THREAD else 1
    edges = [arrays[0].size * i // threads for i in range(threads + 1)]
    slices = [[a[low:high] for a in arrays] for low, high in pairwise(edges) if high > low]

    def run() -> None:
        others = [pool.submit(form, *each) for each in slices[1:]]
        form(*slices[0])
        for other in others:
            other.result()

    return run


def _fastest(forms: list[Callable[[], None]]) -> Callable[[], None]:
    def best(form: Callable[[], None]) -> float:
        times = []
        for _ in range(4):
            start = perf_counter()
            form()
            times.append(perf_counter() - start)
        return min(times)

    return min(forms, key=best)


def _scale(z: NDArray) -> None:
    step = _CHUNK // z.itemsize
    for i in range(0, z.size, step):
        part = z[i : i + step]
        np.negative(part, out=part)


def _largest_byte(a: NDArray) -> Any:
    return np.maximum.reduce(a.view(np.uint8))


def _sum_of_words(a: NDArray) -> Any:
    whole = a.nbytes // 8 * 8 // a.itemsize
    return np.add.reduce(a[:whole].view(np.int64))


_READS = (_largest_byte, _sum_of_words)
