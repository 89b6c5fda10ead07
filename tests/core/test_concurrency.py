"""Many threads call at once, on many shapes: each gets the bits that it would get alone, or its own error."""

import threading
from typing import Any

import numpy as np
import pytest

import crossent as ce

THREADS, CALLS, CASES = 8, 40, 48


def _case(number: int) -> tuple[Any, dict[str, Any], str]:
    """A loss, its arguments and the method to call; shapes from one row to several blocks."""
    rng = np.random.default_rng(number)
    K = int(rng.choice([1, 2, 3, 10, 33, 100, 1000, 5000]))
    N = int(rng.integers(1, max(2, int(10 ** rng.uniform(0, 5.3)) // K + 2)))
    dtype = rng.choice([np.float16, np.float32, np.float64])
    reduction = str(rng.choice(["mean", "sum", "none"]))
    method = str(rng.choice(["__call__", "value_and_grad", "grad_and_hess"]))
    weight = rng.uniform(0.5, 2, N) if number % 3 == 0 else None
    if number % 4 == 3:
        z = rng.normal(size=(N, K)).astype(dtype)
        y = rng.integers(0, 2, (N, K))
        return ce.BinaryCrossEntropy(reduction=reduction), {"targets": y, "logits": z, "sample_weight": weight}, method
    axis = number % 2
    z = rng.normal(size=(N, K) if axis else (K, N)).astype(dtype)
    y = rng.integers(0, K, N)
    if number % 5 == 4:
        y[rng.integers(N)] = K  # an error, with the row's number in its message
    loss = ce.CrossEntropy(axis=axis, reduction=reduction, label_smoothing=0.1 * (number % 7 == 0))
    return loss, {"targets": y, "logits": z, "sample_weight": weight}, method


def _outcome(number: int) -> list[bytes]:
    """What the call gives, as bytes, or its message."""
    loss, arguments, method = _case(number)
    try:
        result = getattr(loss, method)(**arguments)
    except ce.CrossentError as error:
        return [str(error).encode()]
    return [np.asarray(part).tobytes() for part in (result if isinstance(result, tuple) else (result,))]


@pytest.mark.parametrize("threads", [1, 3])
def test_random_calls_from_many_threads(threads: int, set_threads: Any) -> None:
    set_threads(1)
    alone = [_outcome(number) for number in range(CASES)]
    assert sum(len(outcome) == 2 for outcome in alone) > CASES / 3
    assert any(b"targets[" in outcome[0] for outcome in alone)
    set_threads(threads)
    wrong: list[str] = []
    start = threading.Barrier(THREADS, timeout=20)

    def call(seed: int) -> None:
        rng = np.random.default_rng(seed)
        start.wait()
        for number in rng.integers(0, CASES, CALLS).tolist():
            try:
                if _outcome(number) != alone[number]:
                    wrong.append(f"case {number}: other bits")
            except Exception as error:
                wrong.append(f"case {number}: {error!r}")

    callers = [threading.Thread(target=call, args=(seed,)) for seed in range(THREADS)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
