"""Features of any kind: where they may stay, what is copied, frames, Arrow and sparse matrices; one model for all."""

import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import scipy.sparse as sp
from sklearn.linear_model import LogisticRegression

from closeness import assert_close
from crossent.core.matrix import DenseMatrix
from crossent.core.matrix.matrix import ColumnMoments
from crossent.errors import DataError, DtypeError, NonFiniteError, ShapeError, UnsupportedError
from crossent.learn.checks import feature_matrix
from crossent.learn.classifier import SoftmaxClassifier
from crossent.learn.prepare import prepare
from toys import toy

TIGHT = {"tol": 1e-14, "max_iter": 5000}
COLUMNS = ["a", "b", "c", "d"]


def whole():
    """Features that are whole numbers, so that every type can hold them, with every column used."""
    X, y = toy()
    return np.rint(3 * X), y


class OnlyArrow:
    """A table that offers nothing but an Arrow stream, as relations of DuckDB do."""

    def __init__(self, table):
        self.columns, self._table = table.column_names, table

    def __arrow_c_stream__(self, requested_schema=None):
        return self._table.__arrow_c_stream__(requested_schema)


class TestArrays:
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    @pytest.mark.parametrize(
        "view",
        [lambda X: X, lambda X: X[::2], lambda X: X[:, 1:3], lambda X: X[5:6], lambda X: np.broadcast_to(X[0], (9, 4))],
        ids=["whole", "rows", "columns", "one row", "repeated row"],
    )
    def test_rows_without_gaps_stay_where_they_lie(self, kind, view):
        X = view(whole()[0].astype(kind))
        held = feature_matrix(X).array
        assert np.shares_memory(held, X)
        assert held.dtype == kind

    @pytest.mark.parametrize(
        "other",
        [
            np.asfortranarray,
            lambda X: X[:, ::-1],
            lambda X: X[::-1],
            lambda X: X.astype(">f8"),
            lambda X: X.astype(np.int16),
            lambda X: X.astype(np.float16),
            lambda X: np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float64).reshape(X.shape),
            lambda X: np.array([(row, 1) for row in X.tolist()], [("x", "f8", 4), ("t", "i4")])["x"],
        ],
        ids=[
            "Fortran",
            "columns backwards",
            "rows backwards",
            "byte order",
            "int16",
            "float16",
            "unaligned",
            "unaligned rows",
        ],
    )
    def test_everything_else_is_copied_once(self, other):
        X = other(whole()[0])
        held = feature_matrix(X).array
        assert held.flags.c_contiguous
        assert held.flags.aligned
        assert held.dtype == np.float64
        assert np.array_equal(held, X)

    @pytest.mark.parametrize(
        "other",
        [
            lambda X: X.astype(np.float32),
            lambda X: X.astype(np.int8),
            np.asfortranarray,
            lambda X: np.repeat(X, 2, axis=0)[::2],
            lambda X: X.astype(object),
            lambda X: X.tolist(),
        ],
        ids=["float32", "int8", "Fortran", "strided", "object", "lists"],
    )
    def test_one_model_for_all(self, other):
        X, y = whole()
        plain = SoftmaxClassifier(**TIGHT).fit(X, y)
        model = SoftmaxClassifier(**TIGHT).fit(other(X), y)
        assert model.coef_.dtype == np.float64
        assert_close(model.coef_, plain.coef_, bound=1e-8)
        assert_close(model.predict_proba(other(X)), plain.predict_proba(X), bound=1e-8)

    def test_booleans(self):
        X, y = whole()
        bits = X > 0
        assert_close(
            SoftmaxClassifier(**TIGHT).fit(bits, y).coef_,
            SoftmaxClassifier(**TIGHT).fit(1.0 * bits, y).coef_,
            bound=1e-9,
        )

    def test_nothing_is_written(self):
        X, y = whole()
        for array in (X, y):
            array.setflags(write=False)
        SoftmaxClassifier().fit(X, y).predict(X)

    def test_predictions_make_no_copy_of_the_features(self):
        X = np.random.default_rng(0).normal(size=(100_000, 50)).astype(np.float32)
        model = SoftmaxClassifier().fit(X[:100], np.arange(100) % 2)
        model.predict(X[:1000])
        tracemalloc.start()
        model.predict(X)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < X.nbytes / 2

    def test_preparing_makes_no_copy_of_the_features(self, monkeypatch):
        """What comes before the first pass; the moments have tests of their own."""
        X = np.ones((100_000, 50))
        y = np.arange(100_000) % 7
        monkeypatch.setattr(DenseMatrix, "moments", lambda *_: ColumnMoments(np.ones(50), np.ones(50), np.ones(50)))
        tracemalloc.start()
        problem = prepare(X, y, None, loss=None, class_weight=None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert problem.matrix.array is X
        assert peak < X.nbytes / 8

    def test_masked_arrays_are_refused(self):
        X, y = whole()
        with pytest.raises(UnsupportedError, match="X is a masked array"):
            SoftmaxClassifier().fit(np.ma.array(X, mask=X > 1), y)


class TestNonFinite:
    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("kind", [np.float32, np.float64])
    def test_the_first_cell_is_named(self, kind, value):
        X, y = toy(rows=3000)
        X = X.astype(kind)
        model = SoftmaxClassifier().fit(X, y)
        X[2900, 3] = X[2500, 1] = value
        for use in (lambda: SoftmaxClassifier().fit(X, y), lambda: model.predict(X)):
            with pytest.raises(NonFiniteError, match=f"X is {value} at row 2500, column 1;"):
                use()

    def test_in_any_thread(self):
        X, y = toy(rows=100_000, width=2, classes=2)
        model = SoftmaxClassifier().fit(X[:100], y[:100])
        X[99_000, 1], X[98_000, 0] = np.inf, np.nan
        for use in (lambda: SoftmaxClassifier().fit(X, y), lambda: model.predict(X)):
            with pytest.raises(NonFiniteError, match="X is nan at row 98000, column 0;"):
                use()

    def test_the_row_is_counted_in_the_caller_s_rows(self):
        X, y = toy()
        X[7, 2] = np.nan
        weight = np.ones(60)
        weight[:5] = 0
        with pytest.raises(NonFiniteError, match="at row 7, column 2"):
            SoftmaxClassifier().fit(X, y, sample_weight=weight)

    @pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.coo_array])
    def test_sparse(self, form):
        X, y = toy()
        X[X < 0] = 0
        X[7, 2] = np.nan
        with pytest.raises(NonFiniteError, match="X is nan at row 7, column 2;"):
            SoftmaxClassifier().fit(form(X), y)

    def test_frames_name_the_column(self):
        X, y = toy()
        model = SoftmaxClassifier().fit(pd.DataFrame(X, columns=COLUMNS), y)
        X[7, 2] = np.nan
        for frame in (
            pd.DataFrame(X, columns=COLUMNS),
            pl.DataFrame(X, schema=COLUMNS),
            pa.table(dict(zip(COLUMNS, X.T, strict=True))),
        ):
            with pytest.raises(NonFiniteError, match=r"at row 7, column 2 \('c'\)"):
                model.predict(frame)

    def test_large_finite_logits_are_no_error(self):
        X, y = toy(classes=2)
        model = SoftmaxClassifier().fit(X, y)
        far = 1e308 * np.sign(model.coef_)
        assert model.predict_proba(far).tolist() == [[0.0, 1.0]]


