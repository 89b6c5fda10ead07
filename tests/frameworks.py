"""Which front-ends can be tested here: each needs its framework, which .venv does not have and .venv-frameworks has.

Where a framework is missing, its front-end (whose docstrings are tests), that front-end's tests, their helpers
(tests/torch_*.py) and its examples are not collected. `make test-frameworks` sets CROSSENT_FRAMEWORKS=1: there a
missing framework is an error, so nothing quietly stops being tested.
"""

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

__all__ = ["LIBRARIES", "left_out"]

LIBRARIES = {"torch": ("torch", "ml_dtypes"), "jax": ("jax",), "keras": ("keras",)}


def left_out(find: Callable[[str], Any] = find_spec) -> list[str]:
    """Patterns, from the project's root, of what cannot be collected; an ImportError where everything must be."""
    missing = {name: [library for library in needs if find(library) is None] for name, needs in LIBRARIES.items()}
    if any(missing.values()) and os.environ.get("CROSSENT_FRAMEWORKS") == "1":
        libraries = sorted({library for needs in missing.values() for library in needs})
        raise ImportError(
            f"CROSSENT_FRAMEWORKS=1, but {', '.join(libraries)} cannot be found: every front-end is to be tested here. "
            "Run: make test-frameworks"
        )
    places = ("src/crossent/{}*", "tests/{}_*", "tests/front_ends/{}", "tests/examples/{}")
    common = ["tests/front_ends/test_*"] if any(missing.values()) else []  # of all frameworks
    return common + [place.format(name) for name, without in missing.items() if without for place in places]
