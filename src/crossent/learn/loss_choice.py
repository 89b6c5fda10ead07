"""Which losses a classifier can minimise: those of logits, with the options that a fit in memory has a meaning for."""

import inspect
from collections.abc import Mapping
from typing import Any

from crossent.core.loss import Loss
from crossent.core.options import BinaryOptions
from crossent.errors import OptionError, UnsupportedError
from crossent.learn.types import AnyLoss

__all__ = ["check_loss", "is_independent"]

# option: the value that a fit needs, and what else to do
_NEEDED = {
    "axis": (-1, "the classes are the columns of y"),
    "classes": (None, "the labels of y in sorted order are the classes"),
    "ignore_index": (None, "leave such rows out, or give them sample_weight 0"),
    "empty_rows": ("error", "leave such rows out, or give them sample_weight 0"),
    "softcap": (None, "the logits of a linear model have no bound; a larger l2 keeps them small"),
    "clip": (None, "it is for probabilities, and a fit has logits"),
    "eps": (None, "it is for probabilities, and a fit has logits"),
    "reduction": ("mean", "the objective is a mean"),
    "unit": ("nat", "the objective is in nats"),
}


def check_loss(loss: Any) -> AnyLoss | None:
    """The loss, or None for plain cross-entropy, if it can be minimised.

    Args:
        loss: a loss object over classes or over independent labels, or None.
    Returns: the same.
    Raises: UnsupportedError for anything else, OptionError for an option without a meaning in a fit.

    >>> check_loss("log_loss")
    Traceback (most recent call last):
        ...
    crossent.errors.UnsupportedError: loss is 'log_loss'; it must be a loss of logits, such as crossent.CrossEntropy() \
or, for independent labels, crossent.BinaryCrossEntropy(); None is plain cross-entropy.
    """
    if loss is None:
        return None
    if not isinstance(loss, Loss):
        made = f" Make one: {loss.__name__}()." if inspect.isclass(loss) and issubclass(loss, Loss) else ""
        shown = loss.__name__ if inspect.isclass(loss) else repr(loss)
        raise UnsupportedError(
            f"loss is {shown}; it must be a loss of logits, such as crossent.CrossEntropy() or, for independent "
            f"labels, crossent.BinaryCrossEntropy(); None is plain cross-entropy.{made}"
        )
    for name, (needed, instead) in _NEEDED.items():
        value = getattr(loss, name, needed)
        if value != needed:
            raise OptionError(f"loss has {name}={value!r}; a fit needs {name}={needed!r}: {instead}.")
    class_weight = getattr(loss, "class_weight", None)
    if isinstance(class_weight, str | Mapping):
        raise OptionError(
            f"loss has class_weight={class_weight!r}. Give that to the classifier instead, or give the loss an array in "
            "the order of classes_."
        )
    return loss


def is_independent(loss: AnyLoss | None) -> bool:
    """Whether it is a loss of independent labels, each with a logit of its own."""
    return isinstance(loss, BinaryOptions)
