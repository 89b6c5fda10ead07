// Independent labels: each element has one logit z and a target y in [0, 1].
//
// With e = exp(-|z|), A = positive weight * y, B = negative weight * (1 - y):
//   loss = (A + B) log1p(e) + (z > 0 ? B z : -A z),  gradient = (z > 0 ? B - A e : B e - A) / (1 + e).
// For y in {0, 1} nothing is subtracted; else both differences are within the contract's bound. sigmoid(z) is the
// gradient at y = 0, log sigmoid(z) minus the loss at y = 1.
#pragma once

#include "softmax_plan.hpp"

namespace {

struct SigmoidOptions {
    double smoothing, negative, positive, value_factor, grad_factor;
};

struct DoubleLanes {  // a vector of T as doubles: one or two vectors
    F64 part[2];
};
template <class T> CROSSENT_INLINE DoubleLanes to_double(Vec<T> v) {
    DoubleLanes d{};
    if constexpr (sizeof(T) == 4) widen(v, d.part[0], d.part[1]);
    else d.part[0] = v;
    return d;
}
// A vector of doubles rounded to T.
template <class T> CROSSENT_INLINE void store_rounded(T* p, F64 v) {
    if constexpr (sizeof(T) == 4) {
        const HalfF32 rounded = __builtin_convertvector(v, HalfF32);
        __builtin_memcpy(p, &rounded, sizeof rounded);
    } else {
        store(p, v);
    }
}
template <class T> constexpr int kParts = sizeof(T) == 4 ? 2 : 1;

// exp(-|z|) in T's lanes, through the subnormal range.
template <class T> CROSSENT_INLINE Vec<T> exp_minus_abs(Vec<T> z) {
    const Vec<T> zero = splat<Vec<T>>(0);
    return exp_scaled<Vec<T>>(z > zero ? -z : z, zero, splat<Vec<T>>(1));
}

struct SigmoidResult {
    F64 value, grad, hess;
};

// One vector of doubles: e is exp(-|z|).
CROSSENT_INLINE SigmoidResult sigmoid_math(F64 z, F64 y, F64 e, F64 w, F64 pos_weight, const SigmoidOptions& o) {
    const F64 zero{}, one = splat<F64>(1.0), keep = splat<F64>(1 - o.smoothing), half = splat<F64>(o.smoothing / 2);
    const F64 A = splat<F64>(o.positive) * pos_weight * (keep * y + half);
    const F64 B = splat<F64>(o.negative) * (keep * (one - y) + half);
    const F64 size = z > zero ? z : -z, slope = z > zero ? B : A;
    const F64 l = log1p_pair<F64>(e, zero);
    const F64 linear = slope == zero ? zero : slope * size;
    const F64 value_factor = w * splat<F64>(o.value_factor), grad_factor = w * splat<F64>(o.grad_factor);
    const F64 near = z > zero ? B : e * B, far = z > zero ? e * A : A;
    const F64 s = one + e;
    return {value_factor * ((A + B) * l + linear), grad_factor * ((near - far) / s),
            grad_factor * ((A + B) * (e / (s * s)))};
}

// Up to W elements of one row: inputs, then outputs.
template <class T> struct SigmoidTile {
    int64_t at;  // element number of lane 0
    int n;       // lanes in use
    Vec<T> z, y;
    alignas(64) double weight[kLanes<T>], pos_weight[kLanes<T>];
    alignas(64) T value[kLanes<T>], grad[kLanes<T>], hess[kLanes<T>];
};

// Loads row i from column j on and checks it; an element of weight 0 is not looked at.
template <class T> CROSSENT_INLINE void load_tile(const SigmoidJob& job, int64_t i, int64_t j, SigmoidTile<T>& tile) {
    const T* y = static_cast<const T*>(job.targets) + i * job.target_row + j * job.target_column;
    tile.z = load_lanes(static_cast<const T*>(job.logits) + tile.at, tile.n, T(0));
    tile.y = job.target_column ? load_lanes(y, tile.n, T(0)) : splat<Vec<T>>(*y);
    bool left_out = false;
    for (int l = 0; l < kLanes<T>; ++l) tile.weight[l] = tile.pos_weight[l] = 1;
    for (int l = 0; job.weight && l < tile.n; ++l) {
        tile.weight[l] = job.weight[i * job.weight_row + (j + l) * job.weight_column];
        left_out |= tile.weight[l] == 0;
    }
    for (int l = 0; job.pos_weight && l < tile.n; ++l) {
        tile.pos_weight[l] = job.pos_weight[(j + l) * job.pos_weight_column];
    }
    const Vec<T> zero = splat<Vec<T>>(0), one = splat<Vec<T>>(1);
    if (!left_out && !any_of((tile.y < zero) | (tile.y > one) | (tile.y != tile.y) | (tile.z != tile.z))) return;
    for (int l = tile.n - 1; l >= 0; --l) {
        if (tile.weight[l] == 0) tile.z[l] = tile.y[l] = 0;
        else if (!(tile.y[l] >= 0 && tile.y[l] <= 1)) report_bad(job.blocks, tile.at + l, kLabel);
        else if (tile.z[l] != tile.z[l]) report_bad(job.blocks, tile.at + l, kNonFinite);
    }
}

template <class T> CROSSENT_INLINE void compute_tile(const SigmoidOptions& options, SigmoidTile<T>& tile) {
    const DoubleLanes z = to_double<T>(tile.z), y = to_double<T>(tile.y), e = to_double<T>(exp_minus_abs<T>(tile.z));
    for (int part = 0; part < kParts<T>; ++part) {
        const int base = part * kLanes<double>;
        const SigmoidResult r = sigmoid_math(z.part[part], y.part[part], e.part[part], load(tile.weight + base),
                                             load(tile.pos_weight + base), options);
        store_rounded(tile.value + base, r.value);
        store_rounded(tile.grad + base, r.grad);
        store_rounded(tile.hess + base, r.hess);
    }
}

// Sums of whole tiles without weights: every element counts 1.
template <class T> struct PlainSums {
    LaneSum<double> value;
    int64_t elements = 0;
    CROSSENT_INLINE void add(const SigmoidTile<T>& tile) {
        const DoubleLanes v = to_double<T>(load(tile.value));
        CROSSENT_UNROLL for (int part = 0; part < kParts<T>; ++part) value.add(v.part[part]);
        elements += kLanes<T>;
    }
    CROSSENT_INLINE void into(BlockSums& sums) const {
        const Pair total = value.total();
        sums.value.add(total.high);
        sums.value.low += total.low;
        sums.mass.add(double(elements));
        sums.rows += double(elements);
    }
};

// Adds the elements that take part to the sums.
template <class T> CROSSENT_INLINE void add_elements(const SigmoidJob& job, SigmoidTile<T>& tile, BlockSums& sums) {
    const bool class_weighted = job.negative_weight != 1 || job.positive_weight != 1;
    for (int l = 0; l < tile.n; ++l) {
        if (tile.weight[l] == 0) continue;
        const double y = double(tile.y[l]);
        const double mass = class_weighted ? job.positive_weight * y + job.negative_weight * (1 - y) : 1;
        if (mass == 0) {
            tile.value[l] = tile.grad[l] = tile.hess[l] = 0;
            continue;
        }
        sums.value.add(double(tile.value[l]));
        sums.mass.add(tile.weight[l] * mass);
        sums.rows += 1;
    }
}

template <class T> CROSSENT_INLINE void store_tile(const SigmoidJob& job, const SigmoidTile<T>& tile) {
    if (job.values) store_lanes(static_cast<T*>(job.values) + tile.at, tile.n, load(tile.value));
    if (job.grad) store_lanes(static_cast<T*>(job.grad) + tile.at, tile.n, load(tile.grad));
    if (job.hess) store_lanes(static_cast<T*>(job.hess) + tile.at, tile.n, load(tile.hess));
}

// Elements j .. end of row i.
template <class T>
CROSSENT_INLINE void sigmoid_row(const SigmoidJob& job, const SigmoidOptions& options, int64_t i, int64_t j, int64_t end,
                                 BlockSums& sums) {
    const bool plain = !job.weight && job.negative_weight == 1 && job.positive_weight == 1;
    PlainSums<T> plain_sums;
    for (; j < end; j += kLanes<T>) {
        SigmoidTile<T> tile;
        tile.at = i * job.columns + j;
        tile.n = int(end - j < kLanes<T> ? end - j : kLanes<T>);
        load_tile(job, i, j, tile);
        compute_tile(options, tile);
        if (plain && tile.n == kLanes<T>) plain_sums.add(tile);
        else add_elements(job, tile, sums);
        store_tile(job, tile);
    }
    plain_sums.into(sums);
}

template <class T> CROSSENT_INLINE void run_sigmoid(const SigmoidJob& given) {
    SigmoidJob job = given;
    const bool flat = job.columns == 1;
    if (flat) {  // one row of all elements
        job.columns = job.blocks.rows;
        job.target_column = job.target_row;
        job.weight_column = job.weight_row;
    }
    const SigmoidOptions options{job.smoothing, job.negative_weight, job.positive_weight, job.value_factor,
                                 job.grad_factor};
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        if (flat) sigmoid_row<T>(job, options, 0, first, end, sums);
        else for (int64_t i = first; i < end; ++i) sigmoid_row<T>(job, options, i, 0, job.columns, sums);
        sums.store(job.blocks, block);
    }
}

}  // namespace
