"""
Native kernels of crossent and the memory of results. Private: only crossent.core and crossent.settings call them.
"""

from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


class Buffer:
    """Memory of one array, from the pool."""

    def __init__(self, size: int) -> None: ...

    @property
    def used(self) -> bool:
        """Whether its pages were written to before."""

    @used.setter
    def used(self, arg: bool, /) -> None: ...

def empty_cache() -> int:
    """Gives the kept pieces back to the system; the number of bytes."""

def pool_bytes() -> int:
    """Bytes in the pieces kept."""

def keep_buffers(on: bool) -> None:
    """Whether pieces are kept from now on."""

def pool_is_locked() -> bool:
    """Whether a thread holds the pool's lock: for the test of fork."""

def hold_pool_lock(seconds: float) -> None:
    """Holds the pool's lock: for the test of fork."""

def rows_at_f32(logits: int, labels: int, grad: int, loss: int, rows: int, classes: int, ignore_index: int, mean: bool) -> int:
    """
    Softmax cross-entropy of a few rows by their addresses: the lowest bad row * 8 + code.
    """

def rows_at_f64(logits: int, labels: int, grad: int, loss: int, rows: int, classes: int, ignore_index: int, mean: bool) -> int:
    """
    Softmax cross-entropy of a few rows by their addresses: the lowest bad row * 8 + code.
    """

