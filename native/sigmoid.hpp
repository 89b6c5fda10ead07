// Independent labels: each element has one logit z and a target y in [0, 1]. Which kernel takes a job.
#pragma once

#include "sigmoid_hard.hpp"

namespace {

// Elements j .. end of row i.
template <class S, class O, class T = Of<S>>
CROSSENT_INLINE void sigmoid_row(const SigmoidJob& job, const O& options, int64_t i, int64_t j, int64_t end,
                                 BlockSums& sums) {
    const bool plain = !job.weight && job.negative_weight == 1 && job.positive_weight == 1;
    LaneTotals<T> totals;
    for (; j < end; j += kLanes<T>) {
        SigmoidTile<T> tile;
        tile.at = i * job.columns + j;
        tile.n = int(end - j < kLanes<T> ? end - j : kLanes<T>);
        load_tile<S>(job, i, j, tile);
        compute_tile(options, tile);
        if (plain && tile.n == kLanes<T>) totals.add(load(tile.value));
        else add_elements(job, tile, sums);
        store_tile<S>(job, tile);
    }
    totals.into(sums);
}

// O says what an element's loss is: sigmoid_math takes it.
template <class S, class O> CROSSENT_INLINE void run_elements(SigmoidJob job, const O& options) {
    const bool flat = job.columns == 1;
    if (flat) {  // one row of all elements
        job.columns = job.blocks.rows;
        job.target_column = job.target_row;
        job.weight_column = job.weight_row;
    }
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        if (flat) sigmoid_row<S>(job, options, 0, first, end, sums);
        else for (int64_t i = first; i < end; ++i) sigmoid_row<S>(job, options, i, 0, job.columns, sums);
        sums.store(job.blocks, block);
    }
}

template <class S> CROSSENT_INLINE void run_sigmoid(const SigmoidJob& job) {
    if (has_plain_labels(job)) return run_hard<S>(job);
    run_elements<S>(job, options_of(job));
}

}  // namespace
