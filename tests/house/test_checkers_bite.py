"""Every checker fails on something: a check that cannot fail checks nothing."""

import math
import subprocess
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import mpmath
import numpy as np
import pytest

from bits import assert_same
from closeness import assert_close, worst_ulps
from file_rules import troubles as file_troubles
from import_cost import cost_ratio, foreign_modules
from layers import violations
from native_calls import assert_refused, call_of, function
from programs import need_program
from public_names import documentation_troubles, leaks, list_troubles
from symbols import Symbol, defined_symbols, troubles

NAN, INF = math.nan, math.inf


# ---------------------------------------------------------------- assert_close


@pytest.mark.parametrize(
    ("actual", "desired", "options"),
    [
        (NAN, 1.0, {"ulps": 1e300}),
        (1.0, INF, {"ulps": 1e300}),
        (INF, 1.0, {"ulps": 1e300}),
        (INF, -INF, {"ulps": 1e300}),
        (NAN, INF, {"bound": INF}),
        (NAN, 1.0, {"rtol": INF}),
        (1.0000001, 1.0, {"ulps": 4}),
        (np.float32(1) + np.finfo(np.float32).eps, Fraction(1), {"ulps": 0.9}),
        (np.nextafter(1 / 3, 1), Fraction(1, 3), {"ulps": 0.6}),
        (0.0, mpmath.mpf(2) ** -1074, {"ulps": 0.9}),
        (np.float32(0), mpmath.mpf(10) ** -33, {"ulps": 4}),
        ([1.0, NAN], [1.0, 2.0], {"bound": [1.0, 1.0]}),
        ([1.0, 2.0], [1.0, 2.5], {"bound": [9.0, 0.4]}),
        ([1e-15], [0.0], {"ulps": 4, "of": [1.0]}),
        ([1.0], [1.001], {"rtol": 1e-4}),
        ([-1.0], [-1.001], {"rtol": 1e-4}),
        ([[1.0]], [1.0], {"ulps": 4}),
        ([1.0, 2.0], [1.0], {"ulps": 4}),
        (1.0, 1.0, {"ulps": 4, "dtype": np.float32}),
        (np.array([1]), [1], {"ulps": 4}),
    ],
)
def test_assert_close_bites(actual: Any, desired: Any, options: Any) -> None:
    with pytest.raises(AssertionError):
        assert_close(actual, desired, **options)


def test_assert_close_names_the_worst_element() -> None:
    with pytest.raises(AssertionError, match=r"loss\[1, 0\] = .*2\.5.*exactly 3\.0.* 1 of 4 elements"):
        assert_close([[1.0, 2.0], [2.5, 4.0]], [[1, 2], [3, 4]], ulps=4, label="loss")


def test_assert_close_refuses_a_nan_as_the_truth_and_unclear_rules() -> None:
    with pytest.raises(ValueError, match="NaN"):
        assert_close([NAN], [NAN], ulps=4)
    for options in ({}, {"ulps": 1, "rtol": 1}, {"bound": 1, "of": 1}):
        with pytest.raises(TypeError, match="exactly one"):
            assert_close(1.0, 1.0, **options)


def test_worst_ulps_counts_nan_as_infinitely_wrong() -> None:
    assert worst_ulps([1.0, NAN], [1.0, 2.0]) == INF
    assert worst_ulps([1.0, INF], [1.0, 2.0]) == INF


# ---------------------------------------------------------------- assert_same, assert_refused


@pytest.mark.parametrize(
    ("got", "want"),
    [
        (np.float32(1), np.nextafter(np.float32(1), np.float32(2))),
        (0.0, -0.0),
        (NAN, -NAN),
        (np.zeros(3, np.float32), np.zeros(3)),
        (np.zeros(3), np.zeros((1, 3))),
        (np.zeros(3), np.zeros(2)),
        ([np.zeros(3), np.ones(3)], [np.zeros(3), np.zeros(3)]),
    ],
)
def test_assert_same_bites(got: Any, want: Any) -> None:
    with pytest.raises(AssertionError):
        assert_same(got, want)
    assert_same(got, got)


def test_assert_same_counts_and_takes_either_byte_order() -> None:
    with pytest.raises(ValueError, match="zip"):
        assert_same([1.0], [1.0, 2.0])
    assert_same(np.array([1.0, NAN], ">f4"), np.array([1.0, NAN], "f4"))


def test_assert_refused_bites() -> None:
    """A call that runs is no refusal, and neither is one that writes first."""
    call = call_of("softmax", "f64")
    with pytest.raises(AssertionError, match="this was taken"):
        assert_refused(function("softmax", "f64"), call, "this")

    def writes_first(**call: Any) -> None:
        call["grad"][0] = 9
        raise ValueError

    with pytest.raises(AssertionError, match="an output was written"):
        assert_refused(writes_first, call, "this")


# ---------------------------------------------------------------- layers


