"""crossent: the cross-entropy of Python. Compute it, differentiate it, minimise it, score with it, explain it.

Customary alias: `import crossent as ce`.
"""

import typing as _typing

from crossent.core.types import GradHess, LossGrad
from crossent.errors import (
    ClippedWarning,
    ConvergenceWarning,
    CrossentError,
    DataError,
    DtypeError,
    EmptyBatchError,
    LabelError,
    LabelWarning,
    MissingExtraError,
    ModelFileError,
    NonFiniteError,
    NotFittedError,
    OptionError,
    ProbabilityError,
    RowSumWarning,
    ShapeError,
    UnsupportedError,
    WeightError,
)
from crossent.settings import empty_cache, get_num_threads, set_num_threads, show_config
from crossent.settings import is_command as _is_command
from crossent.settings import obey_environment as _obey_environment

__version__ = "0.1.0"

if _typing.TYPE_CHECKING:
    from crossent import plots
    from crossent.activations import log_sigmoid, log_softmax, logsumexp, sigmoid, softmax
    from crossent.family import (
        BinaryFocal,
        Bootstrap,
        Focal,
        GeneralizedCrossEntropy,
        LogitAdjusted,
        Poly1,
        SymmetricCrossEntropy,
    )
    from crossent.learn.classifier import SoftmaxClassifier
    from crossent.learn.classifier_cv import SoftmaxClassifierCV
    from crossent.linear import (
        LinearBinaryCrossEntropy,
        LinearCrossEntropy,
        LinearLossGrad,
        LinearLossLse,
        linear_binary_cross_entropy,
        linear_cross_entropy,
    )
    from crossent.losses import BinaryCrossEntropy, CrossEntropy, binary_cross_entropy, cross_entropy
    from crossent.measures import (
        cross_entropy_of,
        effective_classes,
        entropy,
        js_divergence,
        kl_divergence,
        mutual_information,
        perplexity,
    )
    from crossent.scale.metric import TallyMetric
    from crossent.scoring.arrays import score
    from crossent.scoring.compare import Compare
    from crossent.scoring.compare_arrays import compare
    from crossent.scoring.compare_tally import CompareTally
    from crossent.scoring.language import LanguageTally, score_language
    from crossent.scoring.score import Score
    from crossent.scoring.tally import Tally
    from crossent.shards import ShardStatistics, merge_shards, shard_statistics, shard_value_and_grad
    from crossent.shorthands import (
        binary_focal,
        bootstrap,
        focal,
        generalized_cross_entropy,
        logit_adjusted,
        poly1,
        symmetric_cross_entropy,
    )
    from crossent.targets import balanced_weights, soften

__all__ = [
    "BinaryCrossEntropy",
    "BinaryFocal",
    "Bootstrap",
    "ClippedWarning",
    "Compare",
    "CompareTally",
    "ConvergenceWarning",
    "CrossEntropy",
    "CrossentError",
    "DataError",
    "DtypeError",
    "EmptyBatchError",
    "Focal",
    "GeneralizedCrossEntropy",
    "GradHess",
    "LabelError",
    "LabelWarning",
    "LanguageTally",
    "LinearBinaryCrossEntropy",
    "LinearCrossEntropy",
    "LinearLossGrad",
    "LinearLossLse",
    "LogitAdjusted",
    "LossGrad",
    "MissingExtraError",
    "ModelFileError",
    "NonFiniteError",
    "NotFittedError",
    "OptionError",
    "Poly1",
    "ProbabilityError",
    "RowSumWarning",
    "Score",
    "ShapeError",
    "ShardStatistics",
    "SoftmaxClassifier",
    "SoftmaxClassifierCV",
    "SymmetricCrossEntropy",
    "Tally",
    "TallyMetric",
    "UnsupportedError",
    "WeightError",
    "__version__",
    "balanced_weights",
    "binary_cross_entropy",
    "binary_focal",
    "bootstrap",
    "compare",
    "cross_entropy",
    "cross_entropy_of",
    "effective_classes",
    "empty_cache",
    "entropy",
    "focal",
    "generalized_cross_entropy",
    "get_num_threads",
    "js_divergence",
    "kl_divergence",
    "linear_binary_cross_entropy",
    "linear_cross_entropy",
    "log_sigmoid",
    "log_softmax",
    "logit_adjusted",
    "logsumexp",
    "merge_shards",
    "mutual_information",
    "perplexity",
    "plots",
    "poly1",
    "score",
    "score_language",
    "set_num_threads",
    "shard_statistics",
    "shard_value_and_grad",
    "show_config",
    "sigmoid",
    "soften",
    "softmax",
    "symmetric_cross_entropy",
]

if not _is_command():
    _obey_environment()

# Loaded when first asked for: `import crossent` shall cost little more than NumPy.
_ON_FIRST_USE = {
    "activations": ("log_sigmoid", "log_softmax", "logsumexp", "sigmoid", "softmax"),
    "family": (
        "BinaryFocal",
        "Bootstrap",
        "Focal",
        "GeneralizedCrossEntropy",
        "LogitAdjusted",
        "Poly1",
        "SymmetricCrossEntropy",
    ),
    "learn.classifier": ("SoftmaxClassifier",),
    "learn.classifier_cv": ("SoftmaxClassifierCV",),
    "linear": (
        "LinearBinaryCrossEntropy",
        "LinearCrossEntropy",
        "LinearLossGrad",
        "LinearLossLse",
        "linear_binary_cross_entropy",
        "linear_cross_entropy",
    ),
    "losses": ("BinaryCrossEntropy", "CrossEntropy", "binary_cross_entropy", "cross_entropy"),
    "measures": (
        "cross_entropy_of",
        "effective_classes",
        "entropy",
        "js_divergence",
        "kl_divergence",
        "mutual_information",
        "perplexity",
    ),
    "scale.metric": ("TallyMetric",),
    "scoring.arrays": ("score",),
    "scoring.compare": ("Compare",),
    "scoring.compare_arrays": ("compare",),
    "scoring.compare_tally": ("CompareTally",),
    "scoring.language": ("LanguageTally", "score_language"),
    "scoring.score": ("Score",),
    "scoring.tally": ("Tally",),
    "shards": ("ShardStatistics", "merge_shards", "shard_statistics", "shard_value_and_grad"),
    "shorthands": (
        "binary_focal",
        "bootstrap",
        "focal",
        "generalized_cross_entropy",
        "logit_adjusted",
        "poly1",
        "symmetric_cross_entropy",
    ),
    "targets": ("balanced_weights", "soften"),
}
_ROOM = {name: room for room, names in _ON_FIRST_USE.items() for name in names}


def __getattr__(name: str) -> _typing.Any:
    from importlib import import_module

    if name == "plots":  # a room of its own: crossent.plots.reliability(...)
        return import_module("crossent.plots")
    if name not in _ROOM:
        raise AttributeError(f"module 'crossent' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"crossent.{_ROOM[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
