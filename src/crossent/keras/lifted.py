"""loss(...): any loss object of crossent as a Keras loss."""

from dataclasses import fields
from typing import Any

import numpy as np
from keras import saving

from crossent import family, losses
from crossent.core.options import BinaryOptions, SharedOptions, SoftmaxOptions
from crossent.errors import OptionError, UnsupportedError
from crossent.keras.rows import ClassRows, ElementRows
from crossent.keras.wrappers import RowLoss

__all__ = ["LiftedLoss", "loss"]

_KINDS = {name: vars(module)[name] for module in (losses, family) for name in module.__all__ if name[0].isupper()}
_NOT_HERE = ("classes", "eps", "normalize_targets", "empty_rows", "check", "empty", "unit")


def _plain(value: Any) -> Any:
    """An option as lists and numbers, which a config can hold."""
    return value.tolist() if isinstance(value, np.ndarray) else value


def _config(options: SharedOptions) -> dict[str, Any]:
    """The options that differ from the defaults."""
    given = {field.name: _plain(getattr(options, field.name)) for field in fields(options)}
    default = {field.name: field.default for field in fields(options)}
    return {name: value for name, value in given.items() if value is not default[name] and value != default[name]}


@saving.register_keras_serializable(package="crossent")
class LiftedLoss(RowLoss):
    """What `loss` returns; its arguments are what a config can hold.

    Args:
        kind: the name of a loss class of crossent.
        options: its options that differ from the defaults, as numbers, lists and words.
        from_logits, reduction, name, dtype: as in `loss`.
    Raises: as `loss`.
    Source: as the loss.

    >>> round(float(LiftedLoss("Focal", {"gamma": 1.0})([1], [[0.75, 0.25]])), 6)
    1.039721
    """

    def __init__(
        self,
        kind: str,
        options: dict[str, Any],
        from_logits: bool = False,
        reduction: Any = "sum_over_batch_size",
        name: Any = None,
        dtype: Any = None,
    ) -> None:
        made = _KINDS[kind](**options)
        rows: Any = (
            ClassRows(made, from_logits, made.axis)
            if isinstance(made, SoftmaxOptions)
            else ElementRows(made, from_logits)
        )
        config = {"kind": kind, "options": options, "from_logits": from_logits}
        super().__init__(rows, config, reduction=reduction, name=name or kind, dtype=dtype)


def loss(
    options: SharedOptions,
    *,
    from_logits: bool = False,
    reduction: Any = "sum_over_batch_size",
    name: str | None = None,
    dtype: Any = None,
) -> LiftedLoss:
    """Any loss object of crossent as a Keras loss: for compile, fit, save and load.

        loss_i as the object has it; its reduction is Keras' own, given here      [nat]

    Over classes, targets with one dimension fewer than the prediction are indices, with as many they are distributions;
    class_weight multiplies losses and does not enter the divisor of a mean. Independent labels are averaged over the
    last axis.

    Args:
        options: an object with options that hold for single rows: axis, ignore_index, class_weight (numbers),
            label_smoothing, pos_weight, clip, and those of its own.
        from_logits: whether predictions are logits or probabilities; for LogitAdjusted, Bootstrap and options such as
            temperature they must be logits.
        reduction, name, dtype: as in `BinaryCrossentropy`.
    Returns: a keras.losses.Loss.
    Raises: OptionError, UnsupportedError.
    Source: as the loss.

    >>> import crossent as ce
    >>> round(float(loss(ce.Poly1(epsilon=1.0), from_logits=True)([0], [[0.0, 0.0]])), 6)
    1.193147
    """
    if isinstance(options, type) or not isinstance(options, SoftmaxOptions | BinaryOptions):
        raise OptionError(f"loss() was given {options!r}; an object such as crossent.Focal() is needed.")
    kind, given = type(options).__name__, _config(options)
    if kind not in _KINDS:
        raise UnsupportedError(f"{kind} is no loss of a model's output. Pass for instance crossent.Focal(gamma=2.0).")
    for option in _NOT_HERE:
        if option in given:
            raise UnsupportedError(
                f"{option} is {given[option]!r}, which a Keras loss does not take. Leave it out, and prepare the "
                "targets before they reach the model."
            )
    if given.pop("reduction", "mean") != "mean":
        raise UnsupportedError("reduction belongs to the Keras loss: pass it to crossent.keras.loss, in Keras' words.")
    if isinstance(given.get("class_weight"), str):
        raise UnsupportedError(
            "class_weight='balanced' needs all targets at once; pass crossent.balanced_weights(...)."
        )
    return LiftedLoss(kind, given, from_logits, reduction, name, dtype)
