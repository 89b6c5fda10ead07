// Labels that are 0 or 1, without weights: vectors of T from memory to memory.
//
// With s = z where y = 0, s = -z where y = 1, and e = exp(-|s|):
//   loss = max(s, 0) + log1p(e),  gradient = +-(s > 0 ? 1 : e) / (1 + e),  Hessian = e / (1 + e)^2.
// A vector with another label, NaN, or a result below the normal range is finished lane by lane in `hard_rare`: what
// becomes of an element depends on that element alone.
#pragma once

#include "sigmoid_exact.hpp"

namespace {

// The factors in every lane, and the |z| from which on a factor times exp(-|z|) may be subnormal.
template <class T> struct HardFactors {
    Vec<T> value, value_low, grad, value_limit, grad_limit;
};

template <class T> CROSSENT_INLINE T normal_limit(double factor) {
    const int power = int(bits_of(factor) >> 52) - 1023;  // factor >= 2^power
    return T(-ExpTable<T>::kNormal) + T(0.6932) * T(power < 0 ? power : 0);
}

template <class T> CROSSENT_INLINE HardFactors<T> hard_factors(const SigmoidJob& job) {
    using V = Vec<T>;
    const T value = T(job.value_factor);
    return {splat<V>(value), splat<V>(T(job.value_factor - double(value))), splat<V>(T(job.grad_factor)),
            splat<V>(normal_limit<T>(job.value_factor)), splat<V>(normal_limit<T>(job.grad_factor))};
}

// Whether the job has nothing but labels; factors that leave room for exp(-|z|) beside them.
CROSSENT_INLINE bool has_plain_labels(const SigmoidJob& job) {
    const bool weighted = job.weight || job.pos_weight || job.negative_weight != 1 || job.positive_weight != 1;
    const double low = job.value_factor < job.grad_factor ? job.value_factor : job.grad_factor;
    const double high = job.value_factor < job.grad_factor ? job.grad_factor : job.value_factor;
    return !weighted && job.smoothing == 0 && low >= 0x1p-64 && high <= 0x1p64;
}

// A job of plain labels: one row of all elements.
template <class T> struct HardRun {
    SigmoidJob job;
    HardFactors<T> factors;
    Vec<T> limit;  // of |z|, for all that is asked for
    bool stream;
};

template <class T> struct HardOutput {
    Vec<T> value, grad, hess;
};

// Sign bits where the label is 1 (1.0 has the second highest bit of its exponent set, 0.0 no bit).
template <class T> CROSSENT_INLINE auto label_signs(Vec<T> y) {
    using Bits = typename LaneTypes<T>::Bits;
    using Mask = typename LaneTypes<T>::Mask;
    return Bits(Mask(bits_of(y) << 2) >> int(sizeof(T) * 8 - 1));
}

// Outputs: 0 the loss alone, 1 the gradient too, 2 the Hessian too. Labels 0 or 1, |z| below the limits.
// Error with FMA: the loss 2.9 ulp, the gradient 3.5 ulp.
template <int kOutputs, class T>
CROSSENT_INLINE HardOutput<T> hard_math(Vec<T> z, Vec<T> y, const HardFactors<T>& f) {
    using V = Vec<T>;
    const auto top = bits_of(splat<V>(T(-0.0))), sign = label_signs<T>(y) & top;
    const V zero{}, one = splat<V>(1);
    const V s = from_bits<V>(bits_of(z) ^ sign);
    const V e = exp_normal<V>(from_bits<V>(bits_of(z) | top));
    const V m = (s > zero ? s : zero) + log1p_unit<V>(e);
    HardOutput<T> out{};
    out.value = mul_add(m, f.value, m * f.value_low);
    if constexpr (kOutputs > 0) {
        const V inverse = f.grad / (one + e);
        out.grad = from_bits<V>(bits_of((s > zero ? one : e) * inverse) ^ sign);
        if constexpr (kOutputs > 1) out.hess = e * inverse / (one + e);
    }
    return out;
}

// One vector of n elements from `at` on, some of which need more than hard_math gave: hard labels with a far logit
// through the subnormal range, others by the general formulas, bad ones reported.
template <class S, class T = Of<S>>
__attribute__((noinline, cold)) HardOutput<T> hard_rare(const HardRun<T>& run, int64_t at, int n, Vec<T> z, Vec<T> y,
                                                        HardOutput<T> out) {
    using V = Vec<T>;
    const HardFactors<T>& f = run.factors;
    const auto top = bits_of(splat<V>(T(-0.0))), sign = label_signs<T>(y) & top;
    const V zero{}, s = from_bits<V>(bits_of(z) ^ sign), d = from_bits<V>(bits_of(z) | top);
    const V linear = s - s == zero ? mul_add(s, f.value, s * f.value_low) : s;
    const V value = s > zero ? linear : exp_scaled<V>(d, zero, f.value);
    out.value = -d > f.value_limit ? value : out.value;
    const V small = exp_scaled<V>(d, zero, f.grad);
    const V slope = from_bits<V>(bits_of(s > zero ? f.grad : small) ^ sign) + zero;  // no -0.0
    const auto far = -d > f.grad_limit;
    out.grad = far ? slope : out.grad;
    out.hess = far ? small : out.hess;
    const auto hard = (y == zero) | (y == splat<V>(1));
    if (any_of(hard == 0) || any_of(z != z)) {
        SigmoidTile<T> tile;
        tile.at = at;
        tile.n = n;
        load_tile<S>(run.job, 0, at, tile);
        compute_tile(options_of(run.job), tile);
        out.value = hard ? out.value : load(tile.value);
        out.grad = hard ? out.grad : load(tile.grad);
        out.hess = hard ? out.hess : load(tile.hess);
    }
    return out;
}

// Where a vector's inputs lie and its outputs go, in registers; the rest of the run is for rare vectors.
template <class S, class T = Of<S>> struct HardPass {
    const S* logits;
    T* values;
    S *grad, *hess;
    HardFactors<T> factors;
    Vec<T> limit;
    bool stream;
    const HardRun<T>* run;
};

// kVectors vectors from element `at` on, the last of n lanes (all others are full); their losses are added to total.
template <class S, int kOutputs, int kVectors, class T = Of<S>>
CROSSENT_INLINE void hard_vectors(const HardPass<S> pass, int64_t at, const T* labels, int n, Wide<T>& total) {
    constexpr int W = kLanes<T>;
    Vec<T> z[kVectors], y[kVectors], value[kVectors], grad[kVectors], hess[kVectors];
    typename LaneTypes<T>::Bits unusual{}, beyond{};
    const auto one = bits_of(splat<Vec<T>>(1)), top = bits_of(splat<Vec<T>>(T(-0.0)));
    CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
        z[v] = kVectors > 1 ? load(pass.logits + at + v * W) : load_lanes(pass.logits + at, n, T(0));
        y[v] = kVectors > 1 ? load(labels + v * W) : load_lanes(labels, n, T(0));
        const HardOutput<T> out = hard_math<kOutputs, T>(z[v], y[v], pass.factors);
        value[v] = out.value;
        grad[v] = out.grad;
        hess[v] = out.hess;
        unusual |= bits_of(y[v]) ^ (label_signs<T>(y[v]) & one);
        beyond |= bits_of(pass.limit) - (bits_of(z[v]) & ~top);  // NaN lies beyond too
    }
    if (__builtin_expect(any_bit(unusual | (beyond & top)), 0)) {
        CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
            const HardOutput<T> out = hard_rare<S>(*pass.run, at + v * W, n, z[v], y[v], {value[v], grad[v], hess[v]});
            value[v] = out.value;
            grad[v] = out.grad;
            hess[v] = out.hess;
        }
    }
    CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
        if (kVectors == 1) value[v] = lane_numbers<T>() < splat<Vec<T>>(T(n)) ? value[v] : Vec<T>{};
        const Wide<T> wide = widened<T>(value[v]);
        CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) total.part[p] += wide.part[p];
        if (pass.values) store_lanes(pass.values + at + v * W, n, value[v]);
        if (kOutputs > 0 && pass.stream && n == W) stream(pass.grad + at + v * W, grad[v]);
        else if (kOutputs == 1 || (kOutputs > 1 && pass.grad)) store_lanes(pass.grad + at + v * W, n, grad[v]);
        if (kOutputs > 1) store_lanes(pass.hess + at + v * W, n, hess[v]);
    }
}

