"""The progress line: silent for short fits, one renewed line on a terminal, a line every few seconds elsewhere."""

import io
from itertools import pairwise

import numpy as np
import pytest

from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.progress import Progress
from crossent.learn.trace import Step
from toys import toy


class Terminal(io.StringIO):
    def isatty(self):
        return True


def told(stream, seconds_per_step, steps, **options):
    """What is written of a fit with one step every so many seconds."""
    now = [100.0]
    with Progress("Model", 500, stream=stream, clock=lambda: now[0], **options) as progress:
        for i in range(steps):
            progress(Step(i, 1 / (i + 1), 0.25))
            now[0] += seconds_per_step
    return stream.getvalue()


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_short_fits_say_nothing(stream):
    assert told(stream(), 0.01, 90) == ""
    assert told(stream(), 10.0, 90, is_on=False) == ""
    assert told(stream(), 10.0, 0) == ""


def test_one_line_on_a_terminal():
    text = told(Terminal(), 0.0625, 160)
    assert text.count("\n") == 1
    assert text.endswith("\n")
    lines = text[:-1].split("\r")[1:]
    assert 60 < len(lines) < 100  # every 0.1 of the last 9 of 10 seconds
    assert lines[0].startswith("Model: iteration 16 of at most 500, loss 0.0588235, largest gradient entry 0.25, 1 s")
    assert lines[-1].startswith("Model: iteration 159 of at most 500, loss 0.00625, ")
    assert all(len(later) >= len(line.rstrip()) for line, later in pairwise(lines))


def test_a_line_every_few_seconds_elsewhere():
    lines = told(io.StringIO(), 0.5, 41).splitlines()
    assert [line.split(",")[0].split()[2] for line in lines] == ["2", "12", "22", "32", "40"]


def test_the_line_ends_after_an_error():
    stream, now = Terminal(), [0.0]

    def interrupted():
        with Progress("Model", 5, stream=stream, clock=lambda: now[0]) as progress:
            now[0] = 3.0
            progress(Step(1, 0.5, 0.1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert stream.getvalue().endswith("\n")


def test_verbose_writes_to_stderr(capsys, monkeypatch):
    X, y = toy()
    SoftmaxClassifier(verbose=True).fit(X, y)
    assert capsys.readouterr() == ("", "")
    monkeypatch.setattr("crossent.learn.progress._SILENT", 0.0)
    model = SoftmaxClassifier(verbose=np.True_).fit(X, y)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0].startswith("SoftmaxClassifier: iteration 0 of at most 1000, loss 1.09861")
    assert err.splitlines()[-1].startswith(f"SoftmaxClassifier: iteration {model.n_iter_} of at most")
    SoftmaxClassifier().fit(X, y)
    assert capsys.readouterr() == ("", "")
