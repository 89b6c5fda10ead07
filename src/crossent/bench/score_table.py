"""The table of scoring: what all statistics of a tally cost beside the log loss alone, and beside scikit-learn."""

from collections.abc import Sequence

from crossent.bench.cases import Case
from crossent.bench.cells import memory, row, wanted
from crossent.bench.results import Measurement, Results
from crossent.bench.roster import LOSS_ALONE, METRICS
from crossent.bench.wording import number, time_text

__all__ = ["score_table"]

_SKLEARN_LOSS = "sklearn log_loss"


def score_table(results: Results, cases: Sequence[Case]) -> list[str]:
    """The table with its explanation."""
    lines = [
        "A tally takes all rows in blocks of 65536, without segments and clusters, and keeps what all statistics are",
        "made of; `result()` then makes them, once, with 200 redraws for the calibration tests. Beside it the mean log",
        'loss alone over the same blocks (`cross_entropy(check="rows")`), and scikit-learn on the whole arrays:',
        "`log_loss`, and a set of metrics that says the part it can of the same (`log_loss`, `brier_score_loss` of",
        "every class, `roc_auc_score`, `precision_recall_fscore_support`, `confusion_matrix`). Targets are drawn from",
        "the probabilities.",
        "",
    ]
    heads = ["case", "log loss alone", "tally", "times the log loss", "target", "`result()`", "sklearn log_loss"]
    heads += ["sklearn metrics", "sklearn metrics / tally", "extra memory of the tally, MB"]
    lines += [row(heads), row(["---"] * len(heads))]
    for case in cases:
        alone, other, metrics = (
            results.one(case, "tally", "default", peer) for peer in (LOSS_ALONE, _SKLEARN_LOSS, METRICS)
        )
        ours, result = results.ours(case, "tally"), results.ours(case, "result")
        times, beside = (results.ratio(case, "tally", "default", peer) for peer in (LOSS_ALONE, METRICS))
        cells = [case.title.removeprefix("score "), _time(alone), _time(ours)]
        cells += ["-" if times is None else number(1 / times), wanted(results, case, "tally"), _time(result)]
        cells += [_time(other), _time(metrics), "-" if beside is None else number(beside)]
        lines.append(row([*cells, memory(results, case, "tally").partition(" ")[0]]))
    return lines


def _time(found: Measurement | None) -> str:
    """The median with its unit, or why there is none."""
    if found is None:
        return "-"
    if found.median is None:
        return f"failed: {found.failure[:60]}"
    return time_text(found.median) if found.right else f"{time_text(found.median)}, wrong"