class TestFrames:
    @pytest.mark.parametrize(
        "make",
        [
            lambda c: pd.DataFrame(c),
            lambda c: pd.DataFrame(c).astype({"a": "float32", "b": "int64"}),
            lambda c: pd.DataFrame(c).astype({"a": "Float64", "b": "Int64"}),
            lambda c: pd.DataFrame(c).astype({"c": "float64[pyarrow]"}),
            lambda c: pl.DataFrame(c),
            lambda c: pl.DataFrame(c).with_columns(pl.col("b").cast(pl.Int8)),
            lambda c: pa.table(c),
            lambda c: pa.table(c).to_batches()[0],
            lambda c: OnlyArrow(pa.table(c)),
        ],
        ids=[
            "pandas",
            "pandas mixed",
            "pandas nullable",
            "pandas Arrow",
            "polars",
            "polars mixed",
            "table",
            "batch",
            "stream",
        ],
    )
    def test_one_model_for_all(self, make):
        X, y = whole()
        plain = SoftmaxClassifier(**TIGHT).fit(X, y)
        frame = make(dict(zip(COLUMNS, X.T.copy(), strict=True)))
        model = SoftmaxClassifier(**TIGHT).fit(frame, y)
        assert model.feature_names_in_.tolist() == COLUMNS
        assert_close(model.coef_, plain.coef_, bound=1e-8)
        assert_close(model.predict_proba(frame), plain.predict_proba(X), bound=1e-8)

    def test_float32_frames_stay_float32(self):
        X = np.float32(whole()[0])
        columns = dict(zip(COLUMNS, X.T.copy(), strict=True))
        for frame in (pd.DataFrame(columns), pl.DataFrame(columns), pa.table(columns)):
            assert feature_matrix(frame).array.dtype == np.float32

    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "Arrow"])
    def test_text_among_the_features_is_refused(self, make):
        with pytest.raises(DataError, match=r"not a number at row 0, column 1"):
            SoftmaxClassifier().fit(make({"a": [1.0, 2.0], "b": ["x", "y"]}), [0, 1])

    @pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "Arrow"])
    def test_other_columns_are_refused(self, make):
        X, y = whole()
        model = SoftmaxClassifier().fit(make(dict(zip(COLUMNS, X.T.copy(), strict=True))), y)
        with pytest.raises(DataError, match=r"unseen at fit time:\n- z\n(.|\n)*now missing:\n- d"):
            model.predict(make(dict(zip("abcz", X.T.copy(), strict=True))))
        with pytest.raises(DataError, match="same order"):
            model.predict(make(dict(zip("bacd", X.T.copy(), strict=True))))

    def test_names_that_are_not_all_text(self):
        X, y = whole()
        with pytest.raises(DtypeError, match="only supported if all input features have string names"):
            SoftmaxClassifier().fit(pd.DataFrame(X, columns=["a", 1, "b", 2]), y)
        assert not hasattr(SoftmaxClassifier().fit(pd.DataFrame(X), y), "feature_names_in_")

    def test_a_missing_number_is_refused(self):
        frame = pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64"), "b": [1.0, 2.0, 3.0]})
        with pytest.raises((DtypeError, NonFiniteError), match="row 1, column 0"):
            SoftmaxClassifier().fit(frame, [0, 1, 0])


