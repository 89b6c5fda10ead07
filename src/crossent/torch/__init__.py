"""crossent inside PyTorch: the same definition of the loss, with torch's own signatures, semantics and errors."""

from crossent.errors import MissingExtraError as _MissingExtraError

try:
    from crossent.torch.binary import binary_cross_entropy, binary_cross_entropy_with_logits
    from crossent.torch.cross_entropy import cross_entropy
    from crossent.torch.lifted import loss
    from crossent.torch.linear import linear_cross_entropy
    from crossent.torch.log_probs import kl_div, nll_loss
    from crossent.torch.modules import (
        BCELoss,
        BCEWithLogitsLoss,
        CrossEntropyLoss,
        KLDivLoss,
        LinearCrossEntropyLoss,
        NLLLoss,
    )
    from crossent.torch.parallel import vocab_parallel_cross_entropy, vocab_parallel_linear_cross_entropy
except ModuleNotFoundError as _error:
    if _error.name not in ("torch", "ml_dtypes"):
        raise
    raise _MissingExtraError.for_extra("torch", _error.name, "crossent.torch") from _error

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "KLDivLoss",
    "LinearCrossEntropyLoss",
    "NLLLoss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "kl_div",
    "linear_cross_entropy",
    "loss",
    "nll_loss",
    "vocab_parallel_cross_entropy",
    "vocab_parallel_linear_cross_entropy",
]
