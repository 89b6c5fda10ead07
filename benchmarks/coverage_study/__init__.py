"""The parts of benchmarks/coverage.py: losses whose mean is known, what is done with them, and the page."""