class TestSparse:
    def problem(self):
        X, y = toy(rows=80, width=12)
        X[np.abs(X) < 1] = 0
        assert (X == 0).mean() > 0.6
        return X, y

    @pytest.mark.parametrize("form", [sp.csr_array, sp.csc_array, sp.coo_array, sp.csr_matrix, sp.lil_array])
    @pytest.mark.parametrize("kind", [np.float64, np.float32])
    def test_as_dense(self, form, kind):
        X, y = self.problem()
        X = X.astype(kind)
        dense = LogisticRegression(C=1, solver="newton-cholesky", tol=1e-12).fit(X.astype(np.float64), y)
        model = SoftmaxClassifier(**TIGHT).fit(form(X), y)
        assert_close(model.coef_, dense.coef_, bound=1e-6)
        assert_close(model.predict_proba(form(X)), dense.predict_proba(X.astype(np.float64)), bound=1e-6)
        assert np.array_equal(model.predict(form(X)), model.predict(X))
        assert model.score(form(X), y) == model.score(X, y)

    @pytest.mark.parametrize("weighted", [False, True])
    def test_weights_and_rows_of_weight_zero(self, weighted):
        X, y = self.problem()
        weight = np.random.default_rng(1).integers(0, 3, 80).astype(float)
        sparse = SoftmaxClassifier(class_weight="balanced" if weighted else None, **TIGHT)
        dense = SoftmaxClassifier(class_weight="balanced" if weighted else None, **TIGHT)
        sparse.fit(sp.csr_array(X), y, sample_weight=weight)
        assert_close(sparse.coef_, dense.fit(X, y, sample_weight=weight).coef_, bound=1e-7)

    def test_repeated_and_unsorted_cells_add_up(self):
        X, y = self.problem()
        plain = sp.coo_array(X)
        order = np.random.default_rng(2).permutation(2 * plain.nnz)
        twice = sp.csr_array(
            (
                np.tile(plain.data / 2, 2)[order],
                (np.tile(plain.row, 2)[order], np.tile(plain.col, 2)[order]),
            ),
            shape=X.shape,
        )
        raw = sp.csr_array((np.r_[1.0, 2.0, 3.0], np.r_[1, 0, 1], np.r_[0, 3, 3]), shape=(2, 2))
        held = feature_matrix(raw)
        assert held.logits(np.eye(2), np.zeros(2)).tolist() == [[2.0, 4.0], [0.0, 0.0]]
        assert raw.data.tolist() == [1.0, 2.0, 3.0]  # the caller's matrix stays as it is
        assert_close(
            SoftmaxClassifier(**TIGHT).fit(twice, y).coef_, SoftmaxClassifier(**TIGHT).fit(X, y).coef_, bound=1e-7
        )

    def test_values_are_not_copied(self):
        X = sp.csr_array(self.problem()[0])
        held = feature_matrix(X)
        assert np.shares_memory(held._by_row.values, X.data)

    @pytest.mark.parametrize("kind", [np.int64, np.bool_])
    def test_whole_numbers(self, kind):
        X, y = self.problem()
        X = np.rint(X).astype(kind)
        model = SoftmaxClassifier(**TIGHT).fit(sp.csr_array(X), y)
        assert_close(model.coef_, SoftmaxClassifier(**TIGHT).fit(X, y).coef_, bound=1e-7)

    @pytest.mark.parametrize("solver", ["gd", "lbfgs"])
    def test_solvers(self, solver):
        X, y = self.problem()
        rate = 1.0 if solver == "gd" else None
        model = SoftmaxClassifier(solver=solver, learning_rate=rate, l2=0.1, tol=1e-14, max_iter=10000)
        dense = LogisticRegression(C=10 / 80, solver="newton-cholesky", tol=1e-12).fit(X, y)
        assert_close(model.fit(sp.csr_array(X), y).coef_, dense.coef_, bound=1e-6)

    def test_refusals(self):
        X, y = self.problem()
        model = SoftmaxClassifier().fit(sp.csr_array(X), y)
        with pytest.raises(ShapeError, match="X has 3 features, but SoftmaxClassifier is expecting 12"):
            model.predict(sp.csr_array(X[:, :3]))
        with pytest.raises(DataError, match="Complex data not supported"):
            model.predict(sp.csr_array(X * 1j))
        with pytest.raises(ShapeError, match=r"0 feature\(s\)"):
            SoftmaxClassifier().fit(sp.csr_array((80, 0)), y)
        with pytest.raises(ShapeError, match=r"X has shape \(12,\)"):
            SoftmaxClassifier().fit(sp.coo_array(X[0]), y)

    def test_constant_columns_have_coefficient_zero(self):
        X, y = self.problem()
        X[:, 3] = 0
        assert np.array_equal(SoftmaxClassifier().fit(sp.csr_array(X), y).coef_[:, 3], np.zeros(3))
