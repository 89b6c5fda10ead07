"""Every object of kernels exports its one table and nothing weak, in the sanitizer build too."""

import os
import platform
from pathlib import Path

import pytest

from programs import need_program
from symbols import defined_symbols, kernel_objects, troubles

ROOT = Path(__file__).parents[2]
INSTALL = "apt-get install binutils"


def builds() -> list[Path]:
    """The build directories that hold objects; under `make sanitize` that one only."""
    wanted = os.environ.get("CROSSENT_SANITIZED")
    found = [Path(wanted)] if wanted else sorted((ROOT / "build").glob("*/"))
    return [path for path in found if kernel_objects(path)]


def nm() -> str:
    """The program that lists symbols."""
    if not builds():
        pytest.skip("no build directory here: crossent was installed from a wheel")
    return need_program("nm", "llvm-nm", install=INSTALL)


def test_each_object_defines_its_table_only() -> None:
    program = nm()
    for build in builds():
        objects = kernel_objects(build)
        expected = {"v2", "v3", "v4"} if platform.machine() in ("x86_64", "AMD64") else {"base"}
        assert set(objects) == expected, f"{build} has objects for {sorted(objects)}"
        for name, path in objects.items():
            assert troubles(name, defined_symbols(program, path)) == [], f"{build.name}: {path.name} for {name}"


def test_the_library_exports_nothing_but_its_start() -> None:
    if platform.system() != "Linux":
        pytest.skip("reads ELF's table of exported symbols")
    program = nm()
    for build in builds():
        libraries = list(build.glob("_native*.so"))
        assert len(libraries) == 1, f"{build} has {len(libraries)} native libraries"
        names = [s.name for s in defined_symbols(program, libraries[0], "-D")]
        assert "PyInit__native" in names
        assert [name for name in names if "crossent" in name or "kernel" in name.lower()] == []
