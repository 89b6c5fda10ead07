"""What is measured: every case with its peers and the ratios to reach, by suite."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from crossent.bench.roster import CROSSENT, IN_TORCH, INTELEX, LOSS_ALONE, METRICS, SKLEARN

__all__ = ["SUITES", "WORKS", "Case", "Target", "cases_of"]

SUITES = ("loss", "small", "linear", "torch", "fit", "score", "scaling")
# What is done with a case. Only crossent, beside NumPy, has the last two: into a reused buffer, and over the logits.
_LOSS_WORKS = ("forward", "gradient", "gradient_out", "gradient_in_place")
_FIT_WORKS = ("fit", "fit_default")  # to a certain accuracy; with everything as it comes
_SCORE_WORKS = ("tally", "result")  # all rows into a tally, block by block; its statistics
WORKS = (*_LOSS_WORKS, *_FIT_WORKS, *_SCORE_WORKS)
_QUICK = 60  # largest extent of an axis with --quick


@dataclass(frozen=True)
class Target:
    """What crossent shall reach.

    ratio: median of the best peer (or of the one named by `against`) / crossent's, with malloc as it is;
    tuned: the same beside peers whose malloc is tuned; seconds, extra_bytes: at most this; times, extra_share: at most
    so many times the median, this share of the extra memory, of the peer that `against` names.
    """

    ratio: float | None = None
    tuned: float | None = None
    against: str = ""
    seconds: float | None = None
    times: float | None = None
    extra_bytes: int | None = None
    extra_share: float | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One set of numbers and who computes its loss, or fits it; `kind` to `memory_limit` as in peers.data.Spec.

    ours: what the peers are compared with, in results as in times: crossent, or a front-end of it.
    """

    suite: str
    title: str
    kind: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    axis: int = -1
    memory_limit: int | None = None
    ours: str = CROSSENT
    peers: tuple[str, ...] = ()
    targets: Mapping[str, Target] = field(default_factory=dict)
    regimes: tuple[str, ...] = ("default", "tuned")  # how malloc treats what peers free: worker.REGIMES
    works: tuple[str, ...] = _LOSS_WORKS
    limited: bool = True  # whether the machine's limit is measured: reading all arrays, or the matrix products alone
    solvers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # of a fit, by peer; "": its own choice

    @property
    def spec(self) -> dict[str, Any]:
        """What a worker has to know."""
        return {"kind": self.kind, "shape": list(self.shape), "dtype": self.dtype, "axis": self.axis,
                "memory_limit": self.memory_limit}  # fmt: skip

    @property
    def features(self) -> int:
        """Of the linear layer in front; 0 where there is none."""
        return self.shape[1] if self.kind == "linear" else 0

    @property
    def elements(self) -> int:
        """Number of predictions."""
        return math.prod(self.shape) // (self.features or 1)

    @property
    def itemsize(self) -> int:
        """Bytes of a prediction."""
        return {"float64": 8, "float32": 4, "bfloat16": 2}[self.dtype]

    def shrunk(self, largest: int = _QUICK) -> "Case":
        """The same with no axis longer than `largest`: shows that everything runs, and warms a worker up."""
        return replace(self, shape=tuple(min(extent, largest) for extent in self.shape))


_TORCH = ("torch eager", "torch.compile")
_FRAMEWORKS = (*_TORCH, "JAX jit")
_PLAIN = ("SciPy", "NumPy")


def _pair(forward: float, gradient: float, *, tuned: float | None = None) -> dict[str, Target]:
    return {"forward": Target(ratio=forward), "gradient": Target(ratio=gradient, tuned=tuned)}


def _loss(title: str, kind: str, shape: tuple[int, ...], peers: tuple[str, ...], **more: Any) -> Case:
    return Case(suite="loss", title=title, kind=kind, shape=shape, peers=peers, **more)


