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

// At least a vector of contiguous classes; the last vector overlaps the one before.
template <bool kWeighted, class S, class T = Of<S>>
CROSSENT_INLINE SoftMass close_mass(const S* q, int64_t K, const double* class_weight) {
    constexpr int W = kLanes<T>;
    Vec<T> lowest{};
    MassSum<T> plain, weighted;
    for (int64_t k = 0; k < K; k += 4 * W) {
        Wide<T> light[4]{}, heavy_[4]{};
        const auto element = [&](int i, int64_t at, bool whole, int64_t left) __attribute__((always_inline)) {
            const Vec<T> v = whole ? load(q + at) : blank<T>(load(q + at), seen_before<T>(left));
            lowest = v < lowest ? v : lowest;
            light[i] = whole ? load_as_wide(q + at) : to_wide<T>(v);
            if (kWeighted) heavy_[i] = heavy<T>(light[i], class_weight, at);
        };
        prefetch<4 * W>(q + k);
        if (k + 4 * W <= K) [[likely]] {
            CROSSENT_UNROLL for (int i = 0; i < 4; ++i) element(i, k + i * W, true, W);
        } else {
            CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
                const int64_t left = K - k - i * W;
                if (left >= W) element(i, k + i * W, true, W);
                else if (left > 0) element(i, K - W, false, left);
            }
        }
        plain.add4(light);
        if (kWeighted) weighted.add4(heavy_);
    }
    const double raw = total_of(plain);
    const bool valid = !any_of(lowest < Vec<T>{}) && (raw - raw == 0 || all_fit(q, K));
    return {{raw, valid}, kWeighted ? total_of(weighted) : raw};
}

template <class S>
CROSSENT_INLINE SoftMass mass_of(const S* q, int64_t K, int64_t stride, const double* class_weight) {
    if (stride > 1 || K < kLanes<Of<S>>) return spread_mass(q, K, stride, class_weight);
    return class_weight ? close_mass<true>(q, K, class_weight) : close_mass<false>(q, K, nullptr);
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
                    const SoftMass found = mass_of(q, job.classes, job.inner, job.class_weight);
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
