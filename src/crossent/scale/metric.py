"""TallyMetric: a Tally with update, compute and reset, as training loops know metrics, in one process or several.

Decisions: The class wraps a tally instead of deriving from a framework's metric, so that one class serves every loop
and none has to be installed. Predictions are named at `update`, as everywhere in crossent; the first block decides
which of the three it is, for sums of logits and of probabilities do not check the same things. Gradients end here, as
in every metric, so a tensor that records them is detached; memory of a device is refused, because a copy to the CPU
makes the device wait, which the loop should see in its own code. Processes exchange whole tallies as bytes and each
adds them all: `+` of tallies is exact, so every process gets the same bits, which a reduction of floats does not
promise. `sync` leaves the metric alone, so that no row counts twice at the next one. PyTorch is not imported: if
`torch.distributed` was never loaded, there are no other processes.
"""

import sys
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, cast

from crossent.core.check import prediction
from crossent.core.interchange import as_array
from crossent.core.types import ArrayLike, NDArray
from crossent.errors import DataError, EmptyBatchError, OptionError, ShapeError, UnsupportedError
from crossent.scoring import Score, Tally
from crossent.scoring.class_names import class_names
from crossent.scoring.layout import Kind
from crossent.scoring.shape_words import shape_advice
from crossent.wording import did_you_mean, listed, quoted

__all__ = ["TallyMetric"]


