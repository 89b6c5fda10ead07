"""Rare classes: plain cross-entropy, class weights, focal loss and logit adjustment side by side, in PyTorch.

    python examples/imbalance.py

The digits are thinned out to a long tail: there are 130 images of a 0 to train with, fewer of every following digit,
and 4 of a 9. The held-out images have as many of each. Needs pip install 'crossent[torch]' scikit-learn
"""

import argparse
from typing import Any, NamedTuple

import numpy as np
import torch

import crossent as ce
import crossent.torch
from digits import split
from digits_torch import logits_of, network, train

MOST, LEAST = 130, 4  # images of a 0 and of a 9


class Outcome(NamedTuple):
    """What held-out logits are worth, where every digit is as frequent as another."""

    recall: Any  # of each digit [10]
    balanced_accuracy: float  # their mean
    log_loss: float  # in nats


def long_tail(y: Any) -> Any:
    """Indices of the images that are kept."""
    keep = np.geomspace(MOST, LEAST, 10).round().astype(int)
    return np.concatenate([np.flatnonzero(y == digit)[: keep[digit]] for digit in range(10)])


def losses(y: Any) -> dict[str, Any]:
    """The losses to be compared, some of which are told how frequent each class is."""
    counts = np.bincount(y)
    return {
        "CrossEntropy()": ce.CrossEntropy(),
        "CrossEntropy(class_weight)": ce.CrossEntropy(class_weight=ce.balanced_weights(counts)),
        "Focal(gamma=2)": ce.Focal(gamma=2.0),
        "LogitAdjusted(priors)": ce.LogitAdjusted(priors=counts),
    }


def outcome(logits: Any, y: Any) -> Outcome:
    """The measures of held-out logits [N, 10]."""
    right = logits.argmax(axis=-1) == y
    recall = np.array([right[y == digit].mean() for digit in range(10)])
    return Outcome(recall, float(recall.mean()), ce.cross_entropy(y, logits=logits))


def run(epochs: int = 40) -> dict[str, Outcome]:
    """The outcome of each loss, all from the same weights and batches."""
    data = split()
    kept = long_tail(data.y)
    x, y = data.x[kept], data.y[kept]
    outcomes = {}
    for name, loss in losses(y).items():
        torch.manual_seed(0)
        model = network()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.002)
        train(model, crossent.torch.loss(loss), optimiser, x, y, epochs)
        outcomes[name] = outcome(logits_of(model, data.x_held), data.y_held)
    return outcomes


def table(outcomes: dict[str, Outcome]) -> str:
    """The outcomes as text, a loss a line."""
    lines = [f"{'recall of':28}" + "".join(f"{digit:6d}" for digit in range(10)) + f"{'balanced':>11}{'log loss':>10}"]
    for name, found in outcomes.items():
        recalls = "".join(f"{recall:6.2f}" for recall in found.recall)
        lines.append(f"{name:28}{recalls}{found.balanced_accuracy:11.3f}{found.log_loss:10.3f}")
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, prints the table."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args(argv)
    torch.set_num_threads(1)  # images as small as these are no work for two
    print(table(run()))


if __name__ == "__main__":
    main()
