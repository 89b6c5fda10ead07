"""Peers made for tests: small modules that a worker imports by name, each misbehaving in one way."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from crossent.bench.cases import Case
from crossent.bench.roster import LIBRARIES, PEERS, Peer

_MODULE = '''"""A peer for a test."""
{imports}
def versions():
    return {{}}
def host(gradient):
    return gradient
def prepare(spec, flavour, threads):
    import numpy as np, os, signal, time
    def forward(**setting):
        {forward}
    def gradient(**setting):
        {gradient}
    return dict(zip({works}, (forward, gradient)))
'''


class Silence:
    """Hears what a run tells."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[str] = []

    def status(self, text: str) -> None:
        self.states.append(text)

    def line(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def heard() -> Silence:
    """What a run told."""
    return Silence()


@pytest.fixture
def add_peer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Adds a peer whose runs are the lines given; the test stands in an empty folder, without .venv-frameworks."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")])))
    monkeypatch.setitem(LIBRARIES, "made", ("made_library", "made-library"))

    def add(name: str, *, forward: str = "return 0.0, None", gradient: str = "return 0.0, np.zeros(1)",
            imports: str = "", works: tuple[str, str] = ("forward", "gradient")) -> None:  # fmt: skip
        module = f"{name}_made_for_a_test"
        text = _MODULE.format(imports=imports, forward=forward, gradient=gradient, works=works)
        (tmp_path / f"{module}.py").write_text(text)
        monkeypatch.setitem(PEERS, name, Peer("made", module))

    return add


@pytest.fixture
def add_fitter(add_peer: Callable[..., None]) -> Callable[..., None]:
    """Adds a peer that fits, by the lines given for its works "fit" and "fit_default", which have `setting`."""

    def add(name: str, *, fit: str, default: str = "") -> None:
        add_peer(name, forward=fit, gradient=default or fit, works=("fit", "fit_default"))

    return add


@pytest.fixture
def only_case(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Case]:
    """Makes one case the whole suite "loss"."""

    def only(*peers: str, **options: object) -> Case:
        settings = {"kind": "index", "shape": (7, 5), "regimes": ("default",), **options}
        case = Case(suite="loss", title="the case", peers=peers, **settings)  # type: ignore[arg-type]
        monkeypatch.setattr("crossent.bench.plan.cases_of", lambda suite, **_: [case])
        return case

    return only
