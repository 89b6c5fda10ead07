"""What an object file of the native build exports, and whether it may.

A weak symbol in an object made for AVX-512 may be the one that the linker keeps for every other object, and
an older machine then dies of an illegal instruction. So each object of kernels defines exactly one symbol:
its table.
"""

import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

__all__ = ["Symbol", "defined_symbols", "kernel_objects", "parse", "troubles"]

ODR_MARK = "__odr_asan"  # what AddressSanitizer adds beside each global


class Symbol(NamedTuple):
    """A symbol that an object defines for others: name, and nm's letter for its kind (upper case: global)."""

    name: str
    kind: str

    @property
    def weak(self) -> bool:
        """Whether a linker may swap it for another object's: weak, or unique over the process."""
        return self.kind in "WwVvu"


def parse(listing: str) -> list[Symbol]:
    """Symbols from the lines "address kind name" of `nm --defined-only`."""
    rows = (line.split() for line in listing.splitlines())
    return [
        Symbol(row[2].removeprefix("_") if row[2].startswith("_crossent") else row[2], row[1])
        for row in rows
        if len(row) >= 3
    ]


def defined_symbols(nm: str, path: Path, *options: str) -> list[Symbol]:
    """The symbols that an object or library defines and others can see."""
    command = [nm, "--defined-only", "--extern-only", *options, str(path)]
    return parse(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def kernel_objects(build: Path) -> dict[str, Path]:
    """The objects of kernels in one build directory by instruction set: v2, v3, v4 or base."""
    found = build.glob("CMakeFiles/kernels_*.dir/native/*.o")
    return {path.parents[1].name.removeprefix("kernels_").removesuffix(".dir"): path for path in found}


def troubles(instruction_set: str, symbols: Iterable[Symbol]) -> list[str]:
    """What an object of this instruction set must not define, or lacks."""
    symbols = [s for s in symbols if not s.name.startswith(ODR_MARK)]
    table = f"crossent_table_{instruction_set}"
    found = [f"defines the weak symbol {s.name}" for s in symbols if s.weak]
    found += [f"defines {s.name} beside its table" for s in symbols if not s.weak and s.name != table]
    if not any(s.name == table and not s.weak for s in symbols):
        found.append(f"lacks its table {table}")
    return found
