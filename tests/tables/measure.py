"""Measures the worst errors, writes them down (errors.json), and says what rose above what was written.

The table is a ratchet: a change may lower a number, not raise it. `make tables` writes it anew; a number that rises
needs a reason in the commit that raises it, and stays within the contract in any case.

Two sections: "quick" (K up to 40, in `make test`) and "full" (K up to 262 144, more rows of each kind, in
`make test-all`). Beside them, "every float32" holds what elementary.py sweeps. Numbers are rounded up to thousandths.
"""

import hashlib
import json
import math
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from isas import ISAS, using_isa
from tables.elementary import FUNCTIONS, elementary_questions, sweep
from tables.other_rows import binary_questions, formula_questions, measure_questions, probability_questions
from tables.question import DTYPES, Question
from tables.softmax_rows import logit_questions, some_rows

__all__ = [
    "ABOUT",
    "BY_NUMPY",
    "EVERY",
    "GROUPS",
    "PARTS",
    "SECTIONS",
    "Measured",
    "load",
    "measure",
    "measure_sweep",
    "merged",
    "risen",
    "rounded",
    "save",
    "sweep_allowed",
]

FILE = Path(__file__).parent / "errors.json"
SECTIONS = ("quick", "full")
EVERY = "every float32"
GROUPS = (
    *(f"{kind} {dtype}" for kind in ("logits", "labels", "probabilities") for dtype in DTYPES),
    "elementary",
    "measures",
    "formula float32",
    "formula float64",
)
BY_NUMPY = ("measures", "formula float32", "formula float64")  # made of NumPy's exp and log, which differ by machine
PARTS = 8  # of a sweep over every float32
SLACK = (1.25, 0.25)  # factor and summand, where the same inputs cannot be had or NumPy's functions count

_QUICK_K = (1, 2, 3, 5, 10, 17, 40)
_FULL = [(K, 8, 16) for K in (4, 7, 8, 9, 16, 31, 32, 33)] + [(K, 5, 16) for K in (64, 65, 100, 128, 200)]
_FULL += [(1000, 3, 8), (2048, 3, 8), (20_000, 2, 4), (262_144, 1, 2)]

Measured = dict[str, dict[str, Any]]
"""Question -> {"allowed": contract, "share": of a bound rather than in ulp, instruction set: worst error, ...}."""
ABOUT = ("allowed", "share")  # what a row says beside its errors


def questions(section: str, group: str) -> Iterator[Question]:
    """All questions of a group."""
    quick = section == "quick"
    kind, _, name = group.partition(" ")
    dtype = DTYPES.get(name)
    if kind == "logits":
        for K, of_each, odd in [(K, 3, 6) for K in _QUICK_K] if quick else _FULL:
            yield from logit_questions(some_rows(K, dtype, of_each=of_each, odd=odd))
    elif kind == "labels":
        yield from binary_questions(dtype, 25 if quick else 150)
    elif kind == "probabilities":
        for K, N in [(1, 10), (2, 40), (3, 40), (10, 30)] if quick else [(5, 100), (40, 60), (200, 40), (1000, 12)]:
            yield from probability_questions(K, dtype, N)
    elif kind == "elementary":
        yield from elementary_questions(300 if quick else 5000)
    elif kind == "measures":
        for K in (1, 2, 10) if quick else (64, 400):
            yield from measure_questions(K)
    else:
        for K in (1, 3, 10) if quick else (40, 200):
            yield from formula_questions(K, dtype)


def measure(section: str, group: str) -> tuple[Measured, str]:
    """The worst error of each question of a group on every instruction set, and a mark of the exact answers."""
    found: Measured = {}
    mark = hashlib.sha256()
    for question in questions(section, group):
        about = {"allowed": question.allowed, "share": question.bound is not None}
        row = found.setdefault(f"{question.function} | {question.dtype}", about)
        mark.update(question.exact.hi.tobytes())
        for isa in ("numpy",) if group in BY_NUMPY else ISAS:
            with using_isa(ISAS[-1] if isa == "numpy" else isa):
                row[isa] = max(row.get(isa, 0.0), question.error())
    return found, mark.hexdigest()[:16]


def measure_sweep(name: str, part: int) -> dict[str, float]:
    """One part of the sweep over every float32."""
    return sweep(name, part, PARTS)


def sweep_allowed(name: str) -> float:
    """The bound of the header; a float64 function's result is rounded to float32 first."""
    f = FUNCTIONS[name]
    return f.ulps if "float32" in f.dtypes else 0.5001


def merged(parts: Iterable[dict[str, float]]) -> dict[str, float]:
    """The larger of each number."""
    out: dict[str, float] = {}
    for part in parts:
        for isa, error in part.items():
            out[isa] = max(out.get(isa, 0.0), error)
    return out


# ---------------------------------------------------------------- the ratchet


def risen(measured: Measured, stored: Measured, *, slack: bool) -> list[str]:
    """What is above the contract, above the stored number, or not in the table.

    With `slack` (other inputs, or NumPy's functions) the stored number is a guide, the contract is not. An instruction
    set that the table has never seen is held against the contract alone.
    """
    found = []
    factor, summand = SLACK if slack else (1.0, 0.0)
    for question, row in measured.items():
        allowed = row["allowed"]
        old = stored.get(question)
        if old is None:
            found.append(f"{question}: not in the table")
            continue
        if allowed > old["allowed"]:
            found.append(f"{question}: the contract was {old['allowed']:g}, not {allowed:g}")
        for isa, error in row.items():
            if isa in ABOUT:
                continue
            if not error <= allowed:
                found.append(f"{question} on {isa}: {error:.4g}, and the contract allows {allowed:g}")
            elif isa in old and not error <= old[isa] * factor + summand:
                found.append(f"{question} on {isa}: {error:.4g}, was {old[isa]:g}")
    return found


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """Up, to thousandths, so that what was measured stays below."""
    return {key: x if key in ABOUT or not math.isfinite(x) else math.ceil(x * 1000) / 1000 for key, x in row.items()}


def load() -> dict[str, Any]:
    """The table: {"marks": {...}, "quick": Measured, "full": Measured, "every float32": Measured}."""
    return json.loads(FILE.read_text(encoding="utf-8")) if FILE.exists() else {}


def save(table: dict[str, Any]) -> None:
    """Sorted, a line for each question, so that a difference reads well."""
    table = {"machine": platform.machine(), **{k: v for k, v in table.items() if k != "machine"}}
    lines = []
    for section, rows in table.items():
        if isinstance(rows, str):
            lines.append(f"{json.dumps(section)}: {json.dumps(rows)}")
        else:
            inside = ",\n".join(f"  {json.dumps(name)}: {json.dumps(rows[name])}" for name in sorted(rows))
            lines.append(f"{json.dumps(section)}: {{\n{inside}\n}}")
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
