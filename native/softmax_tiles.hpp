// Drives tiles: rows of few classes, and rows whose classes lie on an inner axis, where a panel does not serve.
#pragma once

#include "softmax_panels.hpp"
#include "softmax_tile.hpp"

namespace {

// Targets of a tile's lanes; a lane whose soft targets are no distribution, or have mass 0, becomes inactive.
template <class S, class T = Of<S>>
CROSSENT_INLINE void tile_targets(const SoftmaxJob& job, int64_t index, const Tile<S>& tile, const DenseTile<S>& dense,
                                  TilePlan<T>& plan, TileRows<T>& rows) {
    const Wide<T> none = to_wide<T>(splat<Vec<T>>(0));
    rows.linear = rows.q_others = rows.q_max = rows.q_sum = rows.mass = none;
    if (has_dense(job)) {
        RawSums raw[kLanes<T>];
        dense_tile(tile, job.classes, dense, rows, raw);
        alignas(64) double mass[kLanes<T>];
        store_wide<T>(mass, rows.mass);
        for (int i = 0; job.soft && i < tile.n; ++i) {
            Plan& lane = plan.lane[i];
            mass[i] *= lane.factor;
            lane.active = lane.active && targets_fit(job, index + i, raw[i], lane.factor) && mass[i] != 0;
            plan.active[i] = lane.active ? -1 : 0;
        }
        rows.mass = load_wide<T>(mass);
    }
    if (job.labels) {
        const F64 keep = splat<F64>(1 - job.smoothing);
        add_labels<T>(plan, each<T>(CROSSENT_PART { return keep * plan.label_weight.part[p]; }), rows);
        rows.mass = plan.label_weight;
    } else if (!job.soft) {
        rows.q_sum = to_wide<T>(splat<Vec<T>>(1));
    }
}

// Values of the lanes into the output and the sums; those of extreme lanes are left to finish_lane.
template <class S, class T = Of<S>>
CROSSENT_INLINE void finish_tile(const SoftmaxJob& job, int64_t index, const Tile<S>& tile, const TilePlan<T>& plan,
                                 const TileRows<T>& rows, LaneTotals<T>& totals) {
    const F64 factor = splat<F64>(job.value_factor);
    const bool targeted = job.labels || job.soft;
    const Wide<T> m = to_wide<T>(rows.m);
    const Wide<T> exact = each<T>(CROSSENT_PART {
        const F64 value = targeted ? rows.linear.part[p] + rows.q_sum.part[p] * rows.log1p_r.part[p]
                                   : m.part[p] + rows.log1p_r.part[p];
        return plan.weight.part[p] * factor * value;
    });
    MaskOf<T> counted = plan.active;
    int64_t count = 0;
    for (int i = 0; i < kLanes<T>; ++i) {
        if (rows.extreme >> i & 1) counted[i] = 0;
        count -= counted[i];
    }
    const Vec<T> zero = splat<Vec<T>>(0), value = counted ? to_narrow<T>(exact) : zero;
    const Wide<T> kept = to_wide<T>(counted ? splat<Vec<T>>(1) : zero);
    const Wide<T> mass = each<T>(CROSSENT_PART {
        return kept.part[p] > F64{} ? plan.weight.part[p] * rows.mass.part[p] : F64{};
    });
    totals.add(value, mass, count);
    if (job.values) store_lanes(static_cast<T*>(job.values) + index, tile.n, value);
}

// Factors of the gradient pass, in double and then rounded.
template <class T>
CROSSENT_INLINE TileOutput<T> tile_output(const SoftmaxJob& job, const TilePlan<T>& plan, const TileRows<T>& rows) {
    const F64 one = splat<F64>(1.0), zero{};
    const bool targeted = job.labels || job.soft;
    const Wide<T> e_t = to_wide<T>(rows.e_t);
    alignas(64) double uniform[kLanes<T>] = {};
    for (int i = 0; job.smoothing != 0 && i < kLanes<T>; ++i) {
        if (plan.label[i] >= 0) uniform[i] = uniform_at<T>(job, plan.label[i]);
    }
    const Wide<T> uniform_t = load_wide<T>(uniform);
    const F64 keep = splat<F64>(1 - job.smoothing), grad_factor = splat<F64>(job.grad_factor);
    Wide<T> scaled, down, inverse, at_max, at_label, hess_at_max;
    CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) {
        const F64 f = plan.weight.part[p] * grad_factor, s = rows.s.part[p], Q = rows.q_sum.part[p];
        const F64 r = rows.r_high.part[p] + rows.r_low.part[p];
        scaled.part[p] = f * Q / s;
        down.part[p] = f;
        inverse.part[p] = one / s;
        at_max.part[p] = !targeted   ? f / s
                         : r < one ? f * rows.q_others.part[p] - f * Q * (r / s)
                                   : f * (Q / s - rows.q_max.part[p]);
        const F64 label_mass = keep * plan.label_weight.part[p] + uniform_t.part[p];
        at_label.part[p] = job.smoothing == 0 ? zero - (f * Q) * ((s - e_t.part[p]) / s)
                                              : f * (Q * (e_t.part[p] / s) - label_mass);
        hess_at_max.part[p] = f * Q * (r / s) / s;
    }
    const Vec<T> log1p_r = to_narrow<T>(rows.log1p_r);
    const bool log_probs = job.output == kLogProbs;
    return {-rows.m, to_narrow<T>(scaled), to_narrow<T>(down), to_narrow<T>(inverse), to_narrow<T>(rows.s), log1p_r,
            log_probs ? splat<Vec<T>>(0) - log1p_r : to_narrow<T>(at_max), to_narrow<T>(at_label),
            to_narrow<T>(hess_at_max)};
}

