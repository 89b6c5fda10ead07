"""`crossent fit --compare`: table and JSON on stdout, the picture and the model whole or not there, refusals."""

import json
import math
from pathlib import Path
from xml.etree import ElementTree

import pytest

from crossent.learn.store import load_model

COMPARE = ("--target", "kind", "--drop", "id", "--compare", "gd,lbfgs")


def compared(crossent, flowers: Path, *more: object):
    return crossent("fit", flowers, *COMPARE, *more)


def refused(ran, *texts: str) -> None:
    """Exit 2, nothing on stdout, one error that says all these texts."""
    assert (ran.status, ran.out) == (2, "")
    errors = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    for text in texts:
        assert text in errors[0]


def test_the_table_goes_to_stdout_and_messages_to_stderr(process, flowers):
    ran = process("fit", flowers.name, *COMPARE, "--learning-rate", 0.01, "--max-iter", 50)
    assert ran.status == 0
    table, known, reasons = ran.out.split("\n\n")
    heads, *rows = (line.split() for line in table.splitlines())
    assert heads[:4] == ["solver", "iterations", "passes", "seconds"]
    assert [row[0] for row in rows] == ["gd", "lbfgs"]
    assert "72 rows fitted, 18 rows held out" in known
    assert [line.split(":")[0] for line in reasons.splitlines()] == ["gd did not converge", "lbfgs converged"]
    assert "target 'kind': 3 classes" in ran.err
    assert "rows: 72 (18 rows held out)" in ran.err
    assert {path.name for path in flowers.parent.iterdir()} == {"flowers.parquet"}


def test_json_has_the_curves_and_no_number_that_json_has_not(process, flowers):
    ran = process(
        "fit", flowers.name, *COMPARE, "--format", "json", "--max-iter", 20, "--learning-rate", 0.1, "--held-out", 0.3
    )

    def refuse(word):
        raise AssertionError(word)

    found = json.loads(ran.out, parse_constant=refuse)
    assert found["schema"] == "crossent.comparison/1"
    assert (found["rows"], found["heldout_rows"]) == (63, 27)
    assert found["l2"] == 1 / 63
    gd, lbfgs = found["curves"]
    assert (gd["solver"], lbfgs["solver"]) == ("gd", "lbfgs")
    assert len(gd["loss"]) == len(gd["passes"]) == len(gd["seconds"]) == len(gd["gap"]) == len(gd["heldout"]) == 21
    assert gd["loss"][0] == lbfgs["loss"][0] == pytest.approx(math.log(3), rel=1e-12)
    assert gd["heldout"][0] == pytest.approx(math.log(3), rel=1e-12)
    assert found["best"] <= min(lbfgs["loss"]) < gd["loss"][-1] < gd["loss"][0]
    assert all(a <= b for a, b in zip(gd["seconds"], gd["seconds"][1:], strict=False))
    assert not gd["converged"]


def test_the_best_model_is_written_if_asked(crossent, flowers):
    ran = compared(crossent, flowers, "-o", "m.safetensors", "--format", "json", "--max-iter", "30")
    assert "wrote m.safetensors" in ran.err
    model = load_model("m.safetensors")
    best = min(json.loads(ran.out)["curves"], key=lambda curve: curve["loss"][-1])
    assert model.options["solver"] == best["solver"]
    assert model.trace[-1]["loss"] == best["loss"][-1]


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_picture_is_written_whole_and_the_same_again(crossent, flowers, suffix, monkeypatch):
    monkeypatch.setattr("crossent.learn.comparison.time.perf_counter", lambda: 0.0)
    ran = compared(crossent, flowers, "--plot", f"a.{suffix}")
    assert (ran.status, f"wrote a.{suffix}" in ran.err) == (0, True)
    content = Path(f"a.{suffix}").read_bytes()
    if suffix == "png":
        assert content.startswith(b"\x89PNG")
        assert content.endswith(b"IEND\xaeB`\x82")
    else:
        assert ElementTree.fromstring(content).tag.endswith("svg")
    compared(crossent, flowers, "--plot", f"b.{suffix}")
    assert Path(f"b.{suffix}").read_bytes() == content


