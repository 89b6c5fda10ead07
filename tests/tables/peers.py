"""crossent beside torch, JAX, SciPy and scikit-learn on the same rows against the same exact answers: peers.json.

Rows: a right class that leads by 0 to 100 (steps of 1/2), random logits, K - 1 equal logits; one label likewise.
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import crossent as ce
import oracle
import oracle_binary
from cases import equal_but_one
from closeness import errors_in_ulps
from tables.peer_values import PEERS
from wide import Wide

__all__ = ["judged", "load", "write"]

FILE = Path(__file__).parent / "peers.json"
PROGRAM = Path(__file__).parent / "peer_values.py"
LEADS = np.arange(0, 100.5, 0.5)


def rows() -> dict[str, tuple[Any, Any]]:
    """Case -> (z, y), in float64; every number is a float32."""
    rng = np.random.default_rng(83)
    K = 10
    z = -rng.exponential(1.0, size=(LEADS.size, K))
    y = rng.integers(0, K, LEADS.size)
    right = np.arange(K) == y[:, None]
    z -= np.where(right, -np.inf, z).max(axis=1, keepdims=True)
    z[right] = LEADS
    equal = equal_but_one(1000, np.float32, gaps=100)
    signs = np.where(np.arange(LEADS.size) % 2, 1.0, -1.0)
    found = {
        "confident": (z, y),
        "random": (rng.normal(size=(300, K)) * 3, rng.integers(0, K, 300)),
        "equal": (equal.logits, equal.targets),
        "binary confident": (signs * LEADS, (signs > 0).astype(np.int64)),
        "binary random": (rng.normal(size=300) * 3, rng.integers(0, 2, 300)),
    }
    return {case: (np.asarray(a, np.float32).astype(np.float64), b) for case, (a, b) in found.items()}


def exact_answers(z: Any, y: Any) -> dict[str, Wide]:
    """Loss and gradient of each row; log_softmax for short rows."""
    if z.ndim == 1:
        loss = oracle_binary.binary_cross_entropy(y, logits=z, reduction="none")
        grad = oracle_binary.binary_gradient(y, logits=z, reduction="none")
        return {"loss": Wide.of(loss), "gradient": Wide.of(grad)}
    answers = oracle.row_answers(y, long=10, logits=z)
    found = {"loss": answers.loss, "gradient": answers.grad}
    return found | ({"log_softmax": Wide.of(oracle.log_softmax(z))} if z.shape[1] <= 10 else {})


def own_answers(z: Any, y: Any) -> dict[str, Any]:
    """crossent's."""
    loss: Any = ce.BinaryCrossEntropy(reduction="none") if z.ndim == 1 else ce.CrossEntropy(reduction="none")
    got = loss.value_and_grad(y, logits=z)
    return {"loss": got.value, "gradient": got.grad} | ({"log_softmax": ce.log_softmax(z)} if z.ndim == 2 else {})


def judged(got: Any, exact: Wide, leads: Any = None) -> dict[str, float]:
    """The worst error in ulp; where something not 0 comes out as 0: from which lead on, and the worst elsewhere.

    `times` is said where an answer is more than twice the exact one.
    """
    value = exact.to_float()
    errors = errors_in_ulps(got, exact)
    lost = (np.asarray(got) == 0) & (np.abs(value) >= np.finfo(got.dtype).smallest_subnormal)
    found: dict[str, float] = {}
    if leads is not None and lost.any():
        found["zero_from"] = float(leads[lost.reshape(len(lost), -1).any(axis=1)].min())
        errors = np.where(lost, 0.0, errors)
    found["worst"] = float(f"{errors.max():.3g}")
    with np.errstate(all="ignore"):
        times = np.abs(got.astype(np.float64) / value)
    times = times[np.isfinite(times)]
    if times.size and times.max() > 2:
        found["times"] = float(f"{times.max():.2g}")
    return found


def write(python: Path) -> None:
    """Asks crossent here and the others in their interpreter; writes what came out."""
    given = {case: (z, y, exact_answers(z, y)) for case, (z, y) in rows().items()}
    arrays: dict[str, Any] = {}
    for case, (z, y, _) in given.items():
        for dtype in ("float32", "float64"):
            arrays |= {f"{case} {dtype} z": z.astype(dtype), f"{case} {dtype} y": y}
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder) / "inputs.npz", Path(folder) / "outputs.npz"
        np.savez(inputs, **arrays)
        subprocess.run([str(python), str(PROGRAM), str(inputs), str(outputs)], check=True)
        with np.load(outputs) as answers:
            found = dict(answers)
    table: dict[str, Any] = {"versions": [f"crossent {ce.__version__}", *found.pop("versions").tolist()], "rows": {}}
    for case, (z, y, exact) in given.items():
        leads = LEADS if "confident" in case else None
        for dtype in ("float32", "float64"):
            found |= {f"crossent {what} {case} {dtype}": v for what, v in own_answers(z.astype(dtype), y).items()}
            for what, answer in exact.items():
                by_peer = {p: found.get(f"{p} {what} {case} {dtype}") for p in ("crossent", *PEERS)}
                row = {p: judged(got, answer, leads) for p, got in by_peer.items() if got is not None}
                table["rows"][f"{what} | {case} | {dtype}"] = row
    FILE.write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")


def load() -> dict[str, Any]:
    """{"versions": [...], "rows": {"what | case | dtype": {peer: judged}}}."""
    return dict(json.loads(FILE.read_text(encoding="utf-8")))
