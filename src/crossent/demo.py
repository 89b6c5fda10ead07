"""The demo: real data written to Parquet, the commands run on it for real, and their results told.

The commands come in as a function (the command line itself, in this process), so what is printed is what was run.
Every number that is told is read back from the files that the commands wrote.
"""

import json
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from crossent.errors import DataError, MissingExtraError
from crossent.learn.store import load_model
from crossent.report.wording import caveat, told_interval, value
from crossent.rows import open_sink, open_source
from crossent.stats import Estimate
from crossent.wording import counted

__all__ = ["Command", "Show", "run"]

ACCURACY_NEEDED = 0.95
LOSS_NEEDED = 0.2
AGREEMENT_NEEDED = 1e-12
_LONG_LINE = 100
_SECOND_LINE = ("--model", "--format", "-o")  # where a long command is broken


class Command(Protocol):
    """Runs one command of crossent, given its words; raises if it fails."""

    def __call__(self, words: Sequence[str], /) -> None: ...


class Show(Protocol):
    """How the demo speaks."""

    def heading(self, text: str) -> None: ...
    def command(self, words: str) -> None: ...
    def fact(self, name: str, text: str) -> None: ...
    def text(self, text: str) -> None: ...


@dataclass(frozen=True)
class _Table:
    """A data set of scikit-learn as a table: features by column name, and the class of every row."""

    title: str
    stem: str
    target: str
    features: dict[str, npt.NDArray[np.float64]]
    classes: npt.NDArray[Any]


class _Paths:
    """The files of one act; names are relative to where the user stands unless the folder was given absolutely."""

    def __init__(self, folder: str, stem: str) -> None:
        self.train = os.path.join(folder, f"{stem}-train.parquet")
        self.heldout = os.path.join(folder, f"{stem}-heldout.parquet")
        self.model = os.path.join(folder, f"{stem}-model.safetensors")
        self.predictions = os.path.join(folder, f"{stem}-predictions.parquet")
        self.report = os.path.join(folder, f"{stem}-report.html")
        self.score = os.path.join(folder, f"{stem}-score.json")
        self.one_zero = os.path.join(folder, f"{stem}-one-zero.parquet")
        self.zero_score = os.path.join(folder, f"{stem}-one-zero.json")


def run(folder: str, *, command: Command, show: Show) -> bool:
    """Runs all acts; about ten seconds.

    Args:
        folder: where files are written; made if it is not there.
        command: runs one command of crossent.
        show: where the story is told.
    Returns: whether the models are as good as they should be and scikit-learn agrees with the losses.
    Raises: MissingExtraError without scikit-learn; DataError if the folder cannot be written; whatever a command
        raises.
    """
    digits, cancer = _load_digits(), _load_cancer()
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as error:
        raise DataError(f"Cannot make the folder {folder}: {error.strerror or error}. Choose another.") from error
    show.text(f"Tables, models, predictions and reports go to {folder}. Each command below is run for real;")
    show.text("paste it to run it again.")
    good = _act(digits, folder, command=command, show=show)
    _second_act(digits, folder, command=command, show=show)
    good = _act(cancer, folder, command=command, show=show) and good
    show.heading("Open these pages; they need no network")
    for table in (digits, cancer):
        show.text(_Paths(folder, table.stem).report)
    return good


# ---------------------------------------------------------------- the acts


def _act(table: _Table, folder: str, *, command: Command, show: Show) -> bool:
    """Data, fit, predict, score, report; whether all is as it should be."""
    paths = _Paths(folder, table.stem)
    rows = _write_parts(table, paths)
    show.heading(table.title)
    for words in _commands(table, paths):
        show.command(_to_paste(words))
        command(words)
    score = _read_json(paths.score)
    loss, accuracy = score["log_loss"]["value"], score["accuracy"]["value"]
    theirs, ours = _scikit_learn_loss(paths.predictions, table.target, score["classes"]), float(loss)
    show.text("")
    model = load_model(paths.model)
    show.fact("data", f"{rows[0]:,} rows to fit, {rows[1]:,} held out, {len(model.classes)} classes, "
                      f"{len(model.features)} features")  # fmt: skip
    show.fact("fit", _convergence(model.options, model.trace))
    _tell_score(score, show)
    show.fact("scikit-learn", f"log_loss of the same file {theirs:.15g}, difference {abs(theirs - ours):.1g}")
    _tell_worst(score, show)
    show.fact("report", paths.report)
    return _verdict(accuracy, ours, abs(theirs - ours), show)


