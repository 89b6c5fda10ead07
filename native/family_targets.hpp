// The targets of a group of rows under a shape: row losses, sums of slopes and curvatures.
#pragma once

#include "family_group.hpp"

namespace {

// Sums over the classes j with target weight w_j: of w f, w slope, w curvature. `top` is a class with p > 1/2.
struct GroupTargets {
    F64 value{}, mass{}, weight{};          // weight: Q, sum of w
    F64 top_slope{}, other_slopes{};        // of the class at the top, and of all others
    F64 top_curvature{}, other_curvatures{};
    F64 top_raised{}, other_raised{};       // of curvatures above 0, times 1 - p
    F64 gap{}, top_weight{}, other_weight{};  // sum of w (m - x); w at the first maximum, and of all others
    F64Mask bad_value{}, bad_sum{};
};

// What multiplies f at class k: weights, and the target after smoothing and a part that goes to the first maximum.
class TargetWeights {
  public:
    CROSSENT_INLINE TargetWeights(const FamilyJob& job, const GroupPlan& plan, const GroupRow& row, bool soft)
        : job_(job), row_(row), soft_(soft), label_(load(plan.label)), factor_(load(plan.factor)) {
        const double left = 1 - job.hard;
        keep_ = left * (1 - job.base.smoothing);
        uniform_ = left * (job.base.smoothing / double(job.all_classes));
    }
    CROSSENT_INLINE double class_weight(int64_t k) const {
        return (job_.base.class_weight ? job_.base.class_weight[k] : 1) * (job_.alpha ? job_.alpha[k] : 1);
    }
    CROSSENT_INLINE F64 raw(int64_t k, F64 q) const {
        const F64 one = splat<F64>(1), zero{};
        return soft_ ? q * factor_ : (label_ == splat<F64>(double(k)) ? one : zero);
    }
    CROSSENT_INLINE F64 operator()(int64_t k, F64 q) const {
        F64 target = mul_add(splat<F64>(keep_), raw(k, q), splat<F64>(uniform_));
        if (job_.hard != 0) {
            target = row_.first == splat<F64>(double(k)) ? target + splat<F64>(job_.hard) : target;
        }
        return splat<F64>(class_weight(k)) * target;
    }

