// What a softmax job says about one row: label, weights, whether it takes part; and what a finished row leaves behind.
#pragma once

#include "block.hpp"
#include "softmax_row.hpp"

namespace {

// What no int64 holds becomes a number that is no class and is not `ignored` either.
CROSSENT_INLINE int64_t load_label(const void* labels, int32_t type, int64_t i, int64_t ignored) {
    switch (type) {
        case kInt8: return static_cast<const int8_t*>(labels)[i];
        case kInt16: return static_cast<const int16_t*>(labels)[i];
        case kInt32: return static_cast<const int32_t*>(labels)[i];
        case kUint8: return static_cast<const uint8_t*>(labels)[i];
        case kUint16: return static_cast<const uint16_t*>(labels)[i];
        case kUint32: return static_cast<const uint32_t*>(labels)[i];
        case kUint64: {
            const uint64_t label = static_cast<const uint64_t*>(labels)[i];
            if (label <= uint64_t(INT64_MAX)) return int64_t(label);
            return ignored < 0 ? INT64_MAX : -1;
        }
        default: return static_cast<const int64_t*>(labels)[i];
    }
}

// One row's part in a job. active = false: the row leaves entirely (weight 0, mass 0, ignored) or is bad.
struct Plan {
    int64_t label = -1;      // -1: dense targets, or none
    double weight = 1;       // of the row
    double label_weight = 1; // class weight of the label
    double factor = 1;       // of the row's soft targets
    bool active = true;
};

// J is a SoftmaxJob or a MassJob: they name these fields alike.
template <class J> CROSSENT_INLINE Plan plan_row(const J& job, int64_t row) {
    Plan plan;
    if (job.row_weight) plan.weight = job.row_weight[row];
    plan.active = plan.weight != 0;
    if (job.soft_factor) plan.factor = job.soft_factor[row];
    if (!job.labels || !plan.active) return plan;
    plan.label = load_label(job.labels, job.label_type, row, job.ignore_index);
    if (job.has_ignore && plan.label == job.ignore_index) {
        plan.active = false;
    } else if (plan.label < 0 || plan.label >= job.classes) {
        report_bad(job.blocks, row, kLabel);
        plan.active = false;
    } else if (job.class_weight) {
        plan.label_weight = job.class_weight[plan.label];
        plan.active = plan.label_weight != 0;
    }
    if (!plan.active) plan.label = -1;  // it may lie outside the classes: nothing is read through it
    return plan;
}

// Looks at a row's soft targets as given; false (and reported) if they are not a distribution.
template <class J> CROSSENT_INLINE bool targets_fit(const J& job, int64_t row, const RawSums& raw, double factor) {
    if (!raw.valid) {
        report_bad(job.blocks, row, kTarget);
        return false;
    }
    const double off = raw.sum * factor - 1;
    if (job.sum_tolerance >= 0 && factor != 0 && !(off <= job.sum_tolerance && -off <= job.sum_tolerance)) {
        report_bad(job.blocks, row, kTargetSum);
        return false;
    }
    return true;
}

CROSSENT_INLINE bool has_dense(const SoftmaxJob& job) { return job.soft || (job.labels && job.smoothing != 0); }

CROSSENT_INLINE double dense_uniform(const SoftmaxJob& job) {
    return job.smoothing / double(job.classes);
}

template <class T> CROSSENT_INLINE double uniform_at(const SoftmaxJob& job, int64_t k) {
    const T* cw = static_cast<const T*>(job.class_weight_lanes);
    const T uniform = T(dense_uniform(job));
    return double(cw ? cw[k] * uniform : uniform);
}

// Adds the index target to a smoothed row, whose dense part holds smoothing / K for every class.
CROSSENT_INLINE void add_label(const SoftmaxJob& job, const Plan& plan, double z_t, Row& row) {
    const double q = (1 - job.smoothing) * plan.label_weight;
    const bool top = plan.label == row.a;
    (top ? row.q_max : row.q_others) += q;
    row.q_sum += q;
    if (!top && q > 0) row.linear += q * (row.m - z_t);
    row.mass = plan.label_weight;
}

// Value of a finished row into the sums and the output; returns the factor of its gradient (0: left out).
template <class T>
CROSSENT_INLINE double finish_row(const SoftmaxJob& job, int64_t index, Plan& plan, const Row& row, BlockSums& sums) {
    T value = 0;
    if (plan.active && row.mass == 0 && (job.labels || job.soft)) plan.active = false;
    if (plan.active && !row.finite) {
        report_bad(job.blocks, index, kNonFinite);
        plan.active = false;
    }
    if (plan.active) {
        const bool targeted = job.labels || job.soft;
        value = T(targeted ? row.value(plan.weight * job.value_factor)
                           : (row.m + row.log1p_r) * (plan.weight * job.value_factor));
        sums.value.add(double(value));
        sums.mass.add(plan.weight * row.mass);
        sums.rows += 1;
    }
    if (job.values) static_cast<T*>(job.values)[index] = value;
    return plan.active ? plan.weight * job.grad_factor : 0;
}

// The gradient's element at the maximum; at an index target elsewhere see label_gradient.
CROSSENT_INLINE double max_gradient(const SoftmaxJob& job, const Row& row, double factor) {
    return job.labels || job.soft ? row.gradient_at_max(factor) : factor / row.s();
}

// Q p_t - q_t at an index target t != a, given exp(z_t - m); without smoothing in the form that stays exact near 1.
CROSSENT_INLINE double label_gradient(const SoftmaxJob& job, const Plan& plan, const Row& row, double factor,
                                      double e_t, double uniform_t) {
    if (job.smoothing == 0) return row.gradient_at_target(factor, e_t);
    return factor * (row.q_sum * (e_t / row.s()) - ((1 - job.smoothing) * plan.label_weight + uniform_t));
}

}  // namespace
