"""Evaluate: tallies of predictions that add up, and the score that they give."""

from crossent.scoring.confusion import Confusion, Macro
from crossent.scoring.score import ClassScore, Infinities, LossBin, ReliabilityBin, Score, WorstRow
from crossent.scoring.segments import SegmentScore
from crossent.scoring.tally import Tally

__all__ = [
    "ClassScore",
    "Confusion",
    "Infinities",
    "LossBin",
    "Macro",
    "ReliabilityBin",
    "Score",
    "SegmentScore",
    "Tally",
    "WorstRow",
]
