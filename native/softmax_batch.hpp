// Rows of a few dozen to a thousand contiguous classes with index targets or none, eight at a time.
//
// What a row comes to is worked out in lanes, one lane a row, by the operations of Row and of long_row: a row gets the
// same bits in both.
#pragma once

#include "softmax_long.hpp"

namespace {

constexpr int kBatch = 8;
constexpr int64_t kBatchClasses = 1024;
constexpr int64_t kKeptClasses = 512;  // up to here the exponentials are kept for the gradient

// Whether a job's rows go in batches; which of them do not is known after their sums.
template <class S> CROSSENT_INLINE bool in_batches(const SoftmaxJob& job) {
    return sizeof(Of<S>) == 4 && job.classes <= kBatchClasses && !has_dense(job) && !job.hess &&
           job.output != kLogProbs;
}

// W vectors of W lanes to one: lane i gets the fold of vector i, neighbours first.
template <class V, class F> CROSSENT_INLINE V fold_lanes(V* v, const F& f) {
    constexpr int W = sizeof(V) / sizeof(v[0][0]);
    CROSSENT_UNROLL for (int n = W / 2; n >= 1; n /= 2) {
        CROSSENT_UNROLL for (int i = 0; i < n; ++i) {
            v[i] = f(even_lanes(v[2 * i], v[2 * i + 1]), odd_lanes(v[2 * i], v[2 * i + 1]));
        }
    }
    return v[0];
}
// Eight float vectors to eight numbers.
template <class F> CROSSENT_INLINE void fold_rows(F32* v, float* to, const F& f) {
    if constexpr (kLanes<float> > kBatch) {
        HalfF32 half[kBatch];
        CROSSENT_UNROLL for (int i = 0; i < kBatch; ++i) {
            HalfF32 parts[2];
            __builtin_memcpy(parts, v + i, sizeof parts);
            half[i] = f(parts[0], parts[1]);
        }
        half[0] = fold_lanes(half, f);
        __builtin_memcpy(to, half, sizeof half[0]);
    } else {
        CROSSENT_UNROLL for (int i = 0; i < kBatch; i += kLanes<float>) store(to + i, fold_lanes(v + i, f));
    }
}
CROSSENT_INLINE void sum_rows(F64* v, double* to) {
    const auto add = [](F64 a, F64 b) __attribute__((always_inline)) { return a + b; };
    CROSSENT_UNROLL for (int i = 0; i < kBatch; i += kLanes<double>) store(to + i, fold_lanes(v + i, add));
}

// Eight rows: what is known of each, a lane a row.
struct Batch {
    Plan plan[kBatch];
    alignas(64) float m[kBatch], differ[kBatch];  // maximum; number of elements below it
    alignas(64) double wide_m[kBatch], power[kBatch], z_t[kBatch], label_weight[kBatch], weight[kBatch];
    alignas(64) double sum[kBatch], unit[kBatch], r[kBatch], value[kBatch];
    alignas(64) double steep[kBatch], scaled[kBatch], at_label[kBatch];  // factor of p, of e; the label's element
};

// Plans and maxima.
template <class S> CROSSENT_INLINE void open_batch(const SoftmaxJob& job, int64_t first, int n, const S* z, Batch& b) {
    const int64_t K = job.classes;
    F32 top[kBatch];
    for (int i = 0; i < kBatch; ++i) {
        if (i < n) b.plan[i] = plan_row(job, first + i);
        else b.plan[i].active = false;
        const Plan& plan = b.plan[i];
        top[i] = plan.active ? max_lanes(z + i * K, K) : F32{};
        b.z_t[i] = plan.active && plan.label >= 0 ? double(load_one<S>(z[i * K + plan.label])) : 0;
        b.label_weight[i] = plan.label >= 0 ? plan.label_weight : 1;
        b.weight[i] = plan.weight;
    }
    fold_rows(top, b.m, [](auto x, auto y) __attribute__((always_inline)) { return larger(x, y); });
    for (int i = 0; i < kBatch; ++i) {
        b.plan[i].active &= b.m[i] <= NearTable<float>::kReach && b.m[i] >= -NearTable<float>::kReach;
        b.m[i] = b.plan[i].active ? b.m[i] : 0;
        b.wide_m[i] = double(b.m[i]);
        b.power[i] = double(Reference<float>(b.m[i]).power);
    }
}

// Sums; kept receives the exponentials.
template <bool kKept, class S>
CROSSENT_INLINE void sum_batch(const SoftmaxJob& job, int n, const S* z, float* kept, Batch& b) {
    const int64_t K = job.classes;
    F64 sum[kBatch];
    F32 below[kBatch];
    for (int i = 0; i < kBatch; ++i) {
        RowSums<float> sums;
        if (b.plan[i].active) {
            const NearExp<float> e(Reference<float>(b.m[i]), b.m[i]);
            sum_chunk<false, kKept>(z + i * K, K, e, splat<F32>(b.m[i]), sums, kKept ? kept + i * K : nullptr, n * K);
        }
        sum[i] = sums.others.low_half + sums.others.high_half;
        below[i] = __builtin_convertvector(sums.below, F32);
    }
    sum_rows(sum, b.sum);
    fold_rows(below, b.differ, [](auto x, auto y) __attribute__((always_inline)) { return x + y; });
}

// Values and factors of the gradient.
CROSSENT_INLINE void work_out(const SoftmaxJob& job, Batch& b) {
    const F64 one = splat<F64>(1), zero{};
    const bool targeted = job.labels != nullptr;
    alignas(64) double ties[kBatch];
    for (int i = 0; i < kBatch; ++i) ties[i] = double(job.classes) - double(b.differ[i]) - 1;
    CROSSENT_UNROLL for (int i = 0; i < kBatch; i += kLanes<double>) {
        const F64 m = load(b.wide_m + i), z_t = load(b.z_t + i), Q = load(b.label_weight + i);
        const F64 unit = near_unit<float, F64>(m, load(b.power + i));
        const F64 x = load(b.sum + i) * unit, t = load(ties + i), r = x + t, low = sum_error(x, t, r);
        const F64 l = log1p_pair<F64>(r, low), s = one + (r + low);
        const F64 weight = load(b.weight + i), v = weight * splat<F64>(job.value_factor);
        const F64 f = weight * splat<F64>(job.grad_factor);
        const F64 gap = z_t - m;
        const F64 e_t = exp_scaled<F64>(gap, sum_error(z_t, -m, gap), one);
        const auto top = z_t == m;
        const F64 r_ = r + low;
        F64 A = Q, value = targeted ? (top ? zero : Q * (m - z_t)) + Q * l : m + l;
        if (job.shape) {
            const F64 u = top ? r_ / s : (s - e_t) / s, p = top ? one / s : e_t / s;
            const Bent<F64> bent = bend<F64>(*job.shape, (top ? zero : m - z_t) + l, zero, u, p);
            A = Q * bent.slope;
            value = Q * bent.value;
        }
        const F64 scaled = f * A / s;
        store(b.unit + i, unit);
        store(b.r + i, r_);
        store(b.value + i, v * value);
        store(b.steep + i, scaled);
        store(b.scaled + i, scaled * unit);
        const F64 at_top = r_ < one ? zero - f * A * (r_ / s) : f * (A / s - A);
        store(b.at_label + i, top ? at_top : -(f * A) * ((s - e_t) / s));
    }
}

// Rows that go on: the others are finished by long_row.
CROSSENT_INLINE void choose_rows(bool gradient, Batch& b) {
    for (int i = 0; i < kBatch; ++i) {
        b.plan[i].active &= b.r[i] >= Confident<float>::kLimit;
        b.plan[i].active &= !gradient || near_factor<float>(b.steep[i], b.unit[i]);
    }
}

// The gradient of a row whose exponentials were kept.
template <class S>
CROSSENT_INLINE void write_kept(const RowBuffers<S>& to, const float* kept, int64_t K, const Factors<float>& factors) {
    const F32 scaled = splat<F32>(factors.scaled);
    each_part(to, K, [&](S* g, int64_t first, int64_t n) __attribute__((always_inline)) {
        const auto read = [](const float* from, int64_t) __attribute__((always_inline)) { return load(from); };
        each_vector(kept + first, g, n, read, [&](S* at, int64_t, F32 e) __attribute__((always_inline)) {
            store(at, e * scaled);
        });
        factors.mend(g, first, n);
    });
}

// Rows first .. first + n.
template <class S>
__attribute__((noinline)) void batch_rows(const SoftmaxJob& job, int64_t first, int n, float* kept, RowStream<S>* past,
                                          BlockSums& sums) {
    const int64_t K = job.classes;
    const S* z = static_cast<const S*>(job.logits) + first * K;
    S* g = job.grad ? static_cast<S*>(job.grad) + first * K : nullptr;
    const bool keep = g && K <= kKeptClasses;
    Batch b;
    open_batch(job, first, n, z, b);
    if (keep) sum_batch<true>(job, n, z, kept, b);
    else sum_batch<false>(job, n, z, kept, b);
    work_out(job, b);
    choose_rows(g != nullptr, b);
    for (int i = 0; i < n; ++i, z += K, g += g ? K : 0) {
        const RowBuffers<S> to{z, nullptr, g, nullptr, past};
        if (!b.plan[i].active) {
            long_row<S>(job, first + i, to, sums);
            continue;
        }
        const float value = float(b.value[i]);
        if (job.values) static_cast<float*>(job.values)[first + i] = value;
        sums.value.add(double(value));
        sums.mass.add(b.weight[i] * (job.labels ? b.label_weight[i] : 0));
        sums.rows += 1;
        if (!g) continue;
        Factors<float> f{};
        f.m = b.m[i];
        f.scaled = float(b.scaled[i]);
        f.at_label = float(b.at_label[i]);
        f.label = b.plan[i].label;
        if (keep) write_kept(to, kept + i * K, K, f);
        else write_plain(to, K, f);
    }
}

// Rows first .. end in batches.
template <class S>
CROSSENT_INLINE void batched_rows(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    alignas(64) float kept[kBatch * kKeptClasses];
    RowStream<S> past(job.stream ? static_cast<S*>(job.grad) + first * job.classes : nullptr);
    RowStream<S>* stream = job.stream && job.grad ? &past : nullptr;
    for (int64_t i = first; i < end; i += kBatch) {
        batch_rows<S>(job, i, int(end - i < kBatch ? end - i : kBatch), kept, stream, sums);
    }
    if (stream) past.finish();
}

}  // namespace
