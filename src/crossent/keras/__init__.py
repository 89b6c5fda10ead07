"""Keras 3's crossentropy losses and metrics, exact, on its TensorFlow, JAX and torch backends; signatures are Keras'.

    keras.losses.CategoricalCrossentropy(...)  ->  crossent.keras.CategoricalCrossentropy(...)

The losses and their functions stand here and in `crossent.keras.losses`, the metrics in `crossent.keras.metrics`, as in
Keras. `loss(ce.Poly1(), from_logits=True)` makes a Keras loss of any loss object of crossent. Saved models load where
crossent.keras is imported. Needs Keras 3.11 or newer.

Where they differ from Keras 3, on every backend alike:

- **Nothing is clipped.** Keras moves probabilities into [1e-7, 1 - 1e-7], so that no row's loss exceeds 16.1 and what
  lies beyond has gradient 0. Here p = 0 at the truth gives the loss inf, which is what it is. `clip=1e-7` (or
  `clip=keras.config.epsilon()`) gives Keras' values, in every class and function.
- **Probabilities of classes are divided by their sum**, as in Keras, but without losing confident rows: p = [1, 4e-18]
  has the loss 4e-18. Derivatives by a probability of 0 (below the dtype's normal numbers) count as 0, so that one such
  row shows in the loss but does not turn all weights into NaN.
- **Logits behind probabilities.** Keras' softmax and sigmoid leave their logits on their result (`_keras_logits`) where
  the backend's tensors can carry it: TensorFlow, torch, eager JAX. If the activation that the loss undoes gives the
  probabilities from those logits, loss and gradient come from them, which loses nothing, and the gradient flows past
  the probabilities; else, say for a sigmoid in front of a loss over classes, from the probabilities as given. With
  `clip` and in `KLDivergence` always the latter, whose relative error is about |log p| roundings. A linear last layer
  and `from_logits=True` is exact on every backend.
- **Labels.** A label outside 0..K-1, a fractional or negative one, a binary label outside [0, 1] is a `LabelError`
  naming it where values are at hand (eager, on the CPU); in a graph the row's loss is NaN. Keras gives 0 or a wrong
  number. Labels are not rounded to the loss' dtype on their way.
- **Rows of weight 0**, masked or of class `ignore_class` leave entirely: loss and gradient 0 whatever the prediction.
  Weights [N] for losses [N, T] count for all T. "mean_with_sample_weight" divides by the weights of all losses.
- Half precision is computed in float32; functions then return float32.
"""

import crossent.keras._keras  # noqa: F401  # first of all: it says what is missing
from crossent.keras import losses, metrics
from crossent.keras.lifted import loss
from crossent.keras.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    KLDivergence,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_focal_crossentropy,
    kl_divergence,
    sparse_categorical_crossentropy,
)

__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalFocalCrossentropy",
    "KLDivergence",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_focal_crossentropy",
    "kl_divergence",
    "loss",
    "losses",
    "metrics",
    "sparse_categorical_crossentropy",
]