// Value and factors of a lane with edge values or a very confident row.
template <class S, class T = Of<S>>
CROSSENT_INLINE void finish_lane(const SoftmaxJob& job, int64_t index, int i, const Tile<S>& tile, TilePlan<T>& plan,
                                 TileRows<T>& rows, TileOutput<T>& out, BlockSums& sums) {
    Row row = lane_row(rows, i);
    finish_extreme(tile.z + i, job.classes, tile.stride, row);
    Plan& lane = plan.lane[i];
    const double factor = finish_row<T>(job, index + i, lane, row, sums);
    plan.active[i] = lane.active ? -1 : 0;
    const double s = row.s();
    out.scaled[i] = T(factor * row.q_sum / s);
    out.inverse[i] = T(1 / s);
    out.s[i] = T(s);
    out.log1p_r[i] = T(row.log1p_r);
    out.at_max[i] = job.output == kLogProbs ? T(0 - row.log1p_r) : T(max_gradient(job, row, factor));
    out.hess_at_max[i] = T(row.hessian_at_max(factor));
    if (lane.label >= 0) {
        const double e_t = exp_gap(rows.z_t[i], row.m);
        out.at_label[i] = T(label_gradient(job, lane, row, factor, e_t, uniform_at<T>(job, lane.label)));
    }
}

// n rows from number `index` on, a lane each; classes lie `stride` apart in z, q, g and h.
template <class S, class T = Of<S>>
CROSSENT_INLINE void tile_rows(const SoftmaxJob& job, int64_t index, const Tile<S>& tile, const S* q, S* g, S* h,
                               LaneTotals<T>& totals, BlockSums& sums) {
    TilePlan<T> plan = plan_tile<T>(job, index, tile.n);
    TileRows<T> rows;
    reduce_tile(tile, job.classes, plan, rows);
    const DenseTile<S> dense{{q, tile.stride, tile.n}, static_cast<const T*>(job.class_weight_lanes),
                             job.class_weight, plan.keep, T(dense_uniform(job))};
    tile_targets(job, index, tile, dense, plan, rows);
    finish_tile(job, index, tile, plan, rows, totals);
    TileOutput<T> out = tile_output(job, plan, rows);
    for (int i = 0; rows.extreme >> i; ++i) {
        if (rows.extreme >> i & 1) finish_lane(job, index, i, tile, plan, rows, out, sums);
    }
    if (!g || has_bad(job.blocks)) return;
    const TileBuffers<S> to{g, h, tile.stride, job.output == kLogProbs};
    output_tile(tile, job.classes, plan, rows, out, has_dense(job) ? &dense : nullptr, to);
}

