// Many short rows at once, or rows whose classes lie on an inner axis: a lane is a row, a step is a class.
//
// A tile is up to W rows; class k of lane i lies at z[k * stride + i]. Rows of the last axis are staged into that
// layout. A lane never sees its neighbours, so a row's bits do not depend on its place. Lanes with edge values or a
// very confident row are finished one by one by the code of long rows.
#pragma once

#include "softmax_plan.hpp"

namespace {

template <class T> using MaskOf = typename LaneTypes<T>::Mask;

template <class S> struct Tile {
    using T = Of<S>;
    const S* z;
    int64_t stride;
    int n;  // rows in use
    CROSSENT_INLINE Vec<T> column(int64_t k) const { return load_lanes(z + k * stride, n, T(0)); }
    CROSSENT_INLINE Wide<T> wide_column(int64_t k) const {
        return n == kLanes<T> ? load_as_wide(z + k * stride) : to_wide<T>(column(k));
    }
};

// What the job says about the lanes' rows.
template <class T> struct TilePlan {
    Plan lane[kLanes<T>];
    MaskOf<T> label, active;  // label -1: none
    Wide<T> weight, label_weight;
    Vec<T> keep;  // (1 - smoothing) * factor of soft targets
};

template <class T>
CROSSENT_INLINE TilePlan<T> plan_tile(const SoftmaxJob& job, int64_t index, int n) {
    TilePlan<T> plan;
    alignas(64) double weight[kLanes<T>], label_weight[kLanes<T>];
    plan.label = plan.active = MaskOf<T>{};
    plan.keep = splat<Vec<T>>(T(1 - job.smoothing));
    for (int i = 0; i < kLanes<T>; ++i) {
        if (i < n) plan.lane[i] = plan_row(job, index + i);
        else plan.lane[i].active = false;
        weight[i] = plan.lane[i].weight;
        label_weight[i] = plan.lane[i].label_weight;
        plan.label[i] = decltype(plan.label[0] + 0)(plan.lane[i].active ? plan.lane[i].label : -1);
        plan.active[i] = plan.lane[i].active ? -1 : 0;
        if (job.soft_factor) plan.keep[i] = T((1 - job.smoothing) * plan.lane[i].factor);
    }
    plan.weight = load_wide<T>(weight);
    plan.label_weight = load_wide<T>(label_weight);
    return plan;
}

// Row's fields in lanes; z_t and e_t = exp(z_t - m) at the label.
template <class T> struct TileRows {
    Vec<T> m, z_t, e_t;
    MaskOf<T> a;
    Wide<T> r_high, r_low, log1p_r, s;
    Wide<T> q_sum, q_others, q_max, linear, mass;
    uint32_t extreme = 0;  // bit i: lane i is finished by itself
};

// Maximum, index, r and log1p(r) of every lane, and the label's logit.
template <class S, class T = Of<S>>
CROSSENT_INLINE void reduce_tile(const Tile<S>& tile, int64_t K, const TilePlan<T>& plan, TileRows<T>& rows) {
    const Vec<T> zero = splat<Vec<T>>(0);
    rows.m = splat<Vec<T>>(T(-kInfinity));
    rows.a = MaskOf<T>{};
    rows.z_t = rows.e_t = zero;
    MaskOf<T> number{};
    for (int64_t k = 0; k < K; ++k, number += 1) {
        const Vec<T> z = tile.column(k);
        const MaskOf<T> larger = z > rows.m;
        rows.m = larger ? z : rows.m;
        rows.a = larger ? number : rows.a;
        rows.z_t = number == plan.label ? z : rows.z_t;
    }
    TermSum<T> sum;
    number = MaskOf<T>{};
    const Vec<T> minus_m = -rows.m;
    for (int64_t k = 0; k < K; ++k, number += 1) {
        const Vec<T> z = tile.column(k), d = z + minus_m;
        const Vec<T> x = exp_or_zero<Vec<T>>(d, sum_error(z, minus_m, d));
        rows.e_t = number == plan.label ? x : rows.e_t;
        sum.add(number == rows.a ? zero : x);
    }
    sum.flush();
    rows.r_high = sum.high();
    rows.r_low = sum.low();
    rows.log1p_r = each<T>(CROSSENT_PART { return log1p_pair<F64>(rows.r_high.part[p], rows.r_low.part[p]); });
    rows.s = each<T>(CROSSENT_PART { return splat<F64>(1.0) + (rows.r_high.part[p] + rows.r_low.part[p]); });
    alignas(64) double r[kLanes<T>];
    store_wide<T>(r, each<T>(CROSSENT_PART { return rows.r_high.part[p] + rows.r_low.part[p]; }));
    for (int i = 0; i < tile.n; ++i) rows.extreme |= !(r[i] >= Confident<T>::kLimit) ? 1u << i : 0u;
}

// Dense targets of a tile: as DenseTargets, with a factor for each lane.
template <class S> struct DenseTile {
    using T = Of<S>;
    Tile<S> q;  // q.z null: uniform only
    const T* class_weight;
    const double* mass_weight;  // the same, in the mass
    Vec<T> keep;
    T uniform;
    CROSSENT_INLINE Vec<T> raw(int64_t k) const { return q.z ? q.column(k) : splat<Vec<T>>(0); }
    CROSSENT_INLINE Vec<T> weigh(int64_t k, Vec<T> q_) const {
        const Vec<T> plain = mul_add(keep, q_, splat<Vec<T>>(uniform));
        return class_weight ? splat<Vec<T>>(class_weight[k]) * plain : plain;
    }
};

// Sums of the targets of every lane as they count in the mass.
template <class S, class T = Of<S>>
__attribute__((noinline)) void tile_mass(const Tile<S>& q, int64_t K, const double* weight, Wide<T>& mass) {
    MassSum<T> sum;
    for (int64_t k = 0; k < K; k += 4) {
        Wide<T> v[4]{};
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            if (k + i >= K) break;
            v[i] = q.wide_column(k + i);
            if (weight) v[i] = each<T>(CROSSENT_PART { return splat<F64>(weight[k + i]) * v[i].part[p]; });
        }
        sum.add4(v);
    }
    mass = sum.total_lanes();
}

