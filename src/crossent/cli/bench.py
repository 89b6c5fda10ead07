"""`crossent bench`: crossent beside PyTorch, JAX, SciPy, scikit-learn and the machine's own limits."""

import os
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path

import click

from crossent.bench import LIBRARIES, SUITES, Plan, Results, check_pythons, estimated_seconds, run
from crossent.bench.pictures import GROWTHS, draw_growth
from crossent.bench.roster import CROSSENT
from crossent.bench.table import markdown
from crossent.bench.verdicts import Notes, read_notes
from crossent.bench.wording import time_text
from crossent.cli import console
from crossent.cli.options import InputFile, OutputFile, refuse_same_file
from crossent.errors import MissingExtraError, OptionError
from crossent.rows import atomic_write, check_writable
from crossent.settings import get_num_threads
from crossent.wording import counted, did_you_mean, listed

__all__ = ["bench"]

_CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@click.command(short_help="Measure speed beside PyTorch, JAX, SciPy and scikit-learn.")
@click.option(
    "--suite",
    "suites",
    type=click.Choice(SUITES),
    multiple=True,
    default=("loss",),
    show_default=True,
    help="What to measure; may be given again: losses and gradients, the cost of small calls, a linear layer "
    "and its loss, crossent.torch inside PyTorch, fits, scoring, growth.",
)
@click.option(
    "--vs",
    default=",".join(LIBRARIES),
    show_default=True,
    metavar="LIST",
    help="Libraries to compare with. One that is not installed is reported as such.",
)
@click.option(
    "--cases",
    "pattern",
    default="*",
    metavar="PATTERN",
    help="Only cases whose title fits: a part of it, or a pattern with * and ?.",
)
@click.option(
    "--rounds",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Rounds of which medians are taken.  [default: 7, with --quick 2]",
)
@click.option(
    "--threads",
    type=click.IntRange(1, _CORES),
    default=None,
    metavar="N",
    help="Threads for everybody.  [default: as many as crossent uses]",
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    metavar="NAME=PATH",
    help="Interpreter with the library NAME, for the suite torch also with crossent; otherwise this one or that of "
    ".venv-frameworks.",
)
@click.option("--quick", is_flag=True, help="Tiny sizes: shows that everything runs, says nothing about speed.")
@click.option(
    "--notes", type=InputFile(), metavar="TOML", help="Reasons for targets that are not reached, by case and work."
)
@click.option("--json", "json_file", type=OutputFile(), metavar="FILE", help="Write every measurement here.")
@click.option(
    "-o",
    "--output",
    type=OutputFile(),
    metavar="FILE",
    help="Write the Markdown page here, with pictures of growth beside it; otherwise it is printed.",
)
def bench(suites: tuple[str, ...], vs: str, pattern: str, rounds: int | None, threads: int | None,
          pythons: tuple[str, ...], quick: bool, notes: str | None, json_file: str | None,
          output: str | None) -> None:  # fmt: skip
    """Measure crossent beside its peers on this machine: time, extra memory, agreement, the machine's limits.

    Every peer runs in a process of its own; rounds take turns; results are compared before they are timed.
    """
    refuse_same_file(notes=notes, page_to_write=output, JSON_to_write=json_file)
    plan = Plan(
        suites=tuple(dict.fromkeys(suites)), libraries=_libraries(vs), pattern=pattern,
        rounds=rounds or (2 if quick else 7), threads=threads or min(get_num_threads(), _CORES), quick=quick,
        pythons=_interpreters(pythons),
    )  # fmt: skip
    _check(plan)
    reasons: Notes = read_notes(notes) if notes else {}
    pictures = _pictures(plan, output)
    sizes = ((len(plan.cases()), "case"), (plan.rounds, "round"), (plan.threads, "thread"))
    duration = time_text(estimated_seconds(plan))
    console.say(f"{', '.join(counted(count, what) for count, what in sizes)}: about {duration}.")
    with console.quiet_status("starting") as status:
        results = run(plan, _Show(status))
    failures = [(m.peer, f"{m.failure} ({m.case}, {m.work})") for m in results.measurements if m.failure]
    for peer, reason in [*results.missing.items(), *failures]:
        console.note(f"{peer}: {reason}")
    page = markdown(results, notes=reasons, pictures={what: path.name for what, path in pictures.items()})
    _write(results, page, json_file, output, pictures)


class _Show:
    """Progress on a terminal; one line for each case that is done, anywhere."""

    def __init__(self, status: Callable[[str], None]) -> None:
        self._status = status

    def status(self, text: str) -> None:
        """The line that changes."""
        self._status(text)

    def line(self, text: str) -> None:
        """A line that stays."""
        console.say(text)


def _libraries(vs: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in vs.split(",") if name.strip()))
    for name in names:
        if name not in LIBRARIES:
            raise OptionError(f"--vs: {name!r} is none of {', '.join(LIBRARIES)}.{did_you_mean(name, LIBRARIES)}")
    return names


def _interpreters(words: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not (equals and path):
            raise OptionError(f"--python {word}: write NAME=PATH, for instance torch=/opt/torch/bin/python.")
        found[name] = path
    return found


def _check(plan: Plan) -> None:
    """Refuses what would only be found out later.

    Raises: OptionError; MissingExtraError if a worker of crossent could not make bfloat16.
    """
    if not plan.cases():
        titles = [case.title for suite in plan.suites for case in Plan(suites=(suite,)).cases()]
        raise OptionError(f"--cases {plan.pattern!r} fits no case. There are {listed(titles, 40)}.")
    if any(case.dtype == "bfloat16" and case.ours == CROSSENT for case in plan.cases()) and not find_spec("ml_dtypes"):
        raise MissingExtraError.for_extra("bench", "ml_dtypes", "The case in bfloat16")
    check_pythons(plan.pythons)


def _pictures(plan: Plan, output: str | None) -> dict[str, Path]:
    """Where pictures go: beside the page, if growth is measured."""
    if output is None or "scaling" not in plan.suites:
        return {}
    if find_spec("matplotlib") is None:
        raise MissingExtraError.for_extra("report", "matplotlib", "A picture of growth")
    page = Path(output)
    found = {what: page.with_name(f"{page.stem.lower()}-{what}.svg") for what in GROWTHS}
    for path in found.values():
        check_writable(path)
    return found


def _write(
    results: Results, page: str, json_file: str | None, output: str | None, pictures: Mapping[str, Path]
) -> None:
    if json_file is not None:
        with atomic_write(json_file) as file:
            file.write(results.to_json().encode())
    for what, path in pictures.items():
        with atomic_write(path) as file:
            draw_growth(results, what).savefig(file, format="svg", metadata={"Date": None})
    if output is None:
        console.data(page)
        return
    with atomic_write(output) as file:
        file.write(page.encode())
