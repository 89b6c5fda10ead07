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
    bool in_nats;  // the value's factor is 1
};

template <class T> CROSSENT_INLINE T normal_limit(double factor) {
    const int power = int(bits_of(factor) >> 52) - 1023;  // factor >= 2^power
    return T(-ExpTable<T>::kNormal) + T(0.6932) * T(power < 0 ? power : 0);
}

template <class T> CROSSENT_INLINE HardFactors<T> hard_factors(const SigmoidJob& job) {
    using V = Vec<T>;
    const T value = T(job.value_factor);
    return {splat<V>(value),
            splat<V>(T(job.value_factor - double(value))),
            splat<V>(T(job.grad_factor)),
            splat<V>(normal_limit<T>(job.value_factor)),
            splat<V>(normal_limit<T>(job.grad_factor)),
            job.value_factor == 1};
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

// What hard_rare is given and gives back, in memory.
template <class T> struct RareVector {
    Vec<T> z, y;
    HardOutput<T> out;
};

template <class T> using Bits = typename LaneTypes<T>::Bits;
template <class T> CROSSENT_INLINE Bits<T> top_bit() { return bits_of(splat<Vec<T>>(T(-0.0))); }

// The top bit where the label is 1: z with this bit turned is s.
template <class T> CROSSENT_INLINE Bits<T> label_signs(Vec<T> y) {
    return bits_of(y) == bits_of(splat<Vec<T>>(1)) ? top_bit<T>() : Bits<T>{};
}

// The top bit where |z| is above the limit, or z is NaN.
template <class T> CROSSENT_INLINE Bits<T> beyond_limit(Vec<T> z, Vec<T> limit) {
    return bits_of(-limit) - (bits_of(z) | top_bit<T>());
}

// What a run asks for: the loss alone, the gradient too, the Hessian too. Labels are 0 or 1, |z| below the limits.
// Error in float, measured: the loss 2.5 ulp (in bits and without FMA 3.6), the gradient 3.1, the Hessian 4.4.
template <int kOutputs, int N, class T>
CROSSENT_INLINE void hard_math(const Vec<T> (&z)[N], const Vec<T> (&y)[N], const HardFactors<T>& f,
                               HardOutput<T> (&out)[N]) {
    using V = Vec<T>;
    const V zero{}, one = splat<V>(1);
    V s[N], d[N], e[N], l[N];
    CROSSENT_IN_STEP d[v] = from_bits<V>(bits_of(z[v]) | top_bit<T>());
    exp_normal<V, N>(d, e);
    CROSSENT_IN_STEP s[v] = from_bits<V>(bits_of(z[v]) ^ label_signs<T>(y[v]));
    log1p_unit<V, N>(e, l);
    CROSSENT_IN_STEP l[v] = (s[v] > zero ? s[v] : zero) + l[v];
    CROSSENT_IN_STEP out[v].value = f.in_nats ? l[v] : mul_add(l[v], f.value, l[v] * f.value_low);
    if constexpr (kOutputs > 0) {
        V inverse[N];
        CROSSENT_IN_STEP inverse[v] = f.grad / (one + e[v]);
        CROSSENT_IN_STEP out[v].grad = (s[v] > zero ? one : e[v]) * inverse[v];
        CROSSENT_IN_STEP out[v].grad = from_bits<V>(bits_of(out[v].grad) ^ label_signs<T>(y[v]));
        if constexpr (kOutputs > 1) CROSSENT_IN_STEP out[v].hess = e[v] * inverse[v] / (one + e[v]);
    }
}

// One vector of n elements from `at` on, some of which need more than hard_math gave: hard labels with a far logit
// through the subnormal range, others by the general formulas, bad ones reported.
template <class S, class T = Of<S>>
__attribute__((noinline, cold)) void hard_rare(const HardRun<T>& run, int64_t at, int n, RareVector<T>& rare) {
    using V = Vec<T>;
    const V z = rare.z, y = rare.y;
    HardOutput<T>& out = rare.out;
    const HardFactors<T>& f = run.factors;
    const Bits<T> sign = label_signs<T>(y);
    const V zero{}, s = from_bits<V>(bits_of(z) ^ sign), d = from_bits<V>(bits_of(z) | top_bit<T>());
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
    Vec<T> z[kVectors], y[kVectors];
    HardOutput<T> out[kVectors]{};
    Bits<T> unusual{}, beyond{};
    CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
        z[v] = kVectors > 1 ? load(pass.logits + at + v * W) : load_lanes(pass.logits + at, n, T(0));
        y[v] = kVectors > 1 ? load(labels + v * W) : load_lanes(labels, n, T(0));
    }
    hard_math<kOutputs, kVectors, T>(z, y, pass.factors, out);
    CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
        unusual |= bits_of(y[v]) == bits_of(splat<Vec<T>>(1)) ? Bits<T>{} : bits_of(y[v]);
        beyond |= beyond_limit<T>(z[v], pass.limit);
    }
    if (__builtin_expect(any_of(unusual | (beyond & top_bit<T>())), 0)) {
        CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
            RareVector<T> rare{z[v], y[v], {out[v].value, out[v].grad, out[v].hess}};
            hard_rare<S>(*pass.run, at + v * W, n, rare);
            out[v].value = rare.out.value;
            out[v].grad = rare.out.grad;
            out[v].hess = rare.out.hess;
        }
    }
    CROSSENT_UNROLL for (int v = 0; v < kVectors; ++v) {
        if (kVectors == 1) out[v].value = lane_numbers<T>() < splat<Vec<T>>(T(n)) ? out[v].value : Vec<T>{};
        const Wide<T> wide = to_wide<T>(out[v].value);
        CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) total.part[p] += wide.part[p];
        if (pass.values) store_lanes(pass.values + at + v * W, n, out[v].value);
        if (kOutputs > 0 && pass.stream && n == W) stream(pass.grad + at + v * W, out[v].grad);
        else if (kOutputs == 1 || (kOutputs > 1 && pass.grad)) store_lanes(pass.grad + at + v * W, n, out[v].grad);
        if (kOutputs > 1) store_lanes(pass.hess + at + v * W, n, out[v].hess);
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
