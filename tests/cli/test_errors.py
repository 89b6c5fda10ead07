"""Bad input on the command line: one clear message, exit 2, nothing half-written."""

from pathlib import Path

import numpy as np
import pytest

from crossent.learn.store import load_model
from crossent.rows import open_sink

FIT = ("--target", "y", "-o", "m.safetensors")
SCORE = ("--target", "y")


def refused(ran, *texts: str) -> None:
    """Exit 2, nothing on stdout, one error that says all these texts, no traceback."""
    assert ran.status == 2
    assert ran.out == ""
    errors = [line for line in ran.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    for text in texts:
        assert text in errors[0]
    assert "Traceback" not in ran.err


def files() -> set[str]:
    """Everything in the folder, hidden files too."""
    return {path.name for path in Path().iterdir()}


@pytest.mark.parametrize(
    ("content", "options", "texts"),
    [
        ("", FIT, ["a.csv is empty (0 bytes)"]),
        ("y,x\n", FIT, ["a.csv has no rows"]),
        ("y,x\n0,1\n1,2\n", ("--target", "Y", *FIT[2:]), ["a.csv has no column 'Y'", "Did you mean 'y'?"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--drop", "xx"), ["no column 'xx'", "Did you mean 'x'?"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--features", "z"), ["no column 'z'"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--drop", "x"), ["no feature columns are left"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--drop", "y"), ["'y' is the target"]),
        ("y,x\n0,1\n1,cat\n0,3\n0,3\n0,3\n", FIT, ["a.csv row 2: column 'x' holds the text 'cat'"]),
        ("y,x,name\n0,1,a\n1,2,b\n", FIT, ["column 'name' is of kind text", "--drop name"]),
        ("y,x\n0,1\n1,\n0,3\n", FIT, ["a.csv row 2: column 'x' is missing or NaN", "--drop x"]),
        ("y,x\n0,1\n1,nan\n0,3\n", FIT, ["a.csv row 2: column 'x' is missing or NaN"]),
        ("y,x\n0,1\n1,inf\n0,3\n", FIT, ["a.csv row 2: column 'x' is infinite"]),
        ("y,x\n0,1\n,2\n1,3\n", FIT, ["a.csv row 2: the target column 'y' is empty"]),
        ("y,x\n0,1\n0,2\n", FIT, ["only 1 class, '0'"]),
        ("y,x\n0,1\n1,2\n", ("-o", "m.safetensors"), ["Missing option '--target'"]),
        ("y,x\n0,1\n1,2\n", ("--target", "y"), ["Missing option '-o'"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--solver", "adam"), ["'adam' is not one of 'gd', 'lbfgs'"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--l2", "-1"), ["--l2", "x>=0"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--l2", "nan"), ["l2 is nan"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--tol", "nan"), ["tol is nan"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--max-iter", "0"), ["--max-iter", "x>=1"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--learning-rate", "0"), ["--learning-rate", "x>0"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--lerning-rate", "1"), ["No such option", "--learning-rate"]),
        ("y,x\n0,1\n1,2\n", (*FIT[:2], "-o", "no/m"), ["Cannot write no/m: the folder does not exist"]),
        ("y,x\n0,1\n1,2\n", (*FIT[:2], "-o", "."), ["Cannot write .: it is a folder"]),
        ("y,x\n0,1\n1,2\n", (*FIT[:2], "-o", "a.csv"), ["a.csv is both the file to read and the model to write"]),
    ],
)
def test_fit_refuses(crossent, content, options, texts):
    Path("a.csv").write_text(content)
    refused(crossent("fit", "a.csv", *options), *texts)
    assert files() == {"a.csv"}
    assert Path("a.csv").read_text() == content


@pytest.mark.parametrize("command", [("fit",), ("score",)])
def test_files_that_are_none(crossent, command):
    options = FIT if command == ("fit",) else SCORE
    refused(crossent(*command, "gone.csv", *options), "gone.csv does not exist")
    Path("folder.csv").mkdir()
    refused(crossent(*command, "folder.csv", *options), "folder.csv is a folder")
    Path("a.parquet").write_bytes(b"PAR1 and then nothing")
    refused(crossent(*command, "a.parquet", *options), "damaged or truncated Parquet")
    Path("b.parquet").write_bytes(b"hello")
    refused(crossent(*command, "b.parquet", *options), "b.parquet is not a Parquet file")
    Path("c.xls").write_bytes(b"hello")
    refused(crossent(*command, "c.xls", *options), "suffix '.xls' tells no format")
    refused(crossent(*command, "", *options), "the file name is empty")


def test_an_output_that_cannot_be_written_is_told_before_the_input_is_read(crossent):
    refused(crossent("fit", "gone.csv", "--target", "y", "-o", "no/m.safetensors"), "Cannot write no/m.safetensors")
    refused(crossent("predict", "gone", "gone.csv", "-o", "no/p.csv"), "Cannot write no/p.csv")
    refused(crossent("predict", "gone", "gone.csv", "-o", "p.xls"), "suffix '.xls' tells no format")
    for option in ("-o", "--report"):
        refused(crossent("score", "gone.csv", "--target", "y", option, "no/r"), "Cannot write no/r")
    assert files() == set()


@pytest.fixture
def model(crossent, flowers):
    """A fitted model beside flowers.parquet."""
    crossent("fit", flowers, "--target", "kind", "--drop", "id", "-o", "m.safetensors")
    return Path("m.safetensors")


def test_predict_refuses_what_is_no_model(crossent, model, flowers):
    whole = model.read_bytes()
    before = files()
    for name, content in (("cut", whole[:-9]), ("short", whole[:20]), ("foreign", b"PK hello"), ("empty", b"")):
        Path(name).write_bytes(content)
        refused(crossent("predict", name, flowers, "-o", "p.csv"), f"{name} is truncated, damaged or not a model")
        Path(name).unlink()
    Path("nan").write_bytes(whole[:-8] + np.float64("nan").tobytes())
    refused(crossent("predict", "nan", flowers, "-o", "p.csv"), "holds a value that is not finite")
    Path("nan").unlink()
    refused(crossent("predict", "gone", flowers, "-o", "p.csv"), "gone does not exist")
    refused(crossent("predict", ".", flowers, "-o", "p.csv"), ". is a folder")
    refused(crossent("score", flowers, "--target", "kind", "--report", "r", "--model", "gone"), "gone does not exist")
    assert files() == before


def test_predict_refuses_rows_it_cannot_use(crossent, model, flowers):
    Path("a.csv").write_text("x,yy\n1,2\n")
    refused(crossent("predict", model, "a.csv", "-o", "p.csv"), "a.csv has no column 'y'", "Did you mean 'yy'?")
    Path("a.csv").write_text("x,y\n1,2\n3,\n")
    ran = crossent("predict", model, "a.csv", "-o", "p.csv")
    refused(ran, "a.csv row 2: column 'y' is missing or NaN")
    assert "--drop" not in ran.err
    Path("a.csv").write_text("x,y\n1,2\n3,4\n3,4\n3,4\n3,owl\n")
    refused(crossent("predict", model, "a.csv", "-o", "p.csv"), "a.csv row 5: column 'y' holds the text 'owl'")
    refused(
        crossent("predict", model, flowers, "-o", "p.csv", "--keep", "idd"), "no column 'idd'", "Did you mean 'id'?"
    )
    refused(crossent("predict", model, flowers, "-o", flowers), "is both the file to read and the file to write")
    refused(crossent("predict", model, flowers, "-o", "m.csv", "extra"), "unexpected extra argument")
    assert load_model(model).classes == ("iris", "lily", "rose")
    assert files() == {"a.csv", "m.safetensors", "flowers.parquet"}


def test_an_old_output_survives_a_failure(crossent, model):
    Path("p.csv").write_text("precious")
    Path("a.csv").write_text("x,y\n1,2\n3,\n")
    refused(crossent("predict", model, "a.csv", "-o", "p.csv"), "row 2")
    assert Path("p.csv").read_text() == "precious"


PETS = "y,p_cat,p_dog\ncat,0.9,0.1\ndog,0.2,0.8\n"


@pytest.mark.parametrize(
    ("content", "options", "texts"),
    [
        ("", SCORE, ["is empty (0 bytes)"]),
        ("y,p_cat,p_dog\n", SCORE, ["has no rows"]),
        (PETS, ("--target", "Y"), ["no column 'Y'", "Did you mean 'y'?"]),
        (PETS, (*SCORE, "--weight", "w"), ["no column 'w'"]),
        (PETS, (*SCORE, "--weight", "y"), ["cannot be target and weight"]),
        (PETS, (*SCORE, "--probs", "q_*"), ["no column matches --probs 'q_*'"]),
        (PETS, (*SCORE, "--probs", "p_*", "--logits", "z_*"), ["--probs and --logits"]),
        (PETS, (*SCORE, "p_dog", "p_cat"), ["unexpected extra argument", "needs quotes"]),
        (PETS, (*SCORE, "--positive", "bird"), ["--positive 'bird'"]),
        (PETS, (*SCORE, "--clip", "0.5"), ["--clip", "0<x<0.5"]),
        (PETS, (*SCORE, "--clip", "nan"), ["clip is nan"]),
        (PETS, (*SCORE, "--confidence", "95"), ["--confidence", "0<x<1"]),
        (PETS, (*SCORE, "--worst", "-1"), ["--worst"]),
        (PETS, (*SCORE, "--format", "xml"), ["'xml' is not one of 'table', 'json'"]),
        (PETS, (*SCORE, "--model", "m"), ["--model is shown on the page only"]),
        (PETS, (*SCORE, "--report", "a.csv"), ["a.csv is both the file to read and the report"]),
        (PETS, (*SCORE, "--report", "x", "-o", "x"), ["x is both the output and the report"]),
        (PETS + "owl,0.5,0.5\n", SCORE, ["takes the value 'owl', but no column stands for it"]),
        (PETS + ",0.5,0.5\n", SCORE, ["a.csv row 3: column 'y' is empty"]),
        (PETS + "dog,0.5,\n", SCORE, ["a.csv row 3: column 'p_dog' is missing or NaN"]),
        (PETS + "dog,0.5,half\n", SCORE, ["a.csv row 3: column 'p_dog' holds the text 'half'"]),
        (PETS + "dog,0.5,1.5\n", SCORE, ["a.csv row 3: the probability of class 'dog' is 1.5", "logits"]),
        (PETS + "dog,0.5,0.9\n", SCORE, ["a.csv row 3: the probabilities", "sum to 1.4"]),
        ("y,p_0,p_1\n1,0.5,0.5\n2,0.5,0.5\n", SCORE, ["Labels start at 1"]),
        ("y,p\ncat,0.5\ndog,0.5\n", (*SCORE, "--probs", "p"), ["which of them is the column for?", "--positive 'cat'"]),
        ("y,p\na,0.5\nb,0.5\nc,0.5\n", (*SCORE, "--probs", "p"), ["3 values", "single column"]),
        ("y,p_a,p_b,z_a,z_b\na,1,0,1,0\n", SCORE, ["--probs", "--logits"]),
        ("y,a,b\n0,1,0\n", SCORE, ["No column is called like a prediction"]),
        ("y,z_0,z_1\n0,1,0\n1,2,inf\n", SCORE, ["a.csv row 2: column 'z_1' is inf"]),
        ("y,z_0,z_1\n0,1,0\n1,-inf,-inf\n", SCORE, ["a.csv row 2: every logit is -inf"]),
        ("y,logp_0,logp_1\n0,-1,0.5\n1,0,0\n", SCORE, ["a.csv row 1: column 'logp_1' is 0.5", "--logits"]),
        ("y,p_0,p_1,w\n0,1,0,1\n1,0,1,-3\n", (*SCORE, "--weight", "w"), ["a.csv row 2: weight -3"]),
        ("y,p_0,p_1,w\n0,1,0,1\n1,0,1,\n", (*SCORE, "--weight", "w"), ["a.csv row 2: column 'w' is missing or NaN"]),
        ("y,p_0,p_1,w\n0,1,0,0\n1,0,1,0\n", (*SCORE, "--weight", "w"), ["no row to score"]),
    ],
)
def test_score_refuses(crossent, content, options, texts):
    Path("a.csv").write_text(content)
    refused(crossent("score", "a.csv", *options), *texts)
    assert files() == {"a.csv"}


def test_a_target_with_very_many_values_is_not_read_to_its_end(crossent):
    with open_sink("a.parquet") as sink:
        for start in range(0, 200_000, 50_000):
            p = np.full(50_000, 0.5)
            sink.write({"y": np.arange(start, start + 50_000), "p_0": p, "p_1": p})
    refused(crossent("score", "a.parquet", "--target", "y"), "no column stands for it")


def test_names_from_files_cannot_move_the_cursor(crossent):
    Path("a.csv").write_text("y,x\n0,1\n1,\x1b[2Jboo\n0,1\n")
    ran = crossent("fit", "a.csv", *FIT)
    assert ran.status == 2
    assert "\x1b" not in ran.err


def test_unknown_command(crossent):
    refused(crossent("scores"), "No such command 'scores'")


def test_losses_and_show_config_take_no_arguments(crossent):
    refused(crossent("losses", "x"), "unexpected extra argument")
    refused(crossent("show-config", "--format", "xml"), "xml")
