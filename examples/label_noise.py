"""Wrong labels: losses that limit what a wrong label can do, beside plain cross-entropy, in PyTorch.

    python examples/label_noise.py

Four of ten images to train with get the label of another digit. A network that is trained long enough learns them by
heart; the held-out labels are right and tell. Needs pip install 'crossent[torch]' scikit-learn
"""

import argparse
from typing import Any, NamedTuple

import numpy as np
import torch

import crossent as ce
import crossent.torch
from digits import split
from digits_torch import logits_of, network, train

WRONG = 0.4  # share of the labels
LOSSES = {
    "CrossEntropy()": ce.CrossEntropy(),
    "Bootstrap(beta=0.6)": ce.Bootstrap(beta=0.6, hard=True),
    "SymmetricCrossEntropy(0.1, 1)": ce.SymmetricCrossEntropy(alpha=0.1, beta=1.0),
    "GeneralizedCrossEntropy(0.7)": ce.GeneralizedCrossEntropy(q=0.7),
}


class Outcome(NamedTuple):
    """What a model makes of wrong labels."""

    accuracy: float  # of held-out images, by right labels
    believed: float  # share of the wrong labels that it repeats
    mended: float  # share of the wrong labels for which it gives the right digit


def with_wrong_labels(y: Any) -> Any:
    """The labels [N], a share of them moved to another digit."""
    random = np.random.default_rng(0)
    wrong = random.permutation(len(y)) < WRONG * len(y)
    return np.where(wrong, (y + random.integers(1, 10, len(y))) % 10, y)


def run(epochs: int = 40) -> dict[str, Outcome]:
    """The outcome of each loss, all from the same weights and batches."""
    data = split()
    labels = with_wrong_labels(data.y)
    wrong = labels != data.y
    outcomes = {}
    for name, loss in LOSSES.items():
        torch.manual_seed(0)
        model = network()
        optimiser = torch.optim.Adam(model.parameters(), lr=0.002)
        train(model, crossent.torch.loss(loss), optimiser, data.x, labels, epochs)
        held_out = logits_of(model, data.x_held).argmax(axis=-1)
        mislabelled = logits_of(model, data.x[wrong]).argmax(axis=-1)
        outcomes[name] = Outcome(
            accuracy=float((held_out == data.y_held).mean()),
            believed=float((mislabelled == labels[wrong]).mean()),
            mended=float((mislabelled == data.y[wrong]).mean()),
        )
    return outcomes


def table(outcomes: dict[str, Outcome]) -> str:
    """The outcomes as text, a loss a line."""
    lines = [f"{'':32}{'accuracy':>10}{'believed':>10}{'mended':>10}"]
    lines += [f"{name:32}" + "".join(f"{value:10.3f}" for value in found) for name, found in outcomes.items()]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, prints the table."""
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args(argv)
    torch.set_num_threads(1)  # images as small as these are no work for two
    print(table(run()))


if __name__ == "__main__":
    main()
