// Runs a softmax job: blocks of rows, each row long or in a tile.
#pragma once

#include "softmax_batch.hpp"
#include "softmax_tiles.hpp"

namespace {

// S is what the logits, soft targets, gradient and Hessian are stored in.
template <class S> __attribute__((noinline)) void run_softmax(const SoftmaxJob& job) {
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        if (job.inner > 1) {
            inner_rows<S>(job, first, end, sums);
        } else if (job.classes <= kTileClasses) {
            short_rows<S>(job, first, end, sums);
        } else if (in_batches<S>(job)) {
            if constexpr (sizeof(Of<S>) == 4) batched_rows<S>(job, first, end, sums);
        } else {
            long_rows<S>(job, first, end, sums);
        }
        sums.store(job.blocks, block);
    }
}

}  // namespace
