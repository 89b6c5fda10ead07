"""The results as Markdown: what was measured on what, a table for each work, the targets, and what went wrong."""

import math
from collections.abc import Mapping, Sequence

from crossent.bench.cases import Case
from crossent.bench.cells import memory, row, wanted
from crossent.bench.fit_table import fit_tables
from crossent.bench.results import Measurement, Results
from crossent.bench.roster import LIMIT
from crossent.bench.score_table import score_table
from crossent.bench.verdicts import Notes, verdicts
from crossent.bench.wording import milliseconds, number, time_text

__all__ = ["markdown"]

_HEADINGS = {
    "loss": "Losses",
    "small": "Small calls",
    "linear": "Linear layer and loss",
    "torch": "Inside PyTorch: crossent.torch",
    "fit": "Fitting",
    "score": "Scoring",
    "scaling": "Growth",
}
_WORKS = {"forward": "Loss alone", "gradient": "Loss and gradient"}
_NAMES = {**_WORKS, "fit": "Time to the minimum", "fit_default": "Default fit", "tally": "All rows into a tally",
          "result": "Result of a tally"}  # fmt: skip
_VARIANTS = ("gradient", "gradient_out", "gradient_in_place")


def markdown(results: Results, *, notes: Notes, pictures: Mapping[str, str]) -> str:
    """The whole page.

    Args:
        results: of a run.
        notes: reasons for targets that were not reached.
        pictures: what is drawn ("rows", "classes"): path of the picture, relative to the page.
    """
    lines = ["# Measured by `crossent bench`", "", *_machine(results), "", *_method(results)]
    for suite in dict.fromkeys(case.suite for case in results.cases):
        cases = [case for case in results.cases if case.suite == suite]
        lines += ["", f"## {_HEADINGS[suite]}", ""]
        if suite == "scaling":
            lines += _growth(results, cases, pictures)
            continue
        if suite in ("fit", "score"):
            lines += fit_tables(results, cases) if suite == "fit" else score_table(results, cases)
            continue
        for work, heading in _WORKS.items():
            able = [case for case in cases if work in case.works]
            if able:
                lines += [f"### {heading}", "", *_work_table(results, able, work), ""]
        layers = [case for case in cases if case.kind == "linear"]
        lines += [*_variants(results, cases), *_memory_of_layers(results, layers)]
    lines += ["", *_targets(results, notes), *_troubles(results)]
    return "\n".join(lines).rstrip() + "\n"


def _machine(results: Results) -> list[str]:
    found = results.machine
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    sizes = " Tiny sizes (`--quick`): these numbers say nothing about speed." if found["quick"] else ""
    return [
        f"{found['processor']}, {found['cores']} cores, {found['system']}, {found['threads']} threads for everybody; "
        f"Python {found['python']}, {versions}; {found['date']}.{sizes}"
    ]


def _method(results: Results) -> list[str]:
    length = "a run long" if results.machine["quick"] else "each at least 20 ms long"
    return [
        f"Every peer has a process of its own; medians of {results.machine['rounds']} rounds (3 or 2 for slow peers)",
        f"that take turns, {length}, results dropped after every run as in a training loop. The ratio",
        "is the best peer's median divided by crossent's, in the same run: above 1, crossent is faster; times are this",
        "machine's and no promise. A peer whose value or gradient is wrong is shown but is not the best.",
        "The limit is the time in which all threads read (for the gradient: scale in place) as many bytes; behind a",
        "linear layer, that of its matrix products alone, by NumPy into warm memory. Peers run",
        "twice: with malloc as it is, and tuned so that freed buffers are kept; crossent always with malloc as it is.",
        "Extra memory is the growth of the peak resident size in the first run of a fresh process, gradient included.",
    ]


