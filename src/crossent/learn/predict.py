"""predict_file: a model applied to a file of any size, block by block; what `crossent predict` calls."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from crossent.errors import DataError
from crossent.learn.encode import finite_matrix
from crossent.learn.inference import decide, linear_logits, probabilities
from crossent.learn.moments import standardised
from crossent.learn.store import SoftmaxModel
from crossent.learn.types import Floats
from crossent.rows.binding import prediction_column
from crossent.rows.block import Block
from crossent.rows.columns import require_column
from crossent.rows.sinks import Sink
from crossent.rows.sources import Source
from crossent.wording import listed, quoted

__all__ = ["Predicted", "model_logits", "predict_file"]

DECISION = "prediction"


class Predicted(NamedTuple):
    """What was written: number of rows and the column names."""

    rows: int
    columns: tuple[str, ...]


def model_logits(model: SoftmaxModel, features: Floats) -> Floats:
    """Logits of a model.

        z = ((x - center) / scale) coef^T + intercept

    Args:
        model: the model.
        features: [N, D] raw features, in the order of `model.features`.
    Returns: [N] for two classes (the logit of the second), [N, K] for more.
    """
    return linear_logits(standardised(features, model.center, model.scale), model.coef, model.intercept)


def _probability_columns(model: SoftmaxModel) -> tuple[str, ...]:
    return tuple(prediction_column("probs", name) for name in model.classes)


def predict_file(
    model: SoftmaxModel,
    source: Source,
    sink: Sink,
    *,
    passthrough: Sequence[str] = (),
    on_rows: Callable[[int], None] | None = None,
) -> Predicted:
    """Write the class probabilities and the decision for every row of a file.

    Columns written: those passed through, unchanged (the model's target first, if the file has it);
    "p_<class>" for every class, of which none is computed as 1 minus the others; "prediction", the most
    probable class. So `crossent score OUT --target y --probs 'p_*'` works on the result.

    Args:
        model: the model.
        source: an open crossent.rows.Source with all feature columns of the model; a target is not needed.
        sink: an open crossent.rows.Sink.
        passthrough: further columns to copy, for instance an identifier.
        on_rows: called after each block with the number of rows done, for instance by a progress bar.
    Returns: Predicted.
    Raises: DataError for a missing column, a cell that is no finite number (row and column), names that
        collide.

    >>> import pathlib, tempfile
    >>> from crossent.rows import from_table, open_sink
    >>> import pyarrow as pa
    >>> columns = {"features": ("x",), "center": np.zeros(1), "scale": np.ones(1)}
    >>> model = SoftmaxModel(coef=np.ones((1, 1)), intercept=np.zeros(1), classes=("no", "yes"), **columns)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with open_sink(pathlib.Path(folder, "p.csv")) as sink:
    ...         predict_file(model, from_table(pa.table({"x": [-1.0, 2.0]})), sink)
    Predicted(rows=2, columns=('p_no', 'p_yes', 'prediction'))
    """
    for name in (*model.features, *passthrough):
        require_column(source, name)
    names = {column.name for column in source.columns}
    kept = tuple(dict.fromkeys([*([model.target] if model.target in names else []), *passthrough]))
    outputs = (*_probability_columns(model), DECISION)
    _refuse_collisions(source.name, kept, outputs)
    rows = 0
    for block in source.blocks(list(dict.fromkeys([*model.features, *kept]))):
        sink.write(_predicted_block(model, block, kept))
        rows += len(block)
        if on_rows is not None:
            on_rows(rows)
    return Predicted(rows, (*kept, *outputs))


def _predicted_block(model: SoftmaxModel, block: Block, kept: Sequence[str]) -> dict[str, Any]:
    """The columns to write for one block."""
    every = np.ones(len(block), dtype=np.bool_)
    columns: dict[str, Any] = {name: block.select(every, name) for name in kept}
    logits = model_logits(model, finite_matrix(block, model.features))
    probs = probabilities(logits)
    columns.update(zip(_probability_columns(model), probs.T, strict=True))
    columns[DECISION] = np.array(model.classes, dtype=object)[decide(logits)]
    return columns


def _refuse_collisions(where: str, kept: Sequence[str], outputs: Sequence[str]) -> None:
    twice = [name for name in kept if name in outputs]
    if twice:
        raise DataError(
            f"{where}: column {quoted(twice[0])} would be copied to the output, where a prediction has that "
            f"name (predictions are called {listed(outputs)}). Rename that column in the file."
        )
