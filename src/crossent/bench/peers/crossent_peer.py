"""crossent itself as a worker: the public losses, with a fresh gradient, into a reused buffer, and in place."""

from typing import Any

import numpy as np

from crossent import __version__
from crossent.learn import SoftmaxClassifier
from crossent.linear import LinearCrossEntropy
from crossent.losses import BinaryCrossEntropy, CrossEntropy
from crossent.scoring import Tally
from crossent.settings import set_num_threads, show_config

from .data import Arrays, Spec, joined, make
from .problems import PROBLEMS, estimator_fits, problem

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    config = show_config()
    return {"crossent": __version__, "instruction set": str(config["isa"]), "compiler": str(config["compiler"]),
            "numpy": np.__version__}  # fmt: skip


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array that NumPy can add up; the three of a linear layer as one."""
    if isinstance(gradient, tuple):
        return joined(gradient)
    return gradient.astype(np.float32) if gradient.dtype.itemsize == 2 else gradient


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case; `flavour` is "log loss" for that alone where the case is about scoring."""
    set_num_threads(threads)
    if spec.kind in PROBLEMS:
        return _fits(spec)
    if spec.kind.startswith("score"):
        return _scores(spec, alone=flavour == "log loss")
    arrays = make(spec)
    prediction, targets = arrays.prediction, arrays.targets
    if spec.kind == "linear":
        return _linear(spec, arrays)
    if spec.dtype == "bfloat16":
        import ml_dtypes

        prediction = prediction.astype(ml_dtypes.bfloat16)
    loss: Any
    if spec.kind.startswith("binary"):
        loss = BinaryCrossEntropy()
    else:
        loss = CrossEntropy(axis=spec.axis, label_smoothing=0.1 if spec.kind == "smoothed" else 0.0)
    if spec.kind.endswith("probs"):
        return {"forward": lambda: (loss(targets, probs=prediction), None),
                "gradient": lambda: loss.value_and_grad(targets, probs=prediction)}  # fmt: skip
    buffer, scratch = np.zeros_like(prediction), prediction.copy()
    return {
        "forward": lambda: (loss(targets, logits=prediction), None),
        "gradient": lambda: loss.value_and_grad(targets, logits=prediction),
        "gradient_out": lambda: loss.value_and_grad(targets, logits=prediction, out=buffer),
        "gradient_in_place": lambda: loss.value_and_grad(targets, logits=scratch, out=scratch),
    }


def _linear(spec: Spec, arrays: Arrays) -> dict[str, Any]:
    loss, targets = LinearCrossEntropy(memory_limit=spec.memory_limit), arrays.targets
    layer: dict[str, Any] = {"hidden": arrays.prediction, "weight": arrays.weight, "bias": arrays.bias}

    def gradient() -> tuple[Any, Any]:
        found = loss.value_and_grad(targets, **layer)
        return found.value, found[1:]

    return {"forward": lambda: (loss(targets, **layer), None), "gradient": gradient}


_BLOCK = 1 << 16  # rows that a tally takes at a time


def _scores(spec: Spec, *, alone: bool) -> dict[str, Any]:
    """All rows into a tally and its statistics, or the log loss alone over the same blocks."""
    arrays, loss = make(spec), CrossEntropy(check="rows")
    kind: Any = spec.kind.removeprefix("score ")
    rows, classes = spec.shape
    blocks = [(arrays.targets[k : k + _BLOCK], arrays.prediction[k : k + _BLOCK]) for k in range(0, rows, _BLOCK)]

    def log_loss() -> tuple[float, None]:
        return sum(len(t) * loss(t, **{kind: z}) for t, z in blocks) / rows, None

    def tally() -> tuple[_Tallied, None]:
        made = _Tallied([str(k) for k in range(classes)], kind=kind)
        for k, (t, z) in enumerate(blocks):
            made.update(t, z, first_row=k * _BLOCK)
        return made, None

    if alone:
        return {"tally": log_loss}
    full, _ = tally()
    return {"tally": tally, "result": lambda: (full.result().log_loss.value, None)}


class _Tallied(Tally):
    """A tally that is a number, its log loss, once the clock has stopped."""

    def __float__(self) -> float:
        value = self.result().log_loss.value
        assert value is not None
        return value


def _fits(spec: Spec) -> dict[str, Any]:
    """With a tolerance, and with everything as it comes."""
    data = problem(spec)
    return {"fit": estimator_fits(data, SoftmaxClassifier), "fit_default": estimator_fits(data, SoftmaxClassifier)}