// So many elements are summed in plain double lanes (32 additions in each: error 4e-15), and their labels staged.
template <class T> constexpr int kHardChunk = 32 * kLanes<T>;

// Labels of the n elements from `at` on as T; what T cannot hold exactly becomes a soft label, whose number is read
// again where it is used.
template <class T>
CROSSENT_INLINE const T* hard_labels(const SigmoidJob& job, int64_t at, int64_t n, T* staged) {
    if (!job.target_column) return staged;  // filled by the caller
    if (!job.wide_targets) return static_cast<const T*>(job.targets) + at;
    for (int64_t i = 0; i < n; ++i) {
        const double y = job.wide_targets[at + i];
        staged[i] = double(T(y)) == y ? T(y) : T(0.5);
    }
    return staged;
}

template <class S, int kOutputs, class T = Of<S>> CROSSENT_INLINE void run_hard_blocks(const HardRun<T>& run) {
    constexpr int kVectors = 4, W = kLanes<T>;
    const SigmoidJob& job = run.job;
    const HardPass<S> pass{static_cast<const S*>(job.logits), static_cast<T*>(job.values), static_cast<S*>(job.grad),
                           static_cast<S*>(job.hess), run.factors, run.limit, run.stream, &run};
    alignas(64) T staged[kHardChunk<T>];
    for (int i = 0; i < kHardChunk<T> && !job.target_column; ++i) staged[i] = *static_cast<const T*>(job.targets);
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        LaneTotals<T> totals;
        totals.rows = end - first;
        for (int64_t at = first; at < end; at += kHardChunk<T>) {
            const int64_t n = end - at < kHardChunk<T> ? end - at : kHardChunk<T>;
            const T* y = hard_labels<T>(job, at, n, staged);
            Wide<T> total{};
            int64_t i = 0;
            for (; i + kVectors * W <= n; i += kVectors * W) {
                prefetch<kVectors * W>(pass.logits + at + i);
                if (y != staged) prefetch<kVectors * W>(y + i);
                hard_vectors<S, kOutputs, kVectors>(pass, at + i, y + i, W, total);
            }
            for (; i < n; i += W) hard_vectors<S, kOutputs, 1>(pass, at + i, y + i, int(n - i < W ? n - i : W), total);
            CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) totals.value.add(total.part[p]);
        }
        BlockSums sums;
        totals.into(sums);
        sums.store(job.blocks, block);
    }
    if (run.stream) end_stream();
}

template <class S, class T = Of<S>> CROSSENT_INLINE void run_hard(const SigmoidJob& given) {
    HardRun<T> run{given, hard_factors<T>(given), {}, false};
    SigmoidJob& job = run.job;
    Blocks& blocks = job.blocks;
    if (blocks.block_rows > blocks.rows) blocks.block_rows = blocks.rows > 0 ? blocks.rows : 1;
    blocks.block_rows *= job.columns;
    blocks.rows *= job.columns;
    job.columns = blocks.rows;
    const HardFactors<T>& f = run.factors;
    run.limit = (job.grad || job.hess) && f.grad_limit[0] < f.value_limit[0] ? f.grad_limit : f.value_limit;
    run.stream = job.stream && reinterpret_cast<uintptr_t>(job.grad) % 64 == 0 &&
                 blocks.block_rows % (64 / int64_t(sizeof(S))) == 0;
    if (job.hess) run_hard_blocks<S, 2>(run);
    else if (job.grad) run_hard_blocks<S, 1>(run);
    else run_hard_blocks<S, 0>(run);
}

}  // namespace
