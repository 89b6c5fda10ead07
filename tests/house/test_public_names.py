"""The public names are the ones written here; each is documented with an example; nothing else shows."""

import importlib

import pytest

import crossent
from public_names import documentation_troubles, leaks, list_troubles

LOSSES = {
    "BinaryCrossEntropy",
    "CrossEntropy",
    "GradHess",
    "LinearBinaryCrossEntropy",
    "LinearCrossEntropy",
    "LinearLossGrad",
    "LinearLossLse",
    "LossGrad",
    "binary_cross_entropy",
    "cross_entropy",
    "linear_binary_cross_entropy",
    "linear_cross_entropy",
}
FAMILY = {
    "BinaryFocal",
    "Bootstrap",
    "Focal",
    "GeneralizedCrossEntropy",
    "LogitAdjusted",
    "Poly1",
    "SymmetricCrossEntropy",
    "binary_focal",
    "bootstrap",
    "focal",
    "generalized_cross_entropy",
    "logit_adjusted",
    "poly1",
    "symmetric_cross_entropy",
}
SHARDS = {"ShardStatistics", "merge_shards", "shard_statistics", "shard_value_and_grad"}
ACTIVATIONS = {"log_sigmoid", "log_softmax", "logsumexp", "sigmoid", "softmax"}
MEASURES = {
    "cross_entropy_of",
    "effective_classes",
    "entropy",
    "js_divergence",
    "kl_divergence",
    "mutual_information",
    "perplexity",
}
ERRORS = {
    "ClippedWarning",
    "ConvergenceWarning",
    "CrossentError",
    "DataError",
    "DtypeError",
    "EmptyBatchError",
    "LabelError",
    "LabelWarning",
    "MissingExtraError",
    "ModelFileError",
    "NonFiniteError",
    "NotFittedError",
    "OptionError",
    "ProbabilityError",
    "RowSumWarning",
    "ShapeError",
    "UnsupportedError",
    "WeightError",
}
SETTINGS = {"empty_cache", "get_num_threads", "set_num_threads", "show_config"}
TARGETS = {"balanced_weights", "soften"}
VERBS = {
    "LanguageTally",
    "Score",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "Tally",
    "TallyMetric",
    "plots",
    "score",
    "score_language",
}
COMPARED = {"Compare", "CompareTally", "compare"}
BOOSTING = {"lightgbm_metric", "lightgbm_objective", "xgboost_metric", "xgboost_objective"}
PUBLIC = (
    LOSSES | FAMILY | SHARDS | TARGETS | ACTIVATIONS | MEASURES | ERRORS | SETTINGS | VERBS | COMPARED | {"__version__"}
)


def test_the_list_is_the_written_one() -> None:
    assert list_troubles(crossent, PUBLIC) == []


def test_nothing_else_shows() -> None:
    assert leaks(crossent) == []


def test_every_name_is_documented_with_an_example() -> None:
    assert documentation_troubles(crossent) == []


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("measures", MEASURES),
        ("activations", ACTIVATIONS),
        ("errors", ERRORS),
        ("boosting", BOOSTING),
        ("targets", TARGETS),
    ],
)
def test_modules_list_what_they_give(module: str, names: set[str]) -> None:
    assert set(importlib.import_module(f"crossent.{module}").__all__) == names


def test_front_ends_are_documented_with_examples() -> None:
    assert documentation_troubles(importlib.import_module("crossent.boosting")) == []


def test_dir_shows_the_public_names() -> None:
    assert set(dir(crossent)) >= PUBLIC
