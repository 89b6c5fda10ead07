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
        ("y,x\n0,1\n1,2\n", (*FIT, "--solver", "adamw"), ["'adamw' is not one of", "'gd', 'lbfgs'"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--l2", "-1"), ["--l2", "x>=0"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--l2", "nan"), ["l2 is nan"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--tol", "nan"), ["tol is nan"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--max-iter", "0"), ["--max-iter", "x>=1"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--learning-rate", "0"), ["--learning-rate", "x>0"]),
        ("y,x\n0,1\n1,2\n", (*FIT, "--learning-rate", "1"), ["learning_rate=1.0 is for", "solver='auto' needs none"]),
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


def test_score_refuses_what_is_no_model_before_it_reads(crossent, model, flowers):
    whole = model.read_bytes()
    shown = ("score", "gone.csv", "--target", "kind", "--report", "r.html", "--model", "other")
    for content in (whole[:-9], whole[:20], b"PK hello", b"", whole[:8] + b"\x00" * 400):
        Path("other").write_bytes(content)
        refused(crossent(*shown), "other is truncated, damaged or not a model")
    Path("other").unlink()
    assert files() == {"m.safetensors", "flowers.parquet"}


def test_predict_refuses_files_without_rows(crossent, model):
    before = files()
    for content, text in (
        ("", "a.csv is empty (0 bytes)"),
        ("x,y\n", "a.csv has no rows"),
        ("x,y", "a.csv has no rows"),
    ):
        Path("a.csv").write_text(content)
        refused(crossent("predict", model, "a.csv", "-o", "p.csv"), text)
    with open_sink("a.parquet") as sink:
        sink.write({"x": np.empty(0), "y": np.empty(0)})
    refused(crossent("predict", model, "a.parquet", "-o", "p.parquet"), "a.parquet has no rows")
    Path("a.csv").unlink()
    Path("a.parquet").unlink()
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
        (
            PETS + "dog,0.5,1.5\n",
            SCORE,
            ["a.csv row 3: p_cat..p_dog sum to 2 (1 of 3 rows is off 1)", "--logits 'p_*'"],
        ),
        (PETS + "dog,0.5,0.9\n", SCORE, ["a.csv row 3: p_cat..p_dog sum to 1.4 (1 of 3 rows is off 1). Correct"]),
        ("y,p_0,p_1\n1,0.5,0.5\n2,0.5,0.5\n", SCORE, ["Labels start at 1"]),
        ("y,p\ncat,0.5\ndog,0.5\n", (*SCORE, "--probs", "p"), ["which of them is the column for?", "--positive 'cat'"]),
        ("y,p\na,0.5\nb,0.5\nc,0.5\n", (*SCORE, "--probs", "p"), ["3 values", "single column"]),
        ("y,p_a,p_b,z_a,z_b\na,1,0,1,0\n", SCORE, ["--probs", "--logits"]),
        ("y,a,b\n0,1,0\n", SCORE, ["No column is called like a prediction"]),
        ("y,z_0,z_1\n0,1,0\n1,2,inf\n", SCORE, ["a.csv row 2: column 'z_1' is inf"]),
        ("y,z_0,z_1\n0,1,0\n1,-inf,-inf\n", SCORE, ["a.csv row 2: every logit is -inf"]),
        (
            "y,logp_0,logp_1\n0,-1,0.5\n1,0,0\n",
            SCORE,
            ["a.csv row 1: exp of logp_0..logp_1 sums to 2.0166 (2 of 2 rows are off 1)", "--logits 'logp_*'"],
        ),
        (
            "y,p_0,p_1,w\n0,1,0,1\n1,0,1,-3\n",
            (*SCORE, "--weight", "w"),
            ["a.csv row 2: sample weight -3; weights from 1e-60 to 1e60, or 0, are allowed. Correct"],
        ),
        ("y,p_0,p_1,w\n0,1,0,1\n1,0,1,\n", (*SCORE, "--weight", "w"), ["a.csv row 2: column 'w' is missing or NaN"]),
        ("y,p_0,p_1,w\n0,1,0,0\n1,0,1,0\n", (*SCORE, "--weight", "w"), ["no row to score"]),
    ],
)
def test_score_refuses(crossent, content, options, texts):
    Path("a.csv").write_text(content)
    refused(crossent("score", "a.csv", *options), *texts)
    assert files() == {"a.csv"}


WEIGHED = (*SCORE, "--weight", "w", "--format", "json")


@pytest.mark.parametrize("weights", [("1e-170", "1e-200"), ("1", "1e-61"), ("1e200", "1"), ("1e61", "1e61")])
def test_score_refuses_weights_that_are_not_near_1(crossent, weights):
    rows = "".join(f"{k},0.{k + 1},0.{9 - k},{w}\n" for k, w in enumerate(weights))
    Path("a.csv").write_text("y,p_0,p_1,w\n" + rows)
    row = 1 + next(i for i, w in enumerate(weights) if not 1e-60 <= float(w) <= 1e60)
    ran = crossent("score", "a.csv", *WEIGHED)
    refused(ran, f"a.csv row {row}: sample weight", "from 1e-60 to 1e60, or 0, are allowed", "only ratios".capitalize())
    assert "Warning" not in ran.err


