// One row of contiguous classes from its logits to what it leaves behind.
#pragma once

#include "softmax_output.hpp"
#include "softmax_plan.hpp"
#include "stream_out.hpp"

namespace {

constexpr int64_t kPart = 1024;  // elements that wait for their way past the caches

template <class S> using RowStream = StreamOut<S, kPart + 64>;

// A row's buffers: q, g, h null where they are not used. With `past` the gradient goes there, not to g.
template <class S> struct RowBuffers {
    const S *z, *q;
    S *g, *h;
    RowStream<S>* past = nullptr;
};

// write(g, first, n) for the whole row, or for each part of it that goes past the caches.
template <class S, class F> CROSSENT_INLINE void each_part(const RowBuffers<S>& row, int64_t K, const F& write) {
    for (int64_t c = 0; c < K;) {
        const int64_t n = row.past ? chunk_at<Of<S>>(c, K, kPart) : K;
        write(row.past ? row.past->room() : row.g, c, n);
        if (row.past) row.past->commit(n);
        c += n;
    }
}

template <class S> __attribute__((noinline)) void clear_row(const RowBuffers<S>& row, int64_t K) {
    each_part(row, K, [](S* g, int64_t, int64_t n) { __builtin_memset(g, 0, size_t(n) * sizeof(S)); });
    if (row.h) __builtin_memset(row.h, 0, size_t(K) * sizeof(S));
}

template <class S> __attribute__((noinline)) void log_probs_row(const RowBuffers<S>& at, int64_t K, const Row& row) {
    each_part(at, K, [&](S* g, int64_t first, int64_t n) { log_probs_part(at.z + first, g, n, row); });
}

// The gradient's element at the target of a row, which lies at the maximum or not.
template <class T>
CROSSENT_INLINE T target_gradient(const SoftmaxJob& job, const Plan& plan, const Row& row, double factor, T z_t) {
    if (double(z_t) == row.m && (row.r_value() < 1 || job.smoothing == 0)) return T(row.gradient_at_max(factor));
    return T(label_gradient(job, plan, row, factor, exp_gap(z_t, row.m), uniform_at<T>(job, plan.label)));
}

// The factors of a row's pass, and its element at the label (-1: none), which is written last.
template <class T> struct Factors {
    T m, scaled, down, s, inverse, top, at_top, hess_at_top, at_label;
    int64_t label;
    CROSSENT_INLINE Outputs<T> lanes() const {
        const auto all = [](T x) __attribute__((always_inline)) { return splat<Vec<T>>(x); };
        return {all(scaled), all(down), all(s), all(inverse), all(top), all(at_top), all(hess_at_top)};
    }
    template <class S> CROSSENT_INLINE void mend(S* g, int64_t first, int64_t n) const {
        if (uint64_t(label - first) < uint64_t(n)) g[label - first] = store_one<S>(at_label);
    }
};

template <class S, class T = Of<S>>
__attribute__((noinline)) void write_plain(const RowBuffers<S>& to, int64_t K, const Factors<T>& factors) {
    const NearScaled<T> e{NearExp<T>(Reference<T>(factors.m), factors.m)};
    const Vec<T> scaled = splat<Vec<T>>(factors.scaled);
    each_part(to, K, [&](S* g, int64_t first, int64_t n) __attribute__((always_inline)) {
        plain_part(to.z + first, g, n, e, scaled);
        factors.mend(g, first, n);
    });
}

template <bool kNear, class S, class T = Of<S>>
__attribute__((noinline)) void write_full(const RowBuffers<S>& to, int64_t K, const Factors<T>& factors,
                                          const DenseTargets<S>* dense) {
    const Outputs<T> out = factors.lanes();
    const auto write = [&](const auto& e) __attribute__((always_inline)) {
        each_part(to, K, [&](S* g, int64_t first, int64_t n) __attribute__((always_inline)) {
            full_part<kNear>(to.z + first, g, to.h ? to.h + first : nullptr, first, n, e, out, dense);
            factors.mend(g, first, n);
        });
    };
    if constexpr (kNear) write(NearScaled<T>{NearExp<T>(Reference<T>(factors.m), factors.m)});
    else write(FarScaled<T>{splat<Vec<T>>(-factors.m)});
}

// Gradient or probabilities, and the Hessian, of a row that takes part.
template <class S, class T = Of<S>>
CROSSENT_INLINE void gradient_row(const SoftmaxJob& job, const RowBuffers<S>& to, const Plan& plan, const Row& row,
                                  double factor, const DenseTargets<S>& targets) {
    const double s = row.s(), scaled = factor * row.q_sum / s;
    const bool near = near_factor<T>(scaled, row.unit), dense = has_dense(job);
    const double unit = near ? row.unit : 1;
    Factors<T> f;
    f.m = T(row.m);
    f.scaled = T(scaled * unit);
    f.down = T(factor);
    f.s = T(s / unit);
    f.inverse = T(unit / s);
    f.top = row.r_value() < 1 ? f.m : T(__builtin_nan(""));
    f.at_top = T(dense ? row.gradient_at_max(factor) : scaled);
    f.hess_at_top = T(row.hessian_at_max(factor));
    f.label = plan.label;
    f.at_label = plan.label < 0 ? T(0) : target_gradient<T>(job, plan, row, factor, load_one<S>(to.z[plan.label]));
    if (near && !dense && !to.h) write_plain(to, job.classes, f);
    else if (near) write_full<true>(to, job.classes, f, dense ? &targets : nullptr);
    else write_full<false>(to, job.classes, f, dense ? &targets : nullptr);
}

// Fills the row's sums of its targets; false if they are no distribution.
template <class S, class T = Of<S>>
CROSSENT_INLINE bool row_targets(const SoftmaxJob& job, int64_t index, const RowBuffers<S>& at, const Plan& plan,
                                 const DenseTargets<S>& dense, double gaps, Row& row) {
    const int64_t K = job.classes;
    const double z_t = plan.label >= 0 ? double(load_one<S>(at.z[plan.label])) : 0;
    if (!has_dense(job)) {
        if (job.labels) row.set_index(z_t, plan.label_weight);
        else row.q_sum = 1;
        if (job.shape && row.finite) bend_row(*job.shape, exp_gap(T(z_t), row.m), row);
        return true;
    }
    if (!job.soft && !job.class_weight) {
        uniform_row<T>(K, dense.uniform, gaps, row);
    } else {
        const bool plain = job.soft && dense.keep == 1 && dense.uniform == 0 && !job.class_weight;
        const RawSums raw =
            plain ? dense_row<true>(at.z, K, dense, row) : dense_row<false>(at.z, K, dense, row);
        row.mass *= plan.factor;
        if (job.soft && !targets_fit(job, index, raw, plan.factor)) return false;
    }
    row.a = z_t == row.m ? plan.label : -1;
    if (job.labels) add_label(job, plan, z_t, row);
    return true;
}

// One row whose classes are contiguous, more of them than a vector holds.
template <class S, class T = Of<S>>
__attribute__((noinline)) void long_row(const SoftmaxJob& job, int64_t index, const RowBuffers<S>& at, BlockSums& sums) {
    const int64_t K = job.classes;
    Plan plan = plan_row(job, index);
    Row row;
    const DenseTargets<S> dense{at.q, static_cast<const T*>(job.class_weight_lanes), job.class_weight,
                                T((1 - job.smoothing) * plan.factor), T(dense_uniform(job))};
    if (plan.active) {
        const bool uniform = job.labels && job.smoothing != 0 && !job.class_weight;
        const double gaps = uniform ? reduce_row<true>(at.z, K, row) : reduce_row<false>(at.z, K, row);
        plan.active = row_targets(job, index, at, plan, dense, gaps, row);
    }
    const double factor = finish_row<T>(job, index, plan, row, sums);
    if (!at.g) return;
    if (!plan.active && at.g == at.z && has_bad(job.blocks)) return;
    if (!plan.active) return clear_row(at, K);
    if (job.output == kLogProbs) return log_probs_row(at, K, row);
    gradient_row(job, at, plan, row, factor, dense);
}

// Rows first .. end one by one.
template <class S> CROSSENT_INLINE void long_rows(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    RowStream<S> past(job.stream ? static_cast<S*>(job.grad) + first * job.classes : nullptr);
    for (int64_t i = first; i < end; ++i) {
        const int64_t at = i * job.classes;
        long_row<S>(job, i, RowBuffers<S>{static_cast<const S*>(job.logits) + at,
                                          job.soft ? static_cast<const S*>(job.soft) + at : nullptr,
                                          job.grad ? static_cast<S*>(job.grad) + at : nullptr,
                                          job.hess ? static_cast<S*>(job.hess) + at : nullptr,
                                          job.stream && job.grad ? &past : nullptr}, sums);
    }
    if (job.stream && job.grad) past.finish();
}

}  // namespace
