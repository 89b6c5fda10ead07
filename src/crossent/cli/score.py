"""`crossent score`: what a file of predictions is worth, in nats and bits, as text, JSON or a page."""

import datetime
from typing import Any

import click

from crossent import __version__, report
from crossent.cli import console
from crossent.cli.options import (
    InputFile,
    OutputFile,
    input_file,
    refuse_same_file,
    require_report_libraries,
    target_option,
)
from crossent.learn.store import SoftmaxModel, load_model
from crossent.rows import Binding, atomic_write, open_source
from crossent.scoring import Score
from crossent.scoring.files import bind_source, score_file
from crossent.wording import quoted

__all__ = ["score"]

_FORMATS = {"table": report.to_text, "json": report.to_json}


@click.command(short_help="Score predictions in a file: log loss and where it comes from.")
@input_file
@target_option
@click.option("--probs", metavar="PATTERN", help="Columns with probabilities, e.g. 'p_*', a prefix, or one column.")
@click.option("--logits", metavar="PATTERN", help="Columns with scores before softmax, instead of --probs.")
@click.option("--log-probs", metavar="PATTERN", help="Columns with log-probabilities, instead of --probs.")
@click.option("--positive", metavar="CLASS", help="The class that a single column is for.")
@click.option("--weight", metavar="COLUMN", help="Column with weights; only their ratios matter.")
@click.option("--clip", type=click.FloatRange(0, 0.5, min_open=True, max_open=True), metavar="X",
              help="Move p into X..1-X, and tell how many rows moved. [default: off, p = 0 gives inf]")  # fmt: skip
@click.option("--confidence", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95,
              show_default=True, metavar="X", help="Coverage of the intervals.")  # fmt: skip
@click.option("--worst", type=click.IntRange(0, 10_000), default=10, show_default=True, metavar="N",
              help="How many of the worst rows to list.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(list(_FORMATS)), default="table", show_default=True,
              help="Output for people or for programs.")  # fmt: skip
@click.option("-o", "--output", type=OutputFile(), metavar="OUT", help="Write there instead of to standard output.")
@click.option("--report", "page", type=OutputFile(), metavar="HTML", help="Also write a page to look at.")
@click.option("--model", type=InputFile(), metavar="MODEL", help="Show this model's training curve on the page.")
def score(file: str, page: str | None, form: str, output: str | None, model: str | None, **asked: Any) -> None:
    """Score the predictions in FILE (Parquet or CSV), one row each with the true class in column --target.

    Prediction columns are named by --probs, --logits or --log-probs; left out, they are inferred from their names.
    What was bound to what is told on standard error.

    \b
    Examples:
      crossent score predictions.parquet --target y --probs 'p_*' --report report.html
      crossent score spam.csv --target label --probs score --positive spam --format json
    """
    if model is not None and page is None:
        raise click.UsageError("--model is shown on the page only; give --report HTML as well, or leave it out.",
                               click.get_current_context())  # fmt: skip
    refuse_same_file(file_to_read=file, model=model, output=output, report=page)
    if page is not None:
        require_report_libraries("matplotlib", "jinja2", what="A report")
    trained = None if model is None else load_model(model)
    binding, result = _scored(file, **asked)
    if page is not None:
        facts = None if trained is None else _model_facts(trained)
        report.write_page(page, result, model=facts, provenance=_provenance(file, binding, model))
        console.say(f"wrote {page}")
    text = _FORMATS[form](result)
    if output is None:
        console.data(text)
        return
    with atomic_write(output) as stream:
        stream.write(text.encode("utf-8", errors="backslashreplace"))
    console.say(f"wrote {output}")


def _scored(
    file: str, *, target: str, weight: str | None, clip: float | None, confidence: float, worst: int, **columns: Any
) -> tuple[Binding, Score]:
    """Binds columns to classes, tells it, and scores."""
    source = open_source(file)
    binding = bind_source(source, target=target, weight=weight, **columns)
    console.say(binding.describe() + ("" if weight is None else f"; weights in {quoted(weight)}"))
    with console.progress("scoring", total=source.row_count) as rows_done:
        result = score_file(
            source, binding, weight=weight, clip=clip, confidence=confidence, worst=worst, on_rows=rows_done
        )
    return binding, result


def _model_facts(model: SoftmaxModel) -> dict[str, Any]:
    """What the page tells of a model."""
    return {
        "features": len(model.features),
        "classes": len(model.classes),
        "target": model.target,
        **{name.replace("_", " "): _short(value) for name, value in model.options.items() if value is not None},
        "trace": model.trace,
    }


def _short(value: Any) -> Any:
    """A number to six digits, truth as yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else value


def _provenance(file: str, binding: Binding, model: str | None) -> dict[str, str]:
    """Where the numbers on the page come from."""
    made = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    facts = {"predictions": file, "columns": binding.describe(), "model": model, "crossent": __version__, "made": made}
    return {name: fact for name, fact in facts.items() if fact is not None}
