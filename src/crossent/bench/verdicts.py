"""Targets held against results: what was to be reached, what was, and the reason where it was not."""

import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

from crossent.bench.cases import SUITES, WORKS, Case, cases_of
from crossent.bench.results import Measurement, Results
from crossent.bench.wording import number, time_text
from crossent.errors import DataError
from crossent.wording import did_you_mean, quoted

__all__ = ["Notes", "Verdict", "read_notes", "verdicts"]

Notes = Mapping[str, Mapping[str, str]]  # title of a case: work: why a target is not reached


class Verdict(NamedTuple):
    """One target: what was wanted, what was found, whether that is enough; `found` is "" where nothing was measured."""

    wanted: str
    found: str
    reached: bool


def verdicts(results: Results, case: Case, work: str) -> list[Verdict]:
    """Every target of a case and work."""
    target = case.targets.get(work)
    if target is None:
        return []
    made = []
    if target.ratio is not None:
        name = f"{target.ratio:g}" + (f" beside {target.against}" if target.against else "")
        made.append(_at_least(name, target.ratio, results.ratio(case, work, "default", target.against)))
        if (least := results.least_ratio(case, work)) is not None:
            made[-1] = Verdict(name, f"> {number(least)}", least >= target.ratio)
    if target.times is not None:
        times = results.ratio(case, work, "default", target.against)
        made.append(_at_most(partial(_times, target.against), target.times, 1 / times if times else None))
    if target.tuned is not None:
        made.append(_at_least(f"{target.tuned:g} tuned", target.tuned, results.ratio(case, work, "tuned")))
    ours = results.ours(case, work)
    if target.extra_share is not None:
        made.append(_share(target.extra_share, ours, results.one(case, work, "default", target.against)))
    if target.seconds is not None:
        made.append(_at_most(time_text, target.seconds, ours.median if ours else None))
    if target.extra_bytes is not None:
        made.append(_at_most(_megabytes, target.extra_bytes, ours.extra_bytes if ours else None))
    return made


def _at_least(wanted: str, least: float, found: float | None) -> Verdict:
    if found is None:
        return Verdict(wanted, "", False)
    short = "" if found >= least else f", {100 * (1 - found / least):.0f} % short"
    return Verdict(wanted, number(found) + short, found >= least)


def _share(most: float, ours: Measurement | None, other: Measurement | None) -> Verdict:
    """Of another's extra memory."""
    wanted = f"{most:g} of its memory"
    if ours is None or other is None or ours.extra_bytes is None or not other.extra_bytes:
        return Verdict(wanted, "", False)
    found = ours.extra_bytes / other.extra_bytes
    over = "" if found <= most else f", {100 * (found / most - 1):.0f} % over"
    return Verdict(wanted, number(found) + over, found <= most)


def _at_most(shown: Callable[[float], str], most: float, found: float | None) -> Verdict:
    wanted = f"< {shown(most)}"
    if found is None:
        return Verdict(wanted, "", False)
    over = "" if found < most else f", {100 * (found / most - 1):.0f} % over"
    return Verdict(wanted, shown(found) + over, found < most)


def _times(against: str, count: float) -> str:
    return f"{number(count)} times {against}"


def _megabytes(count: float) -> str:
    return f"{number(count / 1e6)} MB"


def read_notes(path: str) -> Notes:
    """Reasons for targets that are not reached, from a TOML file: a table for each case's title, a text for each work.

    Raises: DataError if the file cannot be read, is no such TOML, or names a case or work that does not exist.
    """
    try:
        with open(path, "rb") as file:
            read = tomllib.load(file)
    except OSError as problem:
        raise DataError(f"Cannot read {path}: {problem.strerror or problem}.") from problem
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise DataError(f"{path} is not TOML: {problem}.") from problem
    titles = [case.title for suite in SUITES for case in cases_of(suite)]
    for title, reasons in read.items():
        if title not in titles:
            raise DataError(f"{path}: there is no case {quoted(title)}.{did_you_mean(title, titles)}")
        if not isinstance(reasons, dict) or not all(isinstance(text, str) for text in reasons.values()):
            raise DataError(f'{path}: {quoted(title)} is no table of texts, as in forward = "why".')
        for work in reasons:
            if work not in WORKS:
                raise DataError(f"{path}: {quoted(title)} has {quoted(work)}, which is none of {', '.join(WORKS)}.")
    return read
