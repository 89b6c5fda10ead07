// One long row from its logits to what it leaves behind.
#pragma once

#include "softmax_output.hpp"
#include "softmax_plan.hpp"

namespace {

// One row whose classes are contiguous: z, and q, g, h where they are used.
template <class S, class T = Of<S>>
CROSSENT_INLINE void long_row(const SoftmaxJob& job, int64_t index, const S* z, const S* q, S* g, S* h,
                              BlockSums& sums) {
    const int64_t K = job.classes;
    Plan plan = plan_row(job, index);
    Row row;
    const DenseTargets<S> dense{q, static_cast<const T*>(job.class_weight_lanes), T((1 - job.smoothing) * plan.factor),
                          T(dense_uniform(job))};
    if (plan.active) {
        row = reduce_row(z, K);
        if (has_dense(job)) {
            const RawSums raw = dense_row(z, K, dense, row);
            row.mass *= plan.factor;
            if (job.soft) plan.active = targets_fit(job, index, raw, plan.factor);
        } else if (job.labels) {
            row.set_index(plan.label, double(load_one<S>(z[plan.label])), plan.label_weight);
        } else {
            row.q_sum = 1;
        }
        if (plan.active && job.labels && job.smoothing != 0) add_label(job, plan, double(load_one<S>(z[plan.label])), row);
    }
    const double factor = finish_row<T>(job, index, plan, row, sums);
    if (!g) return;
    if (!plan.active) {
        __builtin_memset(g, 0, size_t(K) * sizeof(S));
        if (h) __builtin_memset(h, 0, size_t(K) * sizeof(S));
        return;
    }
    if (job.output == kLogProbs) return log_probs_row(z, g, K, row);
    const T z_t = plan.label >= 0 ? load_one<S>(z[plan.label]) : T(0);
    gradient_row<S>(z, g, h, K, row, factor, has_dense(job) ? &dense : nullptr);
    g[row.a] = store_one<S>(T(max_gradient(job, row, factor)));
    if (h) h[row.a] = store_one<S>(T(row.hessian_at_max(factor)));
    if (plan.label >= 0 && plan.label != row.a) {
        const double uniform_t = uniform_at<T>(job, plan.label);
        g[plan.label] = store_one<S>(T(label_gradient(job, plan, row, factor, exp_gap(z_t, row.m), uniform_t)));
    }
}

}  // namespace