@pytest.mark.parametrize(
    ("path", "source", "text"),
    [
        ("core/engine.py", "from crossent.losses import cross_entropy", "core may import"),
        ("core/engine.py", "def f():\n    import crossent.scoring", "core may import"),
        ("core/engine.py", "from ..learn import solvers", "crossent.learn.solvers"),
        ("losses.py", "from . import stats", "crossent.stats"),
        ("losses.py", "import crossent as ce", "imports crossent"),
        ("learn/fit.py", "from crossent.scoring import Tally", "learn may import"),
        ("scoring/tally.py", "from crossent.learn import SoftmaxClassifier", "scoring may import"),
        ("stats/ratio.py", "from crossent.rows import Block", "stats may import"),
        ("rows/block.py", "from crossent.core.check import shape", "rows may import"),
        (
            "scoring/score.py",
            "def to_html(self):\n    from crossent.report import write_page",
            "crossent.report",
        ),
        ("measures.py", "import scipy.special", "imports scipy"),
        ("learn/fit.py", "def f():\n    from safetensors.numpy import save", "imports safetensors"),
        ("scoring/tally.py", "import pandas as pd", "imports pandas"),
        ("errors.py", "import numpy", "the standard library only"),
        ("measures.py", "from crossent._native import table", "only core and settings do"),
        ("kitchen/sink.py", "x = 1", "not a room"),
    ],
)
def test_the_layer_check_bites(path: str, source: str, text: str) -> None:
    found = violations({path: source})
    assert len(found) == 1
    assert text in found[0]
    assert path in found[0]


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "scoring/score.py",
            "class Score:\n    def _repr_html_(self):\n        from crossent.report import page",
        ),
        ("scoring/score.py", "class Score:\n    def __str__(self):\n        from crossent.report import to_text"),
        ("rows/block.py", "from crossent.core.types import NDArray\nimport duckdb"),
        ("core/engine.py", "from . import check\nfrom crossent._native import tables"),
        ("cli/score.py", "import click\nfrom crossent.scoring import Tally\nfrom crossent import __version__"),
        ("learn/store.py", "import safetensors.numpy"),
    ],
)
def test_the_layer_check_lets_pass_what_the_design_allows(path: str, source: str) -> None:
    assert violations({path: source}) == []


# ---------------------------------------------------------------- public names


def package(source: str) -> ModuleType:
    """A package made of this source."""
    made = ModuleType("toy")
    exec(source, vars(made))  # a test's own text
    return made


GOOD = '__all__ = ["f"]\ndef f():\n    """One.\n\n    >>> 1\n    1\n    """\n'


def test_the_public_names_check_bites() -> None:
    good = package(GOOD)
    assert list_troubles(good, ["f"]) == leaks(good) == documentation_troubles(good) == []
    assert list_troubles(good, []) == ["f is in __all__ but not in the written list"]
    assert list_troubles(good, ["f", "g"]) == ["g is in the written list but not in __all__"]
    assert list_troubles(package('__all__ = ["f"]'), ["f"]) == ["f is in __all__ but cannot be had"]
    assert list_troubles(package('__all__ = ["f", "f"]\nf = 1'), ["f"]) == ["f stands in __all__ twice"]
    assert leaks(package(GOOD + "import math\nnumber = 3")) == ["math", "number"]
    assert documentation_troubles(package('__all__ = ["f"]\ndef f(): ...')) == ["f has no docstring"]
    bare = '__all__ = ["f", "E", "C"]\ndef f():\n    "One."\n'
    bare += 'class E(ValueError):\n    "Two."\nclass C(dict): ...\n'
    assert documentation_troubles(package(bare)) == [
        "f has no example in its docstring",
        "C has no docstring",
    ]


# ---------------------------------------------------------------- symbols


def test_the_symbols_check_bites() -> None:
    table = Symbol("crossent_table_v3", "R")
    assert troubles("v3", [table]) == []
    assert troubles("v3", [table, Symbol("__odr_asan.crossent_table_v3", "B")]) == []
    assert troubles("v3", []) == ["lacks its table crossent_table_v3"]
    assert troubles("v3", [table, Symbol("_ZSt4swap", "W")]) == ["defines the weak symbol _ZSt4swap"]
    assert troubles("v3", [table, Symbol("helper", "T")]) == ["defines helper beside its table"]
    assert troubles("v3", [table, Symbol("once", "u")]) == ["defines the weak symbol once"]
    assert troubles("v3", [Symbol("crossent_table_v3", "V")]) != []
    assert troubles("v4", [table]) != []


def test_the_symbols_check_bites_on_a_real_object(tmp_path: Path) -> None:
    nm = need_program("nm", "llvm-nm", install="apt-get install binutils")
    compiler = need_program("c++", "g++", "clang++", install="apt-get install g++")
    source = tmp_path / "leaky.cpp"
    body = "template <class T> T twice(T x) { return x + x; }\n"
    body += 'extern "C" { extern const int crossent_table_v3; const int crossent_table_v3 = 1; }\n'
    source.write_text(body + "int user(int x) { return twice(x); }\n")
    built = tmp_path / "leaky.o"
    subprocess.run([compiler, "-O0", "-c", str(source), "-o", str(built)], check=True)
    found = troubles("v3", defined_symbols(nm, built))
    assert len(found) == 2
    assert any("weak" in line for line in found)


# ---------------------------------------------------------------- files and import cost


def test_the_files_check_bites() -> None:
    assert file_troubles("a.py", '"""Why."""\n') == []
    assert file_troubles("a.py", "x = 1\n") == ["its first line does not say why it exists"]
    assert file_troubles("a.py", '\n"""Why."""\n') == ["its first line does not say why it exists"]
    assert file_troubles("a.py", '"""Why."""\n' + "x = 1\n" * 400) == ["401 lines"]
    long = '"""Why."""\ndef f():\n' + "    x = 1\n" * 41
    assert file_troubles("a.py", long) == ["f has 41 lines"]
    assert file_troubles("a.hpp", "#pragma once\n") == ["its first line does not say why it exists"]
    assert file_troubles("a.hpp", "// Why.\n") == []


def test_the_import_check_bites() -> None:
    assert foreign_modules("import numpy, json") == []
    assert "hypothesis" in foreign_modules("import hypothesis")
    assert cost_ratio("import numpy; sum(range(10_000_000))", limit=1.3, most_rounds=3) > 1.3