def _work_table(results: Results, cases: Sequence[Case], work: str) -> list[str]:
    tuned, ours = any("tuned" in case.regimes for case in cases), cases[0].ours
    heads = ["case", ours, "best peer", "ratio", "target", "times the limit"]
    heads += ["best peer, tuned malloc", "ratio"] if tuned else []
    heads += ["others", f"extra memory, MB: {ours} / best peer"]
    lines = [row(heads), row(["---"] * len(heads))]
    for case in cases:
        over = results.over_limit(case, work)
        cells = [case.title, _time(results.ours(case, work))]
        cells += _beside(results, case, work, "default")
        cells += [wanted(results, case, work), "" if over is None else number(over)]
        cells += _beside(results, case, work, "tuned") if tuned else []
        cells += [_others(results, case, work), memory(results, case, work)]
        lines.append(row(cells))
    return lines


def _time(found: Measurement | None) -> str:
    """The median with its unit, or why there is none."""
    if found is None:
        return "-"
    return time_text(found.median) if found.median is not None else f"failed: {found.failure[:60]}"


def _beside(results: Results, case: Case, work: str, regime: str) -> list[str]:
    """The best peer and the ratio to it."""
    best, ratio = results.best(case, work, regime), results.ratio(case, work, regime)
    return [f"{_time(best)} ({best.peer})" if best else "-", number(ratio) if ratio is not None else "-"]


def _others(results: Results, case: Case, work: str) -> str:
    """The other peers, with malloc as it is; what is wrong or failed says so."""
    best = results.best(case, work, "default")
    told = []
    for each in results.peers(case, work, "default"):
        if best is None or each.peer != best.peer:
            wrong = "" if each.wrong_by is None else f", wrong by {_share(each.wrong_by)}"
            told.append(f"{each.peer} {_time(each)}{wrong}")
    return "; ".join(told)


def _share(x: float) -> str:
    return f"{x:.1e}" if math.isfinite(x) else "NaN or infinity"


def _variants(results: Results, cases: Sequence[Case]) -> list[str]:
    """crossent's three ways to a gradient."""
    able = [case for case in cases if all(results.ours(case, work) for work in _VARIANTS)]
    if not able:
        return []
    lines = ["### Where crossent's gradient goes", "", "Milliseconds; the limit is scaling the logits in place.", ""]
    heads = ["case", "new array, dropped (from the pool)", "`out=` a buffer", "`out=` the logits", "limit"]
    lines += [row(heads), row(["---"] * 5)]
    for case in able:
        found = [results.ours(case, work) for work in _VARIANTS]
        found.append(results.one(case, "gradient", "default", LIMIT))
        lines.append(row([case.title, *(milliseconds(m.median) if m and m.median else "-" for m in found)]))
    return lines


def _memory_of_layers(results: Results, cases: Sequence[Case]) -> list[str]:
    """What crossent takes beyond the gradients, beside its limit and beside all logits."""
    if not cases:
        return []
    lines = ["### Memory of loss and gradient", ""]
    lines += ["Shapes are rows, features, classes; then the `memory_limit`. MB beyond the data: all of it, the three"]
    lines += ["gradients, and the rest, with what the BLAS keeps for itself.", ""]
    heads = ["case", "time a row", "extra", "the gradients", "the rest", "all logits would take", "peers' extra"]
    lines += [row(heads), row(["---"] * len(heads))]
    for case in cases:
        ours = results.ours(case, "gradient")
        if ours is None or ours.median is None or ours.extra_bytes is None:
            continue
        rows, features, classes = case.shape
        gradients = case.itemsize * (rows * features + classes * features + classes)
        peers = results.peers(case, "gradient", "default")
        sizes = (ours.extra_bytes, gradients, max(0, ours.extra_bytes - gradients), case.itemsize * case.elements)
        cells = [case.title, time_text(ours.median / rows), *(f"{size / 1e6:.0f}" for size in sizes)]
        told = "; ".join(f"{each.peer} {each.extra_bytes / 1e6:.0f}" for each in peers if each.extra_bytes)
        lines.append(row([*cells, told or "not run"]))
    return lines


