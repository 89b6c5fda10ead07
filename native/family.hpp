// The softmax family on rows in lanes: any shape, transform, target and extra term; value, gradient, Hessian diagonal.
//
// In double whatever the dtype, so only float64 needs pairs. Plain cross-entropy and index targets under a shape alone
// have faster kernels (softmax_job.hpp); this one is the whole family, and a shard of a vocabulary.
#pragma once

#include "family_targets.hpp"
#include "softmax_job.hpp"

namespace {

// Pairs are for logits stored as double; losses have the type of the arithmetic that other kernels use.
template <bool kPair> struct Arithmetic {
    using T = float;
};
template <> struct Arithmetic<true> {
    using T = double;
};

// Numbers that each class's gradient is made of: g' = A p - A_k + p (extra_L (L - H) + extra), times dz'/dz.
struct GroupFactors {
    F64 factor;               // of the row's gradient; 0: it is left out
    F64 scaled, at_top;       // factor A / s; the element of the top class
    F64 entropic, quadratic;  // factor omega Q; factor 2 lambda Q lse
    F64 square;               // factor 2 lambda Q
};

// Marks rows whose logits or targets are bad; what is left takes part.
CROSSENT_INLINE void judge(const FamilyJob& job, int64_t index, const GroupRow& row, const GroupTargets& targets,
                           GroupPlan& plan) {
    const bool targeted = job.base.labels || job.base.soft;
    for (int i = 0; i < kGroup; ++i) {
        if (!plan.active[i]) continue;
        const bool bad_value = targets.bad_value[i], bad_sum = targets.bad_sum[i];
        const bool empty = targeted && !job.left && targets.mass[i] == 0;
        if (bad_value) report_bad(job.base.blocks, index + i, kTarget);
        else if (bad_sum) report_bad(job.base.blocks, index + i, kTargetSum);
        else if (!empty && row.bad[i]) report_bad(job.base.blocks, index + i, kNonFinite);
        if (bad_value || bad_sum || empty || row.bad[i]) plan.active[i] = 0;
    }
}

// x r, r scaled up by kScaleUp, in the order in which nothing overflows nor leaves the normal numbers on the way.
CROSSENT_INLINE F64 times_scaled(F64 x, F64 scaled) {
    const F64 down = splat<F64>(kScaleDown), one = splat<F64>(1);
    const auto large = (x >= one) | (x <= -one);
    return large ? (x * down) * scaled : (x * scaled) * down;
}

// Row losses before rounding, weighted.
template <bool kPair>
CROSSENT_INLINE F64 row_values(const FamilyJob& job, const GroupRow& row, const GroupTargets& targets, F64 weight) {
    const F64 factor = weight * splat<F64>(job.base.value_factor), zero{};
    F64 value = targets.value;
    if (job.entropy_weight != 0) value += targets.weight * (splat<F64>(job.entropy_weight) * row.entropy);
    if (job.z_loss != 0) value += targets.weight * (splat<F64>(job.z_loss) * (row.lse * row.lse));
    const F64 all = factor * value;
    if constexpr (!kPair) return all;
    const double slope = slope_at_one(job.shape);
    if (slope == 0 || job.entropy_weight != 0 || job.z_loss != 0) return all;
    // Nothing but the top class has a target, and its loss is below the normal numbers: r is taken as it was summed.
    const auto tiny = (row.r < splat<F64>(kTiny)) & (targets.gap == zero);
    const F64 small = times_scaled(factor * targets.weight * splat<F64>(slope), row.r_scaled);
    return tiny ? small : all;
}

CROSSENT_INLINE GroupFactors group_factors(const FamilyJob& job, const GroupRow& row, const GroupTargets& targets,
                                           F64 weight, F64Mask active) {
    const F64 zero{}, two = splat<F64>(2);
    GroupFactors out;
    out.factor = active ? weight * splat<F64>(job.base.grad_factor) : zero;
    const F64 A = targets.top_slope + targets.other_slopes;
    out.scaled = out.factor * A / row.s;
    const F64 rest = times_scaled(out.factor * A, row.r_scaled / row.s);
    out.at_top = out.factor * targets.other_slopes - rest;
    const F64 Q = out.factor * targets.weight;
    out.entropic = splat<F64>(job.entropy_weight) * Q;
    out.square = two * splat<F64>(job.z_loss) * Q;
    out.quadratic = out.square == zero ? zero : out.square * row.lse;
    return out;
}

// Gradient and Hessian of one class, before the transform's derivatives.
struct ClassSlopes {
    F64 g, h;
};

template <bool kPair>
CROSSENT_INLINE ClassSlopes class_slopes(const FamilyJob& job, const GroupRow& row, const GroupTargets& targets,
                                         const GroupFactors& f, F64 w, Twin<F64> gap, bool plain) {
    const F64 zero{}, one = splat<F64>(1), two = splat<F64>(2);
    const bool linear = job.shape.kind == kLog;
    ClassSlopes out{zero, zero};
    if (linear && plain) {
        out.g = scaled_exp<kPair>(gap, f.scaled) - f.factor * w * splat<F64>(job.shape.a);
        out.g = at_top(gap, row) ? f.at_top : out.g;
        return out;
    }
    const ClassPart c = class_part(gap, scaled_exp<kPair>(gap, one), row);
    const Bent<F64> bent = bend<F64>(job.shape, c.L, c.rest, c.u, c.p);
    const auto alive = c.p > zero;
    const F64 over = alive ? c.far - row.far : zero, p = c.p, rest = c.u;  // over: L - H
    const F64 extra = f.entropic * over + f.quadratic;
    const bool more = job.entropy_weight != 0 || job.z_loss != 0;
    const F64 steep = more ? f.scaled + extra / row.s : f.scaled;
    out.g = scaled_exp<kPair>(gap, steep) - f.factor * (w * bent.slope);
    out.g = c.top ? f.at_top + (more ? p * extra : zero) : out.g;
    if (plain) return out;
    const F64 A = f.factor * (targets.top_slope + targets.other_slopes), curved = p * rest;
    const F64 C = w * bent.curvature, lse = row.lse;
    const F64 others_C = targets.other_curvatures + (c.top ? zero : targets.top_curvature - C);
    if (job.curvature == kExact) {
        out.h = A * curved + f.factor * (C * rest * rest + others_C * p * p) +
                f.entropic * p * ((rest - p) * over - rest) + f.square * p * p + f.quadratic * curved;
    } else {
        const F64 up = C > zero ? C : zero, others = targets.other_raised + (c.top ? zero : targets.top_raised - up * rest);
        const F64 bend_up = up * rest * rest + p * (others > zero ? others : zero);
        const F64 spread = (rest - p) * over - rest, tilt = one - over;
        const F64 size = f.entropic < zero ? -f.entropic : f.entropic;
        const F64 widest = (spread < zero ? -spread : spread) + rest * (tilt < zero ? -tilt : tilt) + two * row.entropy;
        out.h = two * (A * curved + f.factor * bend_up) + size * p * widest +
                f.square * p + two * (lse > zero ? f.quadratic : zero) * curved;
    }
    // Of a class with p = 0 nothing is left but the curvature of its own target.
    const F64 alone = f.factor * (job.curvature == kExact ? C : two * (C > zero ? C : zero));
    out.h = alive ? out.h : alone;
    return out;
}

template <bool kPair>
CROSSENT_INLINE void write_group(const FamilyJob& job, const Transform<kPair>& transform, const Group& at, Stage& stage,
                                 const GroupPlan& plan, const GroupRow& row, const GroupTargets& targets) {
    const bool soft = job.base.soft != nullptr, plain = !at.h && job.entropy_weight == 0 && job.z_loss == 0;
    const bool dense = soft || job.base.smoothing != 0 || job.hard != 0;
    const F64 zero{}, label = load(plan.label);
    const F64Mask active = plan.active;
    const GroupFactors factors = group_factors(job, row, targets, load(plan.weight), active);
    const TargetWeights weights(job, plan, row, soft);
    alignas(64) double g[kStaged * kGroup], h[kStaged * kGroup];
    for (int64_t first = 0; first < at.classes; first += kStaged) {
        const int count = int(at.classes - first < kStaged ? at.classes - first : kStaged);
        stage.take(at, first, count, soft);
        for (int j = 0; j < count; ++j) {
            const int64_t k = first + j;
            const F64 z = load(stage.z + j * kGroup);
            const auto labelled = label == splat<F64>(double(k));
            const bool targeted = dense || any_of(labelled);
            F64 w = zero;
            if (targeted) w = dense ? weights(k, load(stage.q + j * kGroup)) : (labelled ? splat<F64>(weights.class_weight(k)) : zero);
            const Twin<F64> gap = gap_of<kPair>(transform(z, k), row.m);
            ClassSlopes out;
            if (!targeted && plain) {
                out.g = at_top(gap, row) ? factors.at_top : scaled_exp<kPair>(gap, factors.scaled);
            } else {
                out = class_slopes<kPair>(job, row, targets, factors, w, gap, plain);
            }
            if (!transform.identity()) {
                F64 slope, bend;
                transform.derivatives(z, slope, bend);
                const auto flat = slope == zero;  // an infinite logit under a softcap: nothing moves it, whatever g is
                if (at.h) {
                    const F64 turned = out.g * bend;
                    const F64 h = out.h * slope * slope + (job.curvature == kUpper && turned < zero ? zero : turned);
                    out.h = flat ? zero : h;
                }
                out.g = flat ? zero : out.g * slope;
            }
            store(g + j * kGroup, active ? out.g : zero);
            if (at.h) store(h + j * kGroup, active ? out.h : zero);
        }
        at.put(g, at.layout, first, count, at.g);
        if (at.h) at.put(h, at.layout, first, count, at.h);
    }
}

// A shard whose classes are all ruled out is none the worse for it.
CROSSENT_INLINE void forgive_ruled_out(GroupRow& row) {
    row.bad &= ~row.ruled_out;
    row.r = row.ruled_out ? F64{} : row.r;
    row.spread = row.ruled_out ? F64{} : row.spread;
}

// A shard's row states out, and merged ones in.
CROSSENT_INLINE void leave_states(double* left, int n, const GroupPlan& plan, const GroupRow& row,
                                  const GroupTargets& targets) {
    for (int i = 0; i < n; ++i, left += kRowState) {
        const bool active = plan.active[i];
        const double low = row.m.low[i];
        left[kMaximum] = active ? row.m.high[i] : 0;
        left[kMaximumLow] = active && low - low == 0 ? low : 0;
        left[kOthers] = active ? row.r[i] : 0;
        left[kSpread] = active ? row.spread[i] : 0;
        left[kGap] = active ? targets.gap[i] : 0;
        left[kTargetOthers] = active ? targets.other_weight[i] : 0;
        left[kTargetTop] = active ? targets.top_weight[i] : 0;
        left[kTargetMass] = active ? targets.mass[i] : 0;
    }
}

CROSSENT_INLINE void take_states(const FamilyJob& job, const double* given, int n, GroupRow& row, GroupTargets& targets) {
    row = GroupRow{};
    row.first = splat<F64>(-1);
    for (int i = 0; i < n; ++i, given += kRowState) {
        row.m.high[i] = given[kMaximum];
        row.m.low[i] = given[kMaximumLow];
        row.r[i] = given[kOthers];
        row.spread[i] = given[kSpread];
        targets.weight[i] = given[kTargetOthers] + given[kTargetTop];
        targets.other_slopes[i] = given[kTargetOthers] * job.shape.a;
        targets.top_slope[i] = given[kTargetTop] * job.shape.a;
        targets.mass[i] = given[kTargetMass];
    }
    row.r_scaled = row.r * splat<F64>(kScaleUp);
    finish_sums(row);
}

// n rows from number `index` on.
template <bool kPair>
__attribute__((noinline)) void group_rows(const FamilyJob& job, int64_t index, const Group& at, Stage& stage,
                                          DoubleTotals& totals) {
    using T = typename Arithmetic<kPair>::T;
    const Transform<kPair> transform(job);
    const int n = at.layout.n;
    GroupPlan plan = plan_group(job, index, n);
    GroupRow row;
    GroupTargets targets;
    stage.first = -1;
    if (job.given) {
        take_states(job, job.given + index * kRowState, n, row, targets);
    } else {
        find_maximum<kPair>(transform, at, stage, row);
        add_up<kPair>(job, transform, at, stage, row);
        if (job.left) forgive_ruled_out(row);
        finish_sums(row);
        const bool dense = job.base.soft || job.base.smoothing != 0 || job.hard != 0;
        if (dense) targets = dense_targets<kPair>(job, transform, at, stage, plan, row);
        else targets = index_targets<kPair>(job, transform, at, plan, row);
    }
    judge(job, index, row, targets, plan);
    if (job.left) return leave_states(job.left + index * kRowState, n, plan, row, targets);
    const F64 weight = load(plan.weight), zero{};
    const F64Mask active = plan.active;
    if (!job.given) {
        const F64 value = active ? rounded<T>(row_values<kPair>(job, row, targets, weight)) : zero;
        if (job.base.values) store_doubles(static_cast<T*>(job.base.values) + index, n, value);
        totals.value.add(value);
        totals.mass.add(active ? weight * targets.mass : zero);
        totals.counted -= active;
    }
    if (!at.g || has_bad(job.base.blocks)) return;
    write_group<kPair>(job, transform, at, stage, plan, row, targets);
}

// Index targets of float rows under a shape and nothing else: the kernels of plain cross-entropy bend their rows.
template <class S> CROSSENT_INLINE bool bends_only(const FamilyJob& job) {
    const bool plain = job.softcap == 0 && job.temperature == 1 && !job.bias && !job.alpha && job.z_loss == 0 &&
                       job.entropy_weight == 0 && job.hard == 0 && !job.left && !job.given;
    const SoftmaxJob& base = job.base;
    return plain && sizeof(Of<S>) == 4 && base.labels && base.smoothing == 0 && !base.hess && base.inner == 1 &&
           base.classes > kTileClasses;
}

template <class S> CROSSENT_INLINE void run_family(const FamilyJob& job) {
    const SoftmaxJob& base = job.base;
    if (bends_only<S>(job)) {
        SoftmaxJob bent = base;
        bent.shape = &job.shape;
        return run_softmax<S>(bent);
    }
    const int64_t K = base.classes, inner = base.inner;
    Stage stage;
    const auto offset = [](const void* from, int64_t by) { return from ? static_cast<const S*>(from) + by : nullptr; };
    const auto room = [](void* from, int64_t by) { return from ? static_cast<S*>(from) + by : nullptr; };
    int64_t first, end, block;
    while (draw_block(base.blocks, first, end, block)) {
        BlockSums sums;
        DoubleTotals totals;
        for (int64_t i = first; i < end;) {
            const int64_t in_line = inner > 1 ? inner - i % inner : end - i;
            int64_t n = in_line < end - i ? in_line : end - i;
            if (n > kGroup) n = kGroup;
            const int64_t by = inner > 1 ? i / inner * K * inner + i % inner : i * K;
            const GroupLayout layout{inner > 1 ? 1 : K, inner, int(n)};
            const Group at{stage_classes<S>, unstage_classes<S>, layout, offset(base.logits, by), offset(base.soft, by),
                           room(base.grad, by), room(base.hess, by), K};
            group_rows<sizeof(Of<S>) == 8>(job, i, at, stage, totals);
            i += n;
        }
        totals.into(sums);
        sums.store(base.blocks, block);
    }
}

}  // namespace
