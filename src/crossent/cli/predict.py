"""`crossent predict`: class probabilities for every row of a file."""

import click

from crossent.cli import console
from crossent.cli.options import InputFile, TableFile, input_file, refuse_same_file
from crossent.learn.predict import predict_file
from crossent.learn.store import load_model
from crossent.rows import open_sink, open_source
from crossent.wording import counted, listed

__all__ = ["predict"]


@click.command(short_help="Write class probabilities for the rows of a file.")
@click.argument("model", type=InputFile(), metavar="MODEL")
@input_file
@click.option(
    "-o", "--output", type=TableFile(), required=True, metavar="OUT", help="Table to write (.parquet, .csv, .tsv)."
)
@click.option("--keep", multiple=True, metavar="COLUMN", help="Copy this column as well; repeat for more.")
def predict(model: str, file: str, output: str, keep: tuple[str, ...]) -> None:
    """Apply MODEL, as written by crossent fit, to the rows of FILE (Parquet or CSV).

    The output has the target (if FILE has it), the columns to keep, p_CLASS for every class, and prediction.

    \b
    Example:
      crossent predict model.safetensors new.parquet -o predictions.parquet
    """
    refuse_same_file(model=model, file_to_read=file, file_to_write=output)
    loaded = load_model(model)
    source = open_source(file)
    with open_sink(output) as sink, console.progress("predicting", total=source.row_count) as rows_done:
        predicted = predict_file(loaded, source, sink, passthrough=keep, on_rows=rows_done)
    features, classes = counted(len(loaded.features), "feature"), listed(loaded.classes, 12)
    console.say(f"model: {features}, {len(loaded.classes)} classes, {classes}")
    console.say(f"columns: {listed(predicted.columns, 14)}")
    console.say(f"rows: {predicted.rows:,}")
    console.say(f"wrote {output}")
