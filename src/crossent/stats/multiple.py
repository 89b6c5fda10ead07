"""Many tests at once: p-values adjusted so that the share of false discoveries stays below the level."""

from collections.abc import Sequence

__all__ = ["benjamini_hochberg"]


def benjamini_hochberg(p_values: Sequence[float | None]) -> list[float | None]:
    """p-values adjusted by Benjamini and Hochberg: those below 0.05 hold at most 5 % false discoveries in the mean.

        adjusted of the k-th smallest of m = min(1, min over j >= k of m p_j / j)

    Args:
        p_values: one a test, in [0, 1]; None where a test could not be made, which does not count in m.
    Returns: the adjusted p-values in the given order, None where None was given.
    Source: Benjamini & Hochberg, J. R. Statist. Soc. B 57 (1995), 289-300.

    >>> benjamini_hochberg([0.01, None, 0.04, 0.03])
    [0.03, None, 0.04, 0.04]
    """
    order = sorted(((p, k) for k, p in enumerate(p_values) if p is not None), reverse=True)
    adjusted: list[float | None] = [None] * len(p_values)
    least = 1.0
    for rank, (p, k) in zip(range(len(order), 0, -1), order, strict=True):
        least = min(least, p * len(order) / rank)
        adjusted[k] = least
    return adjusted
