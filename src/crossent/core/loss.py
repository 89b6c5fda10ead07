"""What every loss object does with its options: calling, differentiating."""

from typing import Any, Literal

from crossent.core import reduction as reduce
from crossent.core.types import ArrayLike, GradHess, LossGrad, NDArray

__all__ = ["Loss"]


class Loss:
    """Calling, differentiating: the same for every loss; `_job` binds the inputs."""

    def _job(self, targets: Any, logits: Any, probs: Any, log_probs: Any, sample_weight: Any) -> reduce.Job:
        raise NotImplementedError

    def __call__(
        self,
        targets: Any,
        *,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        log_probs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Any:
        """The loss of one prediction against the targets, reduced.

            "mean": sum_i sw_i loss_i / sum_i sw_i D_i,  "sum": sum_i sw_i loss_i,  "none": sw_i loss_i      [unit]

        with loss_i and the mass D_i of a row's targets as the class has them.

        Args:
            targets: labels, names or distributions, as the class says.
            logits: raw scores, any numbers; -inf rules a class out.
            probs: probabilities in [0, 1].
            log_probs: logarithms of probabilities, <= 0. Exactly one of the three.
            sample_weight: sw, [...] finite weights >= 0 of the rows; 1 if not given.
        Returns: a float, or [...] row losses for reduction="none" (float32 for float32 and half precision, else
            float64).
        Raises: LabelError, ProbabilityError, NonFiniteError, ShapeError, DtypeError, WeightError, OptionError,
            EmptyBatchError, UnsupportedError.
        Source: as the class.

        >>> import crossent as ce
        >>> loss = ce.CrossEntropy(reduction="none", unit="bit")
        >>> loss([0, 1], probs=[[0.25, 0.75], [0.5, 0.5]]).tolist()
        [2.0, 1.0]
        """
        return reduce.value(self._job(targets, logits, probs, log_probs, sample_weight))

    def value_and_grad(
        self,
        targets: Any,
        *,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        log_probs: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        out: NDArray | None = None,
    ) -> LossGrad:
        """The loss and its gradient with respect to the prediction that was named, in one pass.

            d loss_i / d z_ij = Q_i p_ij - q_ij,  d / d p_ij = -q_ij / p_ij,  d / d log p_ij = -q_ij      [unit]

        for classes, with q smoothed and weighted, Q_i = sum_j q_ij; times sw_i, and a mean's is divided by
        sum_i sw_i D_i.

        Args:
            targets, logits, probs, log_probs, sample_weight: as in calling the loss.
            out: receives the gradient: a writable array of the prediction's shape and dtype (float32 beside half
                precision too), or an object that shares such memory, as a PyTorch tensor on the CPU does. The
                prediction itself works in place; after an error about its values, what it and any other `out` hold
                is undefined (wrong targets are found before the prediction is written).
        Returns: LossGrad(value, grad); with reduction="none" row i of grad is the gradient of row loss i.
        Raises: as the loss itself; ShapeError and DtypeError for a buffer that does not fit.
        Source: as the class.

        >>> import crossent as ce
        >>> loss = ce.CrossEntropy()
        >>> value, grad = loss.value_and_grad([0], logits=[[0.0, 0.0]])
        >>> round(value, 6), grad.tolist()
        (0.693147, [[-0.5, 0.5]])
        """
        return reduce.value_and_grad(self._job(targets, logits, probs, log_probs, sample_weight), out)

    def grad_and_hess(
        self,
        targets: Any,
        *,
        logits: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        curvature: Literal["exact", "upper"] = "exact",
    ) -> GradHess:
        """Gradient and Hessian diagonal with respect to the logits: per row, weighted, sum-scaled whatever `reduction`.

            grad_ij = sw_i (Q_i p_ij - q_ij),  hess_ij = sw_i Q_i p_ij (1 - p_ij)      [unit]

        for classes, with q smoothed and weighted, Q_i = sum_j q_ij; for independent labels sw ((A + B) p - A) and
        sw (A + B) p (1 - p).

        Args:
            targets, sample_weight: as in calling the loss.
            logits: raw scores, the one prediction that it takes.
            curvature: "exact", the diagonal itself, which may be negative where a loss is not convex; "upper", a
                diagonal matrix >= 0 that the whole Hessian does not exceed: 2 sw_i Q_i p_ij (1 - p_ij) for plain
                cross-entropy over classes, the diagonal itself for independent labels.
        Returns: GradHess(grad, hess), of the logits' shape and floating dtype; hess >= 0 for cross-entropy.
        Raises: as the loss itself, but never EmptyBatchError.
        Source: Friedman, Hastie & Tibshirani, Ann. Statist. 28 (2000), 337-407: Newton steps by the diagonal.

        >>> import crossent as ce
        >>> grad, hess = ce.CrossEntropy().grad_and_hess([0], logits=[[0.0, 0.0]])
        >>> grad.tolist(), hess.tolist()
        ([[-0.5, 0.5]], [[0.25, 0.25]])
        """
        return reduce.grad_and_hess(self._job(targets, logits, None, None, sample_weight), curvature)
