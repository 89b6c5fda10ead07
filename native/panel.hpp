// A panel: up to a few hundred rows of index targets at once, the plain case of short rows and of inner axes.
//
// The panel holds the rows class by class in L1, so that a lane is a row, and goes over them in phases that are all
// arithmetic: maxima and sums, losses and factors. softmax_panels.hpp moves rows in and gradients out. A lane never
// sees its neighbours: a row's bits do not depend on its place. Numbers are of T from beginning to end; what cancels
// or drifts is kept as a pair. The index of the maximum is not needed: exp(z_j - m) is 1 where z_j = m, such terms
// are counted, and r = the sum of the others + (count - 1).
#pragma once

#include "row.hpp"

// A phase of its own: one body for all storage types.
#define CROSSENT_APART __attribute__((noinline))

namespace {

constexpr int64_t kPanelRows = 256;
constexpr int64_t kPanelBytes = 65536;  // of the classes' numbers
constexpr int64_t kComparedClasses = 16;

template <class T> struct Panel {
    alignas(64) T x[kPanelBytes / sizeof(T)];  // class k of row i at k * stride + i: logits, then exp(z - m)
    alignas(64) T m[kPanelRows], z_t[kPanelRows], r_high[kPanelRows], r_low[kPanelRows];
    alignas(64) T value[kPanelRows];
    // the gradient is x * scale, with target[i] in place of x at the label
    alignas(64) T scale[kPanelRows], target[kPanelRows], e_t[kPanelRows];
    alignas(64) int32_t label[kPanelRows];
    // of rows that may be left out or weighted, and of rows finished by themselves: their gradient at the label, the
    // class of their maximum, their Hessian there, and their scale where T does not hold it (otherwise 0)
    double weight[kPanelRows], settled[kPanelRows], curved[kPanelRows], wide_scale[kPanelRows];
    int32_t top[kPanelRows];
    uint8_t active[kPanelRows], extreme[kPanelRows];
    int64_t classes, stride, rows, lanes;  // lanes: rows rounded up to whole vectors
    // any element below kNormal; any row weighted or left out; any extreme row; any with a wide scale
    bool deep, partial, extremes, rescaled;
};

// What will be read next, so that it is on its way while this panel is computed: a line for each class and vector.
struct Ahead {
    const char* from;
    int64_t class_step, lane_step;
};

// A sum of terms >= 0 with the error of each addition.
template <class T> struct ErrorSum {
    Vec<T> high{}, low{};
    CROSSENT_INLINE void add(Vec<T> v) {
        const Vec<T> s = high + v;
        low += sum_error(high, v, s);
        high = s;
    }
};

// Elements of the gradient that are below the normal range before they are scaled are kept times 2^kDeepShift, which
// makes them larger than 1, where no other element is.
template <class T> constexpr int kDeepShift = sizeof(T) == 4 ? 252 : 2044;

template <class T> CROSSENT_INLINE Vec<T> exp_deep(Vec<T> d, Vec<T> e) {
    using Table = ExpTable<T>;
    const Vec<T> limit = splat<Vec<T>>(Table::kLowest);
    Vec<T> t;
    const Vec<T> p = exp_reduced<Vec<T>>(d < limit ? limit : d, e, t);
    return d < limit ? splat<Vec<T>>(0) : p * power_of_two(t + splat<Vec<T>>(T(kDeepShift<T>)));
}

template <class T> CROSSENT_INLINE Vec<T> scaled_deep(Vec<T> x, Vec<T> scale) {
    constexpr T whole = sizeof(T) == 4 ? T(0x1p-126) : T(0x1p-1022), half = sizeof(T) == 4 ? T(0x1p-63) : T(0x1p-511);
    const Vec<T> deep = x * splat<Vec<T>>(whole) * scale * splat<Vec<T>>(half) * splat<Vec<T>>(half);
    return x > splat<Vec<T>>(1) ? deep : x * scale;
}

// exp(z - m) of one vector, kept in z's place if the gradient will want it; 0 and counted where z = m.
template <class T, bool Keep, bool Deep>
CROSSENT_INLINE Vec<T> panel_term(T* at, Vec<T> m, Vec<T>& count) {
    const Vec<T> z = load(at), minus_m = -m, d = z + minus_m, error = sum_error(z, minus_m, d);
    const Vec<T> x = exp_or_zero<Vec<T>>(d, error), zero = splat<Vec<T>>(0), one = splat<Vec<T>>(1);
    if constexpr (Keep && Deep) store(at, d < splat<Vec<T>>(ExpTable<T>::kNormal) ? exp_deep<T>(d, error) : x);
    else if constexpr (Keep) store(at, x);
    count += z == m ? one : zero;
    return z == m ? zero : x;
}

// r of one vector of rows: groups of four terms, and the sum of groups with its errors.
template <class T, bool Keep, bool Deep>
CROSSENT_INLINE void sum_lanes(Panel<T>& panel, int64_t i, Vec<T> m, const Ahead& ahead) {
    const int64_t stride = panel.stride, K = panel.classes;
    ErrorSum<T> sum;
    Vec<T> count{};
    T* at = panel.x + i;
    const char* next = ahead.from + i * ahead.lane_step;
    int64_t k = 0;
    for (; k + 4 <= K; k += 4, at += 4 * stride) {
        Vec<T> x[4];
        CROSSENT_UNROLL for (int j = 0; j < 4; ++j) {
            __builtin_prefetch(next);
            next += ahead.class_step;
            x[j] = panel_term<T, Keep, Deep>(at + j * stride, m, count);
        }
        sum.add((x[0] + x[1]) + (x[2] + x[3]));
    }
    if (k < K) {
        Vec<T> rest{};
        for (; k < K; ++k, at += stride) {
            __builtin_prefetch(next);
            next += ahead.class_step;
            rest += panel_term<T, Keep, Deep>(at, m, count);
        }
        sum.add(rest);
    }
    sum.add(count - splat<Vec<T>>(1));
    const Vec<T> high = sum.high + sum.low;
    store(panel.r_high + i, high);
    store(panel.r_low + i, sum.low - (high - sum.high));
}

// Maxima and sums of all rows. NaN is never the maximum: it shows in the sum.
template <class T, bool Keep> CROSSENT_APART void reduce_panel(Panel<T>& panel, const Ahead& ahead) {
    panel.deep = false;
    for (int64_t i = 0; i < panel.lanes; i += kLanes<T>) {
        Vec<T> m = splat<Vec<T>>(T(-kInfinity)), least = -m;
        const T* at = panel.x + i;
        for (int64_t k = 0; k < panel.classes; ++k, at += panel.stride) {
            const Vec<T> z = load(at);
            m = z > m ? z : m;
            if constexpr (Keep) least = z < least ? z : least;
        }
        store(panel.m + i, m);
        if (Keep && any_of(least - m < splat<Vec<T>>(ExpTable<T>::kNormal))) [[unlikely]] {
            panel.deep = true;
            sum_lanes<T, Keep, true>(panel, i, m, ahead);
        } else {
            sum_lanes<T, Keep, false>(panel, i, m, ahead);
        }
    }
}

// Labels of one vector of rows, as wide as the numbers.
template <class T> CROSSENT_INLINE typename LaneTypes<T>::Mask label_lanes(const Panel<T>& panel, int64_t i) {
    using Labels = typename LaneTypes<T>::Mask;
    typedef int32_t Narrow __attribute__((vector_size(4 * kLanes<T>), aligned(4), may_alias));
    return __builtin_convertvector(*reinterpret_cast<const Narrow*>(panel.label + i), Labels);
}

// The label's element of every row, to[i] = x[label, i]. Few classes are compared with the labels of many rows at once.
template <class T> CROSSENT_APART void pick_labels(const Panel<T>& panel, T* to) {
    if (panel.classes > kComparedClasses) {
        for (int64_t i = 0; i < panel.lanes; ++i) to[i] = panel.x[panel.label[i] * panel.stride + i];
        return;
    }
    for (int64_t i = 0; i < panel.lanes; i += kLanes<T>) {
        auto left = label_lanes(panel, i);
        Vec<T> picked = load(panel.x + i);
        for (int64_t k = 1; k < panel.classes; ++k) {
            left -= 1;
            picked = left == 0 ? load(panel.x + k * panel.stride + i) : picked;
        }
        store(to + i, picked);
    }
}

template <class T> CROSSENT_APART void put_labels(Panel<T>& panel, const T* from) {
    if (panel.classes > kComparedClasses) {
        for (int64_t i = 0; i < panel.lanes; ++i) panel.x[panel.label[i] * panel.stride + i] = from[i];
        return;
    }
    for (int64_t i = 0; i < panel.lanes; i += kLanes<T>) {
        auto left = label_lanes(panel, i);
        const Vec<T> put = load(from + i);
        for (int64_t k = 0; k < panel.classes; ++k, left -= 1) {
            T* at = panel.x + k * panel.stride + i;
            store(at, left == 0 ? put : load(at));
        }
    }
}

// Losses; with Keep also the gradient's factor, and what stands at the label before it is multiplied by that:
//   -r where z_t = m, otherwise -(1 + r - e_t).
// Rows with r below the limit, edge values or NaN are marked as extreme.
template <class T, bool Keep> CROSSENT_APART void finish_panel(Panel<T>& panel, T value_factor, T grad_factor) {
    const Vec<T> one = splat<Vec<T>>(1), zero = splat<Vec<T>>(0), factor = splat<Vec<T>>(value_factor);
    const Vec<T> limit = splat<Vec<T>>(T(Confident<T>::kLimit)), infinite = splat<Vec<T>>(T(kInfinity));
    typename LaneTypes<T>::Mask extremes{};
    for (int64_t i = 0; i < panel.lanes; i += kLanes<T>) {
        const Vec<T> m = load(panel.m + i), z_t = load(panel.z_t + i);
        const Vec<T> high = load(panel.r_high + i), low = load(panel.r_low + i);
        extremes |= ~(high >= limit) | (m == infinite) | (m == -infinite);
        const Vec<T> loss = (m - z_t) + log1p_short<Vec<T>>(high, low);
        store(panel.value + i, value_factor == 1 ? loss : loss * factor);
        if constexpr (Keep) {
            const Vec<T> e_t = load(panel.e_t + i), near = e_t > one ? zero : e_t;
            store(panel.target + i, z_t == m ? -high : -(one + ((high - near) + low)));
            store(panel.scale + i, splat<Vec<T>>(grad_factor) / (one + high));
        }
    }
    panel.extremes = any_of(extremes);
}

// x becomes x (s - x) / s, of which the Hessian's diagonal is a multiple: p_j (1 - p_j). With x = 1, s - x is r; terms
// that are kept above 1 stay as they are.
template <class T> CROSSENT_APART void curve_panel(Panel<T>& panel) {
    const Vec<T> one = splat<Vec<T>>(1);
    for (int64_t k = 0; k < panel.classes; ++k) {
        T* at = panel.x + k * panel.stride;
        for (int64_t i = 0; i < panel.lanes; i += kLanes<T>) {
            const Vec<T> x = load(at + i), r = load(panel.r_high + i);
            const Vec<T> others = x == one ? r : one + (r - x);
            store(at + i, x > one ? x : x * (others / (one + r)));
        }
    }
}

// The sum of the values, within 1e-14 of the exact one: few of them meet in a lane.
template <class T> CROSSENT_APART double panel_total(const Panel<T>& panel) {
    F64 sum[2 * kParts<T>] = {};
    for (int64_t i = 0; i < panel.lanes; i += 2 * kLanes<T>) {
        const Wide<T> a = to_wide<T>(load(panel.value + i));
        CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) sum[p] += a.part[p];
        if (i + kLanes<T> == panel.lanes) break;
        const Wide<T> b = to_wide<T>(load(panel.value + i + kLanes<T>));
        CROSSENT_UNROLL for (int p = 0; p < kParts<T>; ++p) sum[kParts<T> + p] += b.part[p];
    }
    CROSSENT_UNROLL for (int p = 1; p < 2 * kParts<T>; ++p) sum[0] += sum[p];
    double total = 0;
    for (int i = 0; i < kLanes<double>; ++i) total += sum[0][i];
    return total;
}

}  // namespace
