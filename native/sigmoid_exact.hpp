// Independent labels in general: soft targets, smoothing, weights, in double whatever the logits are.
//
// With e = exp(-|z|), A = positive weight * y, B = negative weight * (1 - y):
//   loss = (A + B) log1p(e) + (z > 0 ? B z : -A z),  gradient = (z > 0 ? B - A e : B e - A) / (1 + e).
// For y in {0, 1} nothing is subtracted; else both differences are within the contract's bound. sigmoid(z) is the
// gradient at y = 0, log sigmoid(z) minus the loss at y = 1.
#pragma once

#include "block.hpp"
#include "elementary.hpp"
#include "twin.hpp"

namespace {

struct SigmoidOptions {
    double smoothing, negative, positive, value_factor, grad_factor;
};
CROSSENT_INLINE SigmoidOptions options_of(const SigmoidJob& job) {
    return {job.smoothing, job.negative_weight, job.positive_weight, job.value_factor, job.grad_factor};
}

// exp(-|z|) as doubles: of float lanes the power of two is applied in double, where nothing underflows that matters.
template <class T> CROSSENT_INLINE Wide<T> exp_minus_abs(Vec<T> z) {
    const Vec<T> zero = splat<Vec<T>>(0), d = z > zero ? -z : z;
    if constexpr (sizeof(T) == 8) {
        return {{exp_scaled<F64>(d, zero, splat<F64>(1))}};
    } else {
        const F32 limit = splat<F32>(-1000), round = splat<F32>(ExpTable<float>::kRound);
        F32 n;
        const Wide<T> mantissa = to_wide<T>(exp_reduced<F32>(d < limit ? limit : d, zero, n));
        const Wide<T> power = to_wide<T>(n - round);
        return each<T>(CROSSENT_PART {
            return mantissa.part[p] * power_of_two(power.part[p] + splat<F64>(ExpTable<double>::kRound));
        });
    }
}

struct SigmoidResult {
    F64 value, grad, hess;
};

// Beyond |z| = 700 exp(-|z|) nears the subnormal numbers: factors are multiplied in before its power of two.
CROSSENT_INLINE void sigmoid_deep(F64 z, F64 A, F64 B, F64 linear, F64 value_factor, F64 grad_factor,
                                  SigmoidResult& r) {
    const F64 zero{}, size = z > zero ? z : -z, d = -size;
    const auto deep = size > splat<F64>(700);
    const F64 value = exp_scaled<F64>(d, zero, value_factor * (A + B)) + value_factor * linear;
    const F64 other = exp_scaled<F64>(d, zero, grad_factor * (z > zero ? A : B));
    const F64 own = grad_factor * (z > zero ? B : A);
    r.value = deep ? value : r.value;
    r.grad = deep ? (z > zero ? own - other : other - own) : r.grad;
    r.hess = deep ? exp_scaled<F64>(d, zero, grad_factor * (A + B)) : r.hess;
}

// One vector of doubles: e is exp(-|z|). The loss takes its weights as twins, for they are up to six roundings.
CROSSENT_INLINE SigmoidResult sigmoid_math(F64 z, F64 y, F64 e, F64 w, F64 pos_weight, const SigmoidOptions& o) {
    const F64 zero{}, one = splat<F64>(1.0);
    const ElementWeights<F64> weights = element_weights(y, pos_weight, o.positive, o.negative, o.smoothing);
    const F64 A = weights.up.value(), B = weights.down.value();
    const F64 size = z > zero ? z : -z, s = one + e;
    const Twin<F64> slope{z > zero ? weights.down.high : weights.up.high, z > zero ? weights.down.low : weights.up.low};
    const Twin<F64> none = twin(zero), linear = slope * twin(size);
    const auto flat = slope.high == zero;
    const Twin<F64> rise{flat ? none.high : linear.high, flat ? none.low : linear.low};
    const Twin<F64> loss = (weights.up + weights.down) * twin(log1p_pair<F64>(e, zero)) + rise;
    const F64 value_factor = w * splat<F64>(o.value_factor), grad_factor = w * splat<F64>(o.grad_factor);
    const F64 near = z > zero ? B : e * B, far = z > zero ? e * A : A;
    SigmoidResult r{(twin(w) * twin(splat<F64>(o.value_factor)) * loss).value(), grad_factor * ((near - far) / s),
                    grad_factor * ((A + B) * (e / (s * s)))};
    if (any_of(size > splat<F64>(700))) sigmoid_deep(z, A, B, rise.value(), value_factor, grad_factor, r);
    return r;
}

// Up to W elements of one row: inputs, then outputs.
template <class T> struct SigmoidTile {
    int64_t at;  // element number of lane 0
    int n;       // lanes in use
    Vec<T> z;
    alignas(64) double y[kLanes<T>], weight[kLanes<T>], pos_weight[kLanes<T>];
    alignas(64) T value[kLanes<T>], grad[kLanes<T>], hess[kLanes<T>];
};

// The targets from element `from` on, exactly: 1 - y would show what a rounding of y lost.
template <class T> CROSSENT_INLINE void load_targets(const SigmoidJob& job, int64_t from, SigmoidTile<T>& tile) {
    const T* y = static_cast<const T*>(job.targets);
    if (!job.target_column) {
        for (int l = 0; l < kLanes<T>; ++l) tile.y[l] = double(*y);
    } else if (job.wide_targets) {
        for (int l = 0; l < kLanes<T>; ++l) tile.y[l] = l < tile.n ? job.wide_targets[from + l] : 0;
    } else {
        store_wide<T>(tile.y, to_wide<T>(load_lanes(y + from, tile.n, T(0))));
    }
}

// Loads row i from column j on and checks it; an element of weight 0 is not looked at.
template <class S, class T = Of<S>>
CROSSENT_INLINE void load_tile(const SigmoidJob& job, int64_t i, int64_t j, SigmoidTile<T>& tile) {
    tile.z = load_lanes(static_cast<const S*>(job.logits) + tile.at, tile.n, T(0));
    load_targets<T>(job, i * job.target_row + j * job.target_column, tile);
    bool left_out = false;
    for (int l = 0; l < kLanes<T>; ++l) tile.weight[l] = tile.pos_weight[l] = 1;
    for (int l = 0; job.weight && l < tile.n; ++l) {
        tile.weight[l] = job.weight[i * job.weight_row + (j + l) * job.weight_column];
        left_out |= tile.weight[l] == 0;
    }
    for (int l = 0; job.pos_weight && l < tile.n; ++l) {
        tile.pos_weight[l] = job.pos_weight[(j + l) * job.pos_weight_column];
    }
    bool bad = false;
    for (int l = 0; l < kLanes<T>; ++l) bad |= !(tile.y[l] >= 0) | !(tile.y[l] <= 1);
    if (!left_out && !bad && !any_of(tile.z != tile.z)) return;
    for (int l = tile.n - 1; l >= 0; --l) {
        if (tile.weight[l] == 0) tile.z[l] = tile.y[l] = 0;
        else if (!(tile.y[l] >= 0 && tile.y[l] <= 1)) report_bad(job.blocks, tile.at + l, kLabel);
        else if (tile.z[l] != tile.z[l]) report_bad(job.blocks, tile.at + l, kNonFinite);
    }
}

template <class T, class O> CROSSENT_INLINE void compute_tile(const O& options, SigmoidTile<T>& tile) {
    const Wide<T> z = to_wide<T>(tile.z), y = load_wide<T>(tile.y), e = exp_minus_abs<T>(tile.z);
    const Wide<T> w = load_wide<T>(tile.weight), pos_weight = load_wide<T>(tile.pos_weight);
    Wide<T> value, grad, hess;
    CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) {
        const SigmoidResult r = sigmoid_math(z.part[p], y.part[p], e.part[p], w.part[p], pos_weight.part[p], options);
        value.part[p] = r.value;
        grad.part[p] = r.grad;
        hess.part[p] = r.hess;
    }
    store(tile.value, to_narrow<T>(value));
    store(tile.grad, to_narrow<T>(grad));
    store(tile.hess, to_narrow<T>(hess));
}

// Adds the elements that take part to the sums.
template <class T> CROSSENT_INLINE void add_elements(const SigmoidJob& job, SigmoidTile<T>& tile, BlockSums& sums) {
    const bool class_weighted = job.negative_weight != 1 || job.positive_weight != 1;
    for (int l = 0; l < tile.n; ++l) {
        if (tile.weight[l] == 0) continue;
        const double y = tile.y[l];
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

template <class S, class T = Of<S>>
CROSSENT_INLINE void store_tile(const SigmoidJob& job, const SigmoidTile<T>& tile) {
    if (job.values) store_lanes(static_cast<T*>(job.values) + tile.at, tile.n, load(tile.value));
    if (job.grad) store_lanes(static_cast<S*>(job.grad) + tile.at, tile.n, load(tile.grad));
    if (job.hess) store_lanes(static_cast<S*>(job.hess) + tile.at, tile.n, load(tile.hess));
}

}  // namespace