  private:
    const FamilyJob& job_;
    const GroupRow& row_;
    bool soft_;
    F64 label_, factor_;
    double keep_, uniform_;
};

// One class's numbers that a shape wants.
struct ClassPart {
    F64 far, L, rest, u, p;  // m - x, and what the shape takes
    F64Mask top;
};
// Whether a class stands at the maximum alone; x - m is inf - inf there if its logit is infinite.
CROSSENT_INLINE F64Mask at_top(Twin<F64> gap, const GroupRow& row) {
    const F64 zero{};
    const F64Mask equal = (gap.high == zero) & (gap.low == zero);
    return row.certain & (equal | ((row.m.high == splat<F64>(kInfinity)) & (gap.high != gap.high)));
}
CROSSENT_INLINE ClassPart class_part(Twin<F64> gap, F64 e, const GroupRow& row) {
    ClassPart c;
    const F64 zero{};
    c.top = at_top(gap, row);
    c.far = c.top ? zero : distance(gap);
    c.L = c.far + row.log1p_r;
    const F64 lost = finite_or_zero((F64{} - gap.high - c.far) - gap.low);
    c.rest = c.top ? zero : sum_error(c.far, row.log1p_r, c.L) + lost;
    c.u = c.top ? row.r / row.s : (row.s - e) / row.s;
    c.p = c.top ? splat<F64>(1) / row.s : e / row.s;
    return c;
}

CROSSENT_INLINE void add_target(const Shape& shape, F64 w, const ClassPart& c, GroupTargets& sums) {
    const F64 zero{};
    const Bent<F64> f = bend<F64>(shape, c.L, c.rest, c.u, c.p);
    const auto used = w > zero;
    sums.value += used ? w * f.value : zero;
    const F64 slope = w * f.slope, curvature = w * f.curvature, raised = curvature > zero ? curvature : zero;
    sums.top_slope += c.top ? slope : zero;
    sums.other_slopes += c.top ? zero : slope;
    sums.top_curvature += c.top ? curvature : zero;
    sums.other_curvatures += c.top ? zero : curvature;
    sums.top_raised += c.top ? raised * c.u : zero;
    sums.other_raised += c.top ? zero : raised * c.u;
}

// One target a row, or none in this shard.
template <bool kPair>
CROSSENT_INLINE GroupTargets index_targets(const FamilyJob& job, const Transform<kPair>& transform, const Group& at,
                                           const GroupPlan& plan, const GroupRow& row) {
    GroupTargets sums;
    const int64_t K = job.base.classes;
    const F64 zero{}, one = splat<F64>(1);
    alignas(64) double z[kGroup] = {}, high[kGroup] = {}, low[kGroup] = {}, w[kGroup] = {};
    for (int i = 0; i < kGroup; ++i) {
        const int64_t t = plan.plan[i].label;
        if (t < 0) continue;
        z[i] = at.logit(i, t);
        if (job.bias) high[i] = job.bias[t];
        if (job.bias) low[i] = job.bias[K + t];
        w[i] = plan.label_weight[i] * (job.alpha ? job.alpha[t] : 1);
    }
    const F64 label = load(plan.label), weight = load(w);
    Twin<F64> gap = gap_of<kPair>(transform(load(z), Twin<F64>{load(high), load(low)}), row.m);
    const auto here = label >= zero;
    gap.high = here ? gap.high : zero;
    gap.low = here ? gap.low : zero;
    const ClassPart c = class_part(gap, scaled_exp<kPair>(gap, one), row);
    add_target(job.shape, weight, c, sums);
    sums.mass = here ? load(plan.label_weight) : zero;
    sums.gap = weight > zero ? weight * distance(gap) : zero;
    sums.weight = weight;
    sums.top_weight = row.first == label ? weight : zero;
    sums.other_weight = row.first == label ? zero : weight;
    return sums;
}

// Targets that may be anywhere: soft ones, smoothing, a part for the first maximum.
template <bool kPair>
CROSSENT_INLINE GroupTargets dense_targets(const FamilyJob& job, const Transform<kPair>& transform, const Group& at,
                                           Stage& stage, const GroupPlan& plan, const GroupRow& row) {
    GroupTargets sums;
    const F64 zero{}, one = splat<F64>(1);
    const bool soft = job.base.soft != nullptr, curved = at.h != nullptr;
    const TargetWeights weights(job, plan, row, soft);
    LaneSum<double> value, slopes, others, mass, raw, gaps, curvatures, raised;
    each_class(at, stage, soft, [&](int64_t k, F64 z, F64 q) __attribute__((always_inline)) {
        const Twin<F64> gap = gap_of<kPair>(transform(z, k), row.m);
        const F64 w = weights(k, q), given = weights.raw(k, q);
        GroupTargets one_class;
        add_target(job.shape, w, class_part(gap, scaled_exp<kPair>(gap, one), row), one_class);
        const auto first = row.first == splat<F64>(double(k));
        value.add(one_class.value);
        slopes.add(one_class.other_slopes);
        sums.top_slope += one_class.top_slope;
        if (curved) {
            sums.top_curvature += one_class.top_curvature;
            sums.top_raised += one_class.top_raised;
            curvatures.add(one_class.other_curvatures);
            raised.add(one_class.other_raised);
        }
        others.add(first ? zero : w);
        sums.top_weight = first ? w : sums.top_weight;
        gaps.add(w > zero ? w * distance(gap) : zero);
        raw.add(given);
        mass.add(given * splat<F64>(job.base.class_weight ? job.base.class_weight[k] : 1));
        if (soft) sums.bad_value |= ~((q >= zero) & (q < splat<F64>(kInfinity)));
    });
    sums.value = value.total_lanes();
    sums.other_slopes = slopes.total_lanes();
    sums.other_curvatures = curvatures.total_lanes();
    sums.other_raised = raised.total_lanes();
    sums.other_weight = others.total_lanes();
    sums.weight = sums.other_weight + sums.top_weight;
    sums.mass = mass.total_lanes();
    sums.gap = gaps.total_lanes();
    const F64 off = raw.total_lanes() - one, tolerance = splat<F64>(job.base.sum_tolerance);
    const bool look = soft && job.base.sum_tolerance >= 0;
    if (look) sums.bad_sum = (load(plan.factor) != zero) & ~((off <= tolerance) & (-off <= tolerance));
    return sums;
}

}  // namespace
