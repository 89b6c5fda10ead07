"""Is Keras there, and in a version that works? Asked when this file is imported, before any other here imports it."""

from importlib import import_module

from crossent.errors import MissingExtraError

__all__ = ["MINIMUM"]

MINIMUM = (3, 11)  # the oldest that the tests ran on; 3.8 asks JAX 0.7 for what it no longer has


def _check() -> None:
    """Raises MissingExtraError without Keras, or with one that is too old."""
    try:
        keras = import_module("keras")
    except ModuleNotFoundError as error:
        if error.name != "keras":  # Keras is there, its backend is not; its message says so
            raise
        raise MissingExtraError.for_extra("keras", "Keras", "crossent.keras") from None
    found = getattr(keras, "__version__", "unknown")
    numbers = [int(part) for part in found.split(".")[:2] if part.isdigit()]
    if tuple(numbers) < MINIMUM:
        needed = ".".join(map(str, MINIMUM))
        raise MissingExtraError(
            f"crossent.keras needs Keras {needed} or newer; Keras {found} is installed. "
            "Run: pip install --upgrade 'crossent[keras]'"
        )


_check()
