"""Keras picks its backend when it is imported, so these tests run in one process for each.

With KERAS_BACKEND in the environment the tests run on that backend; without it only the driver runs, which runs them
on all three.
"""

import os

collect_ignore_glob = ["test_keras_driver.py"] if os.environ.get("KERAS_BACKEND") else ["test_keras_[!d]*.py"]