def test_a_picture_that_fails_leaves_nothing_half_written(crossent, flowers, monkeypatch):
    from matplotlib.figure import Figure

    def broken(self, file, **options):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Figure, "savefig", broken)
    Path("old.png").write_bytes(b"old")
    refused(compared(crossent, flowers, "--plot", "old.png"), "Cannot write old.png: the disk is full")
    assert Path("old.png").read_bytes() == b"old"
    assert {path.name for path in Path().iterdir()} == {"flowers.parquet", "old.png"}


def test_options_reach_the_solvers(crossent, flowers):
    ran = compared(
        crossent, flowers, "--format", "json", "--l2", "0.5", "--class-weight", "balanced", "--learning-rate", "0.2",
        "--schedule", "sqrt", "--batch-size", "16", "--momentum", "0.5", "--seed", "3", "--max-iter", "4", "--tol", "0",
        "--no-intercept", "--features", "x",
    )  # fmt: skip
    found = json.loads(ran.out)
    assert found["l2"] == 0.5
    assert [len(curve["loss"]) for curve in found["curves"]] == [5, 5]
    again = json.loads(compared(crossent, flowers, "--format", "json", "--seed", "4").out)
    assert again["curves"][0]["heldout"] != found["curves"][0]["heldout"]


def test_without_held_out_rows_there_is_no_held_out_loss(crossent, flowers):
    found = json.loads(compared(crossent, flowers, "--held-out", "0", "--format", "json", "--max-iter", "3").out)
    assert (found["rows"], found["heldout_rows"]) == (90, 0)
    assert found["curves"][0]["heldout"] == [None] * 4


@pytest.mark.parametrize(
    ("options", "texts"),
    [
        (("--compare", "gd,lbfg"), ["solver is 'lbfg'", "'lbfgs'", "'gd'", "Did you mean 'lbfgs'?"]),
        (("--compare", ","), ["No solver is named"]),
        (("--compare", "gd", "--solver", "gd"), ["leave --solver out"]),
        (("--compare", "gd", "--held-out", "1"), ["--held-out"]),
        (("--compare", "gd", "--held-out", "0.001"), ["held_out=0.001 of 90 rows", "leaves no row"]),
        (("--compare", "gd", "--plot", "a.pdf"), ["a.pdf", "'.png', '.svg'"]),
        (("--compare", "gd", "--plot", "no/a.png"), ["Cannot write no/a.png"]),
        (("--compare", "gd", "--format", "xml"), ["'xml'"]),
        (("--compare", "gd", "--plot", "a.png", "-o", "a.png"), ["a.png is both"]),
        (("-o", "m", "--plot", "a.png"), ["--plot belongs to --compare"]),
        (("-o", "m", "--held-out", "0.1"), ["--held-out belongs to --compare"]),
        (("-o", "m", "--format", "json"), ["--format belongs to --compare"]),
        (("-o", "m", "--schedule", "cos"), ["--schedule", "'cosine'"]),
        (("-o", "m", "--momentum", "1"), ["--momentum"]),
        (("-o", "m", "--l1", "-1"), ["--l1"]),
    ],
)
def test_refusals(crossent, flowers, options, texts):
    refused(crossent("fit", flowers, "--target", "kind", "--drop", "id", *options), *texts)
    assert {path.name for path in Path().iterdir()} == {"flowers.parquet"}


def test_an_unknown_solver_ends_the_process_with_status_2(process, flowers):
    ran = process("fit", flowers.name, *COMPARE[:-1], "gd,newtonn")
    refused(ran, "solver is 'newtonn'")
    assert "Traceback" not in ran.err


def test_without_matplotlib_a_picture_is_refused_before_anything_is_read(crossent, monkeypatch):
    monkeypatch.setattr("crossent.cli.options.find_spec", lambda name: None)
    refused(crossent("fit", "gone.csv", "--target", "y", "--compare", "gd", "--plot", "a.png"), "pip install 'crossent")
