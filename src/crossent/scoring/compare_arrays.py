"""compare: from two sets of predictions in arrays or tables to a Compare, in one call.

Rows are matched by their order, so both sets must be as long.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, cast

from crossent.core.check import float_array
from crossent.core.types import ArrayLike
from crossent.errors import OptionError, ShapeError, UnsupportedError
from crossent.scoring.compare import Compare
from crossent.scoring.compare_tables import table_tally
from crossent.scoring.compare_tally import CompareTally
from crossent.scoring.inputs import array_blocks, keyed_columns, labels_of
from crossent.scoring.layout import Interval, Kind
from crossent.scoring.two import EXAMPLE, Two

__all__ = ["compare"]


def compare(
    targets: ArrayLike | str,
    *,
    probs: Any = None,
    logits: Any = None,
    log_probs: Any = None,
    table: Any = None,
    classes: Sequence[Hashable] | None = None,
    positive: Hashable | None = None,
    sample_weight: ArrayLike | str | None = None,
    count: ArrayLike | str | None = None,
    by: Mapping[str, ArrayLike] | Sequence[str] | str | None = None,
    cluster: ArrayLike | str | None = None,
    ci: Interval = "hall",
    margin: float | None = None,
    confidence: float = 0.95,
    anytime: bool = False,
    expect_n: int | None = None,
    seed: int = 0,
) -> Compare:
    """Whether one set of predictions is better than another of the same rows: the mean difference of their losses.

        d_i = loss_B,i - loss_A,i,  difference = sum_i w_i d_i / sum_i w_i          [nat], negative where B is better

    Args:
        targets: [n] class indices in 0..K-1, names among `classes`, or booleans; the name of a column of the table.
        probs: two sets of probabilities, [a, b] or {name: a, name: b}: A is what there is, B what would replace it.
            Each [n, K], or [n] for the positive one of two classes. Exactly one of probs, logits, log_probs.
            With one table: the two patterns that name their columns ("old_*", "new_*"), or two columns; with two
            tables one pattern for both, or two.
        logits: scores before softmax (before the sigmoid, if [n]).
        log_probs: logarithms of probabilities.
        table: an Arrow table (pandas, polars, pyarrow, duckdb), or two as [a, b] or {name: a, name: b}, with rows in
            the same order; all other columns are then given by their names, and are read from the first table.
        classes: names of the columns of the predictions, in their order; (negative, positive) of [n] predictions. With
            a table the columns' names tell them. None: the indices.
        positive: the class that [n] predictions, or single columns, are for; None takes 1 of {0, 1} and true.
        sample_weight: [n] importance weights from 1e-60 to 1e60, or 0; only ratios matter, weight 0 is not a row.
        count: [n] whole numbers from 0 to 2^32; a row of count c is c rows in every statistic.
        by: column -> [n] values, or names of columns of the table: each of the values is a segment.
        cluster: [n] keys; intervals are then over clusters of rows with the same key.
        ci: "hall" for Hall's interval, "bootstrap" for one of 1024 resampled groups of rows (or of clusters).
        margin: what B may be worse by, >= 0, in nats, for the verdict and the gates; None asks for the direction only.
        confidence: coverage of the intervals, in (0, 1).
        anytime: whether these rows are a look at data that still come in: verdict and gates are then valid however
            often one looks. `crossent.CompareTally` keeps the looks.
        expect_n: with anytime, the number of rows (clusters) at which the sequence shall be tightest.
        seed: of the bootstrap.
    Returns: a Compare. The same rows in any order give the same bits (but for the bootstrap of rows, whose groups
        follow their numbers).
    Raises: ShapeError, LabelError, ProbabilityError, NonFiniteError, WeightError, DtypeError for other arrays;
        OptionError for other options; DataError for columns and for tables that do not fit each other;
        UnsupportedError for arguments that exclude one another; EmptyBatchError without a row.
    Source: Hall, J. R. Statist. Soc. B 54 (1992), 221-228; as `Compare` and its parts say.

    >>> old, new = [[0.8, 0.2], [0.5, 0.5], [0.4, 0.6]], [[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]]
    >>> found = compare([0, 1, 1], probs={"old": old, "new": new})
    >>> round(found.difference.value, 6), found.verdict
    (-0.247312, 'undecided')
    """
    if anytime != (expect_n is not None):
        missing = "anytime=True came without expect_n" if anytime else "expect_n came without anytime=True"
        raise OptionError(f"{missing}; an anytime-valid comparison needs both: anytime=True, expect_n=10000")
    predicted = {"probs": probs, "logits": logits, "log_probs": log_probs}
    beside = {"sample_weight": sample_weight, "count": count, "by": by, "cluster": cluster}
    if table is None:
        tally = _array_tally(targets, predicted, classes, positive, beside, ci)
    elif classes is not None:
        raise UnsupportedError("classes= and table= were given; the names of a table's columns tell the classes.")
    else:
        tally = table_tally(table, targets, predicted, positive, beside, ci)
    return tally.result(margin=margin, confidence=confidence, seed=seed, expect_n=expect_n)


def _one_kind(predicted: Mapping[str, Any]) -> tuple[Kind, Any]:
    """The form of the predictions that was given."""
    given = [name for name, value in predicted.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(f"{name}=" for name in given) + " were" if given else "none was"
        raise UnsupportedError(
            f"{found} given; name exactly one: logits= for raw scores, probs= for probabilities, log_probs= for their "
            f"logarithms, each for two sets: {EXAMPLE}."
        )
    return cast(Kind, given[0]), predicted[given[0]]


def _array_tally(
    targets: Any,
    predicted: Mapping[str, Any],
    classes: Sequence[Hashable] | None,
    positive: Hashable | None,
    beside: Mapping[str, Any],
    ci: Interval,
) -> CompareTally:
    """The tally of two sets of predictions in arrays."""
    kind, given = _one_kind(predicted)
    names, members = Two.of(given, kind)
    a, b = (float_array(member, f"{kind} of {name}") for name, member in zip(names, members, strict=True))
    if a.shape != b.shape:
        raise ShapeError(
            f"{kind} of {names[0]} have shape {a.shape} and of {names[1]} {b.shape}; both must be predictions of the "
            "same rows, in the same order, and of the same classes."
        )
    frames = [(f"{kind} of {name}", member) for name, member in zip(names, members, strict=True)]
    labels = labels_of(targets, a.shape, classes=classes, positive=positive, frames=frames, verb="compare")
    tally = CompareTally(
        labels.classes,
        kind=kind,
        names=names,
        by=tuple(keyed_columns(beside["by"])),
        cluster=beside["cluster"] is not None,
        ci=ci,
    )
    update: Callable[..., None] = tally.update_binary if labels.single else tally.update
    for rows, more in array_blocks(beside, rows=len(labels.targets), classes=len(labels.classes)):
        update(labels.targets[rows], a[rows], b[rows], **more)
    return tally
