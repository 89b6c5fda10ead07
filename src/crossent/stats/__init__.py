"""Statistics of sums: exact sums, ratios with intervals, cells; knows no files, models or scores."""

from crossent.core.accumulate import ExactSum, Float64, Int64, two_product
from crossent.stats.bootstrap import GroupSums
from crossent.stats.cells import LOSS_CELLS, Cells, Flags, loss_cell, loss_edges, mass_bins
from crossent.stats.clusters import ClusterSums
from crossent.stats.identity import key_identity, row_identity
from crossent.stats.intervals import TOO_FEW_EVENTS, Estimate, hall_interval, wilson_estimate
from crossent.stats.multiple import benjamini_hochberg
from crossent.stats.quantiles import normal_cdf, normal_quantile, t_cdf, t_quantile
from crossent.stats.ratio import RatioSums
from crossent.stats.score_tests import CalibrationTest, entropy_gap_test, spiegelhalter_test
from crossent.stats.sequence import Look, confidence_sequence
from crossent.stats.temperature import Temperature, TemperatureDecomposition, decompose_by_temperature, fit_temperature

__all__ = [
    "LOSS_CELLS",
    "TOO_FEW_EVENTS",
    "CalibrationTest",
    "Cells",
    "ClusterSums",
    "Estimate",
    "ExactSum",
    "Flags",
    "Float64",
    "GroupSums",
    "Int64",
    "Look",
    "RatioSums",
    "Temperature",
    "TemperatureDecomposition",
    "benjamini_hochberg",
    "confidence_sequence",
    "decompose_by_temperature",
    "entropy_gap_test",
    "fit_temperature",
    "hall_interval",
    "key_identity",
    "loss_cell",
    "loss_edges",
    "mass_bins",
    "normal_cdf",
    "normal_quantile",
    "row_identity",
    "spiegelhalter_test",
    "t_cdf",
    "t_quantile",
    "two_product",
    "wilson_estimate",
]
