"""The same tallies on an engine that is there already: training loops, in one process or several."""

from crossent.scale.metric import TallyMetric

__all__ = ["TallyMetric"]