// Fills linear, q_others, q_max, q_sum, mass of every lane; raw gets the sums of the targets as given.
template <class S, class T = Of<S>>
__attribute__((noinline)) void dense_tile(const Tile<S>& tile, int64_t K, const DenseTile<S>& dense, TileRows<T>& rows,
                                          RawSums* raw) {
    const Vec<T> zero = splat<Vec<T>>(0);
    Vec<T> q_max = zero;
    MaskOf<T> number{}, invalid{};
    TermSum<T> linear, others, plain;
    for (int64_t k = 0; k < K; ++k, number += 1) {
        const Vec<T> q = dense.raw(k), weight = dense.weigh(k, q);
        const MaskOf<T> top = number == rows.a;
        invalid |= (q < zero) | (q != q) | (q == splat<Vec<T>>(T(kInfinity)));
        q_max = top ? weight : q_max;
        const Vec<T> rest = top ? zero : weight;
        others.add(rest);
        linear.add(rest > zero ? rest * (rows.m - tile.column(k)) : zero);
        plain.add(q);
    }
    rows.linear = linear.total_lanes();
    rows.q_others = others.total_lanes();
    if (dense.q.z) tile_mass(dense.q, K, dense.mass_weight, rows.mass);
    rows.q_max = to_wide<T>(q_max);
    rows.q_sum = each<T>(CROSSENT_PART { return rows.q_others.part[p] + rows.q_max.part[p]; });
    alignas(64) double sums[kLanes<T>];
    store_wide<T>(sums, plain.total_lanes());
    for (int i = 0; i < kLanes<T>; ++i) raw[i] = RawSums{sums[i], invalid[i] == 0};
}

// Adds weight q on each lane's label to dense targets that may be 0: linear, q_others, q_max, q_sum.
template <class T> CROSSENT_INLINE void add_labels(const TilePlan<T>& plan, const Wide<T>& q, TileRows<T>& rows) {
    const Wide<T> top = to_wide<T>(plan.label == rows.a ? splat<Vec<T>>(1) : splat<Vec<T>>(0));
    const Wide<T> m = to_wide<T>(rows.m), z_t = to_wide<T>(rows.z_t);
    CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) {
        const F64 on_top = q.part[p] * top.part[p], off_top = q.part[p] - on_top;
        rows.q_max.part[p] += on_top;
        rows.q_others.part[p] += off_top;
        rows.q_sum.part[p] += q.part[p];
        rows.linear.part[p] += off_top > F64{} ? off_top * (m.part[p] - z_t.part[p]) : F64{};
    }
}

// The lane as the row that the code of long rows finishes.
template <class T> CROSSENT_INLINE Row lane_row(const TileRows<T>& rows, int i) {
    alignas(64) double part[7][kLanes<T>];
    const Wide<T>* fields[] = {&rows.r_high, &rows.r_low,  &rows.q_sum, &rows.q_others,
                               &rows.q_max,  &rows.linear, &rows.mass};
    for (int f = 0; f < 7; ++f) store_wide<T>(part[f], *fields[f]);
    Row row;
    row.m = double(rows.m[i]);
    row.a = rows.a[i];
    row.r = Pair{part[0][i], part[1][i]};
    row.q_sum = part[2][i];
    row.q_others = part[3][i];
    row.q_max = part[4][i];
    row.linear = part[5][i];
    row.mass = part[6][i];
    return row;
}

// What the gradient pass writes: factors of exp, dense targets and Hessian, and the elements at maximum and label.
template <class T> struct TileOutput {
    Vec<T> minus_m, scaled, down, inverse, s, log1p_r, at_max, at_label, hess_at_max;
};

template <class S> struct TileBuffers {
    S *g, *h;
    int64_t stride;
    bool log_probs;
};

template <class S, class T = Of<S>>
CROSSENT_INLINE void output_tile(const Tile<S>& tile, int64_t K, const TilePlan<T>& plan, const TileRows<T>& rows,
                                 const TileOutput<T>& out, const DenseTile<S>* dense, const TileBuffers<S>& to) {
    const Vec<T> zero = splat<Vec<T>>(0);
    MaskOf<T> number{};
    for (int64_t k = 0; k < K; ++k, number += 1) {
        const Vec<T> z = tile.column(k), d = z + out.minus_m, e = sum_error(z, out.minus_m, d);
        const MaskOf<T> top = number == rows.a;
        Vec<T> g;
        if (to.log_probs) {
            g = (d - out.log1p_r) + (e == e ? e : zero);
        } else {
            g = exp_scaled<Vec<T>>(d, e, out.scaled);
            if (to.h) {
                const Vec<T> h = g * (out.inverse * (out.s - exp_or_zero<Vec<T>>(d, e)));
                store_lanes(to.h + k * to.stride, tile.n, plan.active ? (top ? out.hess_at_max : h) : zero);
            }
            if (dense) g -= out.down * dense->weigh(k, dense->raw(k));
            g = number == plan.label ? out.at_label : g;
        }
        store_lanes(to.g + k * to.stride, tile.n, plan.active ? (top ? out.at_max : g) : zero);
    }
}

}  // namespace
