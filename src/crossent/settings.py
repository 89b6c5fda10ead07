"""What a user can see and set for the whole process: threads, instruction set, configuration."""

import os
import platform
from importlib.util import find_spec

import numpy as np

from crossent import _native
from crossent.core.pool import get_num_threads, set_num_threads
from crossent.errors import OptionError

__all__ = ["get_num_threads", "set_num_threads", "show_config"]

_OPTIONAL = (
    "pyarrow", "duckdb", "safetensors", "click", "rich", "matplotlib", "jinja2", "ml_dtypes", "sklearn",
    "torch", "jax", "keras", "xgboost", "lightgbm", "dask",
)  # fmt: skip


def _force_isa() -> None:
    """Obeys CROSSENT_ISA at import."""
    wanted = os.environ.get("CROSSENT_ISA")
    if wanted is None or _native.select_isa(wanted):
        return
    available = ", ".join(_native.available_isas())
    raise OptionError(
        f"CROSSENT_ISA is {wanted!r}, but this machine and build run {available}. Use one of them or unset it."
    )


_force_isa()


def show_config() -> dict[str, object]:
    """Version, instruction set, threads, compiler and the optional libraries found (by name, without importing them).

    Returns: a dictionary of plain values; `crossent show-config` prints it.

    >>> config = show_config()
    >>> config["isa"] in config["isas_available"]
    True
    """
    from crossent import __version__

    return {
        "version": __version__,
        "isa": _native.current_isa(),
        "isas_available": _native.available_isas(),
        "threads": get_num_threads(),
        "compiler": _native.compiler(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "optional": {name: find_spec(name) is not None for name in _OPTIONAL},
    }
