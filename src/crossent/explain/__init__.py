"""Explain: what each loss is, in words and formulas."""

from crossent.explain.cards import CARDS, LossCard

__all__ = ["CARDS", "LossCard"]
