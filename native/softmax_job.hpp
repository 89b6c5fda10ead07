// Runs a softmax job: blocks of rows, each row long or in a tile.
#pragma once

#include "softmax_batch.hpp"
#include "softmax_tiles.hpp"

namespace {

// S is what the logits, soft targets, gradient and Hessian are stored in.
template <class S> CROSSENT_INLINE void run_softmax(const SoftmaxJob& job) {
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

// True if the rows, a few hundred at most, have nothing but labels, and all of those are classes.
CROSSENT_INLINE bool plain_rows(const MassJob& job, int64_t row, int64_t end) {
    if (!job.labels || job.row_weight || job.class_weight || job.classes > INT32_MAX) return false;
    int32_t labels[kPanelRows];
    return !load_labels(job, row, end - row, labels);
}

// Checks targets and sums their mass, before any logit is read: what a mean's gradient must know first.
template <class S> CROSSENT_INLINE void run_mass(const MassJob& job) {
    int64_t first, end, block;
    const S* soft = static_cast<const S*>(job.soft);
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        for (int64_t i = first; i < end;) {
            const int64_t stop = end - i < kPanelRows ? end : i + kPanelRows;
            if (plain_rows(job, i, stop)) {
                sums.mass.add(double(stop - i));
                sums.rows += double(stop - i);
                i = stop;
            }
            for (; i < stop; ++i) {
                const Plan plan = plan_row(job, i);
                double mass = plan.label_weight;
                if (job.soft && plan.active) {
                    const S* q = soft + (i / job.inner) * job.classes * job.inner + i % job.inner;
                    Pair plain, weighted;
                    bool valid = true;
                    for (int64_t k = 0; k < job.classes; ++k) {
                        const double q_k = double(load_one<S>(q[k * job.inner]));
                        valid &= q_k >= 0 && q_k < kInfinity;
                        plain.add(q_k);
                        if (job.class_weight) weighted.add(q_k * job.class_weight[k]);
                    }
                    if (job.row_sums) job.row_sums[i] = plain.value();
                    if (!targets_fit(job, i, RawSums{plain.value(), valid}, plan.factor)) continue;
                    mass = (job.class_weight ? weighted.value() : plain.value()) * plan.factor;
                }
                if (!plan.active || mass == 0) continue;
                sums.mass.add(plan.weight * mass);
                sums.rows += 1;
            }
        }
        sums.store(job.blocks, block);
    }
}

}  // namespace
