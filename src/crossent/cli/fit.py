"""`crossent fit`: train a softmax classifier on a file by minimising its cross-entropy, or compare solvers on it."""

from collections.abc import Callable
from typing import Any

import click

from crossent import plots, report
from crossent.cli import console
from crossent.cli.options import OutputFile, PictureFile, input_file, refuse_same_file, target_option
from crossent.learn.comparison import solver_names
from crossent.learn.comparison_files import compare_file
from crossent.learn.fit import FitResult, fit_file
from crossent.learn.solvers.options import SCHEDULES, SolverOptions
from crossent.learn.solvers.registry import SOLVERS
from crossent.learn.store import save_model
from crossent.learn.trace import OnStep, Step
from crossent.rows import open_source
from crossent.wording import counted, listed, quoted

__all__ = ["fit"]

_FORMATS = {"table": report.comparison_to_text, "json": report.comparison_to_json}
_OF_SOLVERS = ("learning_rate", "batch_size", "schedule", "momentum", "seed", "max_iter", "tol")
_OF_COMPARISONS: dict[str, Any] = {"held_out": 0.2, "plot": None, "form": "table"}


@click.command(short_help="Train a softmax classifier on a file.")
@input_file
@target_option
@click.option("-o", "--output", type=OutputFile(), metavar="MODEL",
              help="Model file to write (.safetensors); not needed with --compare.")  # fmt: skip
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave this column out; repeat for more.")
@click.option("--features", multiple=True, metavar="COLUMN",
              help="Fit on this column only; repeat for more. [default: all of numbers and booleans]")  # fmt: skip
@click.option("--solver", type=click.Choice(sorted(SOLVERS)), help="Who minimises. [default: auto]")
@click.option("--l2", type=click.FloatRange(min=0), metavar="X",
              help="Penalty >= 0: X/2 times the sum of squared coefficients of standardised features. "
              "[default: 1/rows]")  # fmt: skip
@click.option("--l1", type=click.FloatRange(min=0), default=0.0, show_default=True, metavar="X",
              help="Penalty >= 0: X times the sum of their sizes; makes coefficients 0.")  # fmt: skip
@click.option("--class-weight", type=click.Choice(["none", "balanced"]), default="none", show_default=True,
              help="balanced: every class counts the same.")  # fmt: skip
@click.option("--learning-rate", type=click.FloatRange(min=0, min_open=True), metavar="X",
              help="Step length of gd and its family. [default: the solver's own]")  # fmt: skip
@click.option("--schedule", type=click.Choice(SCHEDULES), default="constant", show_default=True,
              help="How the learning rate falls from pass to pass.")  # fmt: skip
@click.option("--batch-size", type=click.IntRange(min=1), metavar="N",
              help="Rows of a mini-batch. [default: the solver's own]")  # fmt: skip
@click.option("--momentum", type=click.FloatRange(0, 1, max_open=True), default=0.9, show_default=True, metavar="X",
              help="Of momentum and nesterov.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, metavar="N",
              help="Of the order of mini-batches, and of the rows held out.")  # fmt: skip
@click.option("--max-iter", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N",
              help="Most iterations; with mini-batches, passes over all rows.")  # fmt: skip
@click.option("--tol", type=click.FloatRange(min=0), default=1e-6, show_default=True, metavar="X",
              help="Stop when the loss is proven to be within X of the minimum, relative to it.")  # fmt: skip
@click.option("--no-intercept", is_flag=True, help="Leave the intercept out.")
@click.option("--compare", metavar="LIST", help="Compare these solvers, e.g. gd,sgd,adam,lbfgs, and print a table.")
@click.option("--held-out", type=click.FloatRange(0, 1, max_open=True), metavar="X",
              help="With --compare: share of the rows that no solver sees. [default: 0.2]")  # fmt: skip
@click.option("--plot", type=PictureFile(), metavar="PICTURE",
              help="With --compare: write the learning curves there (.png, .svg).")  # fmt: skip
