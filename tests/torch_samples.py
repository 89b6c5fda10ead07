"""torch's own sample inputs of its losses, and the rule by which another function is held against torch's.

The rule: every element of a value or gradient is at least as close to the exact one as torch's, or 3 ulp further away
at most. Exact is torch in float64. An element of a gradient p - q that cancels, for targets q that are probabilities,
may be off by 3 ulp of the tensor's largest; what comes of a matrix product, by 16. For float64 inputs torch itself is
no more exact, so ours need only lie near: what float64 is worth is tested against mpmath elsewhere. NaN stands where it
stands in the exact result, and only there. Nothing here knows crossent: `troubles` takes any function, torch's too.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal, NamedTuple

import ml_dtypes
import numpy as np
import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.testing._internal.common_modules import module_db

from closeness import ulp_of

__all__ = [
    "LOSSES",
    "MODULES",
    "OPS",
    "Call",
    "Kind",
    "outcome",
    "quiet",
    "samples",
    "torch_function",
    "trouble_between",
    "troubles",
]

LOSSES = (
    "cross_entropy",
    "nll_loss",
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "kl_div",
    "linear_cross_entropy",
)
_MODULES = ("CrossEntropyLoss", "NLLLoss", "BCELoss", "BCEWithLogitsLoss", "KLDivLoss", "LinearCrossEntropyLoss")

# the entries of torch's database: one an operation, three for linear_cross_entropy
OPS = [op for name in LOSSES for op in op_db if op.name == f"nn.functional.{name}"]
MODULES = [info for name in _MODULES for info in module_db if info.module_cls is getattr(torch.nn, name)]

# what an element is: nothing in particular, a difference that may cancel, or made of a matrix product's results
Kind = Literal["element", "difference", "product"]
_DTYPES = {torch.bfloat16: ml_dtypes.bfloat16, torch.float16: np.float16, torch.float32: np.float32}


class Call(NamedTuple):
    """Arguments of a call; the floating-point ones that require a gradient are its variables."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]

    def map(self, change: Callable[[torch.Tensor], torch.Tensor]) -> "Call":
        """With every tensor changed, and the same variables."""

        def changed(value: Any) -> Any:
            if not isinstance(value, torch.Tensor):
                return value
            return change(value.detach()).requires_grad_(value.requires_grad)

        return Call(tuple(map(changed, self.args)), {name: changed(value) for name, value in self.kwargs.items()})

    @property
    def variables(self) -> list[torch.Tensor]:
        """The tensors that require a gradient, in order."""
        values = (*self.args, *self.kwargs.values())
        return [value for value in values if isinstance(value, torch.Tensor) and value.requires_grad]

    def of(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The call as a function of its variables."""

        def of_variables(*variables: torch.Tensor) -> Any:
            left = iter(variables)

            def pick(value: Any) -> Any:
                return next(left) if isinstance(value, torch.Tensor) and value.requires_grad else value

            args = [pick(value) for value in self.args]
            return function(*args, **{name: pick(value) for name, value in self.kwargs.items()})

        return of_variables

    def exact(self) -> "Call":
        """In float64, and the plain way: options say how to compute, not what."""
        plain = Call(self.args, self.kwargs | ({"options": None} if "options" in self.kwargs else {}))
        return plain.map(lambda x: x.double() if x.is_floating_point() else x)

    def __str__(self) -> str:
        def shown(value: Any) -> str:
            return f"{value.dtype}{list(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)

        return ", ".join([*map(shown, self.args), *(f"{name}={shown(value)}" for name, value in self.kwargs.items())])


def torch_function(op: Any) -> Callable[..., Any]:
    """torch's own function of an entry."""
    return getattr(torch.nn.functional, op.name.rpartition(".")[2])  # type: ignore[no-any-return]


def samples(op: Any, dtype: torch.dtype, *, requires_grad: bool, layouts: bool = True) -> Iterator[Call]:
    """All of torch's sample inputs of an operation; each also with gaps between its elements."""
    torch.manual_seed(20261122)
    for sample in op.sample_inputs("cpu", dtype, requires_grad=requires_grad):
        call = Call((sample.input, *sample.args), dict(sample.kwargs))
        yield call
        if layouts:
            yield call.map(lambda x: x.repeat_interleave(2, -1)[..., ::2] if x.dim() else x)


class quiet(warnings.catch_warnings):
    """Without warnings: torch warns of deprecated arguments, and of kl_div's mean."""

    def __enter__(self) -> Any:
        result = super().__enter__()
        warnings.simplefilter("ignore")
        return result


def outcome(function: Callable[..., Any], call: Call) -> list[torch.Tensor] | type[Exception]:
    """Value and gradients, with an upstream gradient of random numbers; or the type of the error."""
    call = call.map(lambda x: x.clone(memory_format=torch.preserve_format))
    with quiet():
        try:
            value = function(*call.args, **call.kwargs)
            if not (call.variables and value.requires_grad):
                return [value]
            generator = torch.Generator().manual_seed(1)
            upstream = torch.randn(value.shape, generator=generator, dtype=torch.float64).to(torch.bfloat16)
            return [value, *torch.autograd.grad(value, call.variables, upstream.to(value.dtype))]
        except Exception as error:
            return type(error)


def troubles(
    function: Callable[..., Any],
    reference: Callable[..., Any],
    call: Call,
    *,
    kind: Kind = "element",
    precision: torch.dtype | None = None,
    context: Callable[[], AbstractContextManager[Any]] = nullcontext,
) -> list[str]:
    """What is wrong with a function's outcome, given the function whose semantics it must have.

    kind: of its elements, where the call does not tell. precision: what is computed in, if not the result's dtype.
    context: what both are called in.
    """
    with context():
        ours, theirs = outcome(function, call), outcome(reference, call)
    if isinstance(ours, type) or isinstance(theirs, type):
        return [] if ours is theirs else [f"{ours} where torch has {theirs}; {call}"]
    narrow = any(isinstance(x, torch.Tensor) and x.dtype in _DTYPES for x in call.args)
    exact = outcome(reference, call.exact()) if narrow else theirs
    assert not isinstance(exact, type), f"torch has no float64 result for {call}: {exact}"
    if len(ours) != len(theirs):
        return [f"{len(ours) - 1} gradients where torch has {len(theirs) - 1}; {call}"]
    soft = kind == "element" and isinstance(call.args[1], torch.Tensor) and call.args[1].is_floating_point()
    found = []
    for i, (a, b, c) in enumerate(zip(ours, theirs, exact, strict=True)):
        trouble = trouble_between(a, b, c, "difference" if soft and i else kind, precision)
        if trouble:
            found.append(f"{f'gradient {i - 1}' if i else 'value'}: {trouble}; {call}")
    return found


def trouble_between(
    ours: torch.Tensor,
    theirs: torch.Tensor,
    exact: torch.Tensor,
    kind: Kind = "element",
    precision: torch.dtype | None = None,
) -> str:
    """What is wrong with one tensor; empty if nothing is."""
    if (ours.dtype, ours.shape) != (theirs.dtype, theirs.shape):
        return f"{ours.dtype}{list(ours.shape)} where torch has {theirs.dtype}{list(theirs.shape)}"
    a, b, c = (x.detach().double().numpy() for x in (ours, theirs, exact))
    if np.any(np.isnan(a) != np.isnan(c)):
        return f"{np.isnan(a).sum()} NaN where the exact result has {np.isnan(c).sum()}"
    finite = np.isfinite(c)
    if np.any(a[~finite & ~np.isnan(c)] != c[~finite & ~np.isnan(c)]):
        return "another infinity"
    a, b, c = a[finite], b[finite], c[finite]
    if not c.size:
        return ""
    with np.errstate(invalid="ignore"):
        error = np.where(a == b, 0.0, np.abs(a - c))  # both may have overflowed
        good = error <= np.where(np.isnan(b), 0.0, np.abs(b - c)) + _slack(c, precision or ours.dtype, kind)
    worst = np.argmax(np.where(good, -1.0, error))
    return "" if good.all() else f"{a[worst]}, torch {b[worst]}, exactly {c[worst]}; {(~good).sum()} such elements"


def _slack(exact: Any, dtype: torch.dtype, kind: Kind) -> Any:
    """By how much an element may be further from the exact one than torch's."""
    if dtype not in _DTYPES:
        return 64 * np.finfo(np.float64).eps * max(1.0, np.abs(exact).max())  # torch's own error, from logits of size 8
    if kind == "element":
        return 3 * ulp_of(exact, _DTYPES[dtype])
    return {"difference": 3, "product": 16}[kind] * ulp_of(np.abs(exact).max(keepdims=True), _DTYPES[dtype])
