// The mass of targets, before any logit is read: what a mean's gradient must know first.
#pragma once

#include "softmax_panels.hpp"
#include "softmax_row.hpp"

namespace {

// One row's soft targets: their sum as given, and class-weighted.
struct SoftMass {
    RawSums raw;
    double weighted;
};

// Classes lie `stride` apart.
template <class S>
CROSSENT_INLINE SoftMass spread_mass(const S* q, int64_t K, int64_t stride, const double* class_weight) {
    Pair plain, weighted;
    bool valid = true;
    for (int64_t k = 0; k < K; ++k) {
        const double q_k = double(load_one<S>(q[k * stride]));
        valid &= q_k >= 0 && q_k < kInfinity;
        plain.add(q_k);
        if (class_weight) weighted.add(q_k * class_weight[k]);
    }
    return {{plain.value(), valid}, class_weight ? weighted.value() : plain.value()};
}

// At least a vector of contiguous classes without weights; the last vector overlaps the one before.
template <class S, class T = Of<S>> CROSSENT_INLINE SoftMass close_mass(const S* q, int64_t K) {
    constexpr int W = kLanes<T>;
    const Vec<T> zero = splat<Vec<T>>(0);
    Vec<T> lowest = zero;
    LaneSum<T> sum;
    int64_t k = 0;
    for (; k + 4 * W <= K; k += 4 * W) {
        prefetch<4 * W>(q + k);
        Vec<T> v[4];
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            v[i] = load(q + k + i * W);
            lowest = v[i] < lowest ? v[i] : lowest;
        }
        sum.add4(v[0], v[1], v[2], v[3]);
    }
    for (; k < K; k += W) {
        const int64_t left = K - k;
        const Vec<T> v = left >= W ? load(q + k) : blank<T>(load(q + K - W), seen_before<T>(left));
        lowest = v < lowest ? v : lowest;
        sum.add4(v, zero, zero, zero);
    }
    const double total = total_of(sum).value();
    return {{total, !any_of(lowest < zero) && (total - total == 0 || all_fit(q, K))}, total};
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
                    const double* weights = job.class_weight;
                    const bool lies_close = job.inner == 1 && !weights && job.classes >= kLanes<Of<S>>;
                    const SoftMass found = lies_close ? close_mass(q, job.classes)
                                                      : spread_mass(q, job.classes, job.inner, weights);
                    if (job.row_sums) job.row_sums[i] = found.raw.sum;
                    if (!targets_fit(job, i, found.raw, plan.factor)) continue;
                    mass = found.weighted * plan.factor;
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
