"""crossent beside the NumPy and SciPy code of tutorials, rounds alternating in one process: RESULTS.md.

A first, small comparison: default allocator, medians over rounds, no framework. Each peer gets one untimed
call, then every round runs all peers of a case in turn, so that a busy moment hits all alike. Times are this
machine's; the ratio is what may be compared.

    python benchmarks/ground.py [--quick] [--output FILE]
"""

import argparse
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import scipy
import scipy.special
import sklearn
import sklearn.metrics

import crossent as ce

HERE = Path(__file__).parent
Peers = dict[str, Callable[[], Any]]


class Line(NamedTuple):
    """One case's medians in milliseconds by peer."""

    case: str
    medians: dict[str, float]


def tutorial_loss(z: Any, y: Any) -> float:
    """Stable softmax, then the mean of -log p at the targets."""
    shifted = z - z.max(axis=1, keepdims=True)
    p = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    return float(-np.log(p[np.arange(len(y)), y]).mean())


def tutorial_loss_and_gradient(z: Any, y: Any) -> Any:
    """The loss as above and (p - onehot) / N."""
    shifted = z - z.max(axis=1, keepdims=True)
    e = np.exp(shifted)
    p = e / e.sum(axis=1, keepdims=True)
    loss = float(-np.log(p[np.arange(len(y)), y]).mean())
    p[np.arange(len(y)), y] -= 1
    return loss, p / len(y)


def scipy_loss(z: Any, y: Any) -> float:
    """The mean of -log_softmax at the targets."""
    return float(-scipy.special.log_softmax(z, axis=1)[np.arange(len(y)), y].mean())


def scipy_loss_and_gradient(z: Any, y: Any) -> Any:
    """log_softmax, its exponential, minus onehot."""
    log_p = scipy.special.log_softmax(z, axis=1)
    grad = np.exp(log_p)
    grad[np.arange(len(y)), y] -= 1
    return float(-log_p[np.arange(len(y)), y].mean()), grad / len(y)


def index_case(N: int, K: int, dtype: Any) -> tuple[Peers, Peers]:
    """Peers for the loss, and for loss and gradient, of N x K logits."""
    rng = np.random.default_rng(0)
    z = (rng.standard_normal((N, K), dtype=np.float32) * 3).astype(dtype)
    y = rng.integers(0, K, N)
    loss = ce.CrossEntropy()
    forward: Peers = {
        "crossent": lambda: loss(y, logits=z),
        "NumPy tutorial": lambda: tutorial_loss(z, y),
        "SciPy": lambda: scipy_loss(z, y),
    }
    both: Peers = {
        "crossent": lambda: loss.value_and_grad(y, logits=z)[0],
        "NumPy tutorial": lambda: tutorial_loss_and_gradient(z, y)[0],
        "SciPy": lambda: scipy_loss_and_gradient(z, y)[0],
    }
    return forward, both


def probability_case(N: int, K: int) -> Peers:
    """Log loss of float64 probabilities."""
    rng = np.random.default_rng(1)
    p = rng.random((N, K))
    p /= p.sum(axis=1, keepdims=True)
    y = np.concatenate([np.arange(K), rng.integers(0, K, N - K)])  # every class occurs, as log_loss wants
    return {
        "crossent": lambda: ce.cross_entropy(y, probs=p),
        "NumPy tutorial": lambda: float(-np.log(np.clip(p, 1e-15, 1))[np.arange(N), y].mean()),
        "scikit-learn": lambda: sklearn.metrics.log_loss(y, p),
    }


def binary_case(N: int) -> Peers:
    """Mean binary cross-entropy of float32 logits, and the tutorial's clipped probabilities."""
    rng = np.random.default_rng(2)
    z = rng.standard_normal(N, dtype=np.float32) * 3
    y = rng.integers(0, 2, N)

    def tutorial() -> float:
        p = np.clip(1 / (1 + np.exp(-z)), 1e-7, 1 - 1e-7)
        return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))

    return {
        "crossent": lambda: ce.binary_cross_entropy(y, logits=z),
        "NumPy tutorial": tutorial,
        "SciPy": lambda: float(np.mean(np.logaddexp(0, -z) * y + np.logaddexp(0, z) * (1 - y))),
    }


