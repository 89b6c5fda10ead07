"""What a focal loss does to a rare class: caravan insurance, of which 6 % of the customers are buyers.

    python examples/boosting_imbalance.py [--library lightgbm]

Each loss trains the same trees; every customer is predicted once, by a model that has not seen them. The data are those
of the package islp ("An Introduction to Statistical Learning"): pip install --no-deps islp
"""

import argparse
import csv
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import crossent as ce
from crossent.boosting import lightgbm_objective, xgboost_objective

ROUNDS, FOLDS, RATE, DEPTH = 60, 5, 0.1, 3


class Outcome(NamedTuple):
    """What held-out probabilities of buying are worth."""

    log_loss: float  # nats, over all customers
    buyers: float  # over the buyers alone
    others: float  # over the others alone
    recall: float  # share of the buyers with p > 1/2
    top_tenth: float  # share of the buyers among the tenth of customers with the largest p
    mean_p: float  # to be compared with the share of buyers
    mended: float  # log loss after a logistic regression on the score, fitted on the other half


def load_caravan() -> tuple[Any, Any]:
    """Features [5822, 85] and buyers [5822], as 0 and 1."""
    package = find_spec("ISLP")
    if package is None or package.origin is None:
        sys.exit("The data of the package islp are missing. Run: pip install --no-deps islp")
    with (Path(package.origin).parent / "data" / "Caravan.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return np.array([row[:-1] for row in rows], float), np.array([row[-1] == "Yes" for row in rows], int)


def xgboost_scores(loss: Any, X: Any, y: Any, X_held: Any) -> Any:
    """Raw scores of held-out rows."""
    import xgboost as xgb

    params = {"objective": "binary:logistic", "eta": RATE, "max_depth": DEPTH, "min_child_weight": 0.1, "nthread": 1}
    train = xgb.DMatrix(X, label=y)
    booster = xgb.train(params, train, ROUNDS, obj=xgboost_objective(loss, curvature="upper"))
    return booster.predict(xgb.DMatrix(X_held), output_margin=True).astype(float)


def lightgbm_scores(loss: Any, X: Any, y: Any, X_held: Any) -> Any:
    """Raw scores of held-out rows."""
    import lightgbm as lgb

    params = {"objective": lightgbm_objective(loss, curvature="upper"), "learning_rate": RATE, "max_depth": DEPTH}
    return lgb.train({**params, "verbosity": -1, "num_threads": 1}, lgb.Dataset(X, y), ROUNDS).predict(X_held)


LIBRARIES: dict[str, Callable[..., Any]] = {"xgboost": xgboost_scores, "lightgbm": lightgbm_scores}


def held_out(scores: Callable[..., Any], loss: Any, X: Any, y: Any) -> Any:
    """Every row's raw score, by the model of the folds that it is not in."""
    fold = np.random.default_rng(0).permutation(len(y)) % FOLDS
    z = np.zeros(len(y))
    for k in range(FOLDS):
        z[fold == k] = scores(loss, X[fold != k], y[fold != k], X[fold == k])
    return z


def outcome(y: Any, z: Any) -> Outcome:
    """The measures of raw scores z."""
    bought, p = y == 1, ce.sigmoid(z)
    half = np.arange(len(y)) % 2 == 0
    mended = np.zeros(len(y))
    for part in (half, ~half):
        line = ce.SoftmaxClassifier(l2=0).fit(z[part, None], y[part])
        mended[~part] = line.decision_function(z[~part, None])
    top = np.argsort(-z, kind="stable")[: len(y) // 10]
    return Outcome(
        log_loss=ce.binary_cross_entropy(y, logits=z),
        buyers=ce.binary_cross_entropy(y[bought], logits=z[bought]),
        others=ce.binary_cross_entropy(y[~bought], logits=z[~bought]),
        recall=float((p[bought] > 0.5).mean()),
        top_tenth=float(y[top].sum() / y.sum()),
        mean_p=float(p.mean()),
        mended=ce.binary_cross_entropy(y, logits=mended),
    )


def study(library: str) -> dict[str, Outcome]:
    """The outcome of each loss."""
    X, y = load_caravan()
    odds = float((y == 0).sum() / (y == 1).sum())
    losses = {
        "BinaryCrossEntropy()": ce.BinaryCrossEntropy(),
        f"BinaryCrossEntropy(pos_weight={odds:.1f})": ce.BinaryCrossEntropy(pos_weight=odds),
        "BinaryFocal(gamma=2)": ce.BinaryFocal(gamma=2.0),
        f"BinaryFocal(gamma=2, alpha={odds / (1 + odds):.2f})": ce.BinaryFocal(gamma=2.0, alpha=odds / (1 + odds)),
    }
    return {name: outcome(y, held_out(LIBRARIES[library], loss, X, y)) for name, loss in losses.items()}


def table(outcomes: dict[str, Outcome]) -> str:
    """The outcomes as text, a loss a line."""
    heads = ("log loss", "buyers'", "others'", "recall", "top tenth", "mean p", "mended")
    lines = [f"{'':36}" + "".join(f"{head:>11}" for head in heads)]
    lines += [f"{name:36}" + "".join(f"{value:11.4f}" for value in row) for name, row in outcomes.items()]
    return "\n".join(lines)


def main() -> None:
    """Reads the command line, prints the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--library", choices=sorted(LIBRARIES), default="xgboost")
    library = parser.parse_args().library
    _, y = load_caravan()
    print(f"{library}, {len(y)} customers, {y.sum()} buyers: a mean p of {y.mean():.4f} would be right\n")
    print(table(study(library)))


if __name__ == "__main__":
    main()
