"""Losses for JAX: optax' names and signatures, without loss of precision, differentiable to every order.

    from crossent.jax import softmax_cross_entropy_with_integer_labels      # in place of optax'

Under jit, grad, vmap, jacfwd, jacrev and hessian; float32 and float64 as they are, half precision computed in float32.
Values are not looked at, since they may be traced: a label that is no class gives NaN, not an error. `loss` lifts any
loss object of crossent; `linear_cross_entropy` holds no N x K logits. JAX 0.7.0 or newer: before, a second derivative
within a scan lost the rules that stand here. Optax is not needed.
"""

from crossent.errors import MissingExtraError

try:
    import jax as _jax  # noqa: F401  (only to name the missing extra)
except ImportError:
    raise MissingExtraError.for_extra("jax", "JAX", "crossent.jax") from None

from crossent.jax.lifted import loss
from crossent.jax.linear import linear_cross_entropy
from crossent.jax.losses import (
    convex_kl_divergence,
    generalized_kl_divergence,
    kl_divergence,
    kl_divergence_with_log_targets,
    poly_loss_cross_entropy,
    safe_softmax_cross_entropy,
    sigmoid_binary_cross_entropy,
    sigmoid_focal_loss,
    smooth_labels,
    softmax_cross_entropy,
    softmax_cross_entropy_with_integer_labels,
)

__all__ = [
    "convex_kl_divergence",
    "generalized_kl_divergence",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "linear_cross_entropy",
    "loss",
    "poly_loss_cross_entropy",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_labels",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
]
