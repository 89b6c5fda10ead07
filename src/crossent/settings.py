"""What a user can see and set for the whole process: threads, instruction set, memory kept, configuration."""

import os
import platform
import sys
from importlib.util import find_spec

import numpy as np

from crossent import _native
from crossent.core.buffers import empty_cache, keep_buffers, kept_bytes
from crossent.core.pool import get_num_threads, set_num_threads
from crossent.errors import OptionError

__all__ = ["empty_cache", "get_num_threads", "set_num_threads", "show_config"]

_OPTIONAL = (
    "pyarrow", "duckdb", "safetensors", "click", "rich", "matplotlib", "jinja2", "ml_dtypes", "sklearn",
    "torch", "jax", "keras", "xgboost", "lightgbm", "dask",
)  # fmt: skip


def obey_environment() -> None:
    """Takes CROSSENT_ISA, CROSSENT_THREADS and CROSSENT_POOL from the environment; OptionError if they cannot be had.

    `import crossent` calls it, but for the command, which calls it where errors become messages.
    """
    isa, threads = os.environ.get("CROSSENT_ISA"), os.environ.get("CROSSENT_THREADS")  # empty: as if unset
    if isa and not _native.select_isa(isa):
        available = ", ".join(_native.available_isas())
        raise OptionError(
            f"CROSSENT_ISA is {isa!r}, but this machine and build run {available}. Use one of them or unset it."
        )
    if threads:
        if not (threads.isascii() and threads.isdigit()) or int(threads) < 1:
            raise OptionError(
                f"CROSSENT_THREADS is {threads!r}; a whole number >= 1 is allowed. Unset it to use every core."
            )
        set_num_threads(int(threads))
    pool = os.environ.get("CROSSENT_POOL")
    if pool:
        if pool not in ("0", "1"):
            raise OptionError(f"CROSSENT_POOL is {pool!r}; 0 (keep no memory) or 1 is allowed. Unset it to keep some.")
        keep_buffers(pool == "1")


def is_command() -> bool:
    """Whether this process is the command `crossent` or `python -m crossent`."""
    return os.path.basename(sys.argv[0] if sys.argv else "") == "crossent" or (
        sys.argv[:1] == ["-m"] and sys.orig_argv[1:3] == ["-m", "crossent"]
    )


def show_config() -> dict[str, object]:
    """Version, instruction set, threads, compiler and the optional libraries found (by name, without importing them).

    Returns: a dictionary of plain values; pool_bytes is the memory that `empty_cache` would give back (None where
        CROSSENT_POOL=0 keeps none); `crossent show-config` prints it.

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
        "pool_bytes": kept_bytes(),
        "compiler": _native.compiler(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "optional": {name: find_spec(name) is not None for name in _OPTIONAL},
    }
