"""Prints errors.json and peers.json into docs/accuracy.md, between marks that name the table."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tables import measure, peers
from tables.question import DTYPES

__all__ = ["PAGE", "blocks", "with_blocks", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "accuracy.md"
_NAMES = {"crossent": "crossent", "torch": "PyTorch", "jax": "JAX", "scipy": "SciPy", "sklearn": "scikit-learn"}
_CASES = {
    "confident": "leads of 0 to 100, K = 10",
    "random": "random, K = 10",
    "equal": "999 equal logits, K = 1000",
    "binary confident": "one label, leads of 0 to 100",
    "binary random": "one label, random",
}


def _worst(question: str, table: dict[str, Any]) -> list[float]:
    """The smallest and the largest of the instruction sets' worst errors; empty where it was not asked."""
    by_isa: dict[str, float] = {}
    for section in measure.SECTIONS:
        for isa, error in table.get(section, {}).get(question, {}).items():
            if isa not in measure.ABOUT:
                by_isa[isa] = max(by_isa.get(isa, 0.0), error)
    return [min(by_isa.values()), max(by_isa.values())] if by_isa else []


def _cell(found: list[float]) -> str:
    if not found:
        return ""
    low, high = (f"{x:.2f}" for x in found)
    return low if low == high else f"{low} to {high}"


def _about(function: str, table: dict[str, Any]) -> dict[str, Any]:
    """allowed and share of a function, the same for all dtypes."""
    rows = {name.split(" | ")[0]: row for section in measure.SECTIONS for name, row in table.get(section, {}).items()}
    return {key: rows[function][key] for key in measure.ABOUT}


def _chapter(function: str) -> str:
    if function.startswith("formula"):
        return "formula"
    if function in ("perplexity", "effective_classes", "entropy", "mutual_information") or "_of" in function:
        return "measures"
    if function.endswith("_divergence"):
        return "measures"
    if function.startswith("binary") or "sigmoid" in function:
        return "labels"
    if "probs" in function:
        return "probabilities"
    return "elementary" if function in measure.FUNCTIONS else "logits"


def _functions(table: dict[str, Any], chapter: str) -> list[str]:
    names = {question.split(" | ")[0] for section in measure.SECTIONS for question in table.get(section, {})}
    return sorted((name for name in names if _chapter(name) == chapter), key=lambda name: (name.lower(), name))


def _errors(table: dict[str, Any], chapter: str) -> Iterator[str]:
    """One line a function, a column for each dtype that was asked."""
    functions = _functions(table, chapter)
    dtypes = [d for d in DTYPES if any(_worst(f"{f} | {d}", table) for f in functions)]
    yield f"| | {' | '.join(dtypes)} | allowed |"
    yield f"|---|{'---|' * len(dtypes)}---|"
    for function in functions:
        about = _about(function, table)
        cells = " | ".join(_cell(_worst(f"{function} | {d}", table)) for d in dtypes)
        yield f"| {function} | {cells} | {about['allowed']:g}{' of its bound' if about['share'] else ''} |"


def _sweeps(table: dict[str, Any]) -> Iterator[str]:
    """One line a function."""
    yield "| function | worst error on all 2^31 inputs | allowed |"
    yield "|---|---|---|"
    for name, row in sorted(table.get(measure.EVERY, {}).items()):
        errors = [x for key, x in row.items() if key not in measure.ABOUT]
        yield f"| `{name}` | {min(errors):.3f}{'' if min(errors) == max(errors) else f' to {max(errors):.3f}'} |" + (
            f" {row['allowed']:g} |"
        )


def _number(x: float) -> str:
    """Two digits, or one and a power of ten."""
    return f"{x:.2g}" if x < 100 else f"{x:.0f}" if x < 1e4 else f"{x:.0e}".replace("e+0", "e").replace("e+", "e")


def _judgement(found: dict[str, float] | None) -> str:
    """A cell of the peers' table."""
    if found is None:
        return ""
    if "times" in found:
        return f"{_number(found['times'])} times too large"
    if "zero_from" in found:
        return f"**0** from a lead of {found['zero_from']:g}; else {_number(found['worst'])}"
    return _number(found["worst"])


def _peers(table: dict[str, Any], dtype: str) -> Iterator[str]:
    """One line for what was asked of which rows."""
    yield f"| | {' | '.join(_NAMES.values())} |"
    yield f"|---|{'---|' * len(_NAMES)}"
    for key, row in table["rows"].items():
        what, case, of = key.split(" | ")
        if of == dtype:
            yield f"| {what}: {_CASES[case]} | {' | '.join(_judgement(row.get(peer)) for peer in _NAMES)} |"


def blocks() -> dict[str, str]:
    """Mark -> table, as Markdown."""
    table, others = measure.load(), peers.load()
    chapters = ("logits", "labels", "probabilities", "measures", "elementary", "formula")
    found = {chapter: "\n".join(_errors(table, chapter)) for chapter in chapters}
    found |= {f"peers {dtype}": "\n".join(_peers(others, dtype)) for dtype in ("float32", "float64")}
    versions = [v.replace(name, _NAMES[name]) for v in others["versions"] for name in [v.split()[0]]]
    return found | {measure.EVERY: "\n".join(_sweeps(table)), "versions": f"Measured with {', '.join(versions)}."}


def with_blocks(page: str, found: dict[str, str]) -> str:
    """The page with each table between its marks; KeyError for a mark without a table, or a table without a mark."""
    seen = []

    def fill(match: re.Match[str]) -> str:
        seen.append(match[1])
        return f"<!-- table: {match[1]} -->\n\n{found[match[1]]}\n\n<!-- end -->"

    page = re.sub(r"<!-- table: (.+?) -->.*?<!-- end -->", fill, page, flags=re.DOTALL)
    if set(seen) != set(found):
        raise KeyError(f"no place for {sorted(set(found) - set(seen))}")
    return page


def write() -> None:
    """Brings docs/accuracy.md up to date."""
    PAGE.write_text(with_blocks(PAGE.read_text(encoding="utf-8"), blocks()), encoding="utf-8")
