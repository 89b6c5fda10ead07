"""Evaluate: tallies of predictions that add up, and the scores and comparisons that they give."""

from crossent.scoring.compare import Compare, SegmentDifference
from crossent.scoring.compare_tally import CompareTally
from crossent.scoring.confusion import Confusion, Macro
from crossent.scoring.score import ClassScore, Infinities, LossBin, ReliabilityBin, Score, WorstRow
from crossent.scoring.segments import SegmentScore
from crossent.scoring.tally import Tally

__all__ = [
    "ClassScore",
    "Compare",
    "CompareTally",
    "Confusion",
    "Infinities",
    "LossBin",
    "Macro",
    "ReliabilityBin",
    "Score",
    "SegmentDifference",
    "SegmentScore",
    "Tally",
    "WorstRow",
]