class TallyMetric:
    """Scores predictions block by block inside a training loop, over all processes of torch.distributed.

    Args:
        classes: class names in column order, or their number K (then named "0".."K-1"); with two, the second is the
            positive one.
        options: those of `Tally` but `kind`: worst, bins, binning, clip, ...
    Raises: LabelError, OptionError as `Tally`; UnsupportedError for an option that there is not.

    >>> metric = TallyMetric(2)
    >>> for targets, logits in [([0, 1], [[2.0, 0.0], [0.0, 1.0]]), ([1], [[0.5, 0.0]])]:
    ...     metric.update(targets, logits=logits)
    >>> score = metric.compute()
    >>> score.n, round(score.log_loss.value, 6)
    (3, 0.471422)
    >>> metric.reset()
    >>> metric.n
    0
    """

    def __init__(self, classes: Sequence[str] | int, **options: Any) -> None:
        self._classes = class_names(classes)
        _check_options(options)
        self._options = options
        self._fresh("probs")  # wrong options are an error here, not in the first step of training
        self._tally: Tally | None = None
        self._rows = 0

    @property
    def n(self) -> int:
        """Rows so far in this process, without those of weight 0."""
        return 0 if self._tally is None else self._tally.n

    def update(
        self,
        targets: ArrayLike,
        *,
        probs: ArrayLike | None = None,
        logits: ArrayLike | None = None,
        log_probs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        count: ArrayLike | None = None,
        by: Mapping[str, ArrayLike] | None = None,
        cluster: ArrayLike | None = None,
    ) -> None:
        """Add one block: NumPy arrays, or tensors in the CPU's memory.

        Args:
            targets: [...] class indices in 0..K-1, or names; ends of batches may hold no rows.
            probs: [..., K] probabilities; [...] of the positive class alone if there are two.
            logits: [..., K] scores, or [...] of the positive class.
            log_probs: [..., K] logarithms of probabilities, or [...]. Exactly one of the three, always the same.
            sample_weight, count, cluster: [...] as in `Tally.update`.
            by: column -> [...] values.
        Raises: as `Tally.update`; OptionError if an earlier block named another of the three; UnsupportedError for
            memory of a device. The metric stays as it was.
        """
        kind, values = prediction(_detached(logits), _detached(probs), _detached(log_probs))
        if self._tally is not None and self._tally.layout.kind != kind:
            raise OptionError(
                f"update got {kind}=, and earlier blocks of this metric came as {self._tally.layout.kind}=. "
                "Name the same one every time, or reset() in between."
            )
        labels = as_array(_detached(targets), "targets")
        alone = values.shape == labels.shape and len(self._classes) == 2
        if not alone and values.shape[:-1] != labels.shape:
            raise ShapeError(
                f"targets have shape {labels.shape} and {kind} {values.shape}; "
                f"targets [...] and {kind} [..., {len(self._classes)}] are needed."
                f"{shape_advice(labels.shape, values.shape)}"
            )
        beside = {"sample_weight": sample_weight, "count": count, "cluster": cluster}
        rows: dict[str, Any] = {name: _flat(value, name) for name, value in beside.items() if value is not None}
        if by is not None:
            rows["by"] = {name: _flat(value, f"by[{name!r}]") for name, value in by.items()}
        tally = self._fresh(cast(Kind, kind)) if self._tally is None else self._tally
        add = tally.update_binary if alone else tally.update
        flat = values.reshape(-1) if alone else values.reshape(-1, values.shape[-1])
        add(labels.reshape(-1), flat, source=self._source, first_row=self._rows, **rows)
        self._tally = tally
        self._rows += labels.size

    def compute(self, *, sync: bool = True, **options: Any) -> Score:
        """The Score of all rows so far, of all processes where torch.distributed is at work.

        Args:
            sync: gather from all processes, each of which must call this; False for this process's own rows. Samplers
                that repeat rows until all processes have as many (DistributedSampler's drop_last=False) make them
                count twice: give the copies sample_weight 0.
            options: confidence, redraws and seed of `Tally.result`.
        Returns: a Score, the same bits in every process.
        Raises: EmptyBatchError without any row; OptionError if processes differ in their options.
        """
        tally = (self.sync() if sync else self)._tally
        if tally is None:
            raise EmptyBatchError("there is no row to score: update() was never called since the start or reset()")
        return tally.result(**options)

    def sync(self, group: Any = None) -> "TallyMetric":
        """A new metric of the rows of all processes; this one keeps its own rows.

        Args:
            group: process group of torch.distributed; None is all processes.
        Returns: a metric that is the same in every process; a copy of this one outside torch.distributed.
        Raises: OptionError if processes differ in their options.
        """
        distributed, found = _distributed(), self._empty()
        if distributed is None:
            return found + self
        states: list[Any] = [None] * distributed.get_world_size(group)
        # pads states of different length, and takes the device that the backend needs
        distributed.all_gather_object(states, self.state_dict(), group=group)
        for state in states:
            found += self._empty()._loaded(state)
        return found

    def reset(self) -> None:
        """Forget all rows."""
        self._tally, self._rows = None, 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint needs: {"tally": bytes or None, "rows": int}; torch.save and pickle write it."""
        return {"tally": None if self._tally is None else self._tally.to_bytes(), "rows": self._rows}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take up the rows of a `state_dict()` in place of those so far.

        Args:
            state: from a metric with the same classes and options.
        Raises: OptionError for other classes or options, DataError for anything that is no state; the metric stays as
            it was.
        """
        loaded = self._empty()._loaded(state)
        self._tally, self._rows = loaded._tally, loaded._rows

    def __add__(self, other: "TallyMetric") -> "TallyMetric":
        """A new metric of the rows of both.

        Raises: OptionError if their classes, options or kinds of predictions differ.
        """
        if not isinstance(other, TallyMetric):
            return NotImplemented
        both = self._empty()
        tallies = [m._tally for m in (self, other) if m._tally is not None]
        both._tally = sum(tallies[1:], start=tallies[0]) if tallies else None
        both._rows = self._rows + other._rows
        return both

    def __radd__(self, other: int) -> "TallyMetric":
        """For sum(): 0 adds nothing."""
        return self + self._empty() if type(other) is int and other == 0 else NotImplemented

    def __repr__(self) -> str:
        if self._tally is not None:
            return repr(self._tally).replace("Tally", "TallyMetric", 1)
        options = "".join(f", {name}={value!r}" for name, value in self._options.items())
        return f"TallyMetric(0 rows, classes {listed(self._classes)}{options})"

    @property
    def _source(self) -> str:
        """The name under which worst rows are listed: the process, where there are several."""
        distributed = _distributed()
        return "" if distributed is None else f"process {distributed.get_rank()}"

    def _fresh(self, kind: Kind) -> Tally:
        return Tally(self._classes, kind=kind, **self._options)

    def _empty(self) -> "TallyMetric":
        return TallyMetric(self._classes, **self._options)

    def _loaded(self, state: Mapping[str, Any]) -> "TallyMetric":
        """This empty metric with a state; adding it to a tally of ours is what finds other options."""
        if not isinstance(state, Mapping) or not {"tally", "rows"} <= state.keys():
            found = f"the keys {listed(map(str, state))}" if isinstance(state, Mapping) else type(state).__name__
            raise DataError(f"this is no state of a TallyMetric: it has {found}. Pass what state_dict() returned.")
        saved, rows = state["tally"], state["rows"]
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
            raise DataError(f"rows of the state is {rows!r:.60}; a whole number >= 0 is needed, as state_dict() gives.")
        if saved is not None:
            tally = Tally.from_bytes(saved)
            self._tally = self._fresh(tally.layout.kind) + tally
        self._rows = rows
        return self


def _check_options(options: Mapping[str, Any]) -> None:
    """Raises UnsupportedError for an option that Tally has not, or that update tells."""
    known = [name for name in signature(Tally).parameters if name not in ("classes", "kind")]
    for name in options:
        if name == "kind":
            raise UnsupportedError(
                "TallyMetric takes no kind=; name the predictions at update: probs=, logits= or log_probs=."
            )
        if name not in known:
            raise UnsupportedError(
                f"TallyMetric has no option {quoted(name)}.{did_you_mean(name, known)} "
                f"Its options are {listed(known, 20)}."
            )


def _distributed() -> Any | None:
    """torch.distributed if somebody loaded it and joined a group of processes."""
    found = sys.modules.get("torch.distributed")
    return found if found is not None and found.is_available() and found.is_initialized() else None


def _detached(value: Any) -> Any:
    """The tensor without its gradients, anything else as it is."""
    return value.detach() if getattr(value, "requires_grad", False) is True else value


def _flat(value: Any, name: str) -> NDArray:
    return as_array(_detached(value), name).reshape(-1)
