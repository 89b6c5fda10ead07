"""`crossent bench`: crossent beside its peers, each in its own process, in rounds that take turns."""

from crossent.bench.cases import SUITES
from crossent.bench.plan import Plan, estimated_seconds
from crossent.bench.results import Results
from crossent.bench.roster import LIBRARIES, check_pythons
from crossent.bench.runner import Tell, run

__all__ = ["LIBRARIES", "SUITES", "Plan", "Results", "Tell", "check_pythons", "estimated_seconds", "run"]
