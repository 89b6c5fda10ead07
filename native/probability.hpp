// Rows of probabilities p (or their logarithms) over classes of which one is true.
//
// loss = -sum_j q_j log p_j with q = cw ((1 - a) target + a / K); q_j = 0 is skipped, p_j = 0 < q_j gives inf.
// gradient = -q_j / p_j (of logarithms: -q_j), not projected to the simplex. All in double, rounded to T once.
// Index targets without smoothing read one element a row: addresses are found, and fetched, a chunk of rows ahead.
#pragma once

#include "doubles.hpp"
#include "elementary.hpp"
#include "softmax_plan.hpp"

namespace {

constexpr int kRowChunk = 64;

// Rows with index targets: what does not depend on the probabilities. A row that is left out has weight 0.
template <class T> struct IndexChunk {
    int64_t first;
    int n;
    int64_t label[kRowChunk];
    const T* element[kRowChunk];  // null: the row is left out
    alignas(64) double weight[kRowChunk], label_weight[kRowChunk], x[kRowChunk];
};

CROSSENT_INLINE int64_t inner_element(const ProbabilityJob& job, int64_t row, int64_t label) {
    return (row / job.inner * job.classes + label) * job.inner + row % job.inner;
}

template <class T>
CROSSENT_INLINE void plan_indexed(const ProbabilityJob& job, int64_t first, int64_t end, IndexChunk<T>& chunk) {
    const T* probs = static_cast<const T*>(job.probs);
    chunk.first = first;
    chunk.n = int(end - first < kRowChunk ? end - first : kRowChunk);
    for (int l = 0; l < chunk.n; ++l) {
        const int64_t row = first + l;
        const Plan plan = plan_row(job, row);
        chunk.label[l] = plan.label;
        chunk.weight[l] = plan.active ? plan.weight : 0;
        chunk.label_weight[l] = plan.label_weight;
        chunk.element[l] = nullptr;
        if (!plan.active) continue;
        const int64_t at = job.gathered     ? row
                           : job.inner == 1 ? row * job.classes + plan.label
                                            : inner_element(job, row, plan.label);
        chunk.element[l] = probs + at;
        __builtin_prefetch(probs + at);
    }
}

CROSSENT_INLINE F64Mask no_entry(F64 x, bool logarithms) {
    return logarithms ? ~(x <= F64{}) : ~((x >= F64{}) & (x <= splat<F64>(1.0)));
}

// Sums over a row's probabilities; false if one of them is none.
template <class T> CROSSENT_INLINE bool sum_row(const T* p, int64_t K, bool logarithms, double& sum) {
    F64 total[4] = {};
    F64Mask bad{};
    int64_t j = 0;
    for (; j + 4 * kDoubles <= K; j += 4 * kDoubles) {
        CROSSENT_UNROLL for (int i = 0; i < 4; ++i) {
            const F64 x = load_doubles(p + j + i * kDoubles, kDoubles, 0);
            bad |= no_entry(x, logarithms);
            total[i] += logarithms ? exp_or_zero<F64>(x, F64{}) : x;
        }
    }
    for (; j < K; j += kDoubles) {
        const int n = vector_size(K - j);
        const F64 x = load_doubles(p + j, n, logarithms ? -__builtin_inf() : 0);
        bad |= no_entry(x, logarithms);
        total[0] += logarithms ? exp_or_zero<F64>(x, F64{}) : x;
    }
    sum = sum_of_lanes((total[0] + total[1]) + (total[2] + total[3]));
    return !any_of(bad);
}

struct RowNotes {
    double count = 0, lowest = __builtin_inf(), highest = -__builtin_inf();
};

// Judges the sum of a row's probabilities; false (and reported) if it is refused.
CROSSENT_INLINE bool judge_sum(const ProbabilityJob& job, int64_t row, double sum, RowNotes& notes) {
    const double off = sum > 1 ? sum - 1 : 1 - sum;
    if (!(off <= job.refused)) {
        report_bad(job.blocks, row, kRowSum);
        return false;
    }
    if (off > job.silent) {
        notes.count += 1;
        notes.lowest = sum < notes.lowest ? sum : notes.lowest;
        notes.highest = sum > notes.highest ? sum : notes.highest;
    }
    return true;
}

// Reads the chunk's elements (and, if asked, looks at their whole rows); false if something is reported.
template <class T> CROSSENT_INLINE bool read_indexed(const ProbabilityJob& job, IndexChunk<T>& chunk, RowNotes& notes) {
    const double certain = job.logarithms ? 0 : 1;
    const T* probs = static_cast<const T*>(job.probs);
    F64Mask bad{};
    for (int l = 0; l < kRowChunk; ++l) {
        chunk.x[l] = l < chunk.n && chunk.element[l] ? double(*chunk.element[l]) : certain;
    }
    for (int l = 0; l < kRowChunk; l += kDoubles) bad |= no_entry(load(chunk.x + l), job.logarithms);
    bool fit = !any_of(bad);
    for (int l = 0; l < chunk.n && (!fit || job.look); ++l) {
        if (!chunk.element[l]) continue;
        const int64_t row = chunk.first + l;
        const double x = chunk.x[l];
        double sum = 1;
        bool entries = job.logarithms ? x <= 0 : x >= 0 && x <= 1;
        if (job.look) entries = sum_row(probs + row * job.classes, job.classes, job.logarithms, sum);
        if (!entries) report_bad(job.blocks, row, kEntry);
        if (entries && judge_sum(job, row, sum, notes)) continue;
        return false;
    }
    return fit;
}

template <class T>
CROSSENT_INLINE void compute_indexed(const ProbabilityJob& job, const IndexChunk<T>& chunk, DoubleTotals& totals) {
    const F64 zero{};
    alignas(64) double slope[kRowChunk];
    T *values = static_cast<T*>(job.values), *grad = static_cast<T*>(job.grad);
    for (int l = 0; l < chunk.n; l += kDoubles) {
        const int n = vector_size(chunk.n - l);
        const auto counted = first_doubles(n) & (load(chunk.weight + l) != zero);
        const F64 weight = counted ? load(chunk.weight + l) : zero;
        const F64 label_weight = counted ? load(chunk.label_weight + l) : zero, x = load(chunk.x + l);
        const F64 loss = label_weight * (job.logarithms ? zero - x : minus_log(x));
        const F64 value = rounded<T>(counted ? loss * (weight * splat<F64>(job.value_factor)) : zero);
        totals.value.add(value);
        totals.mass.add(weight * label_weight);
        totals.counted -= counted;
        if (values) store_doubles(values + chunk.first + l, n, value);
        if (!grad) continue;
        const F64 rise = label_weight * (weight * splat<F64>(job.grad_factor));
        store(slope + l, counted ? -(job.logarithms ? rise : rise / (x + zero)) : zero);  // -0 is 0
    }
    if (!grad) return;
    grad += chunk.first * job.classes;
    __builtin_memset(grad, 0, size_t(chunk.n) * size_t(job.classes) * sizeof(T));
    for (int l = 0; l < chunk.n; ++l) {
        if (chunk.element[l]) grad[l * job.classes + chunk.label[l]] = T(slope[l]);
    }
}

// Rows first .. end with index targets; while one chunk is computed, the next one's elements are on their way.
template <class T>
CROSSENT_INLINE void index_rows(const ProbabilityJob& job, int64_t first, int64_t end, BlockSums& sums,
                                RowNotes& notes) {
    IndexChunk<T> chunks[2];
    DoubleTotals totals;
    plan_indexed(job, first, end, chunks[0]);
    for (int turn = 0; first < end; turn ^= 1, first += kRowChunk) {
        IndexChunk<T>& chunk = chunks[turn];
        if (first + kRowChunk < end) plan_indexed(job, first + kRowChunk, end, chunks[turn ^ 1]);
        // If something is reported nothing is written: the message shows what stands there.
        if (read_indexed(job, chunk, notes)) compute_indexed(job, chunk, totals);
    }
    totals.into(sums);
}

// A row's dense targets: q_j = cw_j (keep target_j + uniform).
template <class T> struct SoftTargets {
    const T* soft;  // null: uniform only
    const double* class_weight;
    F64 keep, uniform;
    CROSSENT_INLINE F64 given(int64_t j, int n) const { return soft ? load_doubles(soft + j, n, 0) : F64{}; }
    CROSSENT_INLINE F64 weight(int64_t j, int n) const {
        return class_weight ? load_lanes(class_weight + j, n, 0.0) : splat<F64>(1.0);
    }
    CROSSENT_INLINE F64 at(F64 given, F64 weight) const { return weight * mul_add(given, keep, uniform); }
};

struct SoftSums {
    LaneSum<double> value, given, weighted;
    F64Mask no_target{}, no_entry_used{}, no_entry_at_all{};
};

template <class T>
CROSSENT_INLINE void sum_soft(const ProbabilityJob& job, const T* p, const SoftTargets<T>& targets, SoftSums& sums) {
    const F64 zero{}, infinity = splat<F64>(__builtin_inf());
    const bool logarithms = job.logarithms;
    for (int64_t j = 0; j < job.classes; j += kDoubles) {
        const int n = vector_size(job.classes - j);
        const F64 x = load_doubles(p + j, n, logarithms ? 0 : 1), given = targets.given(j, n);
        const F64 weight = targets.weight(j, n), q = targets.at(given, weight);
        const auto used = first_doubles(n) & (q > zero), wrong = no_entry(x, logarithms);
        sums.no_target |= ~((given >= zero) & (given < infinity));
        sums.no_entry_used |= used & wrong;
        sums.no_entry_at_all |= wrong;
        sums.value.add(used ? q * (logarithms ? zero - x : minus_log(x)) : zero);
        if (targets.soft) sums.given.add(given);
        if (targets.soft && targets.class_weight) sums.weighted.add(given * weight);
    }
}

template <class T>
CROSSENT_INLINE void soft_gradient(const ProbabilityJob& job, const T* p, const SoftTargets<T>& targets,
                                   double factor, T* grad) {
    const F64 zero{}, down = splat<F64>(-factor);
    for (int64_t j = 0; j < job.classes; j += kDoubles) {
        const int n = vector_size(job.classes - j);
        const F64 x = load_doubles(p + j, n, 1), q = targets.at(targets.given(j, n), targets.weight(j, n));
        store_doubles(grad + j, n, q > zero ? (job.logarithms ? down * q : down * q / (x + zero)) : zero);
    }
}

// Loss and mass (what the mean divides by) of a row with dense targets; false if it leaves or is reported.
template <class T>
CROSSENT_INLINE bool soft_value(const ProbabilityJob& job, int64_t row, const T* p, const Plan& plan,
                                const SoftTargets<T>& targets, RowNotes& notes, double& mass, double& value) {
    SoftSums sums;
    sum_soft(job, p, targets, sums);
    const Pair given = sums.given.total();
    if (targets.soft && !targets_fit(job, row, RawSums{given.value(), !any_of(sums.no_target)}, plan.factor)) {
        return false;
    }
    mass = !targets.soft             ? plan.label_weight
           : targets.class_weight ? sums.weighted.total().value() * plan.factor
                                  : given.value() * plan.factor;
    if (mass == 0) return false;
    const double x = plan.label >= 0 ? double(p[plan.label]) : 0, own = (1 - job.smoothing) * plan.label_weight;
    double sum = 1;
    bool entries = !any_of(job.look ? sums.no_entry_at_all : sums.no_entry_used);
    if (plan.label >= 0 && own > 0) entries &= job.logarithms ? x <= 0 : x >= 0 && x <= 1;
    if (entries && job.look) sum_row(p, job.classes, job.logarithms, sum);
    if (!entries) report_bad(job.blocks, row, kEntry);
    if (!entries || !judge_sum(job, row, sum, notes)) return false;
    Pair total = sums.value.total();
    if (plan.label >= 0 && own > 0) total.add(own * (job.logarithms ? 0 - x : minus_log(x)));
    value = total.value();
    return true;
}

template <class T>
CROSSENT_INLINE void soft_row(const ProbabilityJob& job, int64_t row, BlockSums& sums, RowNotes& notes) {
    const int64_t K = job.classes;
    const T* p = static_cast<const T*>(job.probs) + row * K;
    T* grad = job.grad ? static_cast<T*>(job.grad) + row * K : nullptr;
    const Plan plan = plan_row(job, row);
    const double uniform = job.smoothing / double(K), keep = (1 - job.smoothing) * plan.factor;
    const SoftTargets<T> targets{job.soft ? static_cast<const T*>(job.soft) + row * K : nullptr, job.class_weight,
                                  splat<F64>(keep), splat<F64>(uniform)};
    double mass = 0, loss = 0;
    T value = 0;
    const bool counts = plan.active && soft_value(job, row, p, plan, targets, notes, mass, loss);
    if (counts) {
        value = T(loss * (plan.weight * job.value_factor));
        sums.value.add(double(value));
        sums.mass.add(plan.weight * mass);
        sums.rows += 1;
    }
    if (job.values) static_cast<T*>(job.values)[row] = value;
    if (!grad || has_bad(job.blocks)) return;
    if (!counts) {
        __builtin_memset(grad, 0, size_t(K) * sizeof(T));
        return;
    }
    const double factor = plan.weight * job.grad_factor;
    const double x = plan.label >= 0 ? double(p[plan.label]) : 0;
    soft_gradient(job, p, targets, factor, grad);
    if (plan.label < 0) return;
    const double q = plan.label_weight * (1 - job.smoothing + uniform);
    grad[plan.label] = T(job.logarithms ? -factor * q : -factor * q / (x + 0.0));
}

template <class T> CROSSENT_INLINE void run_probability(const ProbabilityJob& job) {
    int64_t first, end, block;
    while (draw_block(job.blocks, first, end, block)) {
        BlockSums sums;
        RowNotes notes;
        if (job.labels && job.smoothing == 0) {
            index_rows<T>(job, first, end, sums, notes);
        } else {
            for (int64_t row = first; row < end; ++row) soft_row<T>(job, row, sums, notes);
        }
        sums.store(job.blocks, block);
        job.notes[3 * block] = notes.count;
        job.notes[3 * block + 1] = notes.lowest;
        job.notes[3 * block + 2] = notes.highest;
    }
}

}  // namespace
