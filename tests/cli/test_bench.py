"""`crossent bench` as a process: page and JSON, bad input, and no worker left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

QUICK = ("bench", "--quick", "--rounds", "1", "--vs", "numpy")
LINUX = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="needs /proc, as Linux has it")


def test_a_page_is_printed(process):
    ran = process(*QUICK, "--suite", "small")
    assert ran.status == 0, ran.err
    assert ran.out.startswith("# Measured by `crossent bench`")
    assert "| (32, 10) |" in ran.out
    assert "Tiny sizes" in ran.out
    assert ran.err.startswith("2 cases, 1 round, ")
    assert "(1, 10) forward: crossent" in ran.err
    assert "\x1b" not in ran.err


def test_page_json_and_pictures_are_written(process, tmp_path):
    (tmp_path / "n.toml").write_text('["(32, 10)"]\nforward = "Python is slow"\n')
    files = ("--json", "r.json", "--output", "RESULTS.md", "--notes", "n.toml")
    ran = process(*QUICK, "--suite", "small", "--suite", "scaling", "--cases", "*32*", "--threads", "1", *files)
    assert (ran.status, ran.out) == (0, ""), ran.err
    assert "Python is slow." in (tmp_path / "RESULTS.md").read_text()
    assert (tmp_path / "results-rows.svg").read_text().count("<svg") == 1
    found = json.loads((tmp_path / "r.json").read_text())
    assert found["schema"] == "crossent.bench/1"
    assert found["machine"]["threads"] == 1
    assert {m["peer"] for m in found["measurements"]} == {"crossent", "NumPy"}


def test_a_library_that_is_missing_is_reported(process):
    ran = process("bench", "--quick", "--rounds", "1", "--vs", "tensorflow", "--cases", "(5000000, 3)",
                  "--python", f"tensorflow={sys.executable}")  # fmt: skip
    assert ran.status == 0, ran.err
    assert "Note: TF XLA: not installed (pip install tensorflow, or make frameworks)" in ran.err
    assert "- TF XLA: not installed (pip install tensorflow, or make frameworks)" in ran.out


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["--suite", "speed"], ["'speed' is not one of 'loss', 'small', 'linear', 'torch', 'fit', 'score', 'scaling'"]),
        (["--vs", "torhc"], ["'torhc' is none of torch", "Did you mean 'torch'?"]),
        (["--cases", "gone"], ["--cases 'gone' fits no case", "'(2048, 32000)'"]),
        (["--rounds", "0"], ["--rounds", "x>=1"]),
        (["--threads", "100000"], ["--threads"]),
        (["--python", "torch"], ["write NAME=PATH"]),
        (["--python", "torch=/gone/python"], ["that is no Python 3.11 or newer"]),
        (["--python", "torch=/bin/true"], ["that is no Python 3.11 or newer"]),
        (["--python", "tensor=/bin/true"], ["'tensor' is none of"]),
        (["--output", "no/r.md"], ["Cannot write no/r.md"]),
        (["--json", "."], ["Cannot write .: it is a folder"]),
        (["--json", "r", "--output", "r"], ["r is both the page to write and the JSON to write"]),
        (["--notes", "gone.toml"], ["Cannot read gone.toml"]),
    ],
)
def test_bad_input_is_one_message(crossent, words, texts):
    ran = crossent("bench", *words)
    assert (ran.status, ran.out) == (2, "")
    (error,) = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    for text in texts:
        assert text in error
    assert os.listdir() == []


@pytest.mark.parametrize(("library", "extra"), [("ml_dtypes", "bench"), ("matplotlib", "report")])
def test_what_a_run_needs_is_told_before_it_starts(crossent, monkeypatch, library, extra):
    monkeypatch.setattr("crossent.cli.bench.find_spec", lambda name: None if name == library else True)
    ran = crossent("bench", "--suite", "scaling", "--suite", "loss", "-o", "r.md")
    assert ran.status == 2
    assert f"needs {library}, which is not installed. Run: pip install 'crossent[{extra}]'" in ran.err


def workers(mark: str) -> list[int]:
    """Processes that have the mark in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue
    return found


def eventually(condition) -> bool:
    """Whether a condition holds within a minute."""
    for _ in range(600):
        if condition():
            return True
        time.sleep(0.1)
    return False


@LINUX
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, -15), (signal.SIGKILL, -9)])
def test_no_worker_outlives_the_command(tmp_path, sent, status):
    mark = f"CROSSENT_BENCH_TEST={tmp_path}"
    environment = {**os.environ, "CROSSENT_BENCH_TEST": str(tmp_path), "TMPDIR": str(tmp_path)}
    command = subprocess.Popen(
        [sys.executable, "-m", "crossent", "bench", "--vs", "numpy", "--suite", "small", "--rounds", "100000"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip
    assert eventually(lambda: len(workers(mark)) == 3)  # the command, crossent's worker, NumPy's worker
    command.send_signal(sent)
    _, told = command.communicate(timeout=60)
    assert command.returncode == status
    if sent == signal.SIGINT:
        assert told.splitlines()[-1] == "Interrupted."
        assert "Traceback" not in told
    assert eventually(lambda: workers(mark) == [])