def _loss_cases() -> list[Case]:
    sklearn_300 = Target(ratio=300, against="sklearn log_loss", extra_bytes=20_000_000)
    return [
        _loss("(2048, 32000)", "index", (2048, 32000), (*_FRAMEWORKS, *_PLAIN), targets=_pair(2, 5, tuned=3.5)),
        _loss("(2048, 32000) bfloat16", "index", (2048, 32000), _FRAMEWORKS, dtype="bfloat16",
              targets=_pair(3, 6, tuned=3.5)),
        _loss("(512, 256000)", "index", (512, 256000), _FRAMEWORKS, targets=_pair(2, 5, tuned=3.5)),
        _loss("(65536, 1000)", "index", (65536, 1000), (*_FRAMEWORKS, "SciPy"), targets=_pair(2, 5)),
        _loss("(200000, 100)", "index", (200_000, 100), (*_FRAMEWORKS, "SciPy", "sklearn _loss")),
        _loss("(5000000, 10)", "index", (5_000_000, 10), (*_FRAMEWORKS, "TF XLA", "sklearn _loss"),
              targets=_pair(4, 6.5)),
        _loss("(5000000, 3)", "index", (5_000_000, 3), (*_FRAMEWORKS, "TF XLA", "sklearn _loss"),
              targets=_pair(4, 6.5)),
        _loss("(8, 21, 512, 512), class axis 1", "index", (8, 21, 512, 512), _FRAMEWORKS, axis=1,
              targets=_pair(2.5, 6)),
        _loss("binary logits, 50M", "binary", (50_000_000,), (*_FRAMEWORKS, "TF XLA", "sklearn _loss"),
              targets=_pair(4, 5)),
        _loss("binary probabilities float64, 50M", "binary_probs", (50_000_000,),
              ("torch eager", "torch.compile", "NumPy", "sklearn log_loss"), dtype="float64",
              targets={"forward": sklearn_300}, works=("forward", "gradient")),
        _loss("log loss float64 (100000, 1000)", "probs", (100_000, 1000), ("torch eager", "NumPy", "sklearn log_loss"),
              dtype="float64", targets={"forward": sklearn_300}, works=("forward",), limited=False),
        _loss("soft targets (2048, 32000)", "soft", (2048, 32000), (*_FRAMEWORKS, "SciPy"), targets=_pair(2.5, 4)),
        _loss("label smoothing (2048, 32000)", "smoothed", (2048, 32000), _FRAMEWORKS, targets=_pair(2.5, 4)),
    ]  # fmt: skip


def _small_cases() -> list[Case]:
    peers = (*_FRAMEWORKS, *_PLAIN, "sklearn log_loss")
    reach = {"forward": Target(seconds=6e-6), "gradient": Target(seconds=9e-6)}
    return [
        Case(suite="small", title=f"({rows}, 10)", kind="index", shape=(rows, 10), peers=peers, regimes=("default",),
             limited=False, targets=reach if rows == 32 else {})
        for rows in (1, 32)
    ]  # fmt: skip


def _linear_cases() -> list[Case]:
    """(rows, features, classes). For the large ones PyTorch would take three matrices of all logits: 9 and 19 GB."""
    works = ("forward", "gradient")
    beside = Target(ratio=1.15, against="torch eager", extra_share=0.5)
    large = ((3072, 256), (6144, 128), (6144, 256), (6144, 512))  # rows, MB of memory_limit
    return [
        Case(suite="linear", title="linear (2048, 1024, 32000)", kind="linear", shape=(2048, 1024, 32000),
             peers=_FRAMEWORKS, works=works, targets={"gradient": beside}),
        *(Case(suite="linear", title=f"linear ({rows}, 256, 256000), {limit} MB", kind="linear", works=works,
               shape=(rows, 256, 256_000), memory_limit=limit * 10**6, regimes=("default",), limited=False)
          for rows, limit in large),
    ]  # fmt: skip


def _torch_cases() -> list[Case]:
    """crossent.torch beside torch's own functions: cases of "loss" with their targets, small batches, linear layers.

    malloc is tuned only where a target is about that.
    """
    inside: dict[str, Any] = {"suite": "torch", "ours": IN_TORCH, "works": ("forward", "gradient")}
    shapes = ("(2048, 32000)", "(65536, 1000)", "(5000000, 10)", "(8, 21, 512, 512)")
    large = [
        replace(case, title=f"torch {case.title}", peers=_TORCH, **inside,
                regimes=("default", "tuned") if case.targets["gradient"].tuned else ("default",))
        for case in _loss_cases()
        if any(shape in case.title for shape in shapes) or case.kind == "binary"
    ]  # fmt: skip
    inside |= {"regimes": ("default",), "limited": False}
    small = [
        Case(title=f"torch {shape}", kind="index", shape=shape, peers=_TORCH,
             targets={"gradient": Target(ratio=1, against="torch eager")}, **inside)
        for shape in ((32, 10), (128, 1000))
    ]  # fmt: skip
    layers = [  # no limit: it would be the products of another library, NumPy's
        Case(title=f"torch linear (2048, 1024, 32000){name}", kind="linear", shape=(2048, 1024, 32000), dtype=dtype,
             peers=(*_TORCH, "torch chunked"),
             targets={"gradient": Target(ratio=ratio, against="torch eager", extra_share=0.5)}, **inside)
        for dtype, name, ratio in (("float32", "", 1.15), ("bfloat16", " bfloat16", 1.35))
    ]  # fmt: skip
    return large + small + layers


