// Independent labels as an input describes them: sizes, weights and options of jobs whose rows are elements.
#pragma once

#include "question.hpp"
#include "running.hpp"

namespace fuzz {

struct Elements {
    int64_t rows = 0, columns = 1;
    std::vector<double> pos_weight, weight;  // [] for none; one or `columns`; one a row or one an element
    double smoothing = 0, negative = 1, positive = 1, value_factor = 1, grad_factor = 1;
    bool sane = true;  // as in Question

    int64_t size() const { return rows * columns; }
    bool weight_by_row() const { return int64_t(weight.size()) == rows; }
    double weight_at(int64_t i) const {
        return weight.empty() ? 1 : weight[size_t(weight_by_row() ? i / columns : i)];
    }
    double pos_weight_at(int64_t i) const {
        return pos_weight.empty() ? 1 : pos_weight[pos_weight.size() == 1 ? 0 : size_t(i % columns)];
    }
    double mass(double y) const { return positive * y + negative * (1 - y); }
    // What multiplies -log p and -log(1 - p).
    Real up(int64_t i, Real y) const {
        return Real(positive) * pos_weight_at(i) * ((1 - Real(smoothing)) * y + Real(smoothing) / 2);
    }
    Real down(Real y) const { return Real(negative) * ((1 - Real(smoothing)) * (1 - y) + Real(smoothing) / 2); }

    void decode_shape(Bytes& bytes) {
        columns = bytes.one_in(2) ? 1 : bytes.between(2, 40);
        rows = bytes.between(0, columns == 1 ? 90 : 8);
        bytes.seed_random();
        sane = !bytes.one_in(8);
    }
    void decode_options(Bytes& bytes) {
        if (bytes.one_in(3)) pos_weight = decode_weights(bytes, bytes.one_in(2) ? 1 : columns, !sane);
        if (bytes.one_in(3) && rows > 0) weight = decode_weights(bytes, bytes.one_in(2) ? rows : size(), !sane);
        smoothing = bytes.pick({0.0, 0.0, 0.1, 1.0, 1e-9});
        negative = bytes.pick({1.0, 1.0, 0.0, 2.5, 1e-4});
        positive = bytes.pick({1.0, 1.0, 0.0, 3e3});
        value_factor = bytes.pick({1.0, 1.4426950408889634});
        grad_factor = bytes.pick({1.0, 1.4426950408889634, 1.0 / 48});
        if (sane) return;
        smoothing = bytes.any_double();
        negative = bytes.any_double();
        grad_factor = bytes.any_double();
    }
};

// n targets: hard, anywhere in [0, 1], or close to its ends; some are put right from the input's bytes, or wrong.
inline std::vector<double> decode_element_targets(Bytes& bytes, int64_t n) {
    const double some[] = {0.0, 1.0, 0.5, 1e-12, 1 - 0x1p-40, 0x1p-24};
    const int64_t style = bytes.below(3);
    std::vector<double> y(size_t(n), 0.0);
    for (double& x : y) {
        x = style == 0   ? double(bytes.random_below(2))
            : style == 1 ? bytes.random_unit()
                         : some[bytes.random_below(6)];
    }
    for (int64_t i = n > 0 && bytes.one_in(3) ? bytes.between(1, 3) : 0; i > 0; --i) {
        y[size_t(bytes.below(n))] = bytes.one_in(2) ? bytes.pick({-1.0, 2.0, double(NAN), -0.0}) : bytes.any_double();
    }
    return y;
}

// Weights in memory of exactly their size; with the options, as a SigmoidJob or BinaryProbabilityJob has them.
class BoundElements {
  public:
    template <class Job> BoundElements(const Elements& q, int64_t shift, Job& job)
        : q_(q), pos_weight_(q.pos_weight, shift), weight_(q.weight, shift + 1) {
        job.columns = q.columns;
        job.pos_weight = q.pos_weight.empty() ? nullptr : pos_weight_.data();
        job.weight = q.weight.empty() ? nullptr : weight_.data();
        // the strides of the bindings
        job.pos_weight_column = q.pos_weight.size() == 1 ? 0 : 1;
        job.weight_row = q.weight_by_row() ? 1 : q.columns;
        job.weight_column = q.weight_by_row() ? 0 : 1;
        job.smoothing = q.smoothing;
        job.negative_weight = q.negative;
        job.positive_weight = q.positive;
        job.value_factor = q.value_factor;
        job.grad_factor = q.grad_factor;
    }
    void expect_unchanged() const {
        EXPECT(weight_.holds(q_.weight) && pos_weight_.holds(q_.pos_weight), "weights were changed");
    }

  private:
    const Elements& q_;
    Exact<double> pos_weight_, weight_;
};

// Bad elements, sums, elements that are left out, and check(i) for the others; false: there was a bad one.
template <int32_t storage, class Q, class A, class F>
bool elements_fit(const KernelTable& table, const Q& q, const A& got, const F& check) {
    int64_t bad = kNoBadRow;
    Real mass = 0, kept = 0;
    for (int64_t i = 0; i < q.size() && bad == kNoBadRow; ++i) {
        if (q.weight_at(i) == 0) continue;
        const double y = q.target(i), m = q.mass(y);
        if (!(y >= 0 && y <= 1)) bad = i * 8 + kLabel;
        else if (std::isnan(widened<storage>(q.logits[size_t(i)]))) bad = i * 8 + kNonFinite;
        else if (m != 0) {
            mass += Real(q.weight_at(i)) * m;
            kept += 1;
        }
    }
    expect_bad(table.name, got.tally.bad, bad);
    if (bad != kNoBadRow) return false;
    for (int64_t i = 0; i < q.size(); ++i) {
        const double y = q.target(i);
        if (q.weight_at(i) != 0 && q.mass(y) != 0) check(i);
        else EXPECT(got.grad.empty() || widened<storage>(got.grad[size_t(i)]) == 0, "%s: element %lld left out",
                    table.name, (long long)i);
    }
    expect_sums(table.name, got.tally, kept, mass, 1e-12L, got.values);
    return true;
}

}  // namespace fuzz
