// Drives panels: the jobs that have index targets and nothing that a panel does not know, block by block.
#pragma once

#include "panel_layout.hpp"
#include "softmax_plan.hpp"

namespace {

// Index targets, no smoothing, no class weights; the loss, its gradient, the Hessian's diagonal.
template <class T> CROSSENT_INLINE bool panel_serves(const SoftmaxJob& job) {
    return job.labels && !job.soft && job.smoothing == 0 && !job.class_weight &&
           job.output == kGradient && job.classes >= 2 && job.classes * 16 * int64_t(sizeof(T)) <= kPanelBytes;
}

// Rows of a panel: whole lines of numbers. A quarter of the room stays in L1; many classes need all of it.
template <class T> CROSSENT_INLINE int64_t rows_in_panel(int64_t K) {
    const int64_t most = kPanelBytes / int64_t(sizeof(T)) / K / 16 * 16, best = most / 64 * 16;
    return best > kPanelRows ? kPanelRows : best >= 64 ? best : most < 64 ? most : 64;
}

// Where class 0 of a row lies.
CROSSENT_INLINE int64_t place(int64_t row, int64_t K, int64_t inner) {
    return inner == 1 ? row * K : row / inner * K * inner + row % inner;
}

// Labels as 32 bits, those that are no class as -1; true if there is one, or one that equals `ignored`.
template <class L>
CROSSENT_APART bool narrow_labels(const L* labels, int64_t n, int64_t classes, int32_t ignored, int32_t* to) {
    int32_t odd = 0;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t label = int64_t(labels[i]);  // uint64 labels from 2^63 on turn negative: no classes either
        const int32_t known = uint64_t(label) < uint64_t(classes) ? int32_t(label) : -1;
        odd |= known == -1 || known == ignored;
        to[i] = known;
    }
    return odd != 0;
}

// J is a SoftmaxJob or a MassJob.
template <class J> CROSSENT_APART bool load_labels(const J& job, int64_t row, int64_t n, int32_t* to) {
    const bool known = job.has_ignore && job.ignore_index >= 0 && job.ignore_index < job.classes;
    const int32_t ignored = known ? int32_t(job.ignore_index) : -1;
    switch (job.label_type) {
        case kInt8: return narrow_labels(static_cast<const int8_t*>(job.labels) + row, n, job.classes, ignored, to);
        case kInt16: return narrow_labels(static_cast<const int16_t*>(job.labels) + row, n, job.classes, ignored, to);
        case kInt32: return narrow_labels(static_cast<const int32_t*>(job.labels) + row, n, job.classes, ignored, to);
        case kUint8: return narrow_labels(static_cast<const uint8_t*>(job.labels) + row, n, job.classes, ignored, to);
        case kUint16: return narrow_labels(static_cast<const uint16_t*>(job.labels) + row, n, job.classes, ignored, to);
        case kUint32: return narrow_labels(static_cast<const uint32_t*>(job.labels) + row, n, job.classes, ignored, to);
        default: return narrow_labels(static_cast<const int64_t*>(job.labels) + row, n, job.classes, ignored, to);
    }
}

// Weights of the panel's rows; those that leave, or have a bad label, become rows of zeros with label 0.
template <class T> CROSSENT_APART void plan_panel(const SoftmaxJob& job, int64_t first, Panel<T>& panel) {
    for (int64_t i = 0; i < panel.rows; ++i) {
        const Plan plan = plan_row(job, first + i);
        panel.active[i] = plan.active;
        panel.weight[i] = plan.active ? plan.weight : 0;
        if (plan.active) continue;
        panel.label[i] = 0;
        for (int64_t k = 0; k < panel.classes; ++k) panel.x[k * panel.stride + i] = 0;
    }
}

// Weighted values and factors of a panel in which rows are weighted or left out; weight 1 changes no bit.
template <class T> CROSSENT_APART void weigh_panel(const SoftmaxJob& job, Panel<T>& panel, BlockSums& sums) {
    for (int64_t i = 0; i < panel.rows; ++i) {
        if (panel.extreme[i]) continue;
        const double weight = panel.weight[i];
        panel.value[i] = panel.active[i] ? T(weight * double(panel.value[i])) : T(0);
        if (!panel.active[i]) panel.target[i] = 0;
        panel.scale[i] = T(weight * job.grad_factor) / (T(1) + panel.r_high[i]);
        if (!panel.active[i]) continue;
        sums.mass.add(weight);
        sums.rows += 1;
    }
}

// A row's scale in double where T does not hold it to full precision, otherwise 0. A scale below the normal range of
// double is kept times 2^kLift.
template <class T> constexpr int kLift = sizeof(T) == 4 ? 0 : 200;

