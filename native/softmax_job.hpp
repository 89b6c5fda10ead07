// Runs a softmax job: blocks of rows, each row long or in a tile.
#pragma once

#include "softmax_output.hpp"
#include "softmax_tile.hpp"

namespace {

template <class T> CROSSENT_INLINE double dense_uniform(const SoftmaxJob& job) {
    return job.smoothing / double(job.classes);
}

template <class T> CROSSENT_INLINE double uniform_at(const SoftmaxJob& job, int64_t k) {
    const T* cw = static_cast<const T*>(job.class_weight_lanes);
    const T uniform = T(dense_uniform<T>(job));
    return double(cw ? cw[k] * uniform : uniform);
}

// One row whose classes are contiguous: z, and q, g, h where they are used.
template <class T>
CROSSENT_INLINE void long_row(const SoftmaxJob& job, int64_t index, const T* z, const T* q, T* g, T* h, BlockSums& sums) {
    const int64_t K = job.classes;
    Plan plan = plan_row(job, index);
    Row row;
    DenseTargets<T> dense{q, static_cast<const T*>(job.class_weight_lanes), T((1 - job.smoothing) * plan.factor),
                          T(dense_uniform<T>(job))};
    if (plan.active) {
        row = reduce_row(z, K);
        if (has_dense(job)) {
            const RawSums raw = dense_row(z, K, dense, row);
            row.mass *= plan.factor;
            if (job.soft) plan.active = targets_fit(job, index, raw, plan.factor);
        } else if (job.labels) {
            row.set_index(plan.label, double(z[plan.label]), plan.label_weight);
        } else {
            row.q_sum = 1;
        }
        if (plan.active && job.labels && job.smoothing != 0) add_label(job, plan, double(z[plan.label]), row);
    }
    const double factor = finish_row<T>(job, index, plan, row, sums);
    if (!g) return;
    if (!plan.active) {
        __builtin_memset(g, 0, size_t(K) * sizeof(T));
        if (h) __builtin_memset(h, 0, size_t(K) * sizeof(T));
        return;
    }
    if (job.output == kLogProbs) return log_probs_row(z, g, K, row);
    const T z_t = plan.label >= 0 ? z[plan.label] : T(0);
    gradient_row<T>(z, g, h, K, row, factor, has_dense(job) ? &dense : nullptr, q);
    g[row.a] = T(max_gradient(job, row, factor));
    if (h) h[row.a] = T(row.hessian_at_max(factor));
    if (plan.label >= 0 && plan.label != row.a) {
        g[plan.label] = T(label_gradient(job, plan, row, factor, exp_gap(z_t, row.m), uniform_at<T>(job, plan.label)));
    }
}

// Puts the maximum and the label right in every lane of a tile's output. z_t was read before g was written.
template <class T>
CROSSENT_INLINE void mend_tile(const SoftmaxJob& job, const TileOutput<T>& out, const Plan* plans, const Row* rows,
                               const double* factors, const T* z_t, int n) {
    for (int i = 0; i < n; ++i) {
        if (!plans[i].active) continue;
        const Row& row = rows[i];
        T* g = out.g + i;
        if (job.output == kLogProbs) {
            g[row.a * out.stride] = T(0 - row.log1p_r);
            continue;
        }
        g[row.a * out.stride] = T(max_gradient(job, row, factors[i]));
        if (out.h) out.h[row.a * out.stride + i] = T(row.hessian_at_max(factors[i]));
        const int64_t t = plans[i].label;
        if (t >= 0 && t != row.a) {
            const double e_t = exp_gap(z_t[i], row.m);
            g[t * out.stride] = T(label_gradient(job, plans[i], row, factors[i], e_t, uniform_at<T>(job, t)));
        }
    }
}

template <class T>
CROSSENT_INLINE TileOutput<T> tile_output(const Plan* plans, const Row* rows, const double* factors, T* g, T* h,
                                          const Tile<T>& tile) {
    const Vec<T> zero = splat<Vec<T>>(0);
    typename LaneTypes<T>::Mask none{};
    TileOutput<T> out{g, h, tile.stride, zero, zero, zero, zero, zero, zero, none};
    for (int i = 0; i < kLanes<T>; ++i) {
        const double s = rows[i].s();
        out.minus_m[i] = T(-rows[i].m);
        out.scaled[i] = T(factors[i] * rows[i].q_sum / s);
        out.down[i] = T(factors[i]);
        out.inverse[i] = T(1 / s);
        out.s[i] = T(s);
        out.log1p_r[i] = T(rows[i].log1p_r);
        out.left_out[i] = i < tile.n && plans[i].active ? 0 : -1;
    }
    return out;
}

// The targets of a tile's lanes into rows and plans.
template <class T>
CROSSENT_INLINE void tile_targets(const SoftmaxJob& job, int64_t index, const Tile<T>& tile, const DenseTile<T>& dense,
                                  Plan* plans, Row* rows, T* z_t) {
    RawSums raw[kLanes<T>];
    if (has_dense(job)) dense_tile(tile, job.classes, dense, rows, raw);
    for (int i = 0; i < tile.n; ++i) {
        Plan& plan = plans[i];
        if (!plan.active) continue;
        if (plan.label >= 0) z_t[i] = tile.z[plan.label * tile.stride + i];
        if (has_dense(job)) {
            rows[i].mass *= plan.factor;
            if (job.soft) plan.active = targets_fit(job, index + i, raw[i], plan.factor);
            else add_label(job, plan, double(z_t[i]), rows[i]);
        } else if (job.labels) {
            rows[i].set_index(plan.label, double(z_t[i]), plan.label_weight);
        } else {
            rows[i].q_sum = 1;
        }
    }
}

// n rows from number `index` on, a lane each; classes lie `stride` apart in z, q, g and h.
template <class T>
CROSSENT_INLINE void tile_rows(const SoftmaxJob& job, int64_t index, const Tile<T>& tile, const T* q, T* g, T* h,
                               BlockSums& sums) {
    constexpr int W = kLanes<T>;
    Plan plans[W];
    Row rows[W];
    T z_t[W] = {};
    double factors[W] = {};
    DenseTile<T> dense{{q, tile.stride, tile.n}, static_cast<const T*>(job.class_weight_lanes), splat<Vec<T>>(0),
                       T(dense_uniform<T>(job))};
    for (int i = 0; i < tile.n; ++i) {
        plans[i] = plan_row(job, index + i);
        dense.keep[i] = T((1 - job.smoothing) * plans[i].factor);
    }
    reduce_tile(tile, job.classes, rows);
    tile_targets(job, index, tile, dense, plans, rows, z_t);
    for (int i = 0; i < tile.n; ++i) factors[i] = finish_row<T>(job, index + i, plans[i], rows[i], sums);
    if (!g) return;
    const TileOutput<T> out = tile_output<T>(plans, rows, factors, g, h, tile);
    output_tile(tile, job.classes, out, has_dense(job) ? &dense : nullptr, job.output == kLogProbs);
    mend_tile(job, out, plans, rows, factors, z_t, tile.n);
}

// Copies n rows of K contiguous classes into tile layout, and back.
template <class T> CROSSENT_INLINE void stage(const T* from, T* to, int n, int64_t K) {
    for (int i = 0; i < n; ++i) {
        for (int64_t k = 0; k < K; ++k) to[k * kLanes<T> + i] = from[i * K + k];
    }
}
template <class T> CROSSENT_INLINE void unstage(const T* from, T* to, int n, int64_t K) {
    for (int i = 0; i < n; ++i) {
        for (int64_t k = 0; k < K; ++k) to[i * K + k] = from[k * kLanes<T> + i];
    }
}

// Rows first .. end of short rows on the last axis.
template <class T>
CROSSENT_INLINE void short_rows(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    constexpr int W = kLanes<T>;
    const int64_t K = job.classes;
    alignas(64) T z[kTileClasses * W] = {}, q[kTileClasses * W] = {}, g[kTileClasses * W], h[kTileClasses * W];
    const T* logits = static_cast<const T*>(job.logits);
    const T* soft = static_cast<const T*>(job.soft);
    T *grad = static_cast<T*>(job.grad), *hess = static_cast<T*>(job.hess);
    for (int64_t i = first; i < end; i += W) {
        const int n = int(end - i < W ? end - i : W);
        stage(logits + i * K, z, n, K);
        if (soft) stage(soft + i * K, q, n, K);
        tile_rows<T>(job, i, Tile<T>{z, W, n}, soft ? q : nullptr, grad ? g : nullptr, hess ? h : nullptr, sums);
        if (grad) unstage(g, grad + i * K, n, K);
        if (hess) unstage(h, hess + i * K, n, K);
    }
}

// Rows first .. end where classes lie `inner` apart.
template <class T>
CROSSENT_INLINE void inner_rows(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    const T* soft = static_cast<const T*>(job.soft);
    T *grad = static_cast<T*>(job.grad), *hess = static_cast<T*>(job.hess);
    for (int64_t i = first; i < end;) {
        const int64_t o = i / job.inner, p = i % job.inner;
        int64_t n = job.inner - p < end - i ? job.inner - p : end - i;
        if (n > kLanes<T>) n = kLanes<T>;
        const int64_t at = o * job.classes * job.inner + p;
        const Tile<T> tile{static_cast<const T*>(job.logits) + at, job.inner, int(n)};
        tile_rows<T>(job, i, tile, soft ? soft + at : nullptr, grad ? grad + at : nullptr, hess ? hess + at : nullptr,
                     sums);
        i += n;
    }
}

template <class T> CROSSENT_INLINE void run_softmax(const SoftmaxJob& job) {
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        if (job.inner > 1) {
            inner_rows<T>(job, first, end, sums);
        } else if (job.classes <= kTileClasses) {
            short_rows<T>(job, first, end, sums);
        } else {
            for (int64_t i = first; i < end; ++i) {
                const int64_t at = i * job.classes;
                long_row<T>(job, i, static_cast<const T*>(job.logits) + at,
                            job.soft ? static_cast<const T*>(job.soft) + at : nullptr,
                            job.grad ? static_cast<T*>(job.grad) + at : nullptr,
                            job.hess ? static_cast<T*>(job.hess) + at : nullptr, sums);
            }
        }
        sums.store(job.blocks, block);
    }
}

// Checks targets and sums their mass, before any logit is read: what a mean's gradient must know first.
template <class T> CROSSENT_INLINE void run_mass(const MassJob& job) {
    int64_t first, end, block;
    const T* soft = static_cast<const T*>(job.soft);
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        for (int64_t i = first; i < end; ++i) {
            const Plan plan = plan_row(job, i);
            double mass = plan.label_weight;
            if (job.soft && plan.active) {
                const T* q = soft + (i / job.inner) * job.classes * job.inner + i % job.inner;
                Pair plain, weighted;
                bool valid = true;
                for (int64_t k = 0; k < job.classes; ++k) {
                    const double q_k = double(q[k * job.inner]);
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
        sums.store(job.blocks, block);
    }
}

}  // namespace
