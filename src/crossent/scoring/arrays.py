"""score: from arrays or a table in memory to a Score, in one call.

Arrays go through a Tally in blocks of rows, so that the memory on top of them stays bounded; a table goes the way of a
file. A row's identity is its number.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, cast

from crossent.core.check import prediction
from crossent.core.text import canonical_text
from crossent.core.types import ArrayLike
from crossent.errors import OptionError, UnsupportedError
from crossent.rows import from_table
from crossent.scoring.files import bind_source, score_file
from crossent.scoring.inputs import (
    array_blocks,
    column_name,
    column_names,
    keyed_columns,
    labels_of,
    python_words,
)
from crossent.scoring.layout import Binning, Interval, Kind, Prior
from crossent.scoring.score import Score
from crossent.scoring.tally import Tally

__all__ = ["score"]


def score(
    targets: ArrayLike | str,
    *,
    probs: ArrayLike | str | None = None,
    logits: ArrayLike | str | None = None,
    log_probs: ArrayLike | str | None = None,
    table: Any = None,
    classes: Sequence[Hashable] | None = None,
    positive: Hashable | None = None,
    sample_weight: ArrayLike | str | None = None,
    count: ArrayLike | str | None = None,
    by: Mapping[str, ArrayLike] | Sequence[str] | str | None = None,
    cluster: ArrayLike | str | None = None,
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
) -> Score:
    """What predictions are worth: the log loss with its interval, where it comes from, and whether they are calibrated.

        log loss = sum_i w_i l_i / sum_i w_i,  l_i = -log p_i[y_i]          [nat]

    Args:
        targets: [n] class indices in 0..K-1, names among `classes`, or booleans; the name of a column of `table`.
        probs: [n, K] probabilities, or [n] of the positive one of two classes; exactly one of probs, logits, log_probs.
            With a table: a pattern that names the columns ("p_*"), or one column; inferred from their names if all
            three are left out.
        logits: scores before softmax (before the sigmoid, if [n]).
        log_probs: logarithms of probabilities.
        table: any Arrow table (pandas, polars, pyarrow, duckdb); all other columns are then given by their names.
        classes: names of the columns of the prediction, in their order; (negative, positive) of [n] predictions. With a
            table the columns' names tell them. None: the indices.
        positive: the class that [n] predictions, or a single column, are for; None takes 1 of {0, 1} and true.
        sample_weight: [n] importance weights from 1e-60 to 1e60, or 0; only ratios matter, weight 0 is not a row.
        count: [n] whole numbers from 0 to 2^32; a row of count c is c rows in every statistic.
        by: column -> [n] values, or names of columns of the table: each of the values is a segment.
        cluster: [n] keys; the interval of the log loss is then over clusters of rows with the same key.
        prior: shares or counts of the classes among the training rows, by name or in column order: what the baseline
            predicts. None for the shares of the rows.
        threshold: of two classes, the probability above which the positive one is predicted.
        ci: "hall" for Hall's interval, "bootstrap" for one of 1024 resampled groups of rows (or of clusters).
        clip: moves every probability at the true class into [clip, 1 - clip]; None leaves p = 0 a loss of inf.
        worst: number of worst rows to list.
        bins, binning: of the reliability diagram, as in `Tally`.
        confidence: coverage of the intervals, in (0, 1).
        redraws: how often labels are redrawn from the probabilities, for what calibration would look like.
        seed: of the redraws and of the bootstrap.
    Returns: a Score. The same rows in any order give the same bits (but for the numbers of the worst rows, and for the
        bootstrap, whose groups follow the numbers of the rows).
    Raises: ShapeError, LabelError, ProbabilityError, NonFiniteError, WeightError, DtypeError for other arrays;
        OptionError for other options; DataError for columns; UnsupportedError for arguments that exclude one another;
        EmptyBatchError without a row.
    Source: as `Score` and its parts say.

    >>> result = score([0, 1, 1], probs=[[0.8, 0.2], [0.3, 0.7], [0.4, 0.6]])
    >>> round(result.log_loss.value, 6), round(result.skill, 6)
    (0.363548, 0.428845)
    >>> score(["ham", "spam", "spam"], probs=[0.2, 0.7, 0.6], positive="spam").classes
    ('ham', 'spam')
    """
    predicted = {"probs": probs, "logits": logits, "log_probs": log_probs}
    beside = {"sample_weight": sample_weight, "count": count, "by": by, "cluster": cluster}
    options: dict[str, Any] = {
        "prior": prior, "threshold": threshold, "ci": ci, "clip": clip, "worst": worst, "bins": bins, "binning": binning
    }  # fmt: skip
    drawn: dict[str, Any] = {"confidence": confidence, "redraws": redraws, "seed": seed}
    if table is None:
        return _array_score(targets, predicted, classes, positive, beside, options).result(**drawn)
    if classes is not None:
        raise UnsupportedError("classes= and table= were given; the names of a table's columns tell the classes.")
    return _table_score(table, targets, predicted, positive, beside, options | drawn)


def _array_score(
    targets: Any,
    predicted: Mapping[str, Any],
    classes: Sequence[Hashable] | None,
    positive: Hashable | None,
    beside: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Tally:
    """The tally of all rows."""
    kind, values = prediction(**predicted)
    labels = labels_of(targets, values.shape, classes=classes, positive=positive, frames=[(kind, predicted[kind])])
    tally = Tally(
        labels.classes, kind=cast(Kind, kind), by=tuple(keyed_columns(beside["by"])),
        cluster=beside["cluster"] is not None, tracked=labels.tracked(beside["sample_weight"], beside["count"]),
        **options,
    )  # fmt: skip
    update: Callable[..., None] = tally.update_binary if labels.single else tally.update
    for rows, more in array_blocks(beside, rows=len(labels.targets), classes=len(labels.classes)):
        update(labels.targets[rows], values[rows], **more)
    return tally


def _table_score(
    table: Any,
    targets: Any,
    predicted: Mapping[str, Any],
    positive: Hashable | None,
    beside: Mapping[str, Any],
    options: Mapping[str, Any],
) -> Score:
    """The score of columns of a table."""
    names = {name: column_name(column, name) for name, column in {**predicted, **beside}.items() if name != "by"}
    target, by = column_name(targets, "targets"), column_names(beside["by"], "by")
    weight, count, cluster = names["sample_weight"], names["count"], names["cluster"]
    if target is None:
        raise OptionError("targets is None; with table= the name of the column with the truth is needed")
    source = from_table(table)
    with python_words():
        binding = bind_source(
            source,
            target=target,
            **{name: names[name] for name in predicted},
            positive=None if positive is None else canonical_text(positive),
            weight=weight,
            besides=[name for name in (count, cluster, *by) if name is not None],
        )
        return score_file(source, binding, weight=weight, count=count, by=by, cluster=cluster, **options)
