"""Folds: stratified ones deal rows evenly and always the same; given ones are checked before anything is fitted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import KFold, StratifiedKFold

from crossent.errors import LabelError, OptionError, ShapeError
from crossent.learn.folds import check_folds, make_folds, stratified_folds
from crossent.learn.training_rows import training_rows

X, Y = np.arange(12.0)[:, None], np.array([0, 1] * 6)


def folds_of(cv, weight=None, y=Y):
    return make_folds(cv, training_rows(X, y, weight), X, y, seed=0)


class TestStratified:
    @given(data=st.data(), counts=st.lists(st.integers(2, 30), min_size=2, max_size=6), seed=st.integers(0, 99))
    @settings(max_examples=60, deadline=None)
    def test_every_row_is_held_out_once_classes_and_sizes_are_even(self, data, counts, seed):
        codes = np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))
        count = data.draw(st.integers(2, len(codes)))
        folds = stratified_folds(codes, count, seed=seed, names=list(range(len(counts))))
        assert sorted(np.concatenate([fold.test for fold in folds])) == list(range(len(codes)))
        sizes = [len(fold.test) for fold in folds]
        assert max(sizes) - min(sizes) <= 1
        shares = np.array([np.bincount(codes[fold.test], minlength=len(counts)) for fold in folds])
        assert np.all(shares.max(axis=0) - shares.min(axis=0) <= 1)
        for fold in folds:
            assert sorted([*fold.train, *fold.test]) == list(range(len(codes)))
            assert set(codes[fold.train]) == set(range(len(counts)))

    def test_the_seed_decides(self):
        one, same, other = (stratified_folds(Y, 3, seed=seed, names=[0, 1]) for seed in (1, 1, 2))
        assert all(np.array_equal(a.test, b.test) for a, b in zip(one, same, strict=True))
        assert not all(np.array_equal(a.test, b.test) for a, b in zip(one, other, strict=True))

    def test_a_class_of_one_row_and_too_many_folds(self):
        with pytest.raises(LabelError, match=r"Class 'b' has 1 row.*at least 2 rows of each class"):
            stratified_folds(np.array([0, 0, 1]), 2, seed=0, names=["a", "b"])
        with pytest.raises(OptionError, match=r"cv=13 folds of 12 rows: lower cv to 12"):
            stratified_folds(Y, 13, seed=0, names=[0, 1])


class TestGiven:
    @pytest.mark.parametrize("splitter", [KFold(3), StratifiedKFold(4)])
    def test_splitters_and_pairs_are_taken_as_they_are(self, splitter):
        pairs = list(splitter.split(X, Y))
        for cv in (splitter, pairs, iter(pairs), [(a.tolist(), b.tolist()) for a, b in pairs]):
            for fold, (train, test) in zip(folds_of(cv), pairs, strict=True):
                assert np.array_equal(fold.train, train)
                assert np.array_equal(fold.test, test)

    def test_positions_are_those_of_the_rows_given_although_some_have_no_weight(self):
        weight = np.ones(12)
        weight[[0, 3]] = 0
        rows = training_rows(X, Y, weight)
        (fold,) = make_folds([(np.arange(6), np.arange(6, 12))], rows, X, Y, seed=0)
        assert rows.matrix.array[fold.train, 0].tolist() == [1, 2, 4, 5]
        assert rows.matrix.array[fold.test, 0].tolist() == [6, 7, 8, 9, 10, 11]

    @pytest.mark.parametrize(
        ("cv", "error", "message"),
        [
            ([], OptionError, "no folds"),
            ([3], OptionError, r"Fold 0 of cv is 3; it must be a pair"),
            ([([0, 1, 2], [2, 3])], OptionError, r"Fold 0 of cv has row 2 both in train and in test"),
            ([([0, 1, 2], [12])], OptionError, r"test of fold 0 has positions 12 to 12; the rows are 0 to 11"),
            ([([0, 1, -1], [5])], OptionError, r"train of fold 0 has positions -1 to 1"),
            ([([0.0, 1.0], [5])], ShapeError, r"train of fold 0 .* float64.*list of positions"),
            ([([0, 1], [])], ShapeError, r"test of fold 0"),
            ([([0, 1], np.array([], int))], OptionError, r"test of fold 0 has no row of positive weight"),
            ([([0, 1], [2]), ([0, 2, 4], [1])], LabelError, r"Fold 1 of cv trains without any row of class 1"),
        ],
    )
    def test_refusals(self, cv, error, message):
        with pytest.raises(error, match=message):
            folds_of(cv)

    def test_a_fold_whose_held_out_rows_have_no_weight(self):
        weight = np.array([1.0] * 10 + [0, 0])
        with pytest.raises(OptionError, match="test of fold 0 has no row of positive weight"):
            folds_of([(np.arange(10), [10, 11])], weight)

    @pytest.mark.parametrize("cv", [1, 0, True, 2.5, None, "five"])
    def test_the_form_of_the_option(self, cv):
        with pytest.raises(OptionError, match=r"cv is"):
            check_folds(cv)
