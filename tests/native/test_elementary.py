"""exp, log1p and log of native/elementary.hpp: each within its comment's bound, scalars as lanes, none forgotten."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crossent import _native  # type: ignore[attr-defined]  # built, not written
from isas import ISAS, using_isa
from tables import elementary
from tables.elementary import FUNCTIONS, ask, elementary_questions, samples

HEADER = Path(__file__).parents[2] / "native" / "elementary.hpp"
INSIDE = {"exp_reduced"}  # states an error of what the others make their result of
ELSEWHERE = {"log_rest"}  # of native/transform.hpp, for priors: tests/core/test_family_priors.py


def functions_with_a_bound(header: str) -> set[str]:
    """The functions of a header whose comment states an error."""
    found = re.finditer(r"((?:^//.*\n)+)template <[^>]*> CROSSENT_INLINE \w+ (\w+)\(", header, re.MULTILINE)
    return {match[2] for match in found if "error" in match[1].lower()}


def test_every_function_with_a_bound_can_be_asked() -> None:
    asked = set(_native.elementary_names()) - ELSEWHERE
    assert functions_with_a_bound(HEADER.read_text(encoding="utf-8")) - INSIDE == asked
    assert asked == set(FUNCTIONS), "tests/tables/elementary.py has an exact answer for each"


def test_the_search_for_bounds_bites() -> None:
    line = "template <class V> CROSSENT_INLINE V {}(V x) {{\n"
    header = "// exp. Error 1 ulp.\n" + line.format("f") + "// Error\n// stated.\n" + line.format("g")
    assert functions_with_a_bound(header + "// 2^n.\n" + line.format("h") + line.format("i")) == {"f", "g"}


def test_samples_within_the_stated_bound(isa: str) -> None:
    asked = list(elementary_questions(200))
    assert {q.function for q in asked} == set(FUNCTIONS)
    for question in asked:
        assert question.error() <= question.allowed, f"{question.function} {question.dtype}"


@pytest.fixture(params=ISAS)
def isa(request: pytest.FixtureRequest) -> Any:
    with using_isa(request.param):
        yield request.param


def has_scalars(name: str) -> bool:
    """Whether the function is compiled for single numbers too."""
    try:
        ask(name, np.ones(1, FUNCTIONS[name].dtypes[0]), one_by_one=True)
    except ValueError:
        return False
    return True


def test_what_rows_need_as_scalars() -> None:
    assert {name for name in FUNCTIONS if has_scalars(name)} >= {"exp_or_zero", "exp_scaled", "log1p_pair"}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_scalars_have_the_bits_of_lanes(name: str, isa: str) -> None:
    """And a lane's bits do not depend on its place or on the others."""
    for dtype in FUNCTIONS[name].dtypes:
        x, e = samples(name, dtype, 100)
        whole = ask(name, x, e)
        if has_scalars(name):
            np.testing.assert_array_equal(ask(name, x, e, one_by_one=True), whole)
        for first, end in ((1, x.size), (3, 4), (0, 0), (5, 5 + 17)):
            np.testing.assert_array_equal(ask(name, x[first:end], e[first:end]), whole[first:end])


@pytest.mark.parametrize("name", [name for name, f in FUNCTIONS.items() if f.takes_nan])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_of_nan_and_infinity(name: str, dtype: str, isa: str) -> None:
    x = np.array([np.nan, -np.inf, 0.0, -0.0], dtype)
    np.testing.assert_array_equal(ask(name, x), [np.nan, 0, 1, 1])
    assert np.isnan(ask(name, np.array([-1.0], dtype), np.array([np.nan], dtype))).all()


def test_ranges_of_float32() -> None:
    """What the sweep goes through."""
    patterns = {name: [hex(p) for p in f.patterns()] for name, f in FUNCTIONS.items()}
    assert patterns["exp_or_zero"] == patterns["exp_scaled"] == ["0x80000000", "0xffffffff"]
    assert patterns["log1p_pair"] == ["0x0", "0x7f7fffff"]
    assert patterns["log_normal"] == ["0x1", "0x7f7fffff"]


def test_what_does_not_fit_is_refused() -> None:
    x, out = np.zeros(4), np.zeros(4)
    refused = [("exp", x, x, out), ("log_normal", x, x[:3], out), ("log_normal", x, x, out[:3])]
    refused += [("log_normal", *(a.astype(np.float32) for a in (x, x, out)))]
    for call in refused:
        with pytest.raises(ValueError, match=r"crossent\._native"):
            _native.elementary(*call)
    with pytest.raises(TypeError):
        _native.elementary("log_normal", x, x, out.astype(np.float32))


def test_the_sweep_finds_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    """One input of 2^31 / 4096, in any part, on any instruction set; NaN where a number belongs."""
    name = "exp_or_zero"
    assert max(elementary.sweep(name, 900, 4096).values()) <= FUNCTIONS[name].ulps
    honest = elementary.ask
    for wrong in (np.float32(0.125), np.float32(np.nan)):

        def ask(name: str, x: Any, e: Any, wrong: Any = wrong) -> Any:
            out = honest(name, x, e)
            out[x == np.float32(-0.3)] = wrong
            return out

        monkeypatch.setattr(elementary, "ask", ask)
        first, _ = FUNCTIONS[name].patterns()
        part = (int(np.float32(-0.3).view(np.uint32)) - first) * 4096 // (1 << 31)
        assert min(elementary.sweep(name, part, 4096).values()) > 1e5
        assert max(elementary.sweep(name, part + 1, 4096).values()) < 1
