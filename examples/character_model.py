"""A character language model on Python's own documentation, trained with crossent's linear_cross_entropy in PyTorch.

    python examples/character_model.py

The text is that of help("topics"), which every Python has. The last layer and the loss are one function: it takes the
hidden states and the layer's weight, and works through them in pieces, so that logits for all positions at once are
never in memory. Bits per character are cross-entropy divided by log 2; their interval is over the held-out topics, for
the characters of one topic go together. Needs pip install 'crossent[torch]'
"""

import argparse
import math
from pydoc_data.topics import topics
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

import crossent as ce
from crossent.torch import linear_cross_entropy

CONTEXT, FEATURES, HIDDEN, BATCH = 24, 24, 256, 256


class Text(NamedTuple):
    """Text as indices of characters: to train with, and held out."""

    train: Any
    held: Any
    size: int  # of the vocabulary
    topic: Any = None  # the number of the topic of every held-out character


class Bits(NamedTuple):
    """Bits per held-out character."""

    uniform: float
    unigram: float
    bigram: float
    model: float
    interval: tuple[float, float]  # of the model, 95 %


def load_text() -> Text:
    """Every tenth topic is held out."""
    vocabulary = {character: index for index, character in enumerate(sorted(set("".join(topics.values()))))}
    names = sorted(topics)
    held = names[::10]
    others = sorted(set(names) - set(held))

    def indices(chosen: list[str]) -> Any:
        return np.array([vocabulary[character] for character in "\n".join(topics[name] for name in chosen)])

    topic = np.repeat(np.arange(len(held)), [len(topics[name]) + 1 for name in held])[:-1]  # with the line end after it
    return Text(indices(others), indices(held), len(vocabulary), topic)


def unigram(text: Text) -> float:
    """Bits per held-out character of the characters' frequencies."""
    counts = np.bincount(text.train, minlength=text.size) + 1.0
    p = counts / counts.sum()
    return ce.cross_entropy(text.held, probs=np.broadcast_to(p, (len(text.held), text.size)), unit="bit")


def bigram(text: Text) -> float:
    """Bits per held-out character of the frequencies after the character before."""
    counts = np.full((text.size, text.size), 0.1)
    np.add.at(counts, (text.train[:-1], text.train[1:]), 1)
    p = counts / counts.sum(axis=1, keepdims=True)
    return ce.cross_entropy(text.held[1:], probs=p[text.held[:-1]], unit="bit")


class CharacterModel(nn.Module):
    """The hidden state [N, HIDDEN] for the next character, of the CONTEXT characters before it [N, CONTEXT]."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Embedding(size, FEATURES),
            nn.Flatten(),
            nn.Linear(CONTEXT * FEATURES, HIDDEN),
            nn.GELU(),
            nn.LayerNorm(HIDDEN),
        )
        self.weight = nn.Parameter(0.02 * torch.randn(size, HIDDEN))  # of the last layer
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, before: Any, character: Any, reduction: str = "mean") -> Any:
        """The loss in nats of the characters that follow, their mean or each one's."""
        hidden = self.layers(before)
        return linear_cross_entropy(hidden, self.weight, character, linear_bias=self.bias, reduction=reduction)


def windows(indices: Any) -> tuple[Any, Any]:
    """Every CONTEXT characters [N, CONTEXT] with the one that follows [N]."""
    rows = torch.as_tensor(indices).unfold(0, CONTEXT + 1, 1)
    return rows[:, :-1], rows[:, -1]


def train(model: nn.Module, indices: Any, steps: int) -> None:
    """Steps of AdamW on random places of the text, by a learning rate that rises to 0.003, then falls to about 0."""
    before, character = windows(indices)
    optimiser = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=0.003, total_steps=steps)  # sets every step's rate
    for _ in range(steps):
        places = torch.randint(len(character), (BATCH,))
        optimiser.zero_grad()
        model(before[places], character[places]).backward()
        optimiser.step()
        schedule.step()


def run(steps: int = 6000) -> Bits:
    """Bits per held-out character, of the model and of simple baselines."""
    text = load_text()
    torch.manual_seed(0)
    model = CharacterModel(text.size)
    train(model, text.train, steps)
    with torch.no_grad():
        losses = model.eval()(*windows(text.held), reduction="none")
    bits = ce.score_language(-losses, documents=text.topic[CONTEXT:]).bits_per_token
    return Bits(math.log2(text.size), unigram(text), bigram(text), bits.value, (bits.lower, bits.upper))


def main(argv: list[str] | None = None) -> None:
    """Reads the command line, prints bits per character."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=6000, help="of training")
    *named, (_, (lower, upper)) = run(parser.parse_args(argv).steps)._asdict().items()
    for name, bits in named:
        print(f"{name:8}{bits:8.3f} bits per held-out character")
    print(f"{'':8}{lower:8.3f} to {upper:.3f} with 95 % confidence, over topics")


if __name__ == "__main__":
    main()
