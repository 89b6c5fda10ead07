// A row of logits by the definition, in long double: value, gradient, Hessian and what the contract allows beside them.
#pragma once

#include "question.hpp"

namespace fuzz {

struct Element {
    Real grad, hess;
    Real scale;  // whose ulp bounds the gradient's error
};

template <int32_t storage> struct NaiveRow {
    bool finite = true;   // false: NaN, several +inf or nothing but -inf
    bool bounded = true;  // |z| <= 1e4 or -inf: the contract's range
    Real value = 0, value_scale = 0;
    std::vector<Element> elements;

    NaiveRow(const Question<storage>& q, int64_t row, const Part& part) {
        const int64_t K = q.classes;
        Real m = -INFINITY, others = 0;
        int64_t a = 0, certain = 0;
        for (int64_t k = 0; k < K; ++k) {
            const double z = q.logit(row, k);
            if (std::isnan(z)) finite = false;
            if (z == INFINITY) ++certain;
            if (std::fabs(z) > 1e4 && z != -INFINITY) bounded = false;
            if (z > m) {
                m = z;
                a = k;
            }
        }
        if (m == -INFINITY || certain > 1) finite = false;
        if (!finite) return;
        std::vector<Real> e(size_t(K), 0);
        for (int64_t k = 0; k < K; ++k) {
            const Real d = Real(q.logit(row, k)) - m;
            e[size_t(k)] = k == a ? 1 : std::isfinite(double(m)) ? std::exp(d) : 0;
            if (k != a) others += e[size_t(k)];
        }
        if (q.has_labels || q.has_soft) targeted(q, row, part, m, a, others, e);
        else untargeted(q, row, m, a, others, e);
    }

  private:
    static Real target(const Question<storage>& q, int64_t row, const Part& part, int64_t k) {
        const Real given = part.label >= 0 ? Real(k == part.label) : Real(q.target(row, k)) * q.factor(row);
        return q.of_class(k) * ((1 - Real(q.smoothing)) * given + Real(q.smoothing) / q.classes);
    }

    void targeted(const Question<storage>& q, int64_t row, const Part& part, Real m, int64_t a, Real r,
                  const std::vector<Real>& e) {
        const Real s = 1 + r, f = Real(q.weight(row)) * q.grad_factor;
        Real linear = 0, Q = 0, not_max = 0;
        std::vector<Real> y(e.size());
        for (int64_t k = 0; k < q.classes; ++k) {
            y[size_t(k)] = target(q, row, part, k);
            Q += y[size_t(k)];
            if (k != a) not_max += y[size_t(k)];
            if (k != a && y[size_t(k)] > 0) linear += y[size_t(k)] * (m - q.logit(row, k));
        }
        value = value_scale = Real(q.weight(row)) * q.value_factor * (linear + Q * std::log1p(r));
        const bool own = part.label >= 0 && q.smoothing == 0;
        for (int64_t k = 0; k < q.classes; ++k) {
            const Real rest = k == a ? r : s - e[size_t(k)], y_k = y[size_t(k)], p = e[size_t(k)] / s;
            const Real others = k == a ? not_max : Q - y_k;
            const Real g = p > 0.5L ? others - Q * (rest / s) : own && y_k > 0 ? -Q * (rest / s) : Q * p - y_k;
            const Real scale = std::fmin(Q * p + y_k, Q * (rest / s) + others);
            elements.push_back({f * g, f * Q * p * (rest / s), own ? f * g : f * scale});
        }
    }

    // log(sum(exp)) and probabilities or their logarithms.
    void untargeted(const Question<storage>& q, int64_t row, Real m, int64_t a, Real r, const std::vector<Real>& e) {
        const Real s = 1 + r, l = std::log1p(r), w = Real(q.weight(row)), f = w * q.grad_factor;
        value = w * q.value_factor * (m + l);
        value_scale = std::isfinite(m) ? w * q.value_factor * std::fmax(std::fabs(m), l) : value;
        for (int64_t k = 0; k < q.classes; ++k) {
            const Real rest = k == a ? r : s - e[size_t(k)], p = e[size_t(k)] / s;
            const Real log_p = k == a ? -l : std::isfinite(m) ? (Real(q.logit(row, k)) - m) - l : -Real(INFINITY);
            const Real g = q.output == kLogProbs ? log_p : f * p;
            elements.push_back({g, f * p * (rest / s), g});
        }
    }
};

}  // namespace fuzz
