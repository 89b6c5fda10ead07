"""torch's loss modules, computed by crossent: the same constructors, buffers and names, another `forward`.

Each is a subclass of torch's own module, so `isinstance`, `state_dict`, `repr`, `.to(device)`, pickles and hooks are
torch's; only `forward` differs, by calling the function of `crossent.torch` instead of torch.nn.functional's.
"""

from typing import Any

import torch

from crossent.torch.binary import binary_cross_entropy, binary_cross_entropy_with_logits
from crossent.torch.cross_entropy import cross_entropy
from crossent.torch.linear import linear_cross_entropy
from crossent.torch.log_probs import kl_div, nll_loss

__all__ = [
    "BCELoss",
    "BCEWithLogitsLoss",
    "CrossEntropyLoss",
    "KLDivLoss",
    "LinearCrossEntropyLoss",
    "NLLLoss",
]

Tensor = Any


class CrossEntropyLoss(torch.nn.CrossEntropyLoss):
    """Cross-entropy of logits against class indices or class probabilities; takes torch.nn.CrossEntropyLoss' place.

        loss_i = w[t_i] (log sum_k exp z_ik - z_i[t_i])   [nat];  mean = sum_i loss_i / sum_i w[t_i]

    Args:
        weight, size_average, ignore_index, reduce, reduction, label_smoothing: as torch.nn.CrossEntropyLoss takes
            them; `crossent.torch.cross_entropy` says what they do.
    Returns: a module. Called with (input, target): [N, C, d1, ...] logits, and [N, d1, ...] indices or [N, C, d1, ...]
        probabilities, it returns a scalar tensor, or the losses with reduction="none".
    Raises: torch's errors: IndexError, RuntimeError or ValueError.
    Source: torch.nn.CrossEntropyLoss of PyTorch 2.13.

    >>> logits = torch.tensor([[2.0, 0.0, 0.0]])
    >>> print(f"{CrossEntropyLoss()(logits, torch.tensor([0])).item():.6f}")
    0.239545
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return cross_entropy(
            input,
            target,
            weight=self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(torch.nn.NLLLoss):
    """Negative log-likelihood of class indices, from log-probabilities; takes torch.nn.NLLLoss' place.

        loss_i = -w[t_i] log_probs_i[t_i]                 [nat];  mean = sum_i loss_i / sum_i w[t_i]

    Args:
        weight, size_average, ignore_index, reduce, reduction: as torch.nn.NLLLoss takes them; `crossent.torch.nll_loss`
            says what they do.
    Returns: a module. Called with (input, target): [N, C, d1, ...] log-probabilities and [N, d1, ...] indices, it
        returns a scalar tensor, or the losses with reduction="none".
    Raises: torch's errors: IndexError, RuntimeError or ValueError.
    Source: torch.nn.NLLLoss of PyTorch 2.13.

    >>> log_probs = torch.tensor([[0.5, 0.25, 0.25]]).log()
    >>> print(f"{NLLLoss()(log_probs, torch.tensor([0])).item():.6f}")
    0.693147
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return nll_loss(input, target, weight=self.weight, ignore_index=self.ignore_index, reduction=self.reduction)


class BCELoss(torch.nn.BCELoss):
    """Cross-entropy of independent labels, from probabilities; takes torch.nn.BCELoss' place.

        loss = -w (y log p + (1 - y) log(1 - p))          [nat]

    Args:
        weight, size_average, reduce, reduction: as torch.nn.BCELoss takes them;
            `crossent.torch.binary_cross_entropy` says what they do.
    Returns: a module. Called with (input, target): probabilities and labels of the same shape, it returns a scalar
        tensor, or the losses with reduction="none".
    Raises: torch's errors: RuntimeError or ValueError.
    Source: torch.nn.BCELoss of PyTorch 2.13.

    >>> print(f"{BCELoss()(torch.tensor([0.25, 0.5]), torch.tensor([0.0, 1.0])).item():.6f}")
    0.490415
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return binary_cross_entropy(input, target, weight=self.weight, reduction=self.reduction)


class BCEWithLogitsLoss(torch.nn.BCEWithLogitsLoss):
    """Cross-entropy of independent labels, from logits; takes torch.nn.BCEWithLogitsLoss' place.

        loss = w (c y log(1 + exp(-z)) + (1 - y) log(1 + exp(z)))   [nat],  c = pos_weight

    Args:
        weight, size_average, reduce, reduction, pos_weight: as torch.nn.BCEWithLogitsLoss takes them;
            `crossent.torch.binary_cross_entropy_with_logits` says what they do.
    Returns: a module. Called with (input, target): logits and labels of the same shape, it returns a scalar tensor, or
        the losses with reduction="none".
    Raises: torch's errors: RuntimeError or ValueError.
    Source: torch.nn.BCEWithLogitsLoss of PyTorch 2.13.

    >>> print(f"{BCEWithLogitsLoss()(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0])).item():.6f}")
    0.410038
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return binary_cross_entropy_with_logits(
            input, target, self.weight, pos_weight=self.pos_weight, reduction=self.reduction
        )


class KLDivLoss(torch.nn.KLDivLoss):
    """Kullback-Leibler divergence of predicted log-probabilities from the truth; takes torch.nn.KLDivLoss' place.

        loss_j = t_j (log t_j - log_probs_j)              [nat]

    Args:
        size_average, reduce, reduction, log_target: as torch.nn.KLDivLoss takes them; `crossent.torch.kl_div` says what
            they do.
    Returns: a module. Called with (input, target): log-probabilities and probabilities (their logarithms with
        log_target), it returns a scalar tensor, or the elements with reduction="none".
    Raises: torch's errors: RuntimeError or ValueError.
    Source: torch.nn.KLDivLoss of PyTorch 2.13.

    >>> loss = KLDivLoss(reduction="batchmean")
    >>> print(f"{loss(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([[0.5, 0.5]])).item():.6f}")
    0.143841
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        return kl_div(input, target, reduction=self.reduction, log_target=self.log_target)


class LinearCrossEntropyLoss(torch.nn.LinearCrossEntropyLoss):
    """A linear layer and the cross-entropy of its logits in one; takes torch.nn.LinearCrossEntropyLoss' place.

        loss = cross_entropy(input W^T + b, target)       [nat],  W = linear.weight, b = linear.bias

    Args:
        in_features, num_classes, out_features, bias, device, dtype, reduction, weight, ignore_index, label_smoothing,
            options: as torch.nn.LinearCrossEntropyLoss takes them; `crossent.torch.linear_cross_entropy` says what they
            do.
    Returns: a module with the parameters linear.weight and linear.bias. Called with (input, target): [N, in_features]
        features and [N] indices or [N, num_classes] probabilities, it returns a scalar tensor, or the losses with
        reduction="none".
    Raises: torch's errors: IndexError, RuntimeError or ValueError.
    Source: torch.nn.LinearCrossEntropyLoss of PyTorch 2.13.

    >>> loss = LinearCrossEntropyLoss(2, 3)
    >>> _ = torch.nn.init.zeros_(loss.linear.weight)
    >>> print(f"{loss(torch.ones(4, 2), torch.tensor([0, 1, 2, 0])).item():.6f}")
    1.098612
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """The loss."""
        layer = self.linear
        shape = (self.num_classes, *self.out_features)
        return linear_cross_entropy(
            input,
            layer.weight.reshape((*shape, layer.in_features)),
            target,
            linear_bias=None if layer.bias is None else layer.bias.reshape(shape),
            weight=self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )
