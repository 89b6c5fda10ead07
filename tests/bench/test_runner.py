"""The runner: peers agree and are timed; what dies, fails, lies or is missing is told, and the rest goes on."""

import os
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from crossent.bench.cases import SUITES, Target, cases_of
from crossent.bench.plan import Plan, estimated_seconds
from crossent.bench.results import Measurement
from crossent.bench.roster import CROSSENT, IN_TORCH, INTELEX, LIMIT, PEERS, SKLEARN, python_for
from crossent.bench.runner import run
from crossent.bench.worker import REGIMES, Worker, WorkerFailure
from programs import need_program

pytestmark = pytest.mark.slow  # a process for every peer; tests/cli/test_bench.py runs one in the core tests

ROOT = Path(__file__).parents[2]


def measured(results, work: str = "forward", regime: str = "default") -> dict[str, Measurement]:
    """Measurements of the only case by peer."""
    return {m.peer: m for m in results.measurements if (m.work, m.regime) == (work, regime)}


@pytest.mark.parametrize("title", ["(5000000, 3)", "soft targets", "binary probabilities", "log loss"])
def test_peers_of_every_kind_agree_with_crossent(title, heard):
    plan = Plan(libraries=("scipy", "sklearn", "numpy"), pattern=title, rounds=2, threads=2, quick=True,
                regimes=("default",))  # fmt: skip
    results = run(plan, heard)
    (case,) = results.cases
    assert results.missing == {}
    assert {m.peer for m in results.measurements} == set(plan.peers(case))
    assert len(set(plan.peers(case)) - {CROSSENT, LIMIT}) >= 1
    for m in results.measurements:
        assert (m.failure, m.wrong_by) == ("", None), m
        assert len(m.seconds) == 2
        assert min(m.seconds) > 0
        assert m.repetitions >= 1
        assert m.extra_bytes is not None
    assert [line.split(":")[0] for line in heard.lines] == [f"{case.title} {work}" for work in case.works]


def test_both_regimes_are_measured(heard):
    plan = Plan(libraries=("scipy",), pattern="(65536, 1000)", rounds=1, threads=2, quick=True)
    results = run(plan, heard)
    (case,) = results.cases
    for regime in REGIMES:
        for work in ("forward", "gradient"):
            assert {m.peer for m in results.of(case, work, regime)} == {CROSSENT, LIMIT, "SciPy"}
            assert results.ratio(case, work, regime) is not None


def test_small_calls_are_timed_with_all_their_peers(heard):
    results = run(Plan(suites=("small",), pattern="(32", libraries=("sklearn", "numpy"), rounds=1), heard)
    peers = {m.peer for m in results.measurements if m.value is not None and m.wrong_by is None}
    assert peers == {CROSSENT, "NumPy", "sklearn log_loss"}
    assert all(m.repetitions > 1 for m in results.measurements if m.peer == CROSSENT)


def test_linear_layers_are_timed_beside_their_products(heard):
    results = run(
        Plan(suites=("linear",), libraries=(), pattern="linear (2048", rounds=1, threads=2, quick=True), heard
    )
    found = {(m.peer, m.work): m for m in results.measurements if m.regime == "default"}
    assert set(found) == {(peer, work) for peer in (CROSSENT, LIMIT) for work in ("forward", "gradient")}
    assert all(m.median and not m.failure for m in found.values())
    assert results.over_limit(results.cases[0], "gradient") is not None


@pytest.mark.parametrize("title", ["fit (500000, 50), 2 classes", "fit (60000, 784), 10 classes, label noise"])
def test_fits_find_the_same_minimum(title, heard, monkeypatch):
    """crossent and scikit-learn share neither code nor solver: all end within 1e-6 of the lowest."""
    intelex = "2 classes" in title and find_spec("sklearnex")
    others = {"sklearn": SKLEARN, **({"sklearnex": INTELEX} if intelex else {})}
    (case,) = [each.shrunk(30) for each in cases_of("fit", quick=True) if each.title == title]
    case = replace(case, solvers={name: solvers[:1] for name, solvers in case.solvers.items()})
    monkeypatch.setattr("crossent.bench.plan.cases_of", lambda suite, **_: [case])
    monkeypatch.setattr("crossent.bench.fitting._QUICK_SECONDS", 20.0)  # also where others use the processors
    results = run(Plan(suites=("fit",), libraries=tuple(others), rounds=2, threads=1, quick=True), heard)
    assert results.missing == {}
    found, default = measured(results, "fit"), measured(results, "fit_default")
    assert (set(found), set(default)) == ({CROSSENT, *others.values()}, {CROSSENT})
    for m in (*found.values(), *default.values()):
        assert (m.failure, m.wrong_by) == ("", None), m
        assert len(m.seconds) == 2
        assert min(m.seconds) > 0
        assert m.value == pytest.approx(found[SKLEARN].value, rel=1.1e-6)
        assert m.extra_bytes is not None
    assert found[SKLEARN].setting.split(",")[0] in case.solvers[SKLEARN]
    assert found[CROSSENT].setting.startswith("tol 1e-")
    assert default[CROSSENT].setting == "default"
    assert results.ratio(case, "fit", "default") is not None
    assert heard.lines[0].startswith(f"{title} fit: {CROSSENT} ")


FIT = """class Fitted:
            iterations, bound = min(most, {needs}), None
            def __float__(self):
                return {value}
        return Fitted(), None"""


def fitter(value: str, needs: int = 3, seconds: float = 0.0, before: str = "") -> str:
    """The lines of a fit that takes some iterations, each so many seconds, and then has a value."""
    start = f"{before}; most = setting.get('max_iter', 9); time.sleep({seconds} * min(most, {needs}))".removeprefix(
        "; "
    )
    return f"{start}\n        {FIT.format(value=value, needs=needs)}"


@pytest.mark.slow
def test_fits_that_do_not_get_there_are_told_with_their_time(heard, add_fitter, only_case):
    add_fitter("base", fit=fitter("1.0"), default=fitter("1.0000005"))
    add_fitter("near", fit=fitter("1.00002", seconds=0.05))
    add_fitter("cut", fit=fitter("1 + 1e-3 / most", needs=10**6, seconds=0.02))
    add_fitter("late", fit=fitter("1.0", before="spec.shape[0] == 70 and time.sleep(9)"))
    add_fitter("dies", fit=fitter("1.0", before="spec.shape[0] == 70 and os._exit(3)"))
    tried = dict.fromkeys(("base", "near", "cut", "late", "dies"), ("one",))
    case = only_case("near", "cut", "late", "dies", ours="base", shape=(70, 5, 2), limited=False, solvers=tried,
                     works=("fit", "fit_default"), targets={"fit": Target(ratio=1)})  # fmt: skip
    results = run(Plan(libraries=("made",), rounds=2, quick=True), heard)
    found = measured(results, "fit")
    assert (found["base"].wrong_by, found["base"].value, found["base"].setting[:8]) == (None, 1.0, "one, tol")
    assert found["near"].wrong_by == pytest.approx(2e-5)
    assert found["near"].median == pytest.approx(0.15, abs=0.1)
    assert 1e-5 < found["cut"].wrong_by < 1e-4
    assert 0.5 < found["cut"].median < 1.6
    assert found["late"].failure == "TimeoutError: no result within 1.3 s"
    assert found["dies"].failure == "ended with status 3"
    assert measured(results, "fit_default")["base"].wrong_by is None
    assert results.ratio(case, "fit", "default") is None
    assert results.least_ratio(case, "fit") == found["near"].median / found["base"].median
    assert "no peer got there: ratio > " in heard.lines[0]


def test_whoever_finds_less_takes_the_measure_along(heard, add_fitter, only_case):
    """The base converges too early by itself, and is not right beside a peer that goes on."""
    add_fitter("base", fit=fitter("1.1"))
    add_fitter("lower", fit=fitter("1.0"))
    case = only_case("lower", ours="base", shape=(70, 5, 2), limited=False, works=("fit",),
                     solvers={"base": ("",), "lower": ("one",)})  # fmt: skip
    results = run(Plan(libraries=("made",), rounds=1, quick=True), heard)
    found = measured(results, "fit")
    assert (found["base"].wrong_by, found["lower"].wrong_by) == (pytest.approx(0.1), None)
    assert results.ratio(case, "fit", "default") is None
    assert results.least_ratio(case, "fit") is None


def test_a_worker_that_dies_is_told_and_the_rest_goes_on(heard, add_peer, only_case):
    add_peer("dies", forward="os.kill(os.getpid(), signal.SIGKILL)")
    add_peer("ends", imports="import sys", forward="sys.stderr.write('no more\\n'); sys.stderr.flush(); os._exit(3)")
    only_case("dies", "ends", "NumPy")
    results = run(Plan(libraries=("made", "numpy"), rounds=2), heard)
    found = measured(results)
    assert found["dies"].failure == "killed by SIGKILL, as when memory runs out"
    assert found["ends"].failure == "ended with status 3: no more"
    assert found["dies"].median is None
    assert found["NumPy"].failure == ""
    assert found["NumPy"].median is not None
    assert found[CROSSENT].median is not None


def test_a_worker_that_dies_late_keeps_what_it_measured_before(heard, add_peer, only_case):
    died_in_the_third_run = "spec.shape[0] == 7 and setattr(np, 'runs', getattr(np, 'runs', 0) + 1); " \
                            "getattr(np, 'runs', 0) > 2 and os._exit(9); return 0.0, np.zeros(1)"  # fmt: skip
    add_peer("dies", gradient=died_in_the_third_run)
    only_case("dies", shape=(70, 5))
    results = run(Plan(libraries=("made",), rounds=3), heard)
    assert measured(results)["dies"].median is not None
    only_case("dies")
    results = run(Plan(libraries=("made",), rounds=3), heard)
    assert measured(results)["dies"].median is not None
    assert measured(results, "gradient")["dies"].failure == "ended with status 9"
    assert measured(results, "gradient")["dies"].median is None


def test_memory_that_runs_out_and_errors_are_told(heard, add_peer, only_case):
    add_peer("greedy", forward="raise MemoryError('Unable to allocate 1. PiB')")
    add_peer("broken", gradient="raise ValueError('no such thing\\nmore')")
    only_case("greedy", "broken")
    results = run(Plan(libraries=("made",), rounds=1), heard)
    assert measured(results)["greedy"].failure == "out of memory (MemoryError: Unable to allocate 1. PiB)"
    assert measured(results, "gradient")["broken"].failure == "ValueError: no such thing"


def test_a_library_that_is_missing_is_named_with_its_pip_command(heard, add_peer, only_case):
    add_peer("absent", imports="import made_library")
    only_case("absent", "NumPy")
    results = run(Plan(libraries=("made", "numpy"), rounds=1), heard)
    assert results.missing == {"absent": "not installed (pip install made-library, or make frameworks)"}
    assert measured(results)["NumPy"].median is not None


def test_a_library_that_cannot_be_imported_says_why(heard, add_peer, only_case):
    add_peer("absent", imports="import something_else_that_is_missing")
    only_case("absent")
    results = run(Plan(libraries=("made",), rounds=1), heard)
    assert "No module named 'something_else_that_is_missing'" in results.missing["absent"]


def test_a_wrong_value_and_a_wrong_gradient_are_found(heard, add_peer, only_case):
    value = "crossent_value = __import__('crossent').cross_entropy(a.targets, logits=a.prediction)"
    made = f"from peers.data import make; a = make(spec); {value}; g = np.zeros(spec.shape)"
    add_peer("wrong value", forward=f"{made}; return 1.5 * crossent_value, None")
    add_peer("wrong gradient", gradient=f"{made}; return crossent_value, g")
    only_case("wrong value", "wrong gradient")
    results = run(Plan(libraries=("made",), rounds=1), heard)
    assert measured(results)["wrong value"].wrong_by == pytest.approx(0.5, rel=1e-6)
    assert measured(results, "gradient")["wrong gradient"].wrong_by == pytest.approx(1.0)
    assert measured(results)["wrong value"].median is not None
    assert results.best(results.cases[0], "forward", "default") is not measured(results)["wrong value"]


def test_a_case_may_name_another_base(heard, add_peer, only_case):
    """Times and results are compared with it; peers' malloc is not its."""
    malloc = "assert spec.shape[0] < 70, os.environ.get('MALLOC_ARENA_MAX'); return 0.0, np.zeros(1)"
    add_peer("base", forward="time.sleep(0.02); return 3.0, None", gradient=malloc)
    add_peer("same", forward="time.sleep(0.05); return 3.0, None", gradient=malloc)
    add_peer("other", forward="return 4.5, None")
    only_case("same", "other", ours="base", shape=(70, 5), limited=False, regimes=("default", "tuned"))
    results = run(Plan(libraries=("made",), rounds=1), heard)
    (case,) = results.cases
    assert set(measured(results)) == {"base", "same", "other"}
    assert {name: each.wrong_by for name, each in measured(results).items()} == {
        "base": None, "same": None, "other": pytest.approx(0.5)
    }  # fmt: skip
    assert 1.5 < results.ratio(case, "forward", "default") < 5
    assert heard.lines[0].startswith("the case forward: base ")
    assert "best peer same" in heard.lines[0]
    tuned = {name: each.failure for name, each in measured(results, "gradient", "tuned").items()}
    assert tuned == {"base": "AssertionError: None", "same": "AssertionError: 1", "other": ""}


def test_a_base_that_is_missing_is_told(heard, add_peer, only_case):
    add_peer("base", imports="raise ModuleNotFoundError('No module named crossent', name='crossent')")
    only_case("NumPy", ours="base")
    results = run(Plan(libraries=("numpy",), rounds=1), heard)
    reason = "not installed in the Python that has made_library (pip install crossent there, or make frameworks)"
    assert results.missing == {"base": reason}
    assert heard.lines[0] == f"the case forward: base failed: {reason}"
    assert measured(results)["NumPy"].median is not None


def test_no_worker_of_a_peer_imports_crossent(tmp_path):
    for name in (CROSSENT, LIMIT, "SciPy", "NumPy", "sklearn log_loss", SKLEARN):
        worker = Worker(PEERS[name], sys.executable, regime="default", threads=1, scratch=str(tmp_path))
        try:
            assert worker.hello()["crossent"] is (name == CROSSENT)
        finally:
            worker.close()


def test_who_waits_for_a_worker_that_is_closed_goes_on(tmp_path, add_peer):
    """As where an interrupt hits the start of a thread: the pool does not know it, and the command waits for it."""
    add_peer("silent", forward="time.sleep(60)")
    worker = Worker(PEERS["silent"], sys.executable, regime="default", threads=1, scratch=str(tmp_path))
    worker.hello()
    worker.ask("prepare", spec=cases_of("small")[0].spec)
    told = []

    def wait() -> None:
        with pytest.raises(WorkerFailure) as caught:
            worker.ask("check", work="forward")
        told.append(str(caught.value))

    waiting = Thread(target=wait, daemon=True)
    waiting.start()
    sleep(0.5)
    worker._process.stdout.close()
    waiting.join(10)
    worker.close()
    assert told == ["was closed"]


@pytest.mark.parametrize("regime", REGIMES)
def test_a_worker_gets_its_threads_and_its_malloc(tmp_path, add_peer, monkeypatch, regime):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "7")
    names = (*REGIMES["tuned"], "OMP_NUM_THREADS", "CROSSENT_THREADS")
    add_peer("told", forward=f"raise ValueError([os.environ.get(n) for n in {names}], len(os.sched_getaffinity(0)))")
    worker = Worker(PEERS["told"], sys.executable, regime=regime, threads=1, scratch=str(tmp_path))
    try:
        worker.hello()
        worker.ask("prepare", spec=cases_of("small")[0].spec)
        with pytest.raises(WorkerFailure) as caught:
            worker.ask("check", work="forward")
    finally:
        worker.close()
    malloc = list(REGIMES["tuned"].values()) if regime == "tuned" else [None] * 3
    assert str(caught.value) == f"ValueError: ({[*malloc, '1', '1']}, 1)"


def test_a_worker_that_does_not_answer_is_given_up(tmp_path, add_peer):
    add_peer("sleeps", forward="time.sleep(60)")
    worker = Worker(PEERS["sleeps"], sys.executable, regime="default", threads=1, scratch=str(tmp_path))
    try:
        worker.hello()
        worker.ask("prepare", spec=cases_of("small")[0].spec)
        with pytest.raises(WorkerFailure, match=r"no answer within 0\.2 s"):
            worker.ask("check", work="forward", patience=0.2)
        with pytest.raises(WorkerFailure, match="killed by SIGKILL"):
            worker.ask("check", work="forward")
    finally:
        worker.close()


def test_an_interrupt_ends_every_worker(heard, only_case, monkeypatch):
    started = []

    class Watched(Worker):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    def interrupted(text: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crossent.bench.crew.Worker", Watched)
    monkeypatch.setattr(heard, "status", interrupted)
    only_case("NumPy", "SciPy")
    with pytest.raises(KeyboardInterrupt):
        run(Plan(libraries=("numpy", "scipy"), rounds=1), heard)
    assert len(started) == 4
    assert all(worker._process.poll() is not None for worker in started)


def test_which_python_runs_a_peer(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert python_for(PEERS[CROSSENT], {"torch": "/x"}) == sys.executable
    assert python_for(PEERS["torch eager"], {"torch": "/x"}) == "/x"
    monkeypatch.setattr("crossent.bench.roster.find_spec", lambda name: None)
    assert python_for(PEERS["torch eager"], {}) == sys.executable
    (tmp_path / ".venv-frameworks" / "bin").mkdir(parents=True)
    (tmp_path / ".venv-frameworks" / "bin" / "python").touch()
    assert python_for(PEERS["torch eager"], {}) == str(tmp_path / ".venv-frameworks" / "bin" / "python")
    monkeypatch.setattr("crossent.bench.roster.find_spec", lambda name: True)
    assert python_for(PEERS["torch eager"], {}) == sys.executable


def test_the_full_plan_is_estimated_below_fifty_minutes():
    plan = Plan(suites=SUITES, rounds=7, threads=2)
    assert 300 < estimated_seconds(plan) < 3000
    assert estimated_seconds(replace(plan, suites=("fit",))) < 750
    assert estimated_seconds(Plan(suites=("small",), rounds=1, libraries=("numpy",), quick=True)) < 10


@pytest.mark.frameworks
def test_torch_and_jax_agree_on_tiny_sizes(heard):
    python = need_program(str(ROOT / ".venv-frameworks" / "bin" / "python"), install="make frameworks")
    assert subprocess.run([python, "-c", "import torch, jax, tensorflow"], env={**os.environ, "PYTHONPATH": ""},
                          check=False, capture_output=True).returncode == 0  # fmt: skip
    libraries = ("torch", "jax", "tensorflow")
    plan = Plan(suites=("loss", "small", "linear"), libraries=libraries, rounds=1, threads=2, quick=True,
                pythons=dict.fromkeys(libraries, python), regimes=("default",))  # fmt: skip
    results = run(plan, heard)
    assert results.missing == {}
    assert {m.peer for m in results.measurements} == {
        CROSSENT, LIMIT, "torch eager", "torch.compile", "JAX jit", "TF XLA"
    }  # fmt: skip
    troubles = [m for m in results.measurements if m.failure or m.wrong_by is not None]
    assert troubles == []


@pytest.mark.frameworks
def test_crossent_inside_torch_agrees_with_torch_on_tiny_sizes(heard, monkeypatch):
    python = need_program(str(ROOT / ".venv-frameworks" / "bin" / "python"), install="make frameworks")
    chosen = ("torch eager", "torch chunked")  # compiled: above
    made = [replace(case, peers=tuple(name for name in case.peers if name in chosen))
            for case in cases_of("torch", quick=True)]  # fmt: skip
    monkeypatch.setattr("crossent.bench.plan.cases_of", lambda suite, **_: made)
    plan = Plan(suites=("torch",), libraries=("torch",), rounds=1, threads=2, quick=True, pythons={"torch": python},
                regimes=("default",))  # fmt: skip
    results = run(plan, heard)
    assert results.missing == {}
    assert {m.peer for m in results.measurements} == {IN_TORCH, LIMIT, *chosen}
    assert [m for m in results.measurements if m.failure or m.wrong_by is not None] == []
    for case in made:
        for work in case.works:
            assert results.ratio(case, work, "default") is not None