@pytest.mark.parametrize("unit", [2.0**-199, 2.0**199])
def test_the_unit_of_weights_changes_nothing(crossent, unit):
    rng = np.random.default_rng(5)
    p, y, w = rng.uniform(1e-12, 1, 60) ** 4, rng.integers(0, 2, 60), rng.uniform(0.9, 1.1, 60)
    for name, scale in (("a.csv", 1.0), ("b.csv", unit)):
        with open_sink(name) as sink:
            sink.write({"y": y, "p": p, "w": scale * w})
    told = [crossent("score", name, *WEIGHED, "--probs", "p").out for name in ("a.csv", "b.csv")]
    assert told[0] == told[1].replace("b.csv", "a.csv")
    assert '"lower": null' not in told[0]


def test_a_huge_loss_cannot_be_weighted(crossent):
    Path("a.csv").write_text("y,z_0,z_1,w\n0,1,0,1\n1,1e300,0,2\n")
    refused(crossent("score", "a.csv", *WEIGHED), "a.csv row 2: the loss is 1e+300 nat; with weights")
    assert max(map(len, crossent("score", "a.csv", *SCORE).out.splitlines())) < 300


LOGITS = "These look like logits: try --logits"
SLIP = "Correct such rows; if the columns are scores before softmax, try --logits"
OUTSIDE = "probabilities lie in 0..1"


@pytest.mark.parametrize(
    ("rows", "options", "text"),
    [
        ("p_a,p_b a,2.5,-1 b,4,3 b,0.5,0.5", (), f"p_a..p_b sum to 1.5 (2 of 3 rows are off 1). {LOGITS} 'p_*'"),
        ("p_a,p_b a,2.5,-1.5 b,1,0", (), f"p_a is 2.5; {OUTSIDE} (1 of 2 rows is off 1). {SLIP} 'p_*'"),
        ("p_a,p_b a,2,2 b,2,2", ("--probs", "p_"), f"p_a..p_b sum to 4 (2 of 2 rows are off 1). {LOGITS} p_"),
        ("p_a,p_b a,0.9,0.9 b,1,0", (), f"p_a..p_b sum to 1.8 (1 of 2 rows is off 1). {SLIP} 'p_*'"),
        ("p_a,p_b a,90,10 b,20,80", (), "sum to 100 (2 of 2 rows are off 1). These look like per cents: divide them"),
        ("p_a,p_b a,-0.693147,-0.693147 b,0,-inf", (), "These look like log-probabilities: try --log-probs 'p_*'"),
        ("p_a,p_b a,inf,-inf b,1,0", (), f"p_a..p_b sum to nan (1 of 2 rows is off 1). {SLIP} 'p_*'"),
        ("p 0,2.5 1,-1 0,0.5", (), f"p is 2.5; {OUTSIDE} (2 of 3 rows are off). {LOGITS} p"),
        ("p 0,-0.5 1,-1", (), f"p is -0.5; {OUTSIDE} (2 of 2 rows are off). These look like log-prob"),
        ("logp_a,logp_b a,2.5,-1 b,4,3", (), "exp of logp_a..logp_b sums to 12.5504 (2 of 2 rows are off 1)"),
        ("logp_a,logp_b a,2.5,-1 b,4,3", (), f"{LOGITS} 'logp_*'"),
        ("logp_a,logp_b a,0.5,0.5 b,0.1,0.9", (), "These look like probabilities: try --probs 'logp_*'"),
        ("logp 0,0.5 1,-1", (), "logp is 0.5; logarithms of probabilities are <= 0 (1 of 2 rows is off)"),
        ("p$a,p$b a,2,2 b,2,2", ("--probs", "p$"), f"{LOGITS} 'p$'"),
    ],
)
def test_score_names_columns_counts_rows_and_says_what_to_try(crossent, rows, options, text):
    Path("a.csv").write_text("y," + rows.replace(" ", "\n") + "\n")
    refused(crossent("score", "a.csv", *SCORE, *options), "a.csv row 1: ", text)


def test_rows_that_are_off_are_counted_in_the_whole_file(crossent):
    n = 150_000
    p = np.full((n, 3), 1 / 3)
    p[70_000:70_812] = [3.0, 4.31, 0.0]
    y, w = np.arange(n) % 3, np.ones(n)
    w[70_000:70_012] = 0
    columns = {"y": [("cat", "dog", "owl")[k] for k in y], "w": w}
    with open_sink("preds.parquet") as sink:
        sink.write({**columns, "p_cat": p[:, 0], "p_dog": p[:, 1], "p_owl": p[:, 2]})
    found = "p_cat..p_owl sum to 7.31"
    ran = crossent("score", "preds.parquet", *SCORE, "--weight", "w")
    refused(ran, f"preds.parquet row 70013: {found} (800 of 149988 rows are off 1). {LOGITS} 'p_*'.")
    p[140_000, 1] = np.nan
    p[:5] = 9
    with open_sink("preds.parquet") as sink:
        sink.write({**columns, "p_cat": p[:, 0], "p_dog": p[:, 1], "p_owl": p[:, 2]})
    refused(crossent("score", "preds.parquet", *SCORE), "row 1: p_cat..p_owl sum to 27 (817 of 149999 rows are off 1)")


def test_a_cell_that_cannot_be_read_ends_the_count(crossent):
    rows = ["cat,2,3\n"] * 140_000
    rows[139_000] = "cat,owl,3\n"
    Path("a.csv").write_text("y,p_cat,p_dog\n" + "".join(rows))
    ran = crossent("score", "a.csv", *SCORE)
    refused(ran, "row 1: p_cat..p_dog sum to 5 (131072 of the first 131072 rows are off 1)", LOGITS)


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
