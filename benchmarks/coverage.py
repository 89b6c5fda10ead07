"""The coverage study: how often crossent's intervals and tests are right, as a page of the documentation.

    python benchmarks/coverage.py --replicates 2000 --output docs/coverage.md

Everything is drawn from seeds, so the page is the same wherever NumPy's generators and float64 are.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.append(str(Path(__file__).parent))

from coverage_study.calibration import all_rejections
from coverage_study.intervals import SIZES, coverages
from coverage_study.looks import all_resampled, all_sequences
from coverage_study.page import Study, page

__all__ = ["main", "study"]

# Scores redraw labels and the bootstrap resamples for every sample, so these have fewer.
_OF_SCORES, _OF_BOOTSTRAPS = 4, 8


def study(*, replicates: int, seed: int = 0, quick: bool = False) -> Study:
    """Simulates everything.

    Args:
        replicates: samples for each interval; a fourth of that for tests, an eighth for bootstraps.
        seed: of all draws.
        quick: small samples only, to see that everything runs.
    """
    command = f"python benchmarks/coverage.py --replicates {replicates}" + (f" --seed {seed}" if seed else "")
    few, fewer = max(2, replicates // _OF_SCORES), max(2, replicates // _OF_BOOTSTRAPS)
    return Study(
        seed,
        command + (" --quick" if quick else "") + " --output docs/coverage.md",
        coverages(replicates=replicates, seed=seed, sizes=SIZES[:2] if quick else SIZES),
        all_rejections(replicates=few, seed=seed, **({"sizes": (200,)} if quick else {})),
        all_sequences(replicates=replicates, seed=seed, **({"rows": 500} if quick else {})),
        all_resampled(replicates=fewer, seed=seed, **({"sizes": (200,)} if quick else {})),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the page."""
    parser = argparse.ArgumentParser(description="How often crossent's intervals and tests are right.")
    parser.add_argument("--replicates", type=int, default=2000, help="samples for each interval (default 2000)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="small samples only, to see that everything runs")
    parser.add_argument("-o", "--output", type=Path, help="Markdown file to write; otherwise it is printed")
    given = parser.parse_args(arguments)
    text = page(study(replicates=given.replicates, seed=given.seed, quick=given.quick))
    if given.output is None:
        print(text, end="")
    else:
        given.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