@click.option("--format", "form", type=click.Choice(list(_FORMATS)),
              help="With --compare: output for people or for programs. [default: table]")  # fmt: skip
def fit(
    file: str, output: str | None, compare: str | None, no_intercept: bool, class_weight: str, **asked: Any
) -> None:
    """Train a softmax classifier on FILE (Parquet or CSV) by minimising its cross-entropy.

    With --compare run several solvers on it from the same start, and tell how fast each came how near to the minimum.

    \b
    Examples:
      crossent fit train.parquet --target y -o model.safetensors
      crossent fit train.parquet --target y --compare gd,lbfgs --plot curves.png
    """
    asked["fit_intercept"] = not no_intercept
    asked["class_weight"] = None if class_weight == "none" else class_weight
    asked["features"] = asked["features"] or None
    of_comparison = {name: asked.pop(name) for name in _OF_COMPARISONS}
    refuse_same_file(file_to_read=file, model_to_write=output, picture_to_write=of_comparison["plot"])
    if compare is None:
        _fit(file, output, of_comparison, asked)
    else:
        _compare(file, output, compare, of_comparison, asked)


def _fit(file: str, output: str | None, of_comparison: dict[str, Any], asked: dict[str, Any]) -> None:
    needless = [f"--{'format' if name == 'form' else name.replace('_', '-')}" for name in of_comparison]
    given = [option for option, value in zip(needless, of_comparison.values(), strict=True) if value is not None]
    if given:
        raise click.UsageError(f"{given[0]} belongs to --compare LIST; give that as well, or leave it out.", _context())
    if output is None:
        raise click.UsageError("Missing option '-o' / '--output'. Say where to write the model.", _context())
    asked["solver"] = asked["solver"] or "auto"
    with console.quiet_status(f"reading {file}") as show:
        result = fit_file(open_source(file), on_step=_progress(show), **asked)
    _tell(result)
    _save(result, output)


def _compare(file: str, output: str | None, compare: str, of_comparison: dict[str, Any], asked: dict[str, Any]) -> None:
    if asked.pop("solver") is not None:
        raise click.UsageError("--compare LIST names the solvers; leave --solver out.", _context())
    held_out, plot, form = (
        default if of_comparison[name] is None else of_comparison[name] for name, default in _OF_COMPARISONS.items()
    )
    names = solver_names([name.strip() for name in compare.split(",") if name.strip()])
    steps = {name: asked.pop(name) for name in _OF_SOLVERS}
    with console.quiet_status(f"reading {file}") as show:
        options = SolverOptions(**steps, on_step=_progress(show))
        found = compare_file(open_source(file), solvers=names, held_out=held_out, options=options, **asked)
    _tell(found.fit, of=f" ({counted(found.comparison.heldout_rows)} held out)")
    if plot is not None:
        report.write_picture(plot, lambda: plots.learning_page(found.comparison))
        console.say(f"wrote {plot}")
    if output is not None:
        _save(found.fit, output)
    console.data(_FORMATS[form](found.comparison))


def _context() -> click.Context:
    return click.get_current_context()


def _progress(show: Callable[[str], None]) -> OnStep:
    def told(step: Step, _: object) -> None:
        show(f"iteration {step.iteration}: loss {step.loss:.6f} nat, gradient {step.gradient_norm:.1e}")

    return told


def _tell(result: FitResult, *, of: str = "") -> None:
    model = result.model
    console.say(f"target {quoted(model.target)}: {len(model.classes)} classes, {listed(model.classes, 12)}")
    console.say(f"features: {counted(len(model.features), 'column')}, {listed(model.features, 4)}")
    console.say(f"rows: {result.rows:,}{of}")
    if result.converged:
        console.say(result.convergence)
    for warning in result.warnings:  # that it did not converge is one of them
        console.note(warning)


def _save(result: FitResult, output: str) -> None:
    save_model(result.model, output)
    console.say(f"wrote {output}")