def cases(quick: bool) -> list[tuple[str, Peers]]:
    """Every case with its peers; `quick` shrinks them for the test of this file."""
    small = 100 if quick else 1
    found: list[tuple[str, Peers]] = []
    for N, K, dtype in (
        (512, 32000, np.float32),
        (32768, 1000, np.float32),
        (1_000_000, 10, np.float32),
        (100_000, 10, np.float64),
    ):
        N = max(4, N // small)
        forward, both = index_case(N, K, dtype)
        name = f"({N}, {K}) {np.dtype(dtype).name}, index targets"
        found += [(f"{name}: loss", forward), (f"{name}: loss and gradient", both)]
    N = 20_000 // small
    found.append((f"({N}, 100) float64 probabilities: log loss", probability_case(N, 100)))
    N = 5_000_000 // small
    found.append((f"({N},) float32 binary logits: loss", binary_case(N)))
    return found


def measure(name: str, peers: Peers, rounds: int) -> Line:
    """Medians over alternating rounds; all peers must agree on the value."""
    values = [float(run()) for run in peers.values()]
    if not np.allclose(values, values[0], rtol=1e-4):
        raise SystemExit(f"{name}: the peers disagree: {dict(zip(peers, values, strict=True))}")
    times: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer, run in peers.items():
            start = perf_counter()
            run()
            times[peer].append((perf_counter() - start) * 1e3)
    return Line(name, {peer: median(each) for peer, each in times.items()})


def machine() -> str:
    """What the numbers were taken on."""
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.exists():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else model
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (
        f"{model}, {cores} cores, {platform.system()}; "
        f"Python {platform.python_version()}, crossent {ce.__version__}, NumPy {np.__version__}, "
        f"SciPy {scipy.__version__}, scikit-learn {sklearn.__version__}; "
        f"{datetime.now(UTC):%Y-%m-%d}"
    )


def table(lines: list[Line], rounds: int) -> str:
    """RESULTS.md."""
    out = [
        "# Measured by `make bench`",
        "",
        machine(),
        "",
        f"Medians of {rounds} alternating rounds in one process, default allocator. The ratio is the best",
        "peer's median divided by crossent's: above 1, crossent is faster. Peers are what tutorials write;",
        f"they use one thread, crossent {ce.get_num_threads()}.",
        "",
        "| case | crossent, ms | best peer, ms | ratio | others, ms |",
        "|---|---|---|---|---|",
    ]
    for line in lines:
        peers = sorted((time, name) for name, time in line.medians.items() if name != "crossent")
        ours, (best, best_name) = line.medians["crossent"], peers[0]
        rest = ", ".join(f"{name} {time:.3g}" for time, name in peers[1:])
        out.append(f"| {line.case} | {ours:.3g} | {best:.3g} ({best_name}) | {best / ours:.1f} | {rest} |")
    return "\n".join(out) + "\n"


def main() -> int:
    """Run every case and write the table."""
    parser = argparse.ArgumentParser(description="crossent beside NumPy, SciPy and scikit-learn")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, 3 rounds: only shows that it runs")
    parser.add_argument("--output", type=Path, default=HERE / "RESULTS.md")
    options = parser.parse_args()
    rounds = 3 if options.quick else 7
    lines = []
    for name, peers in cases(options.quick):
        lines.append(measure(name, peers, rounds))
        print(name, {peer: round(time, 3) for peer, time in lines[-1].medians.items()}, file=sys.stderr)
    options.output.write_text(table(lines, rounds), encoding="utf-8")
    print(options.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