template <class T> CROSSENT_INLINE double wide_scale(double factor, double s, int64_t K) {
    constexpr double low = sizeof(T) == 4 ? 0x1p-126 : 0x1p-1022, high = sizeof(T) == 4 ? 0x1p127 : kInfinity;
    const double size = __builtin_fabs(factor);
    const bool held = size == 0 || (size >= low * double(K) && size <= high);
    return held ? 0 : factor * (kLift<T> ? 0x1p200 : 1) / s;
}

// First of the largest logits, and the sum of the others' terms as a first look: NaN if the row has no answer.
template <class S> CROSSENT_INLINE Row look(const S* z, int64_t K, int64_t stride) {
    Row row;
    for (int64_t k = 0; k < K; ++k) {
        const double z_k = double(load_one<S>(z[k * stride]));
        if (z_k > row.m) {
            row.m = z_k;
            row.a = k;
        }
    }
    for (int64_t k = 0; k < K; ++k) {
        if (k != row.a) row.r.high += exp_gap(load_one<S>(z[k * stride]), row.m);
    }
    return row;
}

// Value, factor and gradient at the label of a row that is very confident or has edge values.
template <class S, class T = Of<S>>
CROSSENT_APART void settle_row(const SoftmaxJob& job, int64_t index, int64_t i, Panel<T>& panel) {
    const int64_t K = job.classes;
    const S* z = static_cast<const S*>(job.logits) + place(index, K, job.inner);
    Row row = look(z, K, job.inner);
    finish_extreme(z, K, job.inner, row);
    const int32_t t = panel.label[i];
    const T z_t = load_one<S>(z[t * job.inner]);
    const double weight = panel.partial ? panel.weight[i] : 1, factor = weight * job.grad_factor;
    row.set_index(double(z_t), 1);
    if (!row.finite) {
        report_bad(job.blocks, index, kNonFinite);
        panel.active[i] = 0;
    }
    panel.value[i] = row.finite ? T(row.value(weight * job.value_factor)) : T(0);
    panel.scale[i] = row.finite ? T(factor / row.s()) : T(0);
    panel.wide_scale[i] = wide_scale<T>(factor, row.s(), K);
    panel.settled[i] = t == row.a ? row.gradient_at_max(factor) : row.gradient_at_target(factor, exp_gap(z_t, row.m));
    panel.curved[i] = row.hessian_at_max(factor);
    panel.top[i] = int32_t(row.a);
    if (row.finite && row.m < kInfinity) return;
    for (int64_t k = 0; k < K; ++k) panel.x[k * panel.stride + i] = row.finite && k == row.a ? 1 : 0;
}

template <class S, class T = Of<S>>
CROSSENT_APART void settle_panel(const SoftmaxJob& job, int64_t first, Panel<T>& panel, BlockSums& sums) {
    for (int64_t i = 0; i < panel.rows; ++i) {
        const double factor = (panel.partial ? panel.weight[i] : 1) * job.grad_factor;
        panel.wide_scale[i] = wide_scale<T>(factor, 1 + double(panel.r_high[i]), panel.classes);
        panel.rescaled |= panel.wide_scale[i] != 0;
        const bool ordinary = panel.r_high[i] >= T(Confident<T>::kLimit) && panel.m[i] - panel.m[i] == 0;
        panel.extreme[i] = !ordinary && panel.active[i];
        if (!panel.extreme[i]) continue;
        settle_row<S>(job, first + i, i, panel);
        if (!panel.partial || !panel.active[i]) continue;
        sums.mass.add(panel.weight[i]);
        sums.rows += 1;
    }
    if (panel.partial) return;
    for (int64_t i = 0; i < panel.rows; ++i) {  // counted by the panel, but bad
        if (panel.active[i]) continue;
        sums.mass.add(-1);
        sums.rows -= 1;
    }
}

// x * scale of every element into memory.
template <class S, class T = Of<S>>
CROSSENT_APART void write_panel(const Panel<T>& panel, int64_t first, int64_t inner, S* to, bool past) {
    if (inner == 1) {
        if (panel.deep) write_rows<S, true>(panel, to + first * panel.classes, past);
        else write_rows<S, false>(panel, to + first * panel.classes, past);
    } else {
        if (panel.deep) write_columns<S, true>(panel, to, first, inner, past);
        else write_columns<S, false>(panel, to, first, inner, past);
    }
    if (past) end_stream();
}

