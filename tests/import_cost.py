"""What an import costs, measured in fresh processes: which modules it loads, and its time beside NumPy's own.

One process after another, NumPy's import and the other in turn, the best of each, in processor time of the
importing thread: what else the machine does makes single times longer but never shorter. Rounds are added until
the ratio is below the limit or there have been enough. Both imports read compiled bytecode, as an installed package
does; a first round that does not count writes it.
"""

import json
import os
import subprocess
import sys

__all__ = ["cost_ratio", "foreign_modules", "wanted_modules"]

MODULES = """
import json, sys
before = set(sys.modules)
{statement}
print(json.dumps(sorted({{name.partition('.')[0] for name in set(sys.modules) - before}})))
"""
WANTED = """
import json, sys
wanted = []
class Watch:
    def find_spec(name, path=None, target=None):
        wanted.append(name.partition(".")[0])
sys.meta_path.insert(0, Watch)
{statement}
print(json.dumps(sorted(set(wanted))))
"""
TIMED = """
import time
start = time.thread_time()
{statement}
print(time.thread_time() - start)
"""
LEAST_ROUNDS, MOST_ROUNDS = 5, 20


def _run(program: str, python: str = sys.executable) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [python, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def foreign_modules(statement: str, python: str = sys.executable) -> list[str]:
    """Top-level modules that a statement loads beside the standard library, NumPy and crossent."""
    loaded = set(json.loads(_run(MODULES.format(statement=statement), python)))
    with_numpy = set(json.loads(_run(MODULES.format(statement="import numpy"), python)))
    return sorted(loaded - with_numpy - {"crossent", "numpy"} - sys.stdlib_module_names)


def wanted_modules(statement: str) -> set[str]:
    """Top-level modules that a statement looks for, whether they are installed or not."""
    return set(json.loads(_run(WANTED.format(statement=statement))))


def cost_ratio(statement: str, *, limit: float, most_rounds: int = MOST_ROUNDS) -> float:
    """The best time of a statement divided by the best time of `import numpy`."""
    base, ours = [], []
    _run(TIMED.format(statement=statement))
    for count in range(1, most_rounds + 1):
        base.append(float(_run(TIMED.format(statement="import numpy"))))
        ours.append(float(_run(TIMED.format(statement=statement))))
        if count >= LEAST_ROUNDS and min(ours) / min(base) < limit:
            break
    return min(ours) / min(base)
