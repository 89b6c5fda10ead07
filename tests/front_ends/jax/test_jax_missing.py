"""Without JAX `import crossent.jax` says what to install; with it, optax is not needed."""

import subprocess
import sys

import pytest

pytestmark = pytest.mark.frameworks


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_missing_jax_gives_the_command() -> None:
    said = run("""
import sys
sys.modules["jax"] = None
import crossent
try:
    import crossent.jax
except crossent.MissingExtraError as error:
    print(error)
""")
    assert said == "crossent.jax needs JAX, which is not installed. Run: pip install 'crossent[jax]'\n"


def test_optax_is_not_loaded_and_crossent_loads_no_jax() -> None:
    run("""
import sys, crossent
assert "jax" not in sys.modules
sys.modules["optax"] = None
import crossent.jax
""")
