"""What an import costs, measured in fresh processes: which modules it loads, and its time beside NumPy's own.

One process after another, NumPy's import and the other in turn, the best of each: a busy machine makes single
times longer but never shorter, so the ratio of the best is the one that a quiet machine would give. Rounds
are added until the ratio is below the limit or there have been enough.
"""

import json
import subprocess
import sys

__all__ = ["cost_ratio", "foreign_modules"]

MODULES = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}})))
"""
TIMED = """
import time
start = time.perf_counter()
{statement}
print(time.perf_counter() - start)
"""
LEAST_ROUNDS, MOST_ROUNDS = 5, 20


def _run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout


def foreign_modules(statement: str) -> list[str]:
    """Top-level modules that a statement loads beside the standard library, NumPy and crossent."""
    loaded = set(json.loads(_run(MODULES.format(statement=statement))))
    with_numpy = set(json.loads(_run(MODULES.format(statement="import numpy"))))
    return sorted(loaded - with_numpy - {"crossent", "numpy"} - sys.stdlib_module_names)


def cost_ratio(statement: str, *, limit: float, most_rounds: int = MOST_ROUNDS) -> float:
    """The best time of a statement divided by the best time of `import numpy`."""
    base, ours = [], []
    for count in range(1, most_rounds + 1):
        base.append(float(_run(TIMED.format(statement="import numpy"))))
        ours.append(float(_run(TIMED.format(statement=statement))))
        if count >= LEAST_ROUNDS and min(ours) / min(base) < limit:
            break
    return min(ours) / min(base)
