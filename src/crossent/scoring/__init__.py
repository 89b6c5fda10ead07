"""Evaluate: tallies of predictions that add up, and the score that they give."""

from crossent.scoring.score import ClassScore, Infinities, LossBin, ReliabilityBin, Score, WorstRow
from crossent.scoring.tally import Tally

__all__ = ["ClassScore", "Infinities", "LossBin", "ReliabilityBin", "Score", "Tally", "WorstRow"]
