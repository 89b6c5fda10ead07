"""One function a picture, drawn on axes that you give or on a new figure (needs matplotlib)."""

from crossent.plots.losses import loss_histogram
from crossent.plots.reliability import reliability
from crossent.plots.training import training

__all__ = ["loss_histogram", "reliability", "training"]
