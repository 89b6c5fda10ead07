"""The progress of a long fit on stderr: one line that is renewed on a terminal, a line every few seconds elsewhere."""

import sys
import time
from collections.abc import Callable
from typing import Self, TextIO

from crossent.learn.trace import Step

__all__ = ["Progress"]

_SILENT = 1.0  # seconds: shorter fits say nothing
_ON_TERMINAL, _ELSEWHERE = 0.1, 5.0  # seconds between two lines


class Progress:
    """Tells of the steps of one fit; a context manager, which ends the line.

    Args:
        name: whose fit it is.
        max_iter: the most iterations.
        is_on: whether to say anything at all.
        stream: where to write; None for sys.stderr.
        clock: seconds; another one is for tests.
    """

    def __init__(
        self,
        name: str,
        max_iter: int,
        *,
        is_on: bool = True,
        stream: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name, self._max_iter, self._is_on, self._clock = name, max_iter, is_on, clock
        self._stream = sys.stderr if stream is None else stream
        self._on_terminal = bool(getattr(self._stream, "isatty", bool)())
        self._start = clock()
        self._told = self._start
        self._last: Step | None = None
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._width:
            self._tell()
            self._stream.write("\n" if self._on_terminal else "")
            self._stream.flush()

    def __call__(self, step: Step) -> None:
        """Tell of a step if it is time to."""
        self._last = step
        now = self._clock()
        wait = _ON_TERMINAL if self._on_terminal else _ELSEWHERE
        if self._is_on and now - self._start >= _SILENT and (now - self._told >= wait or not self._width):
            self._told = now
            self._tell()

    def _tell(self) -> None:
        if self._last is None:
            return
        step, seconds = self._last, self._clock() - self._start
        line = (
            f"{self._name}: iteration {step.iteration} of at most {self._max_iter}, loss {step.loss:.6g}, "
            f"largest gradient entry {step.gradient_norm:.2g}, {seconds:.0f} s"
        )
        blank = " " * (self._width - len(line))
        self._stream.write(f"\r{line}{blank}" if self._on_terminal else f"{line}\n")
        self._stream.flush()
        self._width = len(line)