def _program() -> list[str]:
    """The command as a shell finds it from where the user stands: by name if it is on the path."""
    if shutil.which("crossent") is not None:
        return ["crossent"]
    beside = Path(sys.executable).with_name("crossent")
    return [os.path.relpath(beside)] if beside.exists() else [sys.executable, "-m", "crossent"]


def _to_paste(words: Sequence[str]) -> str:
    """A command as a shell takes it, on two lines if it is long."""
    program = _program()
    line = shlex.join([*program, *words])
    if len(line) <= _LONG_LINE:
        return line
    cut = next((i for i, word in enumerate(words) if word in _SECOND_LINE), len(words))
    return f"{shlex.join([*program, *words[:cut]])} \\\n    {shlex.join(words[cut:])}"


def _commands(table: _Table, paths: _Paths) -> list[list[str]]:
    """The four commands."""
    score = ["score", paths.predictions, "--target", table.target, "--probs", "p_*"]
    return [
        ["fit", paths.train, "--target", table.target, "-o", paths.model],
        ["predict", paths.model, paths.heldout, "-o", paths.predictions],
        [*score, "--model", paths.model, "--report", paths.report],
        [*score, "--format", "json", "-o", paths.score],
    ]


def _verdict(accuracy: float, loss: float, difference: float, show: Show) -> bool:
    """Whether the result is as good as it should be; says what is not."""
    troubles = []
    if not accuracy > ACCURACY_NEEDED:
        troubles.append(f"the accuracy {accuracy:.4f} is not above {ACCURACY_NEEDED}")
    if not loss < LOSS_NEEDED:
        troubles.append(f"the log loss {loss:.4f} is not below {LOSS_NEEDED}")
    if not difference <= AGREEMENT_NEEDED:
        troubles.append(f"scikit-learn's log loss differs by {difference:.2g}, more than {AGREEMENT_NEEDED:g}")
    for trouble in troubles:
        show.text(f"Not as it should be: {trouble}.")
    return not troubles


def _second_act(table: _Table, folder: str, *, command: Command, show: Show) -> None:
    """One cell becomes 0, and the loss inf; what clipping would have said stands beside it."""
    paths = _Paths(folder, table.stem)
    row, truth, was = _write_one_zero(paths, table.target)
    words = ["score", paths.one_zero, "--target", table.target, "--probs", "p_*"]
    words += ["--format", "json", "-o", paths.zero_score]
    show.heading("What if one probability were 0?")
    show.text(f"In row {row + 1} the true class is {truth}, with p = {was:.4f}. Suppose the file said p = 0 there,")
    show.text("and gave that share to another class: a claim that the truth is impossible.")
    show.text("")
    show.command(_to_paste(words))
    command(words)
    score = _read_json(paths.zero_score)
    found = score["infinities"]
    finite, worst = found["finite"], score["worst"][0]
    clipped = _scikit_learn_loss(paths.one_zero, table.target, score["classes"])
    show.text("")
    show.fact("log loss", f"{score['log_loss']['value']}, because of {counted(found['rows'])} of {score['n']:,}")
    show.fact("which", f"row {worst['row'] + 1}: true class {worst['target']}, predicted {worst['predicted']}, p = 0")
    show.fact("the others", f"{finite['value']:.4f} nat over {counted(finite['n'])}")
    show.fact("scikit-learn", f"{clipped:.4f} nat: it clips p, so the number looks like an ordinary bad day")
    habits = [f"{entry['log_loss']:.4f} at {entry['eps']:.1e}" for entry in found["clipped"]]
    show.fact("clipping", f"would say {' or '.join(habits)}: it tells where the clip lies, not what the model is worth")


# ---------------------------------------------------------------- telling


def _convergence(options: dict[str, Any], trace: list[dict[str, Any]]) -> str:
    steps, end = trace[-1]["iteration"], trace[-1]["loss"]
    verb = "converged" if options["converged"] else "did not converge"
    return f"{options['solver']} {verb} after {steps} iterations, objective {trace[0]['loss']:.4f} to {end:.4f} nat"


