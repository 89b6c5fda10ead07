"""The demo: it runs, its numbers are right, and what it prints can be pasted."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from crossent import demo
from crossent.cli.run import run

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[Path, str]:
    """The folder the demo was run in, and what it said."""
    folder = tmp_path_factory.mktemp("demo")
    ran = subprocess.run(
        [sys.executable, "-m", "crossent", "demo"], cwd=folder, capture_output=True, text=True, timeout=300, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    return folder, ran.stdout


def commands(text: str) -> list[list[str]]:
    """The commands in the demo's output."""
    joined = text.replace("\\\n", " ")
    return [shlex.split(line) for line in joined.splitlines() if re.match(r"(\S*/)?crossent ", line)]


def test_it_tells_what_it_should(told):
    _, text = told
    assert "1,347 rows to fit, 450 held out, 10 classes, 64 features" in text
    assert re.search(r"auto converged after \d+ iterations", text)
    assert re.search(r"log loss      0\.\d{4} nat, 95 % interval 0\.\d{4} to 0\.\d{4}\n +0\.\d{4} bit", text)
    assert len(re.findall(r"row \d+: \S+, predicted \S+, p\(true\)", text)) == 6
    assert "demo-output/digits-report.html" in text
    assert "log loss      inf, because of 1 row of 450" in text
    assert "malignant, predicted benign" in text
    assert "\x1b" not in text
    for word in ("baseline", "skill", "accuracy", "scikit-learn", "clipping"):
        assert word in text


def test_scikit_learn_agrees(told):
    folder, text = told
    differences = [float(x) for x in re.findall(r"difference (\S+)\n", text)]
    assert len(differences) == 2
    assert max(differences) <= 1e-12
    score = json.loads((folder / "demo-output/digits-score.json").read_text())
    assert score["log_loss"]["value"] < 0.2
    assert score["accuracy"]["value"] > 0.95


def test_every_file_is_there_and_none_is_left_over(told):
    folder, text = told
    found = set(os.listdir(folder / "demo-output"))
    assert not [name for name in found if name.endswith(".tmp")]
    assert {"digits-report.html", "cancer-report.html", "digits-model.safetensors"} <= found
    page = (folder / "demo-output/cancer-report.html").read_text()
    assert "malignant" in page
    assert text.rstrip().endswith("demo-output/cancer-report.html")


def test_every_command_can_be_pasted(told, monkeypatch, capfd):
    folder, text = told
    monkeypatch.chdir(folder)
    found = commands(text)
    assert [words[1] for words in found] == [
        "fit",
        "predict",
        "score",
        "score",
        "score",
        "fit",
        "predict",
        "score",
        "score",
    ]
    for words in found:
        assert run(words[1:]) == 0


def test_what_is_shown_is_what_runs(tmp_path):
    shown, ran = [], []

    class Show:
        def command(self, words):
            shown.append(shlex.split(words.replace("\\\n", " ")))

        def heading(self, text): ...
        def fact(self, name, text): ...
        def text(self, text): ...

    def command(words):
        ran.append(list(words))
        assert run(words) == 0

    assert demo.run(str(tmp_path / "a folder"), command=command, show=Show())
    assert [words[1:] for words in shown] == ran
    assert {Path(words[0]).name for words in shown} == {"crossent"}


@pytest.mark.parametrize("name", ["ACCURACY_NEEDED", "LOSS_NEEDED", "AGREEMENT_NEEDED"])
def test_a_result_that_is_not_good_enough_is_exit_1(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr(demo, name, 0.999 if name == "ACCURACY_NEEDED" else -1.0)
    monkeypatch.setattr(demo, "_second_act", lambda *a, **k: None)
    assert run(["demo", "--output", str(tmp_path / "a folder")]) == 1
    assert "Not as it should be" in capsys.readouterr().out


def test_a_folder_that_cannot_be_made(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert run(["demo", "--output", str(tmp_path / "file")]) == 2
    assert "Cannot make the folder" in capsys.readouterr().err


def test_without_scikit_learn(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.setitem(sys.modules, "sklearn", None)
    assert run(["demo", "--output", str(tmp_path)]) == 2
    assert (
        "The demo needs scikit-learn, which is not installed. Run: pip install 'crossent[demo]'"
        in capsys.readouterr().err
    )
    assert os.listdir(tmp_path) == []