// Row i of the panel once more, for its scale is no number of T; terms that are kept above 1 are put right.
template <class S, class T = Of<S>>
CROSSENT_APART void rewrite_row(const Panel<T>& panel, int64_t i, int64_t inner, S* to) {
    for (int64_t k = 0; k < panel.classes; ++k) {
        const double x = double(panel.x[k * panel.stride + i]);
        const double term = panel.deep && x > 1 ? scale_down(x, -kDeepShift<T>) : x;
        to[k * inner] = store_one<S>(T(scale_down(term * panel.wide_scale[i], -kLift<T>)));
    }
}

// The gradient, then the Hessian if it is wanted; rows settled by themselves get what is their own last.
template <class S, class T = Of<S>>
CROSSENT_INLINE void write_results(const SoftmaxJob& job, int64_t first, Panel<T>& panel) {
    S *grad = static_cast<S*>(job.grad), *hess = static_cast<S*>(job.hess);
    const int64_t K = job.classes, inner = job.inner;
    const auto own = [&](S* to, const int32_t* classes, const double* elements) __attribute__((always_inline)) {
        if (!panel.extremes && !panel.rescaled) return;
        for (int64_t i = 0; i < panel.rows; ++i) {
            S* row = to + place(first + i, K, inner);
            if (panel.wide_scale[i] != 0) rewrite_row(panel, i, inner, row);
            if (panel.extreme[i] && panel.active[i]) row[classes[i] * inner] = store_one<S>(T(elements[i]));
        }
    };
    put_labels(panel, panel.target);
    write_panel<S>(panel, first, inner, grad, job.stream != 0);
    own(grad, panel.label, panel.settled);
    if (!hess) return;
    put_labels(panel, panel.e_t);
    curve_panel(panel);
    write_panel<S>(panel, first, inner, hess, false);
    own(hess, panel.top, panel.curved);
}

// One panel: rows first .. first + panel.rows.
template <class S, bool Keep, class T = Of<S>>
CROSSENT_INLINE void run_panel(const SoftmaxJob& job, int64_t first, Panel<T>& panel, const Ahead& ahead,
                               BlockSums& sums) {
    const S* logits = static_cast<const S*>(job.logits);
    for (int64_t i = panel.rows; i < panel.lanes; ++i) panel.label[i] = 0;
    panel.partial = load_labels(job, first, panel.rows, panel.label) || job.row_weight;
    if (job.inner == 1) read_rows(logits + first * job.classes, panel);
    else read_columns(logits, first, job.inner, panel);
    if (panel.partial) plan_panel(job, first, panel);
    pick_labels(panel, panel.z_t);
    reduce_panel<T, Keep>(panel, ahead);
    if (Keep) pick_labels(panel, panel.e_t);
    finish_panel<T, Keep>(panel, T(job.value_factor), T(job.grad_factor));
    panel.rescaled = false;
    if (!panel.partial) {
        sums.mass.add(double(panel.rows));
        sums.rows += double(panel.rows);
    }
    if (panel.extremes || panel.partial) [[unlikely]] {
        if (!panel.partial) __builtin_memset(panel.active, 1, size_t(panel.rows));
        settle_panel<S>(job, first, panel, sums);
        if (panel.partial) weigh_panel(job, panel, sums);
    }
    for (int64_t i = panel.rows; i < panel.lanes; ++i) panel.value[i] = 0;
    sums.value.add(panel_total(panel));
    if (job.values) {
        __builtin_memcpy(static_cast<T*>(job.values) + first, panel.value, size_t(panel.rows) * sizeof(T));
    }
    if (Keep && !has_bad(job.blocks)) write_results<S>(job, first, panel);  // else the message shows what stands there
}

// Rows first .. end of a block.
template <class S, bool Keep, class T = Of<S>>
CROSSENT_INLINE void run_panels_(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    Panel<T> panel;
    const int64_t room = rows_in_panel<T>(job.classes), K = job.classes, inner = job.inner, size = int64_t(sizeof(S));
    panel.classes = K;
    panel.stride = room;
    for (int64_t i = first; i < end; i += room) {
        panel.rows = end - i < room ? end - i : room;
        panel.lanes = (panel.rows + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
        const int64_t next = i + room < end ? i + room : i;
        const Ahead ahead{static_cast<const char*>(job.logits) + place(next, K, inner) * size,
                          inner == 1 ? size * kLanes<T> : inner * size, inner == 1 ? K * size : size};
        run_panel<S, Keep>(job, i, panel, ahead, sums);
    }
}
template <class S> CROSSENT_APART void run_panels(const SoftmaxJob& job, int64_t first, int64_t end, BlockSums& sums) {
    if (job.grad) run_panels_<S, true>(job, first, end, sums);
    else run_panels_<S, false>(job, first, end, sums);
}

}  // namespace
