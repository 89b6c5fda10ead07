"""Keras picks its backend when it is imported, so these tests run in one process for each.

With KERAS_BACKEND in the environment the tests run on that backend; without it only the driver runs, which runs them
on all three.
"""

import os

_backend = os.environ.get("KERAS_BACKEND")
_others = {"tensorflow", "jax", "torch"} - {_backend}
collect_ignore = [f"test_keras_on_{name}.py" for name in _others]
collect_ignore_glob = ["test_keras_driver.py"] if _backend else ["test_keras_[!d]*.py"]
