"""Runs this folder and the examples of crossent.keras on each backend; and what is said where Keras is missing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from processes import run_python

pytestmark = pytest.mark.frameworks

ROOT = Path(__file__).parents[3]
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1", "JAX_ENABLE_X64": "1", "JAX_PLATFORMS": "cpu"}


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_backend(backend: str, tmp_path: Path) -> None:
    """`KERAS_BACKEND=... pytest -m '' tests/front_ends/keras --pyargs crossent.keras` does the same by hand."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "", "-p", "no:cacheprovider", "--durations=5"]
    done = subprocess.run(
        [*command, "tests/front_ends/keras", "--pyargs", "crossent.keras"],
        cwd=ROOT,
        env={**os.environ, **QUIET, "KERAS_BACKEND": backend, "KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, f"on {backend}:\n{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def _message(setup: str) -> str:
    """What the import says after some lines of Python."""
    program = f"""
    import sys, types
    {setup}
    import crossent as ce
    try:
        import crossent.keras
    except ce.MissingExtraError as error:
        print(error)
    """
    done = run_python(program)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_without_keras_the_import_names_the_command() -> None:
    said = _message("sys.modules['keras'] = None")
    assert said == "crossent.keras needs Keras, which is not installed. Run: pip install 'crossent[keras]'"


def test_keras_2_is_too_old() -> None:
    said = _message("sys.modules['keras'] = types.ModuleType('keras'); sys.modules['keras'].__version__ = '2.15.0'")
    assert said == (
        "crossent.keras needs Keras 3.11 or newer; Keras 2.15.0 is installed. "
        "Run: pip install --upgrade 'crossent[keras]'"
    )


def test_a_missing_backend_is_not_a_missing_keras() -> None:
    done = run_python("import crossent.keras", KERAS_BACKEND="jax", PYTHONSAFEPATH="1", **QUIET)
    assert done.returncode == 0, done.stderr
    done = run_python("import sys; sys.modules['jax'] = None; import crossent.keras", KERAS_BACKEND="jax", **QUIET)
    assert "No module named 'jax" in done.stderr or "import of jax" in done.stderr
    assert "pip install 'crossent[keras]'" not in done.stderr
