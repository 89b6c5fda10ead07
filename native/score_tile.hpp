// Runs score_rows.hpp over tiles of rows: what each row gives is stored, counted and summed here.
#pragma once

#include "score_rows.hpp"

namespace {

CROSSENT_INLINE ScoreScratch cut_scratch(const ScoreJob& job) {
    const int64_t tile = kDoubles * job.classes;
    double* x = job.scratch;
    int64_t* cell = reinterpret_cast<int64_t*>(x + 5 * tile);
    double* p = job.kind == kScoreProbs ? x : x + 2 * tile;
    const ScoreScratch s{x, x + tile, p, x + 3 * tile, x + 4 * tile, cell, cell + tile, cell + 2 * tile};
    if (job.surprise) __builtin_memset(s.surprise, 0, size_t(job.classes * job.classes) * sizeof(int64_t));
    return s;
}

// What is known of the tile's rows by their labels; rows behind the last one look like the first class.
struct TileTargets {
    F64 z, p, loss;
    int64_t label[kDoubles];
};

CROSSENT_INLINE bool read_targets(const ScoreJob& job, const ScoreScratch& s, int64_t first, int rows, TileTargets& t) {
    double z[kDoubles], p[kDoubles];
    for (int r = 0; r < kDoubles; ++r) {
        const int64_t label = r < rows ? job.labels[first + r] : 0;
        if (label < 0 || label >= job.classes) {
            *job.bad = (first + r) * 8 + kLabel;
            return false;
        }
        t.label[r] = label;
        z[r] = s.z[label * kDoubles + r];
        p[r] = s.p[label * kDoubles + r];
    }
    t.z = load(z);
    t.p = load(p);
    t.loss = job.losses ? load_doubles(job.losses + first, rows, 0) : F64{} - t.z;
    return true;
}

CROSSENT_INLINE void count_cells(const ScoreJob& job, const ScoreScratch& s, int rows, const TileTargets& t,
                                 const int64_t (&of)[kDoubles], F64 event) {
    const int64_t K = job.classes, size = kDoubles * K;
    int64_t cell[kDoubles], units[kDoubles];
    find_cells(event, cell, units);
    for (int r = 0; r < rows; ++r) count_cell(job, 0, cell[r], units[r], of[r] == t.label[r]);
    if (!job.tracked) return;
    for (int64_t i = 0; i < size; i += kDoubles) find_cells(load(s.p + i), s.cell + i, s.units + i);
    for (int64_t j = 0; j < K; ++j) {
        if (job.slots[j] < 0) continue;
        for (int r = 0; r < rows; ++r) count_cell(job, job.slots[j], s.cell[j * kDoubles + r], s.units[j * kDoubles + r], false);
    }
    for (int r = 0; r < rows; ++r) {
        const int64_t slot = job.slots[t.label[r]], cell = s.cell[t.label[r] * kDoubles + r];
        if (slot < 0) continue;
        int64_t& counted = job.cells[2 * (slot * kCells + cell) + 1];
        counted = int64_t(uint64_t(counted) + (uint64_t(1) << 32));
    }
}

CROSSENT_INLINE void store_rows(const ScoreJob& job, int64_t first, int rows, const TileTargets& t, const double* best,
                                F64 event) {
    store_doubles(job.confidence + first, rows, event);
    store_doubles(job.target + first, rows, t.p);
    if (!job.losses) store_doubles(job.own_losses + first, rows, t.loss + F64{});
    for (int r = 0; r < rows; ++r) job.predicted[first + r] = int64_t(best[r]);
}

CROSSENT_INLINE void store_terms(const ScoreJob& job, const ScoreScratch& s, int64_t first, int rows,
                                 const F64 (&terms)[kScoreTerms]) {
    for (int r = 0; r < rows; ++r) {
        for (int k = 0; k < kScoreTerms; ++k) job.terms[(first + r) * kScoreTerms + k] = terms[k][r];
    }
    for (int r = 0; r < rows; ++r) {
        for (int64_t j = 0; j < job.classes; ++j) job.logs[(first + r) * job.classes + j] = s.z[j * kDoubles + r];
    }
}

CROSSENT_INLINE void add_tile(const ScoreJob& job, const ScoreScratch& s, int64_t first, int rows, const TileTargets& t,
                              const F64 (&terms)[kScoreTerms], F64 least, TermSums& sums) {
    const F64Mask all = first_doubles(rows), infinite = ~(t.loss < splat<F64>(__builtin_inf()));
    const F64Mask large = too_large(terms, least) & all, every = all & ~large, finite = every & ~infinite;
    sums.add(terms, every, finite);
    if (__builtin_expect(any_of(large), 0)) {
        for (int r = 0; r < rows; ++r) {
            if (large[r]) job.large[job.counts[2]++] = first + r;
        }
    }
    if (job.surprise) add_surprise(job, s, t.label, every);
}

template <class T> CROSSENT_INLINE bool score_tile(const ScoreJob& job, const ScoreScratch& s, int64_t first, int rows,
                                                   TermSums& sums) {
    load_tile<T>(job, first, rows, s.x);
    TileSums row;
    if (job.kind == kScoreProbs) find_distribution<kScoreProbs>(job, s, row);
    else if (job.kind == kScoreLogits) find_distribution<kScoreLogits>(job, s, row);
    else find_distribution<kScoreLogProbs>(job, s, row);
    if (!judge_rows(job, first, rows, row)) return false;
    TileTargets t;
    if (!read_targets(job, s, first, rows, t)) return false;
    sum_classes(job, s, row);
    F64 terms[kScoreTerms];
    form_terms(row, t.z > splat<F64>(-__builtin_inf()) ? t.z : F64{}, t.p, terms);
    double best[kDoubles], of_event[kDoubles];
    int64_t of[kDoubles];
    store(best, row.best);
    for (int r = 0; r < kDoubles; ++r) {
        of[r] = job.classes == 2 ? 1 : int64_t(best[r]);
        of_event[r] = s.p[of[r] * kDoubles + r];
    }
    const F64 event = load(of_event);
    store_rows(job, first, rows, t, best, event);
    if (job.terms) {
        store_terms(job, s, first, rows, terms);
        return true;
    }
    count_cells(job, s, rows, t, of, event);
    add_tile(job, s, first, rows, t, terms, row.least, sums);
    return true;
}

template <class T> CROSSENT_INLINE void run_score(const ScoreJob& job) {
    const ScoreScratch s = cut_scratch(job);
    TermSums sums;
    int64_t first = job.first;
    while (first < job.end) {
        for (int64_t tile = 0; tile < kTileGroups && first < job.end; ++tile, first += kDoubles) {
            const int rows = job.end - first < kDoubles ? int(job.end - first) : kDoubles;
            if (!score_tile<T>(job, s, first, rows, sums)) return;
        }
        sums.carry(job);
        if (job.surprise) carry_surprise(job, s);
    }
}

}  // namespace