# ---------------------------------------------------------------- growth


def _growth(results: Results, cases: Sequence[Case], pictures: Mapping[str, str]) -> list[str]:
    lines = ["Loss and gradient of float32 logits with index targets; memory beyond the gradient itself.", ""]
    for what, path in pictures.items():
        lines += [f"![Time and extra memory against the number of {what}]({path})", ""]
    lines += [f"- {text}" for text in _exponents(results, cases)]
    peers = list(dict.fromkeys(m.peer for case in cases for m in results.peers(case, "gradient", "default")))
    ours = cases[0].ours
    shown = [ours, *peers, LIMIT]
    heads = ["case", *(f"{name}, ms" for name in shown), *(f"{name}, MB" for name in (ours, *peers))]
    lines += ["", row(heads), row(["---"] * len(heads))]
    for case in cases:
        found = {name: results.one(case, "gradient", "default", name) for name in shown}
        times = [milliseconds(m.median) if m and m.median else "-" for m in found.values()]
        memory = [_beyond(found[name], case) for name in (ours, *peers)]
        lines.append(row([case.title, *times, *("-" if x is None else number(x / 1e6) for x in memory)]))
    return lines


def _beyond(found: Measurement | None, case: Case) -> int | None:
    """Extra bytes besides the float32 gradient itself."""
    if found is None or found.extra_bytes is None:
        return None
    return max(0, found.extra_bytes - 4 * case.elements)


def _exponents(results: Results, cases: Sequence[Case]) -> list[str]:
    """How crossent's time grows: the exponent of the size over its last two decades; 1 is linear."""
    told = []
    for what in dict.fromkeys(case.title.partition(":")[0] for case in cases):
        some = [case for case in cases if case.title.startswith(what)]
        largest = max(case.elements for case in some)
        points = []
        for case in some:
            ours = results.ours(case, "gradient")
            if ours is not None and ours.median and case.elements * 100 >= largest:
                points.append((math.log(case.elements), math.log(ours.median)))
        slope = _slope(points)
        if slope is not None:
            told.append(f"crossent's time grows as the number of {what} to the power {slope:.2f} (last two decades)")
    return told


def _slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Of the least-squares line; None for fewer than two different x."""
    if len({x for x, _ in points}) < 2:
        return None
    x0, y0 = (sum(each) / len(points) for each in zip(*points, strict=True))
    slope: float = sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) ** 2 for x, _ in points)
    return slope


# ---------------------------------------------------------------- below the tables


def _targets(results: Results, notes: Notes) -> list[str]:
    """Every target not reached: by how much, and why."""
    told = []
    for case in results.cases:
        for work in case.works:
            for verdict in verdicts(results, case, work):
                if not verdict.reached:
                    reason = notes.get(case.title, {}).get(work, "no reason given yet")
                    name = _NAMES.get(work, work).lower()
                    told.append(f"- {case.title}, {name}: {verdict.found or 'not measured'} where {verdict.wanted} was "
                                f"wanted. {reason[:1].upper()}{reason[1:].rstrip('.')}.")  # fmt: skip
    return ["## Targets not reached", "", *told] if told else []


def _troubles(results: Results) -> list[str]:
    """Peers that were not there, failed or were wrong."""
    told = [f"- {peer}: {reason}" for peer, reason in results.missing.items()]
    for m in results.measurements:
        where = f"{m.case}, {_NAMES.get(m.work, m.work).lower()}, {m.regime} malloc"
        if m.failure:
            told.append(f"- {m.peer}, {where}: {m.failure}")
        elif m.wrong_by is not None and m.regime == "default" and not m.stopped_short:
            told.append(f"- {m.peer}, {where}: wrong by {_share(m.wrong_by)}")
    return ["", "## Not measured, or wrong", "", *told] if told else []
