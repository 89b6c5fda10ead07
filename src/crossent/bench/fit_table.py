"""The tables of fits: who gets to the minimum when, and what crossent's default fit says of itself."""

from collections.abc import Sequence

from crossent.bench.cases import Case
from crossent.bench.cells import memory, row, wanted
from crossent.bench.results import Measurement, Results
from crossent.bench.sweep import AIM, LIMIT_SECONDS
from crossent.bench.wording import number, power_text, time_text
from crossent.wording import counted

__all__ = ["fit_tables"]

_FEW = 3  # fewer rounds are told


def fit_tables(results: Results, cases: Sequence[Case]) -> list[str]:
    """Both tables with their explanation."""
    return [*_soonest(results, cases), "", *_default(results, cases)]


def _soonest(results: Results, cases: Sequence[Case]) -> list[str]:
    aim = power_text(AIM)
    lines = [
        f"### Time to {aim} of the minimum",
        "",
        "The time of a whole `fit` from arrays, checks of the input included, that ends with an objective at most",
        f"{aim} (relative) above the lowest that anybody found. The objective is the same for all: the mean",
        "cross-entropy plus |coef|^2 / (2 N), which is scikit-learn's C=1; one float64 function judges every result.",
        "Each peer is shown at its fastest solver and tol (1e-2 to 1e-8, in steps of 10), crossent at its fastest tol.",
        f"`max_iter` ends what would take longer than {LIMIT_SECONDS:g} s. Of a peer that did not get there the table",
        "tells how far above the lowest it ended, and when: the ratio to it is a lower bound. Medians of fewer rounds",
        "beyond 1.5 s (3), 6 s (2) and 20 s (1).",
        "",
    ]
    heads = ["case", "crossent", "best peer", "ratio", "target", "others", "extra memory, MB: crossent / best peer"]
    lines += [row(heads), row(["---"] * len(heads))]
    for case in cases:
        ranked = sorted(results.peers(case, "fit", "default"), key=_rank)
        best = ranked[0] if ranked else None
        cells = [case.title.removeprefix("fit "), _reached(results.ours(case, "fit")), _named(best)]
        cells += [_ratio(results, case), wanted(results, case, "fit"), "; ".join(_named(m) for m in ranked[1:])]
        lines.append(row([*cells, memory(results, case, "fit")]))
    return lines


def _rank(m: Measurement) -> tuple[bool, bool, float, float]:
    """Those that got there by time, then the others by how close they came, then those that failed."""
    return (not m.right, not m.seconds, m.wrong_by or 0.0, m.median or 0.0)


def _reached(m: Measurement | None) -> str:
    """A time, or how close it came in which time; by which setting, in how many rounds if few."""
    if m is None:
        return "-"
    if m.median is None:
        return f"failed: {m.failure[:60]}"
    short = f"{power_text(m.wrong_by)} after " if m.wrong_by is not None else ""
    few = f", {counted(len(m.seconds), 'round')}" if len(m.seconds) < _FEW else ""
    return f"{short}{time_text(m.median)} ({m.setting}{few})"


def _named(m: Measurement | None) -> str:
    return "-" if m is None else f"{m.peer}: {_reached(m)}"


def _ratio(results: Results, case: Case) -> str:
    ratio, least = results.ratio(case, "fit", "default"), results.least_ratio(case, "fit")
    return number(ratio) if ratio is not None else "-" if least is None else f"> {number(least)}"


def _default(results: Results, cases: Sequence[Case]) -> list[str]:
    """What anybody gets who sets nothing."""
    lines = ["### crossent's default fit", ""]
    lines += [
        "`SoftmaxClassifier()` with everything as it comes: how far above the lowest objective it ended, and how",
        "far above the minimum it proves itself to be at most (its certificate), both relative to the objective.",
        "",
    ]
    heads = ["case", "time", "above the lowest", "proven at most", "extra memory, MB"]
    lines += [row(heads), row(["---"] * len(heads))]
    for case in cases:
        m = results.ours(case, "fit_default")
        if m is None or m.median is None or m.value is None:
            lines.append(row([case.title.removeprefix("fit "), _reached(m), "", "", ""]))
            continue
        above = power_text(m.wrong_by) if m.wrong_by is not None else f"< {power_text(AIM)}"
        proven = "-" if m.bound is None else power_text(m.bound / m.value)
        extra = "-" if m.extra_bytes is None else f"{m.extra_bytes / 1e6:.0f}"
        lines.append(row([case.title.removeprefix("fit "), time_text(m.median), above, proven, extra]))
    return lines
