"""Matrices of features, dense and sparse: their products with the few columns of a linear model, in one pass each."""

from crossent.core.matrix.dense import DenseMatrix
from crossent.core.matrix.matrix import ColumnMoments, Fused, Matrix
from crossent.core.matrix.slices import run_slices
from crossent.core.matrix.sparse import SparseMatrix

__all__ = ["ColumnMoments", "DenseMatrix", "Fused", "Matrix", "SparseMatrix", "run_slices"]
