"""The examples in PyTorch do what their documentation says: accuracy, bits, rare classes, wrong labels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

Example = Callable[[str], Any]
pytestmark = [pytest.mark.frameworks, pytest.mark.usefixtures("one_thread")]


def test_digits_by_four_optimisers(example: Example) -> None:
    outcomes = example("digits_torch").run()
    assert list(outcomes) == ["SGD", "RMSprop", "Adagrad", "Adam"]
    for name, found in outcomes.items():
        assert found.accuracy > 0.97, name
        assert found.curve[-1] < 0.1 * found.curve[0], name
        assert found.log_loss < 0.15, name


def test_digits_are_the_same_again(example: Example) -> None:
    digits_torch = example("digits_torch")
    assert digits_torch.run(epochs=1) == digits_torch.run(epochs=1)


def test_digits_table_and_picture(example: Example, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    digits_torch = example("digits_torch")
    short = digits_torch.run
    monkeypatch.setattr(digits_torch, "run", lambda: short(epochs=2))
    digits_torch.main([str(tmp_path / "curves.png")])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["optimiser", "SGD", "RMSprop", "Adagrad", "Adam"]
    assert {len(line) for line in lines} == {66}
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_logit_adjustment_finds_rare_digits(example: Example) -> None:
    imbalance = example("imbalance")
    outcomes = imbalance.run()
    plain, _, focal, adjusted = outcomes.values()
    assert plain.recall[:5].mean() > 0.95  # frequent digits are found by any loss
    assert plain.recall[8:].mean() < 0.8
    assert adjusted.recall[8:].mean() > plain.recall[8:].mean() + 0.08
    assert adjusted.balanced_accuracy > plain.balanced_accuracy + 0.02
    assert adjusted.log_loss < plain.log_loss
    assert focal.balanced_accuracy < adjusted.balanced_accuracy
    assert len({len(line) for line in imbalance.table(outcomes).splitlines()}) == 1


def test_long_tail(example: Example) -> None:
    y = np.repeat(np.arange(10), 140)
    counts = np.bincount(y[example("imbalance").long_tail(y)])
    assert counts[0] == 130
    assert counts[9] == 4
    assert (np.diff(counts) < 0).all()


def test_robust_losses_do_not_believe_wrong_labels(example: Example) -> None:
    label_noise = example("label_noise")
    outcomes = label_noise.run()
    plain, bootstrap, symmetric, generalized = outcomes.values()
    assert generalized.accuracy > plain.accuracy + 0.02
    assert generalized.accuracy > 0.93
    for robust in (bootstrap, symmetric, generalized):
        assert robust.believed < plain.believed - 0.05
        assert robust.mended > plain.mended + 0.05
    assert len({len(line) for line in label_noise.table(outcomes).splitlines()}) == 1


def test_wrong_labels(example: Example) -> None:
    y = np.arange(10_000) % 10
    labels = example("label_noise").with_wrong_labels(y)
    assert (labels != y).mean() == 0.4
    assert set(np.unique((labels - y) % 10)) == set(range(10))


def test_character_model_beats_frequencies(example: Example) -> None:
    bits = example("character_model").run(steps=1000)
    assert bits.uniform > 6
    assert bits.unigram < bits.uniform - 1
    assert bits.bigram < bits.unigram - 0.5
    assert bits.model < bits.bigram - 0.5
    lower, upper = bits.interval
    assert lower < bits.model < upper < bits.bigram


def test_character_model_prints_what_it_found(example: Example, capsys: Any) -> None:
    example("character_model").main(["--steps", "2"])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:4]] == ["uniform", "unigram", "bigram", "model"]
    assert lines[4].endswith("with 95 % confidence, over topics")


def test_every_held_out_character_has_its_topic(example: Example) -> None:
    text = example("character_model").load_text()
    assert text.topic.shape == text.held.shape
    ends = np.flatnonzero(np.diff(text.topic))
    assert len(set(text.held[ends].tolist())) == 1  # line ends


def test_character_windows(example: Example) -> None:
    character_model = example("character_model")
    before, character = character_model.windows(np.arange(30))
    assert before.shape == (30 - character_model.CONTEXT, character_model.CONTEXT)
    assert torch.equal(before[1], torch.arange(1, character_model.CONTEXT + 1))
    assert character.tolist() == list(range(character_model.CONTEXT, 30))


def test_bigrams_are_those_of_the_text(example: Example) -> None:
    character_model = example("character_model")
    text = character_model.Text(np.array([0, 1] * 500), np.array([0, 1, 0]), 2)
    assert character_model.unigram(text) == pytest.approx(1.0)
    assert character_model.bigram(text) < 0.001
