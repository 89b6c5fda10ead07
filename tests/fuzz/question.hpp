// Rows of classes as an input describes them: sizes that fit by construction, values of every kind.
//
// The sizes are those that native/module.cpp lets through: each array as long as rows, classes or logits say, class
// weights in double and in the arithmetic's type, labels or soft targets but not both, a Hessian only with a gradient.
#pragma once

#include "fuzz.hpp"

namespace fuzz {

__extension__ typedef __int128 Label;  // any label, with a sign or without

constexpr int kLabelBytes[] = {1, 2, 4, 8, 1, 2, 4, 8};  // by LabelType

template <int32_t storage> struct Question {
    using E = typename Format<storage>::E;
    using T = typename Format<storage>::T;

    int64_t classes = 1, inner = 1, rows = 0;
    std::vector<E> logits, soft;       // [outer, K, inner]
    std::vector<uint8_t> labels;       // rows * kLabelBytes
    bool has_labels = false, has_soft = false;
    int32_t label_type = kInt64;
    std::vector<double> soft_factor, class_weight, row_weight;
    bool has_factor = false, has_class_weight = false, has_row_weight = false;
    bool has_ignore = false;
    int64_t ignore = 0;
    double smoothing = 0, value_factor = 1, grad_factor = 1, sum_tolerance = -1;
    int32_t output = kGradient;
    bool sane = true;  // options are within what the engine passes: values have a meaning

    int64_t size() const { return rows * classes; }
    int64_t at(int64_t row, int64_t k) const { return (row / inner * classes + k) * inner + row % inner; }
    double logit(int64_t row, int64_t k) const { return widened<storage>(logits[size_t(at(row, k))]); }
    double target(int64_t row, int64_t k) const { return widened<storage>(soft[size_t(at(row, k))]); }
    double weight(int64_t row) const { return has_row_weight ? row_weight[size_t(row)] : 1; }
    double factor(int64_t row) const { return has_factor ? soft_factor[size_t(row)] : 1; }
    double of_class(int64_t k) const { return has_class_weight ? class_weight[size_t(k)] : 1; }

    Label label(int64_t row) const {
        const int bytes = kLabelBytes[label_type];
        uint64_t v = 0;
        for (int i = 0; i < bytes; ++i) v |= uint64_t(labels[size_t(row * bytes + i)]) << (8 * i);
        if (label_type >= kUint8) return Label(v);
        return int64_t(v << (64 - 8 * bytes)) >> (64 - 8 * bytes);
    }
    void set_label(int64_t row, uint64_t v) {
        const int bytes = kLabelBytes[label_type];
        for (int i = 0; i < bytes; ++i) labels[size_t(row * bytes + i)] = uint8_t(v >> (8 * i));
    }
};

// A number of the given style: small, scaled, tied, far apart, ruled out, raw bits.
template <int32_t storage> typename Format<storage>::E random_logit(Bytes& bytes, int style, double scale) {
    using E = typename Format<storage>::E;
    const double u = 2 * bytes.random_unit() - 1;
    switch (style) {
        case 0: return narrowed<storage>(scale * u);
        case 1: return narrowed<storage>(scale * double(bytes.random_below(4)));
        case 2: return narrowed<storage>(bytes.random_below(16) == 0 ? 1000 * u : scale * u);
        case 3: return narrowed<storage>(bytes.random_below(4) == 0 ? -INFINITY : scale * u);
        case 4: {
            const double top = std::ldexp(1.75, Format<storage>::kHigh), low = double(ulp<Format<storage>>(0));
            const double list[] = {0.0, -0.0, top, -top, low, -low, -INFINITY, 1.0, 1e4, -1e4};
            return narrowed<storage>(list[bytes.random_below(10)]);
        }
        default: {
            const uint64_t bits = bytes.random();
            E e;
            std::memcpy(&e, &bits, sizeof e);
            return e;
        }
    }
}

// n numbers of one style, some of them put right from the input's bytes.
template <int32_t storage> std::vector<typename Format<storage>::E> decode_numbers(Bytes& bytes, int64_t n) {
    using E = typename Format<storage>::E;
    std::vector<E> numbers(size_t(n), E(0));
    const int style = bytes.pick({0, 0, 0, 1, 2, 2, 3, 4, 5});
    const double scale = bytes.pick({1.0, 1e-6, 30.0, 100.0, 700.0, 1e4});
    for (E& e : numbers) e = random_logit<storage>(bytes, style, scale);
    for (int64_t i = n > 0 ? bytes.below(6) : 0; i > 0; --i) {
        const int64_t where = bytes.below(n);
        const double special = bytes.pick({double(INFINITY), -double(INFINITY), double(NAN), 0.0, 1e4, -1e4});
        E e = narrowed<storage>(special);
        if (bytes.one_in(2)) {
            const uint64_t bits = bytes.raw(sizeof(E));
            std::memcpy(&e, &bits, sizeof e);
        }
        numbers[size_t(where)] = e;
    }
    return numbers;
}

// Weights >= 0 that float holds exactly; now and then, if asked for, anything.
inline std::vector<double> decode_weights(Bytes& bytes, int64_t n, bool any) {
    std::vector<double> w(size_t(n), 1.0);
    const int64_t style = bytes.below(3);
    const double list[] = {0.0, 1.0, 0.5, 3.0, 700000.0, 0x1p-20};
    for (double& x : w) x = style == 0 ? 1.0 : style == 1 ? list[bytes.random_below(6)] : float(bytes.random_unit());
    for (int64_t i = any && n > 0 ? bytes.below(4) : 0; i > 0; --i) w[size_t(bytes.below(n))] = bytes.any_double();
    return w;
}

// Rows of soft targets: one class, all alike, random, some 0; and raw bits here and there.
template <int32_t storage> void decode_soft(Bytes& bytes, Question<storage>& q) {
    q.soft.resize(size_t(q.size()));
    const int64_t style = bytes.below(5);
    std::vector<double> row(size_t(q.classes), 0.0);
    for (int64_t i = 0; i < q.rows; ++i) {
        double sum = 0;
        for (double& x : row) {
            x = style == 0 ? 0 : style == 1 ? 1 : style == 3 && bytes.random_below(2) ? 0 : bytes.random_unit();
            sum += x;
        }
        if (sum == 0) row[size_t(bytes.random_below(q.classes))] = sum = 1;
        if (style == 4) sum = 1;  // not a distribution
        for (int64_t k = 0; k < q.classes; ++k) q.soft[size_t(q.at(i, k))] = narrowed<storage>(row[size_t(k)] / sum);
    }
    for (int64_t i = q.size() > 0 ? bytes.below(4) : 0; i > 0; --i) {
        const int64_t where = bytes.below(q.size());
        const double special = bytes.pick({-1.0, -0.0, double(INFINITY), double(NAN), 0.0, 1.0});
        q.soft[size_t(where)] = narrowed<storage>(special);
    }
}

// Labels of any type, mostly classes; some are any number.
template <int32_t storage> void decode_labels(Bytes& bytes, Question<storage>& q) {
    q.label_type = int32_t(bytes.below(8));
    q.labels.assign(size_t(q.rows * kLabelBytes[q.label_type]), 0);
    const int64_t largest = kLabelBytes[q.label_type] == 1 ? 127 : 32767;
    const int64_t n = q.classes < largest ? q.classes : largest;
    for (int64_t i = 0; i < q.rows; ++i) q.set_label(i, uint64_t(bytes.random_below(n)));
    for (int64_t i = q.rows > 0 && bytes.one_in(3) ? bytes.between(1, 3) : 0; i > 0; --i) {
        const int64_t row = bytes.below(q.rows);
        q.set_label(row, bytes.one_in(2) ? uint64_t(q.classes) : bytes.raw(8));
    }
    q.has_ignore = bytes.one_in(3);
    if (q.has_ignore) q.ignore = bytes.one_in(2) ? bytes.below(q.classes) : int64_t(bytes.raw(8));
}

// Everything but the logits: what a MassJob knows too.
template <int32_t storage> void decode_targets(Bytes& bytes, Question<storage>& q) {
    const int64_t shape = bytes.below(8);
    q.classes = shape == 7 ? bytes.between(2000, 4200) : shape < 3 ? bytes.between(1, 8) : bytes.between(1, 70);
    q.inner = shape == 7 || bytes.one_in(2) ? 1 : bytes.between(2, 20);
    const int64_t most = shape == 7 ? 3 : 40 / q.inner;
    q.rows = bytes.between(0, most) * q.inner;
    bytes.seed_random();
    q.sane = !bytes.one_in(8);
    const int64_t kind = bytes.below(5);
    if (kind < 2) {
        q.has_labels = true;
        decode_labels(bytes, q);
    } else if (kind < 4) {
        q.has_soft = true;
        decode_soft(bytes, q);
        q.has_factor = bytes.one_in(3);
        if (q.has_factor) q.soft_factor = decode_weights(bytes, q.rows, !q.sane);
    }
    q.has_class_weight = bytes.one_in(3);
    if (q.has_class_weight) q.class_weight = decode_weights(bytes, q.classes, !q.sane);
    q.has_row_weight = bytes.one_in(3);
    if (q.has_row_weight) q.row_weight = decode_weights(bytes, q.rows, !q.sane);
    q.sum_tolerance = bytes.pick({-1.0, 1e-5, 0.03});
}

// What a row comes to before its logits are looked at.
struct Part {
    bool takes_part = true;
    int64_t label = -1;
    Real mass = 1;      // before smoothing
    int64_t code = 0;   // RowError, 0: none
    bool close = false; // to a limit: rounding decides
};

// By the definition, one row after another, in wide numbers.
template <int32_t storage> Part part_of(const Question<storage>& q, int64_t row) {
    Part part;
    if (q.weight(row) == 0) return {false};
    if (q.has_labels) {
        const Label label = q.label(row);
        if (q.has_ignore && label == q.ignore) return {false};
        if (label < 0 || label >= q.classes) {
            part.code = kLabel;
            return part;
        }
        part.label = int64_t(label);
        part.mass = q.of_class(part.label);
    } else if (q.has_soft) {
        Real sum = 0;
        part.mass = 0;
        for (int64_t k = 0; k < q.classes; ++k) {
            const double y = q.target(row, k);
            if (!(y >= 0 && y < INFINITY)) part.code = kTarget;
            sum += y;
            part.mass += Real(y) * q.of_class(k);
        }
        if (part.code) return part;
        const Real off = std::fabs(sum * q.factor(row) - 1) - q.sum_tolerance;
        part.mass *= q.factor(row);
        part.close = q.sum_tolerance >= 0 && std::fabs(off) < 1e-5L * (1 + sum * q.factor(row));
        if (q.sum_tolerance >= 0 && q.factor(row) != 0 && off > 0) part.code = kTargetSum;
    }
    if (!part.code && part.mass == 0) part.takes_part = false;
    return part;
}

// Targets and weights of a question in memory of exactly their size, as a SoftmaxJob, MassJob or ProbabilityJob has them.
template <int32_t storage> class BoundTargets {
  public:
    template <class Job> BoundTargets(const Question<storage>& q, int64_t shift, Job& job)
        : q_(q), soft_(q.soft, shift / 2), labels_(q.labels, shift + 2), factor_(q.soft_factor, shift),
          class_weight_(q.class_weight, shift), row_weight_(q.row_weight, shift + 1) {
        job.classes = q.classes;
        job.inner = q.inner;
        job.labels = q.has_labels ? labels_.data() : nullptr;
        job.soft = q.has_soft ? soft_.data() : nullptr;
        job.soft_factor = q.has_factor ? factor_.data() : nullptr;
        job.class_weight = q.has_class_weight ? class_weight_.data() : nullptr;
        job.row_weight = q.has_row_weight ? row_weight_.data() : nullptr;
        job.sum_tolerance = q.sum_tolerance;
        job.ignore_index = q.ignore;
        job.has_ignore = q.has_ignore;
        job.label_type = q.label_type;
        if constexpr (requires { job.grad_factor; }) {  // a MassJob has no loss
            job.smoothing = q.smoothing;
            job.value_factor = q.value_factor;
            job.grad_factor = q.grad_factor;
        }
    }
    void expect_unchanged() const {
        EXPECT(soft_.holds(q_.soft) && labels_.holds(q_.labels), "targets were changed");
        EXPECT(factor_.holds(q_.soft_factor) && class_weight_.holds(q_.class_weight) && row_weight_.holds(q_.row_weight),
               "weights were changed");
    }

  private:
    const Question<storage>& q_;
    Exact<typename Format<storage>::E> soft_;
    Exact<uint8_t> labels_;
    Exact<double> factor_, class_weight_, row_weight_;
};

// The question of one row alone; on an inner axis the row stands there twice, for a single one has another layout.
template <int32_t storage> Question<storage> alone(const Question<storage>& q, int64_t row) {
    Question<storage> one = q;
    one.inner = one.rows = q.inner > 1 ? 2 : 1;
    one.logits.resize(size_t(one.size()));
    if (q.has_soft) one.soft.resize(size_t(one.size()));
    const size_t bytes = size_t(kLabelBytes[q.label_type]);
    if (q.has_labels) one.labels.resize(size_t(one.rows) * bytes);
    for (int64_t i = 0; i < one.rows; ++i) {
        for (int64_t k = 0; k < q.classes; ++k) {
            const size_t to = size_t(one.at(i, k)), from = size_t(q.at(row, k));
            one.logits[to] = q.logits[from];
            if (q.has_soft) one.soft[to] = q.soft[from];
        }
        if (q.has_labels) std::memcpy(&one.labels[size_t(i) * bytes], &q.labels[size_t(row) * bytes], bytes);
    }
    if (q.has_factor) one.soft_factor.assign(size_t(one.rows), q.factor(row));
    if (q.has_row_weight) one.row_weight.assign(size_t(one.rows), q.weight(row));
    return one;
}

}  // namespace fuzz
