// Rows of the family in lanes: a vector of doubles holds one class of several rows, whatever the layout and the dtype.
//
// Classes are staged through a small buffer, so the passes below them know doubles and lanes only and are compiled
// twice: for logits stored as double (pairs, kPair) and for narrower ones.
#pragma once

#include "doubles.hpp"
#include "softmax_plan.hpp"
#include "transform.hpp"

namespace {

constexpr int kGroup = kLanes<double>;
constexpr int64_t kStaged = 64;  // classes staged together

// How a group's rows lie in memory: element (row i, class k) of an array at i * row_step + k * class_step.
struct GroupLayout {
    int64_t row_step, class_step;
    int n;
};

template <class S> void stage_classes(const void* from, const GroupLayout& at, int64_t first, int count, double* to) {
    const S* source = static_cast<const S*>(from) + first * at.class_step;
    if constexpr (sizeof(S) != 2) {
        if (at.row_step == 1 && at.n == kGroup) {
            for (int k = 0; k < count; ++k) store(to + k * kGroup, load_doubles(source + k * at.class_step, kGroup, 0));
            return;
        }
    }
    for (int i = 0; i < at.n; ++i) {
        const S* row = source + i * at.row_step;
        for (int k = 0; k < count; ++k) to[k * kGroup + i] = double(load_one<S>(row[k * at.class_step]));
    }
}

template <class S> void unstage_classes(const double* from, const GroupLayout& at, int64_t first, int count, void* to) {
    S* target = static_cast<S*>(to) + first * at.class_step;
    for (int i = 0; i < at.n; ++i) {
        S* row = target + i * at.row_step;
        for (int k = 0; k < count; ++k) row[k * at.class_step] = store_one<S>(Of<S>(from[k * kGroup + i]));
    }
}

// A group of rows: where it lies, and how its elements are read and written.
struct Group {
    void (*take)(const void*, const GroupLayout&, int64_t, int, double*);
    void (*put)(const double*, const GroupLayout&, int64_t, int, void*);
    GroupLayout layout;
    const void *z, *q;
    void *g, *h;
    int64_t classes;
    CROSSENT_INLINE double logit(int i, int64_t k) const {
        double at[kGroup];
        take(z, GroupLayout{0, 1, 1}, i * layout.row_step + k * layout.class_step, 1, at);
        return at[0];
    }
};

// The classes that are staged: logits, and soft targets where they are asked for.
struct Stage {
    alignas(64) double z[kStaged * kGroup] = {}, q[kStaged * kGroup] = {};
    int64_t first = -1;
    bool soft = false;
    CROSSENT_INLINE void take(const Group& at, int64_t from, int count, bool targets) {
        if (first == from && (soft || !targets)) return;
        at.take(at.z, at.layout, from, count, z);
        if (targets && at.q) at.take(at.q, at.layout, from, count, q);
        first = from;
        soft = targets;
    }
};

// f(k, the group's logits of class k, their soft targets) for every class in order.
template <class F> CROSSENT_INLINE void each_class(const Group& at, Stage& stage, bool targets, const F& f) {
    for (int64_t first = 0; first < at.classes; first += kStaged) {
        const int count = int(at.classes - first < kStaged ? at.classes - first : kStaged);
        stage.take(at, first, count, targets);
        for (int k = 0; k < count; ++k) f(first + k, load(stage.z + k * kGroup), load(stage.q + k * kGroup));
    }
}

// What the rows say of their targets, a lane each.
struct GroupPlan {
    Plan plan[kGroup];
    alignas(64) double label[kGroup], label_weight[kGroup], weight[kGroup], factor[kGroup];
    F64Mask active;
};

// A label that belongs to another shard of the vocabulary is no label here.
CROSSENT_INLINE GroupPlan plan_group(const FamilyJob& job, int64_t index, int n) {
    GroupPlan group;
    SoftmaxJob whole = job.base;
    whole.classes = job.all_classes;
    whole.class_weight = nullptr;  // of the classes of this shard
    for (int i = 0; i < kGroup; ++i) {
        Plan plan;
        plan.active = false;
        if (i < n) plan = plan_row(whole, index + i);
        const int64_t local = plan.label - job.first_class;
        plan.label = plan.label >= 0 && local >= 0 && local < job.base.classes ? local : -1;
        if (plan.label >= 0 && job.base.class_weight) plan.label_weight = job.base.class_weight[plan.label];
        group.plan[i] = plan;
        group.label[i] = double(plan.label);
        group.label_weight[i] = plan.label_weight;
        group.weight[i] = plan.weight;
        group.factor[i] = plan.factor;
        group.active[i] = plan.active ? -1 : 0;
    }
    return group;
}

// What the logits of a group come to.
struct GroupRow {
    Twin<F64> m;      // maximum of the transformed logits
    F64 first;        // the class where it stands first; -1: not among these
    F64 r, r_scaled;  // sum of exp(x - m) over the others; the same times 2^500
    F64 s, log1p_r, lse;
    F64 spread, far, entropy;  // sum of exp(x - m) (m - x); the mean of m - x under p; entropy of p
    F64Mask certain;      // p at the maximum is above 1/2, so that it stands alone
    F64Mask bad, ruled_out;  // no softmax; the same for want of any logit but -inf
};

constexpr double kScaleUp = 0x1p500, kScaleDown = 0x1p-500;
constexpr double kTiny = 1e-280;  // below, r is taken from r_scaled

template <bool kPair>
CROSSENT_INLINE void find_maximum(const Transform<kPair>& transform, const Group& at, Stage& stage, GroupRow& row) {
    F64 high = splat<F64>(-kInfinity), low{}, first = splat<F64>(-1);
    F64Mask nan{};
    each_class(at, stage, false, [&](int64_t k, F64 z, F64) __attribute__((always_inline)) {
        nan |= z != z;
        Twin<F64> x = twin(z);
        if (!transform.monotone()) x = transform(z, k);
        const F64Mask more = (x.high > high) | ((x.high == high) & (x.low > low));
        high = more ? x.high : high;
        low = more ? x.low : low;
        first = more ? splat<F64>(double(k)) : first;
    });
    row.m = transform.monotone() ? transform(high, 0) : Twin<F64>{high, low};
    row.first = first;
    row.ruled_out = ~nan & (high == splat<F64>(-kInfinity));
    row.bad = nan | row.ruled_out;
}

// x - m as a pair whose low part is the rounding error of its high one; with infinite parts the low one is NaN.
template <bool kPair> CROSSENT_INLINE Twin<F64> gap_of(Twin<F64> x, Twin<F64> m) {
    const F64 d = x.high - m.high;
    if constexpr (!kPair) return {d, F64{}};
    return {d, sum_error(x.high, -m.high, d) + (x.low - m.low)};
}
// m - x of that pair, 0 where both are infinite.
CROSSENT_INLINE F64 distance(Twin<F64> gap) {
    const F64 d = F64{} - (gap.high + finite_or_zero(gap.low));
    return d == d ? d : F64{};
}

template <bool kPair> CROSSENT_INLINE F64 scaled_exp(Twin<F64> gap, F64 factor) {
    return exp_scaled<F64>(gap.high, gap.low, factor);
}

// Sums over the classes without the first maximum.
template <bool kPair>
CROSSENT_INLINE void add_up(const FamilyJob& job, const Transform<kPair>& transform, const Group& at, Stage& stage,
                            GroupRow& row) {
    LaneSum<double> sum, spread;
    F64 plain{};
    const F64 zero{}, unit = splat<F64>(kPair ? kScaleUp : 1.0);
    const bool entropic = job.entropy_weight != 0;
    each_class(at, stage, false, [&](int64_t k, F64 z, F64) __attribute__((always_inline)) {
        const Twin<F64> gap = gap_of<kPair>(transform(z, k), row.m);
        F64 e;
        if constexpr (kPair) e = scaled_exp<kPair>(gap, unit);
        else e = exp_or_zero<F64>(gap.high, zero);
        e = row.first == splat<F64>(double(k)) ? zero : e;
        if constexpr (kPair) sum.add(e);
        else plain += e;
        if (entropic) spread.add(e > zero ? e * distance(gap) : zero);
    });
    const F64 total = kPair ? sum.total_lanes() : plain, down = splat<F64>(kPair ? kScaleDown : 1.0);
    row.r_scaled = total * splat<F64>(kPair ? 1.0 : kScaleUp);
    row.r = total * down;
    row.spread = spread.total_lanes() * down;
    row.bad |= row.r != row.r;
}

CROSSENT_INLINE void finish_sums(GroupRow& row) {
    const F64 one = splat<F64>(1), zero{};
    const F64 r = row.r == row.r ? row.r : zero;
    row.s = one + r;
    row.log1p_r = log1p_pair<F64>(r, zero);
    row.lse = row.m.high + (finite_or_zero(row.m.low) + row.log1p_r);
    row.far = row.spread / row.s;
    row.entropy = row.log1p_r + row.far;
    row.certain = r < one;
}

}  // namespace