def _tell_score(score: dict[str, Any], show: Show) -> None:
    for unit, estimate in (("nat", Estimate(**score["log_loss"])), ("bit", Estimate(**score["log_loss_bits"]))):
        mark = f" ({caveat(estimate)})" if estimate.mark else ""
        show.fact("log loss" if unit == "nat" else "", f"{value(estimate)} {unit}, {told_interval(estimate)}{mark}")
    show.fact("baseline", f"{score['baseline']:.4f} nat: always predicting the class shares")
    show.fact("skill", f"{score['skill']:.4f} = 1 - log loss / baseline")
    right = round(score["accuracy"]["value"] * score["n"])
    show.fact("accuracy", f"{score['accuracy']['value']:.4f} ({right} of {score['n']:,})")


def _tell_worst(score: dict[str, Any], show: Show) -> None:
    for k, row in enumerate(score["worst"][:3]):
        told = f"row {row['row'] + 1}: {row['target']}, predicted {row['predicted']}, p(true) {row['p_target']:.3g}"
        show.fact("worst rows" if k == 0 else "", f"{told}, loss {row['loss']:.2f} nat")


# ---------------------------------------------------------------- data


def _datasets() -> Any:
    try:
        import sklearn.datasets
    except ImportError:
        raise MissingExtraError.for_extra("demo", "scikit-learn", "The demo") from None
    return sklearn.datasets


def _load_digits() -> _Table:
    """1797 images of handwritten digits, 8 x 8 pixels each."""
    data = _datasets().load_digits()
    pixels = {f"pixel_{j // 8}_{j % 8}": np.ascontiguousarray(data.data[:, j]) for j in range(64)}
    return _Table("Handwritten digits: which of ten?", "digits", "digit", pixels, data.target)


def _load_cancer() -> _Table:
    """569 tumours, 30 measurements each; classes by name."""
    data = _datasets().load_breast_cancer()
    names = [str(name).replace(" ", "_") for name in data.feature_names]
    columns = {name: np.ascontiguousarray(data.data[:, j]) for j, name in enumerate(names)}
    named = np.array([str(name) for name in data.target_names], dtype=object)[data.target]
    return _Table("Breast tumours: malignant or benign?", "cancer", "diagnosis", columns, named)


def _write_parts(table: _Table, paths: _Paths) -> tuple[int, int]:
    """Writes a training and a held-out part, a quarter of every class; returns their numbers of rows."""
    held = np.zeros(len(table.classes), dtype=np.bool_)
    rng = np.random.default_rng(0)
    for label in np.unique(table.classes):
        rows = rng.permutation(np.flatnonzero(table.classes == label))
        held[rows[: round(len(rows) / 4)]] = True
    for path, keep in ((paths.train, ~held), (paths.heldout, held)):
        with open_sink(path) as sink:
            sink.write({**{name: cells[keep] for name, cells in table.features.items()},
                        table.target: table.classes[keep].tolist()})  # fmt: skip
    return int((~held).sum()), int(held.sum())


def _write_one_zero(paths: _Paths, target: str) -> tuple[int, str, float]:
    """Copies the predictions with one probability at the truth moved to another class.

    Returns: the row, its class, and the probability that was there.
    """
    source = open_source(paths.predictions)
    (block,) = source.blocks()
    classes = [name.removeprefix("p_") for name in source.column_names if name.startswith("p_")]
    p, truth = block.matrix([f"p_{name}" for name in classes]), block.codes(target, classes)
    sure = p[np.arange(len(p)), truth] > 0.99  # a row that was right: nothing but this cell is wrong
    row = int(np.argmax(sure))
    true, other = int(truth[row]), int(np.argsort(p[row])[-2])
    was = float(p[row, true])
    p[row, other] += was
    p[row, true] = 0.0
    with open_sink(paths.one_zero) as sink:
        sink.write({target: block.text(target), **{f"p_{name}": p[:, k] for k, name in enumerate(classes)}})
    return row, classes[true], was


def _scikit_learn_loss(predictions: str, target: str, classes: Sequence[str]) -> float:
    """sklearn.metrics.log_loss of a file of predictions."""
    from sklearn.metrics import log_loss

    p, truth = [], []
    for block in open_source(predictions).blocks():
        p.append(block.matrix([f"p_{name}" for name in classes]))
        truth.append(block.codes(target, classes))
    return float(log_loss(np.concatenate(truth), np.concatenate(p), labels=list(range(len(classes)))))


def _read_json(path: str) -> dict[str, Any]:
    with open(path, encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
    return found
