"""scikit-learn's estimator conventions without scikit-learn: parameters, repr, tags, errors and warnings.

scikit-learn is looked at only where it calls (`__sklearn_tags__`) or has been imported already; then errors
and warnings also are of its own classes, so that code written for its estimators catches them.
"""

import inspect
import sys
import warnings
from typing import Any, Self

from crossent.errors import NotFittedError, OptionError
from crossent.learn.loss_choice import is_independent

__all__ = ["Conventions", "warn_column_vector"]


class Conventions:
    """What scikit-learn's tools need of a classifier: its parameters are the arguments of __init__."""

    @classmethod
    def _parameters(cls) -> dict[str, Any]:
        """Names and defaults of the parameters."""
        signature = inspect.signature(cls.__init__)
        return {name: p.default for name, p in signature.parameters.items() if name != "self"}

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; `deep` is accepted for scikit-learn and has nothing to add."""
        return {name: getattr(self, name) for name in sorted(self._parameters())}

    def set_params(self, **params: Any) -> Self:
        """Change parameters by name and return self.

        Raises: OptionError for a name that is not a parameter.
        """
        known = sorted(self._parameters())
        for name, value in params.items():
            if name not in known:
                raise OptionError(
                    f"Invalid parameter {name!r} for estimator {type(self).__name__}. "
                    f"Valid parameters are: {', '.join(known)}."
                )
            setattr(self, name, value)
        return self

    def __repr__(self) -> str:
        defaults = self._parameters()
        changed = [
            f"{name}={value!r}" for name, value in self.get_params().items() if repr(value) != repr(defaults[name])
        ]
        return f"{type(self).__name__}({', '.join(changed)})"

    def __sklearn_tags__(self) -> Any:
        """scikit-learn's tags of a classifier; called by scikit-learn only."""
        from sklearn.utils import ClassifierTags, InputTags, Tags, TargetTags  # only when scikit-learn asks

        independent = is_independent(getattr(self, "loss", None))
        return Tags(
            estimator_type="classifier",
            target_tags=TargetTags(required=True),
            transformer_tags=None,
            classifier_tags=ClassifierTags(multi_class=not independent, multi_label=independent),
            regressor_tags=None,
            input_tags=InputTags(sparse=True),
        )

    def _require_fitted(self) -> None:
        """Raise NotFittedError unless `fit` has succeeded; also scikit-learn's own one if that is loaded."""
        if hasattr(self, "coef_"):
            return
        message = f"This {type(self).__name__} instance is not fitted yet. Call fit(X, y) before using it."
        raise _joined_class(NotFittedError, "NotFittedError")(message)


def warn_column_vector(shape: tuple[int, ...], *, stacklevel: int) -> None:
    """Warn that labels came as a column vector, in scikit-learn's words and class if that is loaded."""
    warnings.warn(
        "A column-vector y was passed when a 1d array was expected. Please change the shape of y "
        f"from {shape} to ({shape[0]},), for example using ravel().",
        _sklearn_class("DataConversionWarning") or UserWarning,
        stacklevel=stacklevel,
    )


def _sklearn_class(name: str) -> type[Any] | None:
    """A class of sklearn.exceptions if scikit-learn has been imported, otherwise None."""
    found: type[Any] | None = getattr(sys.modules.get("sklearn.exceptions"), name, None)
    return found


def _joined_class(ours: type[Exception], name: str) -> type[Exception]:
    """Our error class, or a child of it and scikit-learn's of the same name if that is loaded."""
    theirs = _sklearn_class(name)
    return ours if theirs is None else type(ours.__name__, (ours, theirs), {"__module__": ours.__module__})