def _fit_cases() -> list[Case]:
    """(rows, features, classes); fits of float64 features with l2 = 1/N.

    newton-cholesky only where its Hessian of all coefficients can be made in time. scikit-learn-intelex has two
    solvers of its own, for dense features; with the others it is scikit-learn, which is measured beside it. float32
    shows whether half the bytes are half the time: of the larger problem with one solver, as that takes a minute.
    """
    dense = ("lbfgs", "newton-cg")
    all_solvers, stochastic = (*dense, "newton-cholesky"), (*dense, "sag", "saga")
    binary = ("fit binary", (500_000, 50, 2), all_solvers)
    noisy = ("fit noisy", (60_000, 784, 10), dense)
    several = [
        ("(500000, 50), 2 classes", *binary, "float64", 3),
        ("(60000, 784), 10 classes, label noise", *noisy, "float64", 20),
        ("(60000, 784), 10 classes, nearly separable", "fit separable", (60_000, 784, 10), dense, "float64", 1),
        ("digits (1797, 64), 10 classes", "fit digits", (1797, 64, 10), all_solvers, "float64", 1),
        ("sparse (20000, 50000), 20 classes", "fit sparse", (20_000, 50_000, 20), stochastic, "float64", 1),
        ("(500000, 50), 2 classes, float32", *binary, "float32", None),
        ("(60000, 784), 10 classes, label noise, float32", *noisy[:2], ("lbfgs",), "float32", None),
    ]
    return [_fit(*each) for each in several]


def _fit(
    title: str, kind: str, shape: tuple[int, ...], solvers: tuple[str, ...], dtype: str, ratio: float | None
) -> Case:
    tried = {CROSSENT: ("",), SKLEARN: solvers}
    if kind != "fit sparse":
        tried[INTELEX] = tuple(name for name in solvers if name in ("lbfgs", "newton-cg"))
    return Case(suite="fit", title=f"fit {title}", kind=kind, shape=shape, dtype=dtype, regimes=("default",),
                works=_FIT_WORKS, limited=False, solvers=tried, peers=tuple(tried)[1:],
                targets={"fit": Target(ratio=ratio)} if ratio else {})  # fmt: skip


def _score_cases() -> list[Case]:
    """All statistics of a tally, beside the loss alone over the same blocks and scikit-learn's metrics on the whole."""
    several = [
        ("probabilities (1000000, 10)", "score probs", (1_000_000, 10), "float64", 2),
        ("probabilities (1000000, 10), float32", "score probs", (1_000_000, 10), "float32", 2),
        ("logits (1000000, 10)", "score logits", (1_000_000, 10), "float64", 2),
        ("probabilities (4000000, 2)", "score probs", (4_000_000, 2), "float64", None),
        ("probabilities (200000, 100)", "score probs", (200_000, 100), "float64", None),
    ]
    return [
        Case(suite="score", title=f"score {title}", kind=kind, shape=shape, dtype=dtype, regimes=("default",),
             works=_SCORE_WORKS, limited=False, peers=(LOSS_ALONE, "sklearn log_loss", METRICS),
             targets={"tally": Target(times=times, against=LOSS_ALONE)} if times else {})
        for title, kind, shape, dtype, times in several
    ]  # fmt: skip


def _scaling_cases() -> list[Case]:
    """Four decades of rows at 1000 classes, and of classes at 1000 rows; two points a decade."""
    counts = (10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000)
    shapes = [("rows", (n, 1000)) for n in counts] + [("classes", (1000, k)) for k in counts]
    return [
        Case(suite="scaling", title=f"{what}: ({shape[0]}, {shape[1]})", kind="index", shape=shape,
             peers=("torch eager",), regimes=("default",), works=("gradient",))
        for what, shape in shapes
    ]  # fmt: skip


def cases_of(suite: str, *, pattern: str = "*", quick: bool = False) -> list[Case]:
    """The cases of a suite whose title fits a pattern (`*`, `?`; a plain word fits anywhere), shrunk if `quick`."""
    makers = {"loss": _loss_cases, "small": _small_cases, "linear": _linear_cases, "torch": _torch_cases,
              "fit": _fit_cases, "score": _score_cases, "scaling": _scaling_cases}  # fmt: skip
    made = makers[suite]()
    glob = pattern if any(mark in pattern for mark in "*?[") else f"*{pattern}*"
    return [case.shrunk() if quick else case for case in made if fnmatchcase(case.title, glob)]
