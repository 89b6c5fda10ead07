"""What the examples on digits share: scikit-learn's 1797 images of 8 x 8 pixels, a table, a picture of loss curves."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import crossent as ce

__all__ = ["Digits", "Outcome", "draw", "outcome", "split", "table"]


class Digits(NamedTuple):
    """Images [N, 8, 8] between -1 and 1 in float32, digits [N]: to train with, and held out."""

    x: Any
    y: Any
    x_held: Any
    y_held: Any


class Outcome(NamedTuple):
    """What a trained model is worth."""

    curve: list[float]  # mean training loss of each epoch, in nats
    log_loss: float  # of held-out images, in nats
    accuracy: float  # of held-out images


def split() -> Digits:
    """A quarter of the images is held out, as many of each digit as its share."""
    images, digits = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.float32) / 8 - 1
    x, x_held, y, y_held = train_test_split(images, digits, test_size=0.25, stratify=digits, random_state=0)
    return Digits(x, y, x_held, y_held)


def outcome(curve: list[float], logits: Any, y_held: Any) -> Outcome:
    """The measures of held-out logits [N, 10]."""
    right = logits.argmax(axis=-1) == y_held
    return Outcome(curve, ce.cross_entropy(y_held, logits=logits), float(right.mean()))


def table(outcomes: dict[str, Outcome]) -> str:
    """The outcomes as text, an optimiser a line."""
    lines = [f"{'optimiser':12}{'first epoch':>14}{'last epoch':>14}{'held-out loss':>16}{'accuracy':>10}"]
    lines += [
        f"{name:12}{found.curve[0]:14.4f}{found.curve[-1]:14.4f}{found.log_loss:16.4f}{found.accuracy:10.4f}"
        for name, found in outcomes.items()
    ]
    return "\n".join(lines)


def draw(outcomes: dict[str, Outcome], path: Path) -> None:
    """The loss curves of all optimisers in one picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    axes = figure.subplots()
    for name, found in outcomes.items():
        axes.plot(range(1, len(found.curve) + 1), found.curve, label=f"{name}, held-out accuracy {found.accuracy:.3f}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="epoch", ylabel="training cross-entropy [nat]", yscale="log")
    axes.legend()
    figure.savefig(path, dpi=150)
