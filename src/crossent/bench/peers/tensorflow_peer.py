"""TensorFlow as a worker: tf.function compiled by XLA."""

from typing import Any

import tensorflow as tf

from .data import Spec, make

__all__ = ["host", "prepare", "versions"]


def versions() -> dict[str, str]:
    """What is measured."""
    return {"tensorflow": tf.__version__}


def host(gradient: Any) -> Any:
    """The gradient as a NumPy array."""
    return gradient.numpy()


def prepare(spec: Spec, flavour: str, threads: int) -> dict[str, Any]:
    """The runs of a case."""
    if not tf.config.threading.get_intra_op_parallelism_threads():
        tf.config.threading.set_intra_op_parallelism_threads(threads)
    arrays = make(spec)
    z, y = tf.constant(arrays.prediction), tf.constant(arrays.targets)

    def loss(z: Any, y: Any) -> Any:
        if spec.kind == "binary":
            return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=z))
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=z))

    def both(z: Any, y: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(z, y)
        return value, tape.gradient(value, z)

    forward, gradient = (tf.function(each, jit_compile=True) for each in (loss, both))
    return {"forward": lambda: (forward(z, y), None), "gradient": lambda: gradient(z, y)}
