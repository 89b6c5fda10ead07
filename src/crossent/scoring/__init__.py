"""Evaluate: tallies of predictions that add up, and the scores and comparisons that they give."""

from crossent.scoring.compare import Compare, SegmentDifference
from crossent.scoring.compare_tally import CompareTally
from crossent.scoring.score import ClassScore, Infinities, LossBin, ReliabilityBin, Score, WorstRow
from crossent.scoring.tally import Tally

__all__ = [
    "ClassScore",
    "Compare",
    "CompareTally",
    "Infinities",
    "LossBin",
    "ReliabilityBin",
    "Score",
    "SegmentDifference",
    "Tally",
    "WorstRow",
]
