"""Settings of the process: the instruction set that the environment forces, and what show_config tells."""

import json
import os
import subprocess
import sys

import pytest

import crossent as ce
from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa


def import_with(**environment: str) -> subprocess.CompletedProcess[str]:
    """Imports crossent in a fresh interpreter and prints its configuration."""
    program = "import crossent as ce, json; print(json.dumps(ce.show_config()))"
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("isa", ISAS)
def test_environment_forces_the_instruction_set(isa: str) -> None:
    done = import_with(CROSSENT_ISA=isa)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["isa"] == isa


@pytest.mark.parametrize("bad", ["v9", "AVX2", "V3", "v3 "])
def test_an_instruction_set_that_is_not_there_is_a_clear_error(bad: str) -> None:
    done = import_with(CROSSENT_ISA=bad)
    assert done.returncode == 1
    assert f"OptionError: CROSSENT_ISA is {bad!r}, but this machine and build run {', '.join(ISAS)}." in done.stderr
    assert "Use one of them or unset it." in done.stderr


def test_the_best_instruction_set_is_the_default() -> None:
    environment = {name: value for name, value in os.environ.items() if name != "CROSSENT_ISA"}
    program = "import crossent as ce; print(ce.show_config()['isa'])"
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ISAS[-1]


def test_show_config() -> None:
    config = ce.show_config()
    assert config["version"] == ce.__version__
    assert config["isa"] == _native.current_isa()
    assert config["isas_available"] == list(ISAS)
    assert config["threads"] == ce.get_num_threads()
    assert config["compiler"]
    assert config["optional"]["ml_dtypes"] is True  # type: ignore[index]  # the value is a dictionary
    json.dumps(config)


def test_show_config_follows_the_settings() -> None:
    before = ce.get_num_threads()
    ce.set_num_threads(7)
    with using_isa(ISAS[0]):
        config = ce.show_config()
    ce.set_num_threads(before)
    assert (config["threads"], config["isa"]) == (7, ISAS[0])


def test_show_config_imports_nothing() -> None:
    found = "print(sorted({'pyarrow', 'torch', 'sklearn'} & set(sys.modules)))"
    program = f"import sys, crossent as ce; ce.show_config(); {found}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
