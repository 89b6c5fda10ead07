"""Memory of linear losses: beyond its results a call stays within memory_limit, and grows with it, not with N K."""

import sys

import pytest

from processes import run_python

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="peaks are read from /proc")

# What one call adds to the peak beyond its results, in bytes. A first call fills what BLAS keeps for itself.
PROGRAM = """
    import numpy as np, crossent as ce
    N, D, K, limit, kind = {N}, 64, 20_000, {limit}, {kind!r}
    def peak():
        with open("/proc/self/status") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))
    def forget():
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    rng = np.random.default_rng(0)
    h, W = rng.standard_normal((N, D), np.float32), rng.standard_normal((K, D), np.float32)
    y, b, options, weight = rng.integers(0, K, N), np.zeros(K, np.float32), dict(), None
    if kind == "sparse":
        y = rng.integers(0, K // 8, (N, 8)) + np.arange(8) * (K // 8), np.full((N, 8), 0.125)
    if kind == "half":
        W = W.astype(np.float16)
    if kind == "rows left out":
        weight = (rng.random(N) < 0.9).astype(float)
    Loss = ce.LinearCrossEntropy
    if kind == "positives":
        Loss, y, options = ce.LinearBinaryCrossEntropy, (y, np.arange(N + 1)), dict(reduction="none")
    def run(limit):
        return Loss(memory_limit=limit, **options).value_and_grad(y, hidden=h, weight=W, bias=b, sample_weight=weight)
    run(64_000_000)
    ce.empty_cache()
    forget()
    before = peak()
    found = run(limit)
    print(peak() - before - sum(part.nbytes for part in found[1:]))
"""
SLACK = 3_000_000  # arrays of one number a row, pages of the allocator, the interpreter


def extra(N: int, limit: int | None, kind: str = "index") -> int:
    """Bytes that a call adds to its results."""
    done = run_python(PROGRAM.format(N=N, limit=limit, kind=kind))
    assert done.stderr == ""
    return int(done.stdout)


RARE = [pytest.param(kind, marks=pytest.mark.slow) for kind in ("half", "rows left out", "positives")]


@pytest.mark.parametrize("kind", ["index", "sparse", *RARE])
def test_a_call_stays_within_its_limit(kind: str) -> None:
    """All logits would take 160 MB."""
    found = extra(2000, 24_000_000, kind)
    assert 8_000_000 < found < 24_000_000 + SLACK


@pytest.mark.slow
def test_memory_grows_with_the_limit_and_not_with_the_rows() -> None:
    limits = (8_000_000, 16_000_000, 32_000_000)
    few, many = ([extra(N, limit) for limit in limits] for N in (2000, 4000))
    for found in (few, many):
        assert all(0.5 * limit < each < limit + SLACK for each, limit in zip(found, limits, strict=True))
    assert abs(few[1] - many[1]) < SLACK


@pytest.mark.slow
def test_the_default_is_a_quarter_of_the_logits() -> None:
    whole = 4 * 3000 * 20_000
    assert 0.15 * whole < extra(3000, None) < 0.25 * whole + SLACK
