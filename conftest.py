"""What pytest leaves out everywhere: front-ends whose framework is not installed (tests/frameworks.py)."""

import pytest

from frameworks import left_out

try:
    collect_ignore_glob = left_out()
except ImportError as error:
    raise pytest.UsageError(str(error)) from error
