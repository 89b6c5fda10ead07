"""Model files: a trained model as safetensors with a JSON header, written whole, checked when loaded.

The tensors are coef, intercept, center and scale, all float64; everything else is one JSON text in the
metadata, under the key "crossent", with "schema": "crossent.model/1". Nothing in a file is run, sizes are
bounded by the file's own, and whatever does not fit is a ModelFileError, so files from strangers can be
loaded.
"""

import json
import math
import os
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from crossent.errors import DataError, MissingExtraError, ModelFileError
from crossent.rows.filesafe import atomic_write

__all__ = ["SCHEMA", "SoftmaxModel", "load_model", "save_model"]

SCHEMA = "crossent.model/1"
_KEY = "crossent"
_TENSORS = ("coef", "intercept", "center", "scale")
_NON_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


@dataclass(frozen=True)
class SoftmaxModel:
    """A linear model of K classes on D features, as it is stored.

        z = ((x - center) / scale) coef^T + intercept

    With two classes there is one row of coefficients, for the logit of classes[1] against classes[0].

    Args:
        coef: (1, D) for two classes, else (K, D).
        intercept: (1,) or (K,).
        classes: class names as canonical text, in the order of the logits.
        features: names of the D columns.
        center, scale: (D,) each, scale > 0.
        target: name of the target column.
        options: how it was fitted; JSON values.
        trace: per iteration a dict with "iteration", "loss" and whatever the solver records.
    """

    coef: npt.NDArray[np.float64]
    intercept: npt.NDArray[np.float64]
    classes: tuple[str, ...]
    features: tuple[str, ...]
    center: npt.NDArray[np.float64]
    scale: npt.NDArray[np.float64]
    target: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    trace: list[dict[str, Any]] = field(default_factory=list)


