"""Who is measured: the peers by name, the library each belongs to, and which Python can run it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from crossent.errors import OptionError
from crossent.wording import did_you_mean

__all__ = [
    "CROSSENT",
    "INTELEX",
    "IN_TORCH",
    "LIBRARIES",
    "LIMIT",
    "LOSS_ALONE",
    "METRICS",
    "PEERS",
    "SKLEARN",
    "Peer",
    "check_pythons",
    "python_for",
]

CROSSENT, IN_TORCH, LIMIT = "crossent", "crossent.torch", "limit"
LOSS_ALONE, METRICS = "crossent log loss", "sklearn metrics"  # what a tally is measured beside
SKLEARN, INTELEX = "scikit-learn", "scikit-learn-intelex"  # estimators; functions of scikit-learn have other names
FRAMEWORKS = Path(".venv-frameworks") / "bin" / "python"  # made by `make frameworks`


@dataclass(frozen=True)
class Peer:
    """One way to compute a loss.

    library: what --vs calls it; module: imported by the worker; flavour: which of the module's ways;
    nanoseconds, start_seconds: what an element (loss, then loss and gradient) and a new process cost, roughly, on
    two cores: only for the estimate of how long a run takes.
    """

    library: str
    module: str
    flavour: str = ""
    nanoseconds: float = 1.0
    start_seconds: float = 1.0


# --vs name: (module to import, what pip installs)
LIBRARIES: dict[str, tuple[str, str]] = {
    "torch": ("torch", "torch"),
    "jax": ("jax", "jax"),
    "tensorflow": ("tensorflow", "tensorflow"),
    "scipy": ("scipy", "scipy"),
    "sklearn": ("sklearn", "scikit-learn"),
    "sklearnex": ("sklearnex", "scikit-learn-intelex"),
    "numpy": ("numpy", "numpy"),
}
PEERS: dict[str, Peer] = {
    CROSSENT: Peer(CROSSENT, "peers.crossent_peer", "", 2, 1),
    LOSS_ALONE: Peer(CROSSENT, "peers.crossent_peer", "log loss", 2, 1),
    IN_TORCH: Peer("torch", "peers.crossent_torch_peer", "", 3, 4),
    LIMIT: Peer(LIMIT, "peers.limits_peer", "", 1, 1),
    "torch eager": Peer("torch", "peers.torch_peer", "eager", 7, 3),
    "torch.compile": Peer("torch", "peers.torch_peer", "compile", 4, 12),
    "torch chunked": Peer("torch", "peers.torch_peer", "chunked", 7, 3),
    "JAX jit": Peer("jax", "peers.jax_peer", "", 5, 3),
    "TF XLA": Peer("tensorflow", "peers.tensorflow_peer", "", 4, 6),
    "SciPy": Peer("scipy", "peers.scipy_peer", "scipy", 25, 2),
    "NumPy": Peer("numpy", "peers.scipy_peer", "numpy", 20, 1),
    "sklearn log_loss": Peer("sklearn", "peers.sklearn_peer", "log_loss", 60, 2),
    METRICS: Peer("sklearn", "peers.sklearn_peer", "metrics", 400, 3),
    "sklearn _loss": Peer("sklearn", "peers.sklearn_peer", "_loss", 9, 2),
    SKLEARN: Peer("sklearn", "peers.sklearn_fit_peer", "", 0, 2),
    INTELEX: Peer("sklearnex", "peers.sklearnex_fit_peer", "", 0, 3),
}


def check_pythons(pythons: Mapping[str, str]) -> None:
    """Raises OptionError unless every name is a library's and every path a Python that runs."""
    for name, path in pythons.items():
        if name not in LIBRARIES:
            raise OptionError(
                f"--python {name}={path}: {name!r} is none of {', '.join(LIBRARIES)}.{did_you_mean(name, LIBRARIES)}"
            )
        try:
            done = subprocess.run([path, "-c", "import sys; print(sys.version_info >= (3, 11))"],
                                  capture_output=True, text=True, timeout=60)  # fmt: skip
            good = done.stdout.strip() == "True"
        except (OSError, subprocess.SubprocessError):
            good = False
        if not good:
            raise OptionError(
                f"--python {name}={path}: that is no Python 3.11 or newer. Give the path of an interpreter."
            )


def python_for(peer: Peer, pythons: Mapping[str, str]) -> str:
    """The interpreter for a peer: the one given, else this one if it has the library, else that of .venv-frameworks.

    Returns: a path; the library may still be missing there, which the worker tells.
    """
    if peer.library not in LIBRARIES:
        return sys.executable
    if peer.library in pythons:
        return pythons[peer.library]
    module, _ = LIBRARIES[peer.library]
    if find_spec(module) is None and FRAMEWORKS.exists():
        return os.path.abspath(FRAMEWORKS)
    return sys.executable
