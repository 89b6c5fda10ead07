"""`crossent fit`: train a softmax classifier on a file by minimising its cross-entropy."""

import click

from crossent.cli import console
from crossent.cli.options import OutputFile, input_file, refuse_same_file, target_option
from crossent.learn.fit import FitResult, fit_file
from crossent.learn.solvers.registry import SOLVERS
from crossent.learn.store import save_model
from crossent.learn.trace import Step
from crossent.rows import open_source
from crossent.wording import counted, listed, quoted

__all__ = ["fit"]


@click.command(short_help="Train a softmax classifier on a file.")
@input_file
@target_option
@click.option(
    "-o", "--output", type=OutputFile(), required=True, metavar="MODEL", help="Model file to write (.safetensors)."
)
@click.option("--drop", multiple=True, metavar="COLUMN", help="Leave this column out; repeat for more.")
@click.option(
    "--features",
    multiple=True,
    metavar="COLUMN",
    help="Fit on this column only; repeat for more. [default: all of numbers and booleans]",
)
@click.option(
    "--solver",
    type=click.Choice(sorted(SOLVERS)),
    default="lbfgs",
    show_default=True,
    help="lbfgs needs no tuning; gd is plain gradient descent.",
)
@click.option(
    "--l2",
    type=click.FloatRange(min=0),
    metavar="X",
    help="Penalty >= 0: X/2 times the sum of squared coefficients of standardised features. [default: 1/rows]",
)
@click.option(
    "--class-weight",
    type=click.Choice(["none", "balanced"]),
    default="none",
    show_default=True,
    help="balanced: every class counts the same.",
)
@click.option(
    "--learning-rate",
    type=click.FloatRange(min=0, min_open=True),
    default=0.1,
    show_default=True,
    metavar="X",
    help="Step length of gd.",
)
@click.option(
    "--max-iter", type=click.IntRange(min=1), default=1000, show_default=True, metavar="N", help="Most iterations."
)
@click.option(
    "--tol",
    type=click.FloatRange(min=0),
    default=1e-6,
    show_default=True,
    metavar="X",
    help="Stop when the largest gradient entry is at most X.",
)
@click.option("--no-intercept", is_flag=True, help="Leave the intercept out.")
def fit(
    file: str,
    target: str,
    output: str,
    drop: tuple[str, ...],
    features: tuple[str, ...],
    solver: str,
    l2: float | None,
    class_weight: str,
    learning_rate: float,
    max_iter: int,
    tol: float,
    no_intercept: bool,
) -> None:
    """Train a softmax classifier on FILE (Parquet or CSV) by minimising its cross-entropy.

    \b
    Example:
      crossent fit train.parquet --target y -o model.safetensors
    """
    refuse_same_file(file_to_read=file, model_to_write=output)
    with console.quiet_status(f"reading {file}") as show:
        result = fit_file(
            open_source(file),
            target=target,
            drop=drop,
            features=features or None,
            solver=solver,
            l2=l2,
            fit_intercept=not no_intercept,
            class_weight=None if class_weight == "none" else class_weight,
            learning_rate=learning_rate,
            max_iter=max_iter,
            tol=tol,
            on_step=lambda step, _: show(_running(step)),
        )
    save_model(result.model, output)
    _tell(result, output)


def _running(step: Step) -> str:
    return f"iteration {step.iteration}: loss {step.loss:.6f} nat, gradient {step.gradient_norm:.1e}"


def _tell(result: FitResult, output: str) -> None:
    model = result.model
    console.say(f"target {quoted(model.target)}: {len(model.classes)} classes, {listed(model.classes, 12)}")
    console.say(f"features: {counted(len(model.features), 'column')}, {listed(model.features, 4)}")
    console.say(f"rows: {result.rows:,}")
    if result.converged:
        console.say(result.convergence)
    for warning in result.warnings:  # that it did not converge is one of them
        console.note(warning)
    console.say(f"wrote {output}")