def save_model(model: SoftmaxModel, path: str | os.PathLike[str]) -> None:
    """Writes a model file; an old file of that name stays until the new one is complete.

    Args:
        model: the model, for instance `SoftmaxClassifier.to_model()` or `FitResult.model`.
        path: the file to write, customarily *.safetensors; its folder must exist.
    Raises: DataError if the file cannot be written, ModelFileError if the model is not fit to be stored,
        MissingExtraError without safetensors.

    >>> import pathlib, tempfile
    >>> from crossent.learn import SoftmaxClassifier
    >>> model = SoftmaxClassifier().fit([[0.0], [1.0], [2.0], [3.0]], ["a", "a", "b", "b"]).to_model(target="y")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "model.safetensors")
    ...     save_model(model, path)
    ...     load_model(path).classes
    ('a', 'b')
    """
    try:
        import safetensors.numpy as store
    except ImportError:
        raise _missing() from None
    _check(model, f"Cannot save {os.fspath(path)}")
    tensors = {name: np.ascontiguousarray(getattr(model, name), dtype=np.float64) for name in _TENSORS}
    header = {
        "schema": SCHEMA,
        "classes": list(model.classes),
        "features": list(model.features),
        "target": model.target,
        "options": model.options,
        "trace": [{key: _finite_text(value) for key, value in entry.items()} for entry in model.trace],
    }
    try:
        text = json.dumps(header, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise ModelFileError(f"Cannot save {os.fspath(path)}: options or trace are no JSON ({error}).") from error
    with atomic_write(path) as file:
        file.write(store.save(tensors, metadata={_KEY: text}))


def load_model(path: str | os.PathLike[str]) -> SoftmaxModel:
    """Reads a model file and checks names, shapes, dtypes and that all numbers are finite.

    Args:
        path: a file that `save_model` or `crossent fit` wrote. Nothing in it is run.
    Returns: the `SoftmaxModel`, to the bit as it was saved.
    Raises: DataError if there is no such file, ModelFileError if it is truncated, foreign or inconsistent,
        MissingExtraError without safetensors.

    >>> load_model("nowhere.safetensors")
    Traceback (most recent call last):
        ...
    crossent.errors.DataError: nowhere.safetensors does not exist. Give a model file, as crossent fit writes it.
    """
    shown = os.fspath(path)
    try:
        import safetensors
    except ImportError:
        raise _missing() from None
    if os.path.isdir(shown):
        raise DataError(f"{shown} is a folder. Give a model file, as crossent fit writes it.")
    try:
        with safetensors.safe_open(shown, framework="numpy") as file:
            metadata = file.metadata() or {}
            if _KEY not in metadata:
                raise ModelFileError(f"{shown} is a safetensors file, but not a model of crossent. {_ADVICE}")
            names = set(file.keys())
            if names != set(_TENSORS):
                raise ModelFileError(
                    f"{shown} holds the arrays {sorted(names)}, needed are {sorted(_TENSORS)}. {_ADVICE}"
                )
            header = _header(metadata[_KEY], shown)
            tensors: dict[str, Any] = {name: _tensor(file, name, shown) for name in _TENSORS}
    except FileNotFoundError:
        raise DataError(f"{shown} does not exist. Give a model file, as crossent fit writes it.") from None
    except safetensors.SafetensorError as error:
        raise ModelFileError(f"{shown} is truncated, damaged or not a model file ({error}). {_ADVICE}") from error
    except OSError as error:
        raise DataError(f"{shown} cannot be read: {error.strerror or error}.") from error
    model = SoftmaxModel(**tensors, **header)
    _check(model, shown)
    return model


_ADVICE = "Fit it again, or copy it again from where it was made."


def _missing() -> MissingExtraError:
    return MissingExtraError.for_extra("files", "safetensors", "Reading and writing model files")


def _plain(value: Any) -> Any:
    """NumPy scalars and arrays as JSON values."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _finite_text(value: Any) -> Any:
    """JSON has no infinity, so a loss of the trace that is infinite or NaN is stored as text."""
    if isinstance(value, float | np.floating) and not math.isfinite(value):
        return "nan" if value != value else "inf" if value > 0 else "-inf"
    return value


def _tensor(file: Any, name: str, shown: str) -> npt.NDArray[np.float64]:
    kind = file.get_slice(name).get_dtype()
    if kind != "F64":
        raise ModelFileError(f"{shown}: {name} has dtype {kind}, needed is F64. {_ADVICE}")
    tensor: npt.NDArray[np.float64] = file.get_tensor(name)
    return tensor


def _header(text: str, shown: str) -> dict[str, Any]:
    """The fields of SoftmaxModel that are not arrays, each of the right type."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{shown}: its header is not JSON ({error}). {_ADVICE}") from error
    schema = header.get("schema") if isinstance(header, dict) else None
    if schema != SCHEMA:
        raise ModelFileError(
            f"{shown} has the schema {schema!r}, this version of crossent reads {SCHEMA!r}. "
            "Use the version that wrote it, or fit it again."
        )
    wanted = {"classes": list, "features": list, "target": str, "options": dict, "trace": list}
    for name, kind in wanted.items():
        if not isinstance(header.get(name), kind):
            raise ModelFileError(f"{shown}: {name!r} in its header is not a {kind.__name__}. {_ADVICE}")
    for name in ("classes", "features"):
        if not all(isinstance(entry, str) for entry in header[name]):
            raise ModelFileError(f"{shown}: {name!r} in its header holds other things than names. {_ADVICE}")
    if not all(isinstance(entry, dict) for entry in header["trace"]):
        raise ModelFileError(f"{shown}: 'trace' in its header is not a list of records. {_ADVICE}")
    trace = [
        {key: _NON_FINITE.get(value, value) if isinstance(value, str) else value for key, value in entry.items()}
        for entry in header["trace"]
    ]
    return {
        "classes": tuple(header["classes"]),
        "features": tuple(header["features"]),
        "target": header["target"],
        "options": header["options"],
        "trace": trace,
    }


def _check(model: SoftmaxModel, where: str) -> None:
    """Raises ModelFileError unless classes, features and arrays fit each other and all numbers are finite."""
    K, D = len(model.classes), len(model.features)
    if K < 1 or len(set(model.classes)) < K or len(set(model.features)) < D:
        raise ModelFileError(f"{where}: classes or features are missing or repeated. {_ADVICE}")
    logits = 1 if K == 2 else K
    wanted = {"coef": (logits, D), "intercept": (logits,), "center": (D,), "scale": (D,)}
    for name, shape in wanted.items():
        array = np.asarray(getattr(model, name))
        if array.shape != shape:
            raise ModelFileError(
                f"{where}: {name} has shape {array.shape}, but {K} classes and {D} features need {shape}. {_ADVICE}"
            )
        if not np.all(np.isfinite(array)):
            raise ModelFileError(f"{where}: {name} holds a value that is not finite. {_ADVICE}")
    if np.any(model.scale <= 0):
        raise ModelFileError(f"{where}: scale holds a value that is not positive. {_ADVICE}")
