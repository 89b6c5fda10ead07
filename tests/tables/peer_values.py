"""What torch, JAX, SciPy and scikit-learn answer to given rows: run by their own interpreter, which has no crossent.

    python peer_values.py INPUTS.npz OUTPUTS.npz

INPUTS holds "<case> <dtype> z" [N, K] and "<case> <dtype> y" [N] for rows, or z and y of one shape for labels (cases
whose name begins with "binary"). OUTPUTS holds "<peer> <what> <case> <dtype>", and "versions". Each library is asked
the way its manual says; where it has no function for the loss, its log_softmax or log_expit is taken at the target.
"""

import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

Answer = tuple[str, Any]


def torch_answers(z: Any, y: Any) -> Iterator[Answer]:
    """torch.nn.functional; gradients by backward()."""
    import torch
    import torch.nn.functional as F

    leaf = torch.tensor(z, requires_grad=True)
    if z.ndim == 1:
        loss = F.binary_cross_entropy_with_logits(leaf, torch.tensor(y.astype(z.dtype)), reduction="none")
    else:
        loss = F.cross_entropy(leaf, torch.tensor(y), reduction="none")
        yield "log_softmax", F.log_softmax(leaf.detach(), dim=-1).numpy()
    loss.sum().backward()
    yield "loss", loss.detach().numpy()
    yield "gradient", leaf.grad.numpy()


def jax_answers(z: Any, y: Any) -> Iterator[Answer]:
    """-jax.nn.log_softmax at the target, -jax.nn.log_sigmoid; gradients by jax.grad."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def loss(x: Any) -> Any:
        if z.ndim == 1:
            return -jnp.where(y == 1, jax.nn.log_sigmoid(x), jax.nn.log_sigmoid(-x))
        return -jnp.take_along_axis(jax.nn.log_softmax(x), y[:, None], -1)[:, 0]

    x = jnp.asarray(z)
    if z.ndim == 2:
        yield "log_softmax", np.asarray(jax.nn.log_softmax(x))
    yield "loss", np.asarray(loss(x))
    yield "gradient", np.asarray(jax.grad(lambda v: loss(v).sum())(x))


def scipy_answers(z: Any, y: Any) -> Iterator[Answer]:
    """-scipy.special.log_softmax at the target, -scipy.special.log_expit."""
    import scipy.special

    if z.ndim == 1:
        yield "loss", -scipy.special.log_expit(np.where(y == 1, z, -z))
    else:
        logs = scipy.special.log_softmax(z, axis=-1)
        yield "log_softmax", logs
        yield "loss", -logs[np.arange(len(y)), y]


def sklearn_answers(z: Any, y: Any) -> Iterator[Answer]:
    """sklearn.metrics.log_loss of one row at a time, given scipy.special.softmax or expit of it."""
    import scipy.special
    from sklearn.metrics import log_loss

    if z.ndim == 1:
        rows, labels = scipy.special.expit(z)[:, None], [0, 1]
    else:
        rows, labels = scipy.special.softmax(z, axis=-1)[:, None, :], list(range(z.shape[1]))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it notes sums that are off by a rounding
        values = [log_loss(y[i : i + 1], rows[i], labels=labels) for i in range(len(y))]
    yield "loss", np.array(values).astype(z.dtype)


PEERS: dict[str, Callable[[Any, Any], Iterator[Answer]]] = {
    "torch": torch_answers,
    "jax": jax_answers,
    "scipy": scipy_answers,
    "sklearn": sklearn_answers,
}


def main() -> None:
    """Reads the rows, asks everyone, writes the answers."""
    given = np.load(sys.argv[1])
    cases = [name.removesuffix(" z") for name in given.files if name.endswith(" z")]
    answers: dict[str, Any] = {}
    for peer, ask in PEERS.items():
        for case in cases:
            for what, values in ask(given[f"{case} z"], given[f"{case} y"]):
                answers[f"{peer} {what} {case}"] = values
    versions = [f"{peer} {sys.modules[peer].__version__}" for peer in PEERS]
    np.savez(sys.argv[2], versions=np.array(versions), **answers)


if __name__ == "__main__":
    main()
