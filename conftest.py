"""What pytest leaves out, below src as below tests: front-ends whose framework is not installed."""

from frameworks import left_out

collect_ignore_glob = left_out()
