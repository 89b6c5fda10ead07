"""Runs the command line for the tests: in this process for many small cases, as a process where that matters."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from crossent.cli.run import run
from crossent.rows import open_sink


class Ran(NamedTuple):
    """Exit status, standard output and standard error of a command."""

    status: int
    out: str
    err: str


@pytest.fixture
def crossent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command in this process, standing in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def command(*words: object) -> Ran:
        status = run([str(word) for word in words])
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return command


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., Ran]:
    """Runs `python -m crossent` as a process of its own, standing in the folder of the test."""

    def command(*words: object, **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "crossent", *map(str, words)],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return command


@pytest.fixture
def flowers(tmp_path: Path) -> Path:
    """Three classes told apart by two numbers, 90 rows, with an id: flowers.parquet."""
    rng = np.random.default_rng(3)
    truth = np.repeat(["iris", "lily", "rose"], 30)
    x = rng.normal(size=90) + np.repeat([0.0, 2.0, 4.0], 30)
    path = tmp_path / "flowers.parquet"
    with open_sink(path) as sink:
        sink.write({"id": np.arange(90), "x": x, "y": rng.normal(size=90), "kind": truth.tolist()})
    return path


@pytest.fixture
def predictions(tmp_path: Path) -> Iterator[Path]:
    """Four rows of two classes, one of them with p = 0 at the truth: pets.csv."""
    path = tmp_path / "pets.csv"
    path.write_text("y,p_cat,p_dog,w\ncat,0.9,0.1,1\ndog,0.2,0.8,2\ndog,1.0,0.0,1\ncat,0.6,0.4,3\n")
    return path
