"""The parent's end of a worker: one process, one peer, asked over a pipe; its death is an answer like others."""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

from crossent.bench.roster import LIBRARIES, Peer

__all__ = ["REGIMES", "Worker", "WorkerFailure"]

# How malloc treats freed buffers. By default large ones go back to the system, and touching fresh pages is most of
# what a peer does; tuned, they are kept. One arena: otherwise threads have heaps too small for large buffers.
REGIMES: dict[str, dict[str, str]] = {
    "default": {},
    "tuned": {
        "MALLOC_MMAP_THRESHOLD_": "4294967296",
        "MALLOC_TRIM_THRESHOLD_": "8589934592",
        "MALLOC_ARENA_MAX": "1",
    },
}
_START = "import sys; sys.path.insert(0, {folder!r}); import peers.serve; sys.path.pop(0); peers.serve.main()"
_PATIENCE = 900.0  # seconds for one answer
_LOOK = 1.0  # seconds between looks whether anybody still wants it


class WorkerFailure(Exception):
    """A worker died, gave no answer in time, or said that it could not; the text says which."""


class Worker:
    """A process of its own for one peer; nothing is run before the first request."""

    def __init__(self, peer: Peer, python: str, *, regime: str, threads: int, scratch: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the worker
        folder = str(Path(__file__).parent)
        words = [peer.module, peer.flavour, str(threads), str(os.getpid())]
        safe = ["-P"] if peer.library in LIBRARIES else []  # a folder that is called torch is not PyTorch
        self._process = subprocess.Popen(
            [python, *safe, "-c", _START.format(folder=folder), *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(python, regime, threads, scratch),
            start_new_session=True,  # an interrupt is for the parent, which ends the whole group
        )
        self._buffer = b""

    def hello(self) -> dict[str, Any]:
        """The worker's greeting: versions, or {"missing": module} where its library is not installed."""
        return self._answer(_PATIENCE)

    def ask(self, do: str, *, patience: float = _PATIENCE, **request: Any) -> dict[str, Any]:
        """The answer to a request.

        Raises: WorkerFailure.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps({"do": do, **request}).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerFailure(self._cause_of_death()) from None
        reply = self._answer(patience)
        if "failure" in reply:
            raise WorkerFailure(reply["failure"])
        return reply

    def kill(self) -> None:
        """Ends the process and what it started; whoever waits for an answer gets a WorkerFailure."""
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """Kills the process and lets go of its pipes."""
        self.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            with contextlib.suppress(OSError):
                if stream is not None:
                    stream.close()

    def _answer(self, patience: float) -> dict[str, Any]:
        assert self._process.stdout is not None
        until = monotonic() + patience
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while b"\n" not in self._buffer:
                if not selector.select(min(_LOOK, max(0.0, until - monotonic()))):
                    if self._process.stdout.closed:  # by another thread: no end of file will wake this one
                        raise WorkerFailure("was closed")
                    if monotonic() < until:
                        continue
                    self.kill()
                    raise WorkerFailure(f"no answer within {patience:g} s")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise WorkerFailure(self._cause_of_death())
                self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        reply: dict[str, Any] = json.loads(line)
        return reply

    def _cause_of_death(self) -> str:
        try:
            status = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return "its pipe closed"
        if status < 0:
            name = signal.Signals(-status).name
            return f"killed by {name}" + (", as when memory runs out" if -status == signal.SIGKILL else "")
        self._errors.seek(0)
        told = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"ended with status {status}" + (f": {told[-1][:200]}" if told else "")


def _environment(python: str, regime: str, threads: int, scratch: str) -> dict[str, str]:
    """The parent's environment with the same number of threads for everybody and the regime's malloc."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    if python != sys.executable:  # another Python has its own packages
        for name in ("PYTHONPATH", "PYTHONHOME"):
            kept.pop(name, None)
    names = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC", "CROSSENT_THREADS")
    return {
        **kept,
        **dict.fromkeys(names, str(threads)),
        "TORCHINDUCTOR_COMPILE_THREADS": "1",  # no processes beside the worker
        "TORCHINDUCTOR_CACHE_DIR": scratch,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_PLATFORMS": "cpu",
        "CUDA_VISIBLE_DEVICES": "",
        **REGIMES[regime],
    }
