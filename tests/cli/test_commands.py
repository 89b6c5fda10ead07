"""The commands on their main paths: what they write, what they print, and where."""

import json
import math
from pathlib import Path

import pytest

import crossent as ce
from crossent.cli.run import commands
from crossent.explain import CARDS
from crossent.learn.store import load_model
from crossent.rows import open_source


def fitted(crossent, flowers: Path, *more: object):
    return crossent("fit", flowers, "--target", "kind", "--drop", "id", "-o", "m.safetensors", *more)


def test_fit_predict_score_follow_each_other(crossent, flowers):
    ran = fitted(crossent, flowers)
    assert ran.status == 0
    assert ran.out == ""
    assert "target 'kind': 3 classes, 'iris', 'lily', 'rose'" in ran.err
    assert "features: 2 columns, 'x', 'y'" in ran.err
    assert "rows: 90" in ran.err
    assert "auto converged after" in ran.err
    ran = crossent("predict", "m.safetensors", flowers, "-o", "p.parquet", "--keep", "id")
    assert (ran.status, ran.out) == (0, "")
    names = open_source("p.parquet").column_names
    assert names == ("kind", "id", "p_iris", "p_lily", "p_rose", "prediction")
    ran = crossent("score", "p.parquet", "--target", "kind")
    assert ran.status == 0
    assert ran.err.splitlines() == [
        "target 'kind'; probs in 3 columns, 'p_iris' -> 'iris', 'p_lily' -> 'lily', 'p_rose' -> 'rose'"
    ]
    assert ran.out.startswith("Log loss 0.")
    assert "skill" in ran.out
    assert "worst rows" in ran.out


@pytest.mark.parametrize("pattern", ["p_*", "p_", "p"])
def test_score_as_json_is_the_loss_of_the_file(crossent, predictions, pattern):
    ran = crossent(
        "score", predictions, "--target", "y", "--probs", pattern, "--format", "json", "--weight", "w", "--clip", 0.01
    )
    assert ran.status == 0
    found = json.loads(ran.out)
    desired = (-math.log(0.9) - 2 * math.log(0.8) - math.log(0.01) - 3 * math.log(0.6)) / 7
    assert found["schema"] == "crossent.score/1"
    assert found["log_loss"]["value"] == pytest.approx(desired, rel=1e-14)
    assert found["notes"][:1] == [
        "clip 0.01 moved the probability at the true class in 1 of 4 rows, 1 of them from 0: without it the loss is inf"
    ]
    assert "weights in 'w'" in ran.err


def test_score_tells_an_infinity_and_what_to_do(crossent, predictions):
    ran = crossent("score", predictions, "--target", "y")
    assert ran.status == 0
    assert "Log loss inf: 1 of 4 rows has probability 0 at the true class" in ran.out
    assert "set the option clip to 5e-2" in ran.out
    assert (
        json.loads(crossent("score", predictions, "--target", "y", "--format", "json").out)["log_loss"]["value"]
        == "inf"
    )


def test_score_of_one_column_of_logits(crossent, tmp_path):
    Path("spam.csv").write_text("label,s\nham,-1\nspam,2\nham,0.5\n")
    ran = crossent("score", "spam.csv", "--target", "label", "--logits", "s", "--positive", "spam", "--format", "json")
    desired = ce.binary_cross_entropy([0, 1, 0], logits=[-1.0, 2.0, 0.5])
    assert json.loads(ran.out)["log_loss"]["value"] == pytest.approx(desired, rel=1e-14)
    assert "'s' is for class 'spam', the other is 'ham'" in ran.err


def test_score_of_log_probs(crossent, tmp_path):
    Path("a.csv").write_text("y,logp_0,logp_1\n1,-2.302585092994046,-0.10536051565782628\n")
    ran = crossent("score", "a.csv", "--target", "y", "--format", "json")
    assert json.loads(ran.out)["log_loss"]["value"] == pytest.approx(-math.log(0.9), rel=1e-12)


def test_score_writes_files_instead(crossent, flowers):
    fitted(crossent, flowers)
    crossent("predict", "m.safetensors", flowers, "-o", "p.csv")
    ran = crossent(
        "score", "p.csv", "--target", "kind", "--format", "json", "-o", "s.json",
        "--report", "r.html", "--model", "m.safetensors", "--worst", 2, "--confidence", 0.9,
    )  # fmt: skip
    assert (ran.status, ran.out) == (0, "")
    found = json.loads(Path("s.json").read_text())
    assert len(found["worst"]) == 2
    assert found["log_loss"]["confidence"] == 0.9
    page = Path("r.html").read_text()
    assert "Training" in page
    assert "p.csv" in page
    assert "https://" not in page


@pytest.mark.parametrize(("solver", "rate"), [("gd", ("--learning-rate", "0.2")), ("lbfgs", ())])
def test_fit_takes_its_options(crossent, flowers, solver, rate):
    ran = fitted(
        crossent, flowers, "--solver", solver, "--l2", "0.5", "--class-weight", "balanced", *rate,
        "--max-iter", "3", "--tol", "0", "--no-intercept", "--features", "x",
    )  # fmt: skip
    assert ran.status == 0
    assert "did not converge" in ran.err
    model = load_model("m.safetensors")
    assert model.features == ("x",)
    assert model.options["l2"] == 0.5
    assert model.options["solver"] == solver
    assert model.options["class_weight"] == "balanced"
    assert model.options["max_iter"] == 3
    assert model.options["fit_intercept"] is False
    assert not model.intercept.any()


def test_losses_lists_the_family(crossent):
    ran = crossent("losses")
    assert (ran.status, ran.err) == (0, "")
    for text in ("proper", "convex", "log(sum_k exp(z_k)) - z_y", "Lin et al., ICCV 2017", "hard=True never"):
        assert text in ran.out
    for card in CARDS:
        assert f"\n{card.name} " in ran.out
        assert card.function in ran.out
    assert max(map(len, ran.out.splitlines())) <= 100
    listed = json.loads(crossent("losses", "--format", "json").out)["losses"]
    assert listed == [card.to_dict() for card in CARDS]


def test_show_config_is_show_config(crossent):
    facts = json.loads(crossent("show-config", "--format", "json").out)
    assert facts["version"] == ce.__version__
    shown = crossent("show-config").out
    assert str(facts["isa"]) in shown
    assert "optional found" in shown


def test_version_and_help(crossent):
    assert crossent("--version").out == f"crossent {ce.__version__}\n"
    for ran in (crossent(), crossent("--help"), crossent("-h")):
        assert ran.status == 0
        assert "crossent demo" in ran.out
        for name in commands.commands:
            assert name in ran.out


@pytest.mark.parametrize("name", ["demo", "fit", "predict", "score", "losses", "bench", "show-config"])
def test_every_command_has_help(crossent, name):
    ran = crossent(name, "--help")
    assert ran.status == 0
    assert ran.out.startswith(f"Usage: crossent {name}")
