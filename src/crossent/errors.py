"""The exception tree: every error that a caller can cause says where, what was found, what is allowed, what to do.

Each class derives from `CrossentError` and from the built-in exception that a caller would expect, so both
`except ce.CrossentError` and `except ValueError` work. The command line turns each of them into one message and
exit status 2; anything else is a bug in crossent (exit status 70).
"""

__all__ = [
    "ClippedWarning",
    "ConvergenceWarning",
    "CrossentError",
    "DataError",
    "DtypeError",
    "EmptyBatchError",
    "LabelError",
    "LabelWarning",
    "MissingExtraError",
    "ModelFileError",
    "NonFiniteError",
    "NotFittedError",
    "OptionError",
    "ProbabilityError",
    "RowSumWarning",
    "ShapeError",
    "UnsupportedError",
    "WeightError",
]


class CrossentError(Exception):
    """Base of every error that crossent raises on purpose."""


class ShapeError(CrossentError, ValueError):
    """Shapes do not fit each other, or an output buffer cannot be used."""


class DtypeError(CrossentError, TypeError):
    """An array has a dtype that crossent does not compute with."""


class OptionError(CrossentError, ValueError):
    """An option has a value outside its range."""


class UnsupportedError(CrossentError, TypeError):
    """Arguments that cannot be used together, or a required one is missing."""


class LabelError(CrossentError, ValueError):
    """A target is not one of the classes, or a soft target is not a distribution."""


class ProbabilityError(CrossentError, ValueError):
    """A probability outside [0, 1], or a row of probabilities that does not sum to 1."""


class NonFiniteError(CrossentError, ValueError):
    """A NaN, or an infinity where it has no meaning."""


class WeightError(CrossentError, ValueError):
    """A weight is negative, NaN or infinite, or too extreme for what is asked of it."""


class EmptyBatchError(CrossentError, ValueError):
    """A mean over no rows at all."""


class DataError(CrossentError, ValueError):
    """A file or table is not what the command needs: missing column, text among numbers, no rows, truncated."""


class ModelFileError(CrossentError, ValueError):
    """A model file is truncated, foreign or inconsistent."""


class NotFittedError(CrossentError, ValueError, AttributeError):
    """An estimator was used before `fit`."""


class MissingExtraError(CrossentError, ImportError):
    """An optional library is not installed; the message has the pip command."""

    @classmethod
    def for_extra(cls, extra: str, library: str, purpose: str) -> "MissingExtraError":
        """The error for a missing library, naming the extra that brings it."""
        return cls(f"{purpose} needs {library}, which is not installed. Run: pip install 'crossent[{extra}]'")


class ClippedWarning(UserWarning):
    """`clip=` changed probabilities; the message says in how many rows."""


class ConvergenceWarning(UserWarning):
    """A solver stopped before it converged; the message says why and what to do."""


class LabelWarning(UserWarning):
    """Labels that can be used but look wrong: as many classes as rows, or labels that the model has never seen."""


class RowSumWarning(UserWarning):
    """Rows of probabilities sum to 1 only roughly; they are used as given, never renormalised."""
