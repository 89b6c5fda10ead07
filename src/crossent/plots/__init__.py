"""One function a picture, drawn on axes that you give or on a new figure (needs matplotlib)."""

from crossent.plots.confusion import confusion
from crossent.plots.difference import difference
from crossent.plots.learning import learning_curves, learning_page
from crossent.plots.losses import loss_histogram
from crossent.plots.reliability import reliability
from crossent.plots.segments import segments
from crossent.plots.surface import loss_surface
from crossent.plots.training import training
from crossent.plots.waterfall import waterfall

__all__ = [
    "confusion",
    "difference",
    "learning_curves",
    "learning_page",
    "loss_histogram",
    "loss_surface",
    "reliability",
    "segments",
    "training",
    "waterfall",
]