// Copies n rows of K contiguous classes into tile layout, and back.
template <class S, class T = Of<S>> CROSSENT_INLINE void stage(const S* from, T* to, int n, int64_t K) {
    if constexpr (sizeof(S) == sizeof(T)) {
        if (n == kLanes<T> && K > 1) return spread(from, K, to, kLanes<T>);
    }
    for (int i = 0; i < n; ++i) {
        for (int64_t k = 0; k < K; ++k) to[k * kLanes<T> + i] = load_one<S>(from[i * K + k]);
    }
}
template <class S, class T = Of<S>> CROSSENT_INLINE void unstage(const T* from, S* to, int n, int64_t K) {
    if constexpr (sizeof(S) == sizeof(T)) {
        if (n == kLanes<T> && K > 1) return collect<T, false>(from, kLanes<T>, splat<Vec<T>>(1), K, to);
    }
    for (int i = 0; i < n; ++i) {
        for (int64_t k = 0; k < K; ++k) to[i * K + k] = store_one<S>(from[k * kLanes<T> + i]);
    }
}

// Rows first .. end of short rows on the last axis.
template <class S, class T = Of<S>>
CROSSENT_INLINE void short_rows(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    if (panel_serves<T>(job)) return run_panels<S>(job, first, end, sums);
    constexpr int W = kLanes<T>;
    const int64_t K = job.classes;
    alignas(64) T z[kTileClasses * W] = {}, q[kTileClasses * W] = {}, g[kTileClasses * W], h[kTileClasses * W];
    const S* logits = static_cast<const S*>(job.logits);
    const S* soft = static_cast<const S*>(job.soft);
    S *grad = static_cast<S*>(job.grad), *hess = static_cast<S*>(job.hess);
    LaneTotals<T> totals;
    for (int64_t i = first; i < end; i += W) {
        const int n = int(end - i < W ? end - i : W);
        stage(logits + i * K, z, n, K);
        if (soft) stage(soft + i * K, q, n, K);
        const Tile<T> tile{z, W, n};
        tile_rows(job, i, tile, soft ? static_cast<const T*>(q) : nullptr, grad ? g : nullptr, hess ? h : nullptr,
                  totals, sums);
        if (!grad || has_bad(job.blocks)) continue;
        unstage<S>(g, grad + i * K, n, K);
        if (hess) unstage<S>(h, hess + i * K, n, K);
    }
    totals.into(sums);
}

// Rows first .. end where classes lie `inner` apart.
template <class S, class T = Of<S>>
CROSSENT_INLINE void inner_rows(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    if (panel_serves<T>(job)) return run_panels<S>(job, first, end, sums);
    const S* soft = static_cast<const S*>(job.soft);
    S *grad = static_cast<S*>(job.grad), *hess = static_cast<S*>(job.hess);
    LaneTotals<T> totals;
    for (int64_t i = first; i < end;) {
        const int64_t o = i / job.inner, p = i % job.inner;
        int64_t n = job.inner - p < end - i ? job.inner - p : end - i;
        if (n > kLanes<T>) n = kLanes<T>;
        const int64_t at = o * job.classes * job.inner + p;
        const Tile<S> tile{static_cast<const S*>(job.logits) + at, job.inner, int(n)};
        tile_rows(job, i, tile, soft ? soft + at : nullptr, grad ? grad + at : nullptr, hess ? hess + at : nullptr,
                     totals, sums);
        i += n;
    }
    totals.into(sums);
}

}  // namespace