def softmax_f32(logits: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight_lanes: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, output: int, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Softmax cross-entropy of a block range: see SoftmaxJob in native/kernels.hpp.
    """

def sigmoid_f32(logits: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Binary cross-entropy of a block range: see SigmoidJob in native/kernels.hpp.
    """

def mass_f32(rows: int, classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, sum_tolerance: float, row_sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Mass of the targets of a block range: see MassJob in native/kernels.hpp.
    """

def softmax_f64(logits: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight_lanes: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, output: int, values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Softmax cross-entropy of a block range: see SoftmaxJob in native/kernels.hpp.
    """

def sigmoid_f64(logits: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Binary cross-entropy of a block range: see SigmoidJob in native/kernels.hpp.
    """

def mass_f64(rows: int, classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, sum_tolerance: float, row_sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Mass of the targets of a block range: see MassJob in native/kernels.hpp.
    """

def softmax_bf16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight_lanes: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, output: int, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Softmax cross-entropy of a block range: see SoftmaxJob in native/kernels.hpp.
    """

def sigmoid_bf16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Binary cross-entropy of a block range: see SigmoidJob in native/kernels.hpp.
    """

def mass_bf16(rows: int, classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, sum_tolerance: float, row_sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Mass of the targets of a block range: see MassJob in native/kernels.hpp.
    """

def softmax_f16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight_lanes: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, output: int, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Softmax cross-entropy of a block range: see SoftmaxJob in native/kernels.hpp.
    """

def sigmoid_f16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, stream: bool, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Binary cross-entropy of a block range: see SigmoidJob in native/kernels.hpp.
    """

def mass_f16(rows: int, classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, sum_tolerance: float, row_sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Mass of the targets of a block range: see MassJob in native/kernels.hpp.
    """

def family_f32(logits: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, softcap: float, temperature: float, bias: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, tau: float, alpha: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, z_loss: float, entropy_weight: float, hard: float, curvature: int, first_class: int, all_classes: int, left: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, given: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the softmax family on a block range: see FamilyJob in native/kernels.hpp.
    """

def binary_family_f32(logits: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, up: float, down: float, curvature: int, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the binary family on a block range: see BinaryFamilyJob in native/kernels.hpp.
    """

def family_f64(logits: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, softcap: float, temperature: float, bias: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, tau: float, alpha: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, z_loss: float, entropy_weight: float, hard: float, curvature: int, first_class: int, all_classes: int, left: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, given: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the softmax family on a block range: see FamilyJob in native/kernels.hpp.
    """

def binary_family_f64(logits: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, up: float, down: float, curvature: int, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the binary family on a block range: see BinaryFamilyJob in native/kernels.hpp.
    """

def family_bf16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, softcap: float, temperature: float, bias: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, tau: float, alpha: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, z_loss: float, entropy_weight: float, hard: float, curvature: int, first_class: int, all_classes: int, left: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, given: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the softmax family on a block range: see FamilyJob in native/kernels.hpp.
    """

def binary_family_bf16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, up: float, down: float, curvature: int, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the binary family on a block range: see BinaryFamilyJob in native/kernels.hpp.
    """

def family_f16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, softcap: float, temperature: float, bias: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, tau: float, alpha: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, z_loss: float, entropy_weight: float, hard: float, curvature: int, first_class: int, all_classes: int, left: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, given: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the softmax family on a block range: see FamilyJob in native/kernels.hpp.
    """

def binary_family_f16(logits: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu', writable=False)], columns: int, targets: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, wide_targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, hess: Annotated[NDArray[numpy.uint16], dict(order='C', device='cpu')] | None, shape: int, a: float, b: float, up: float, down: float, curvature: int, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    A loss of the binary family on a block range: see BinaryFamilyJob in native/kernels.hpp.
    """

def probability_f32(probs: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], rows: int, classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, silent: float, refused: float, logarithms: bool, gathered: bool, look: bool, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, notes: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Cross-entropy of probability rows of a block range: see ProbabilityJob in native/kernels.hpp.
    """

def binary_probability_f32(probs: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, targets: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], columns: int, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, clamped: bool, values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Binary cross-entropy of probabilities of a block range: see BinaryProbabilityJob in native/kernels.hpp.
    """

def probability_f64(probs: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], rows: int, classes: int, inner: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float, value_factor: float, grad_factor: float, sum_tolerance: float, silent: float, refused: float, logarithms: bool, gathered: bool, look: bool, values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, notes: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Cross-entropy of probability rows of a block range: see ProbabilityJob in native/kernels.hpp.
    """

def binary_probability_f64(probs: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, targets: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], columns: int, pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float, value_factor: float, grad_factor: float, clamped: bool, values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, grad: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, block_rows: int, last: int, state: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> tuple[float, float, int, int] | None:
    """
    Binary cross-entropy of probabilities of a block range: see BinaryProbabilityJob in native/kernels.hpp.
    """

class StepLoss:
    """
    The loss of the rows of a fit: see LinearStepJob in native/kernels.hpp.
    """

    @staticmethod
    def of_classes(rows: int, classes: int, labels: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, soft: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, soft_factor: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, class_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, row_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, ignore_index: int | None, smoothing: float) -> StepLoss:
        """One class of K a row."""

    @staticmethod
    def of_labels(rows: int, columns: int, targets: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], pos_weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, smoothing: float, negative_weight: float, positive_weight: float) -> StepLoss:
        """Independent labels."""

GRAM_PANEL: int = 24

GRAM_PACKED: int = 128

def linear_logits_f32(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, coef: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], intercept: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], logits: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """
    logits = (rows - center) coef^T + intercept: see LinearRowsJob in native/kernels.hpp.
    """

def linear_sums_f32(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, slopes: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """
    sums += slopes^T (rows - center): see LinearRowsJob in native/kernels.hpp.
    """

def linear_step_f32(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, coef: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], intercept: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], loss: StepLoss, first: int, block_rows: int, buffer: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], totals: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> tuple[float, int]:
    """
    Logits, loss and sums of slopes in one pass: see LinearStepJob in native/kernels.hpp.
    """

def column_moments_f32(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, shift: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], moments: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """Moments of columns: see MomentsJob in native/kernels.hpp."""

def gram_f32(rows: Annotated[NDArray[numpy.float32], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, inverse_scale: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], first_panel: int, end_panel: int, packed: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], gram: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """Weighted Gram matrix: see GramJob in native/kernels.hpp."""

def sparse_f32(values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], index: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], first: int, end: int, other: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], outputs: int, base: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, out: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """
    Lines of a sparse matrix times a dense one: see SparseJob in native/kernels.hpp.
    """

def sparse_transposed_f32(values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], index: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], out_values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], out_index: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu')], out_starts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]) -> None:
    """Compressed columns from compressed rows."""

def linear_logits_f64(rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, coef: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], intercept: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], logits: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """
    logits = (rows - center) coef^T + intercept: see LinearRowsJob in native/kernels.hpp.
    """

def linear_sums_f64(rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, slopes: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """
    sums += slopes^T (rows - center): see LinearRowsJob in native/kernels.hpp.
    """

def linear_step_f64(rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, coef: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], intercept: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], loss: StepLoss, first: int, block_rows: int, buffer: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], sums: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], totals: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> tuple[float, int]:
    """
    Logits, loss and sums of slopes in one pass: see LinearStepJob in native/kernels.hpp.
    """

def column_moments_f64(rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, shift: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], moments: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """Moments of columns: see MomentsJob in native/kernels.hpp."""

def gram_f64(rows: Annotated[NDArray[numpy.float64], dict(shape=(None, None), device='cpu', writable=False)], center: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, inverse_scale: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], first_panel: int, end_panel: int, packed: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], gram: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """Weighted Gram matrix: see GramJob in native/kernels.hpp."""

def sparse_f64(values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], index: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], first: int, end: int, other: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], outputs: int, base: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, out: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """
    Lines of a sparse matrix times a dense one: see SparseJob in native/kernels.hpp.
    """

def sparse_transposed_f64(values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], index: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], out_values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], out_index: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu')], out_starts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]) -> None:
    """Compressed columns from compressed rows."""

SCORE_TERMS: int = 32

SCORE_CELLS: int = 4035

SCORE_ROWS: int = 1048576

def score_rows_f32(values: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], classes: int, form: int, first: int, end: int, silent: float, refused: float, losses: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, own_losses: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], target: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], confidence: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], predicted: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], slots: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], cells: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], surprise: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, zeros: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], found: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], counts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], large: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], terms: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, logs: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> int:
    """Rows of predictions, scored: see ScoreJob in native/kernels.hpp."""

def score_rows_f64(values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], labels: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], classes: int, form: int, first: int, end: int, silent: float, refused: float, losses: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, own_losses: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], target: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], confidence: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], predicted: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], slots: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], cells: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], surprise: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, zeros: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, sums: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], found: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], counts: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], large: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], terms: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None, logs: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')] | None) -> int:
    """Rows of predictions, scored: see ScoreJob in native/kernels.hpp."""

def isotonic(totals: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu', writable=False)], weight: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], curves: Annotated[NDArray[numpy.float64], dict(shape=(None, None), order='C', device='cpu')]) -> None:
    """
    Isotonic regression of the means of cells, one curve a row: see isotonic_row in native/isotonic.hpp.
    """

def exact_reach(values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)]) -> tuple[int, int, int]:
    """
    Positions of the smallest and the largest number that is not 0, and the first that is not finite.
    """

def exact_rows(values: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], times: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, groups: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, digits: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], low: int) -> None:
    """Adds rows to exact sums: see ExactRowsJob in native/exact_sum.hpp."""

def exact_ratio(a: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], a_error: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, b: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)] | None, product: bool, groups: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, windows: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], digits: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], units: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')], beyond: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]) -> None:
    """Sums of a^i b^j: see RatioJob in native/exact_sum.hpp."""

def exact_add(others: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], other_low: int, factor: int, groups: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, digits: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu')], low: int) -> None:
    """digits[groups] += factor * others."""

def exact_trim(digits: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)]) -> tuple[int, int]:
    """The first and the end of the columns that are needed."""

def exact_floats(digits: Annotated[NDArray[numpy.int64], dict(shape=(None, None), order='C', device='cpu', writable=False)], low: int, floats: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')]) -> None:
    """Exact sums rounded once."""

def octave_cells(numbers: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], edges: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], per_octave: int, cells: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]) -> None:
    """
    The cell of each number, between edges that split octaves into equal ratios.
    """

def available_isas() -> list[str]:
    """Instruction sets of this build that this machine runs, slowest first."""

def select_isa(name: str) -> bool:
    """
    Uses the named instruction set from now on; False if it is not available.
    """

def close_down() -> None:
    """
    At exit: waits for calls under way; later ones in other threads never return.
    """

def after_fork() -> None:
    """Forgets the calls of threads that a fork left behind."""

def compiler() -> str:
    """The compiler that built this module."""

def current_isa() -> str:
    """The instruction set in use."""

def elementary_names() -> list[str]:
    """The functions of native/elementary.hpp that tests can ask."""

@overload
def elementary(name: str, x: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], e: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')], one_by_one: bool = False) -> None: ...

@overload
def elementary(name: str, x: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], e: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], out: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu')], one_by_one: bool = False) -> None:
    """
    For tests: out = f(x, e) by the named function of native/elementary.hpp.
    """
