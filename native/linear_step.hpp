// A step of a fit, fused: while a block of rows is in cache, its logits, its loss with the slopes in place of them, and the
// sums of slopes times features. So one pass over the features yields value and gradient.
#pragma once

#include "dense_rows.hpp"

namespace {

// The block of rows first .. first + count as jobs of its own.
CROSSENT_INLINE SoftmaxJob block_of(SoftmaxJob job, int64_t first, const Blocks& blocks, double* logits) {
    job.blocks = blocks;
    if (job.labels) job.labels = static_cast<const char*>(job.labels) + (first << (job.label_type & 3));
    if (job.soft) job.soft = static_cast<const double*>(job.soft) + first * job.classes;
    if (job.soft_factor) job.soft_factor += first;
    if (job.row_weight) job.row_weight += first;
    job.logits = job.grad = logits;
    return job;
}
CROSSENT_INLINE SigmoidJob block_of(SigmoidJob job, int64_t first, const Blocks& blocks, double* logits) {
    job.blocks = blocks;
    job.targets = static_cast<const double*>(job.targets) + first * job.columns;
    if (job.weight) job.weight += first * job.weight_row;
    job.logits = job.grad = logits;
    return job;
}

template <class S>
CROSSENT_INLINE void run_linear_step(const LinearStepJob& job, void (*softmax)(const SoftmaxJob*),
                                     void (*sigmoid)(const SigmoidJob*)) {
    const int64_t K = job.rows.outputs;
    double* buffer = job.rows.logits;
    for (int64_t first = 0; first < job.rows.count; first += job.block_rows) {
        LinearRowsJob rows = job.rows;
        rows.count = job.rows.count - first < job.block_rows ? job.rows.count - first : job.block_rows;
        rows.rows = static_cast<const S*>(job.rows.rows) + first * job.rows.stride;
        rows.slopes = buffer;
        run_linear_logits<S>(rows);
        int64_t next = 0, bad = INT64_MAX;
        double sums[3] = {};
        const Blocks blocks{rows.count, rows.count, 1, &next, &bad, sums};
        if (job.softmax) {
            const SoftmaxJob block = block_of(*job.softmax, first, blocks, buffer);
            softmax(&block);
        } else {
            const SigmoidJob block = block_of(*job.sigmoid, first, blocks, buffer);
            sigmoid(&block);
        }
        if (bad != INT64_MAX) {
            *job.bad = bad + first * 8;
            return;
        }
        *job.value += sums[0];
        run_linear_sums<S>(rows);
        for (int64_t i = 0; i < rows.count; ++i) {
            for (int64_t k = 0; k < K; ++k) job.totals[k] += buffer[i * K + k];
        }
    }
}

}  // namespace
