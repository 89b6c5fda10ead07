"""A small convolutional network in PyTorch learns digits with crossent's loss, by four optimisers.

    python examples/digits_torch.py curves.png

It is the usual training loop; only the import of the loss differs from torch.nn.CrossEntropyLoss. Needs
pip install 'crossent[torch]' scikit-learn matplotlib
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from crossent.torch import CrossEntropyLoss
from digits import Outcome, draw, outcome, split, table

OPTIMISERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.02, momentum=0.9),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, lr=0.001),
    "Adagrad": lambda parameters: torch.optim.Adagrad(parameters, lr=0.01),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.001),
}


def network() -> nn.Module:
    """Images [N, 8, 8] to logits [N, 10]."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8)),
        nn.Conv2d(1, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.3),
        nn.Linear(1024, 64),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(64, 10),
    )


def train(model: nn.Module, criterion: nn.Module, optimiser: Any, x: Any, y: Any, epochs: int) -> list[float]:
    """The mean training loss of each epoch."""
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    curve = []
    for _ in range(epochs):
        total = 0.0
        for batch in torch.randperm(len(y)).split(50):
            optimiser.zero_grad()
            loss = criterion(model(x[batch]), y[batch])
            loss.backward()
            optimiser.step()
            total += loss.item() * len(batch)
        curve.append(total / len(y))
    return curve


@torch.no_grad()
def logits_of(model: nn.Module, x: Any) -> Any:
    """Logits [N, 10] of images as a NumPy array."""
    return model.eval()(torch.as_tensor(x)).numpy()


def run(epochs: int = 20) -> dict[str, Outcome]:
    """The outcome of each optimiser, all from the same weights and batches."""
    data = split()
    outcomes = {}
    for name, make in OPTIMISERS.items():
        torch.manual_seed(0)
        model = network()
        curve = train(model, CrossEntropyLoss(), make(model.parameters()), data.x, data.y, epochs)
        outcomes[name] = outcome(curve, logits_of(model, data.x_held), data.y_held)
    return outcomes


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, prints the table, draws the curves."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("picture", type=Path, nargs="?", help="where the loss curves are drawn (PNG)")
    picture = parser.parse_args(argv).picture
    torch.set_num_threads(1)  # images as small as these are no work for two
    outcomes = run()
    print(table(outcomes))
    if picture:
        draw(outcomes, picture)


if __name__ == "__main__":
    main()
