"""score_file: from a file or table of predictions to a Score, block by block; what `crossent score` calls.

The target column is read twice: once alone, to learn which values it takes (classes are bound to columns by name,
and a single column needs to know the other class), once with the predictions. Of more than 200 classes a third reading
finds the commonest, which get cells of their own.
"""

from collections.abc import Callable, Sequence

import numpy as np

from crossent.errors import DataError, ProbabilityError
from crossent.rows.binding import Binding, bind
from crossent.rows.columns import require_column
from crossent.rows.sources import Source
from crossent.scoring.columns import Columns, predictions
from crossent.scoring.counts import whole_counts
from crossent.scoring.layout import MOST_TRACKED, Binning, Interval, Prior, commonest, rows_of_classes
from crossent.scoring.refusal import no_probabilities
from crossent.scoring.score import Score
from crossent.scoring.tally import Tally
from crossent.wording import quoted

__all__ = ["bind_source", "score_file"]


def bind_source(
    source: Source,
    *,
    target: str,
    probs: str | None = None,
    logits: str | None = None,
    log_probs: str | None = None,
    positive: str | None = None,
    weight: str | None = None,
    besides: Sequence[str] = (),
) -> Binding:
    """Which columns of a file are the prediction, in which form, and the class of each.

    Args:
        source: an open crossent.rows.Source.
        target: name of the column with the truth.
        probs, logits, log_probs, positive: as in crossent.rows.bind.
        weight: name of the column with weights, which is then no prediction.
        besides: names of further columns that are no prediction: counts, segments, clusters.
    Returns: a Binding; the values of the target have been looked at.
    Raises: DataError (a column that is missing, or target and weight at once), LabelError, UnsupportedError as
        `bind`.

    >>> import pyarrow as pa
    >>> from crossent.rows import from_table
    >>> table = pa.table({"y": ["cat", "dog"], "p_cat": [0.8, 0.5], "p_dog": [0.2, 0.5]})
    >>> bind_source(from_table(table), target="y").classes
    ('cat', 'dog')
    """
    others = (*besides, *([] if weight is None else [weight]))
    for name in (target, *others):
        require_column(source, name)
    if weight == target:
        raise DataError(f"Column {quoted(target)} cannot be target and weight at once. Give another --weight.")
    names = [name for name in source.column_names if name == target or name not in others]
    return bind(
        names,
        target=target,
        probs=probs,
        logits=logits,
        log_probs=log_probs,
        positive=positive,
        target_values=_target_values(source, target, most=len(names)),
        source=source.name,
    )


def _target_values(source: Source, target: str, *, most: int) -> list[str]:
    """The distinct values of the target, sorted; once there are more than `most`, which no columns fit, the rest is
    not read."""
    found: set[str] = set()
    for block in source.blocks([target]):
        found.update(text for text in block.distinct(target)[0] if text is not None)
        if len(found) > most:
            break
    return sorted(found)


def score_file(
    source: Source,
    binding: Binding,
    *,
    weight: str | None = None,
    count: str | None = None,
    by: Sequence[str] = (),
    cluster: str | None = None,
    prior: Prior | None = None,
    threshold: float = 0.5,
    ci: Interval = "hall",
    clip: float | None = None,
    worst: int = 10,
    bins: int = 10,
    binning: Binning = "width",
    confidence: float = 0.95,
    redraws: int = 200,
    seed: int = 0,
    on_rows: Callable[[int], None] | None = None,
) -> Score:
    """Score the predictions in a file: the log loss with its interval, and where it comes from.

    Args:
        source: an open crossent.rows.Source.
        binding: its columns, from `bind_source`.
        weight: name of a column of weights, from 1e-60 to 1e60 or 0; only their ratios matter.
        count: name of a column of whole numbers: a row of count c is c rows.
        by: names of columns whose values are segments.
        cluster: name of the column that tells which rows belong together; the interval is then over these clusters.
        prior, threshold, ci, clip, worst, bins, binning: as in `crossent.Tally`.
        confidence: coverage of the intervals.
        redraws, seed: as in `crossent.Tally.result`.
        on_rows: called after each block with the number of rows read so far, for instance by a progress bar.
    Returns: the Score.
    Raises: DataError (missing cells, targets that are no class, too many segments), ProbabilityError (the message
        counts such rows in the whole file and names the option to try), NonFiniteError, WeightError, EmptyBatchError,
        OptionError.

    >>> import pyarrow as pa
    >>> from crossent.rows import from_table
    >>> source = from_table(pa.table({"y": ["cat", "dog"], "p_cat": [0.8, 0.5], "p_dog": [0.2, 0.5]}))
    >>> round(score_file(source, bind_source(source, target="y")).log_loss.value, 6)
    0.458145
    """
    tally = Tally(
        binding.classes, kind=binding.kind, worst=worst, bins=bins, binning=binning, clip=clip, by=by,
        cluster=cluster is not None, ci=ci, threshold=threshold, prior=prior,
        tracked=_tracked(source, binding, weight, count),
    )  # fmt: skip
    beside = Columns(weight, count, cluster, tuple(by))
    for block in source.blocks((binding.target, *binding.columns, *beside.names)):
        targets, prediction = block.codes(binding.target, binding.classes), predictions(block, binding)
        rows = beside.of(block)
        try:
            if binding.positive is None:
                tally.update(targets, prediction, **rows)
            else:
                tally.update_binary(targets, prediction[:, 0], **rows)
        except ProbabilityError as error:
            raise no_probabilities(source, binding, weight=weight) or error from error
        if on_rows is not None:
            on_rows(block.first_row + len(block))
    return tally.result(confidence=confidence, redraws=redraws, seed=seed)


def _tracked(source: Source, binding: Binding, weight: str | None, count: str | None) -> Sequence[int] | None:
    """The commonest classes where there are too many to follow them all."""
    k, beside = len(binding.classes), Columns(weight, count)
    if k <= MOST_TRACKED:
        return None
    rows = np.zeros(k, np.int64)
    for block in source.blocks((binding.target, *beside.names)):
        given, codes = beside.of(block), block.codes(binding.target, binding.classes)
        copies = np.ones(len(codes), np.int64)
        if count is not None:
            copies = whole_counts(given["count"], rows=len(codes), source=block.source, first_row=block.first_row)
        rows += rows_of_classes(codes, copies, given["sample_weight"], k)
    return commonest(rows)
