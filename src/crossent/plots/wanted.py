"""The refusal of an object that a picture cannot show, which says what it shows and what draws that object."""

from typing import Any

from crossent.errors import UnsupportedError
from crossent.learn.curves import SolverComparison
from crossent.scoring import Score
from crossent.scoring.compare import Compare

__all__ = ["check_drawn"]

_MADE_BY = {
    Score: "a Score (of crossent.score)",
    Compare: "a Compare (of crossent.compare)",
    SolverComparison: "a SolverComparison (of compare_solvers)",
}
_DRAWN_BY = {
    Score: "reliability, loss_histogram, waterfall, segments and confusion draw it",
    Compare: "difference and segments draw it",
    SolverComparison: "learning_curves and learning_page draw it",
}


def check_drawn(found: Any, picture: str, *kinds: type) -> None:
    """Nothing, or the refusal.

    Args:
        found: what is to be drawn.
        picture: name of the function.
        kinds: what it draws, of the classes known here.
    Raises: UnsupportedError, a TypeError, if `found` is none of these.

    >>> check_drawn(0.5, "waterfall", Score)
    Traceback (most recent call last):
    crossent.errors.UnsupportedError: plots.waterfall draws a Score (of crossent.score); it was given float.
    """
    if isinstance(found, kinds):
        return
    wanted = " or ".join(_MADE_BY[kind] for kind in kinds)
    advice = next((f" plots.{names}." for kind, names in _DRAWN_BY.items() if isinstance(found, kind)), "")
    if not advice and callable(getattr(found, "result", None)):
        advice = " Pass what its result() returns."
    raise UnsupportedError(f"plots.{picture} draws {wanted}; it was given {type(found).__name__}.{advice}")
