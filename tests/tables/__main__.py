"""Writes errors.json and the tables of docs/accuracy.md anew: `make tables`, or python -m tables beside this folder.

    python -m tables [--only quick|full|every-float32|peers|pages] [--jobs N] [--python FRAMEWORKS_PYTHON]

Peers are measured by the interpreter given by --python, which needs torch, jax, scipy and scikit-learn, not crossent.
Where it is missing their stored numbers stay, and the last line says so.
"""

import argparse
import os
import sys
import time
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tables import measure as table
from tables import pages, peers
from tables.elementary import FUNCTIONS


def write_section(section: str, pool: Executor) -> None:
    """Measures all groups; keeps the columns of instruction sets that this machine lacks; prints what rose."""
    tasks = {group: pool.submit(table.measure, section, group) for group in table.GROUPS}
    stored = table.load()
    old: dict[str, Any] = stored.get(section, {})
    rows: dict[str, Any] = {}
    marks = {key: mark for key, mark in stored.get("marks", {}).items() if not key.startswith(section + " ")}
    for group, task in tasks.items():
        measured, marks[f"{section} {group}"] = task.result()
        for question, row in measured.items():
            rows[question] = {**old.get(question, {}), **table.rounded(row)}
    table.save({**stored, "marks": marks, section: rows})
    for line in table.risen(rows, old, slack=False) if old else []:
        print(line)


def write_sweeps(pool: Executor) -> None:
    """Every float32 of every function."""
    tasks = {name: [pool.submit(table.measure_sweep, name, p) for p in range(table.PARTS)] for name in FUNCTIONS}
    stored = table.load()
    rows = {
        name: {
            **stored.get(table.EVERY, {}).get(name, {}),
            "allowed": table.sweep_allowed(name),
            **table.rounded(table.merged(task.result() for task in parts)),
        }
        for name, parts in tasks.items()
    }
    table.save({**stored, table.EVERY: rows})


def main(arguments: list[str] | None = None) -> int:
    """Measures what is asked for and writes it."""
    parser = argparse.ArgumentParser(prog="python -m tables", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["quick", "full", "every-float32", "peers", "pages"], action="append")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--python", type=Path, default=Path(".venv-frameworks/bin/python"))
    asked = parser.parse_args(arguments)
    wanted = asked.only or ["quick", "full", "every-float32", "peers"]
    with ProcessPoolExecutor(asked.jobs) as pool:
        for part in wanted:
            began = time.perf_counter()
            if part in table.SECTIONS:
                write_section(part, pool)
            elif part == "every-float32":
                write_sweeps(pool)
            elif part == "peers" and asked.python.exists():
                peers.write(asked.python)
            print(f"{part}: {time.perf_counter() - began:.0f} s", flush=True)
    pages.write()
    if "peers" in wanted and not asked.python.exists():
        print(f"{asked.python} is missing: the peers' numbers are the stored ones", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
