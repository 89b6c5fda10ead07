// A row of the family by the definition, in long double: value, gradient, Hessian, and what each is made of.
//
//   loss = sum_j q_j [f(L_j, u_j) + omega H + lambda lse^2],  z' = c tanh(z / c) / T + tau b
// Differences of logits are taken before they are divided: their quotients would have lost the digits. What is lost
// nevertheless is `blur`, relative to every result.
#pragma once

#include "question.hpp"

namespace fuzz {

template <int32_t storage> struct FamilyQuestion {
    Question<storage> rows;
    Shape shape{kLog, 1, 0};
    double softcap = 0, temperature = 1, tau = 1, z_loss = 0, entropy = 0, hard = 0;
    std::vector<double> bias, alpha;  // [2, K] and [K], or none
    int32_t curvature = kExact;

    double alpha_of(int64_t k) const { return alpha.empty() ? 1 : alpha[size_t(k)]; }
    Real bias_of(int64_t k) const {
        const size_t K = size_t(rows.classes), at = size_t(k);
        return bias.empty() ? 0 : Real(tau) * (Real(bias[at]) + Real(bias[K + at]));
    }
    Real gamma() const { return shape.kind == kFocal ? Real(shape.b) : 0; }
};

struct Bent {
    Real f = 0, slope = 0, curvature = 0, size = 0;  // size: the terms of the curvature
};

// L - u for u < 1/2 without cancellation.
inline Real log_beyond_linear(Real L, Real u) {
    if (u > 0.03L) return L - u;
    Real sum = 0;
    for (int n = 16; n >= 2; --n) sum = sum * u + Real(1) / n;
    return sum * u * u;
}

inline Bent bend(const Shape& shape, Real L, Real u, Real p) {
    const Real a = shape.a, b = shape.b, pL = p > 0 ? p * L : 0;
    if (shape.kind == kLog) return {a == 0 ? 0 : a * L, a, 0, 0};
    if (shape.kind == kPower) {
        const Real slope = std::exp(-b * L);
        return {-std::expm1(-b * L) / b, slope, -b * slope, b * slope};
    }
    if (shape.kind == kPoly) {
        const Real rest = (a + b) == 0 ? 0 : (a + b) * L, sum = (a == 0 ? 0 : a * L) + b * u;
        return {b < 0 ? rest - b * log_beyond_linear(L, u) : sum, b < 0 ? (a + b) - b * u : a + b * p, -b * p,
                std::fabs(b) * p};
    }
    if (u == 0) return {0, b > 0 ? 0 : a, 0, 0};
    const Real power = a * std::pow(u, b), over = power * b / u, last = (b - 1) * pL * p / u;
    return {power == 0 ? 0 : power * L, power * (1 + b * pL / u), over * (2 * p - pL + last),
            over * (2 * p + pL + std::fabs(last))};
}

struct FamilyElement {
    Real grad = 0, grad_scale = 0, hess = 0, hess_scale = 0;
};

template <int32_t storage> class FamilyRow {
  public:
    bool finite = true;   // false: NaN, several +inf or nothing but -inf
    bool bounded = true;  // |z| <= 1e4 or -inf: the contract's range
    bool far = false;     // some finite logit is so large that a quotient overflows
    Real value = 0, value_scale = 0, blur = 0, heaviest = 1;
    std::vector<FamilyElement> elements;

    FamilyRow(const FamilyQuestion<storage>& q, int64_t row, const Part& part) : q_(q), row_(row), K_(q.rows.classes) {
        look();
        if (!finite || !bounded) return;
        add_up();
        target(part);
        const Real weight = q.rows.weight(row), v = weight * q.rows.value_factor;
        value *= v;
        value_scale *= v;
        factor_ = weight * q.rows.grad_factor;
        heaviest = std::fmax(1, std::fmax(v, factor_) * std::fmax(Q_, 1));
        for (int64_t k = 0; k < K_; ++k) elements.push_back(element(k));
    }

  private:
    struct Class {
        Real e, far, p, u, L, slope, bend;  // far: m - z'
        Real q = 0;
        Bent f;
    };

    Real logit(int64_t k) const { return q_.rows.logit(row_, k); }

    void look() {
        int64_t certain = 0, left = 0;
        for (int64_t k = 0; k < K_; ++k) {
            const double z = q_.rows.logit(row_, k);
            if (std::isnan(z)) finite = false;
            certain += z == INFINITY;
            left += z != -INFINITY;
            if (std::fabs(z) > 1e4 && z != -INFINITY) bounded = false;
            if (std::isfinite(z) && std::fabs(z) > 1e300) far = true;
        }
        if (certain > 1 || left == 0) finite = false;
    }

    // z'_k - z'_a, a finite class a.
    Real gap(int64_t k, int64_t a) {
        if (logit(k) == -INFINITY) return -INFINITY;
        const Real T = q_.temperature, c = q_.softcap, of_bias = q_.bias_of(k) - q_.bias_of(a);
        const Real x = logit(k), y = logit(a);
        const Real moved = (c == 0 ? x - y : c * std::tanh((x - y) / c) * one_minus_product(x / c, y / c)) / T;
        const Real d = moved + of_bias, size = std::fabs(moved) + std::fabs(q_.bias_of(k)) + std::fabs(q_.bias_of(a));
        if (std::fabs(d) < 800) blur = std::fmax(blur, 0x1p-62L * (size + 1));
        return d;
    }
    // 1 - tanh x tanh y, by which tanh x - tanh y = tanh(x - y) (1 - tanh x tanh y).
    static Real one_minus_product(Real x, Real y) {
        const Real t = std::tanh(std::fabs(x)), n = std::tanh(std::fabs(y));
        return (x > 0) == (y > 0) ? one_minus_tanh(std::fabs(x)) + t * one_minus_tanh(std::fabs(y)) : 1 + t * n;
    }
    static Real one_minus_tanh(Real x) {
        const Real e = std::exp(-2 * x);
        return 2 * e / (1 + e);
    }

    void add_up() {
        a_ = 0;
        while (logit(a_) == -INFINITY) ++a_;
        for (int64_t k = a_ + 1; k < K_; ++k) a_ = gap(k, a_) > 0 ? k : a_;
        Real r = 0, spread = 0;
        for (int64_t k = 0; k < K_; ++k) {
            Class c{};
            c.far = k == a_ ? 0 : -gap(k, a_);
            c.e = std::exp(-c.far);
            if (k != a_) r += c.e;
            if (c.e > 0) spread += c.e * c.far;
            classes_.push_back(c);
        }
        s_ = 1 + r;
        const Real l = std::log1p(r), z = logit(a_), cap = q_.softcap;
        const Real m = (cap == 0 ? z : cap * std::tanh(z / cap)) / q_.temperature + q_.bias_of(a_);
        mean_far_ = spread / s_;
        entropy_ = l + mean_far_;
        lse_ = m + l;
        M_ = std::fabs(m) + l;
        for (int64_t k = 0; k < K_; ++k) {
            Class& c = classes_[size_t(k)];
            c.p = c.e / s_;
            c.u = k == a_ ? r / s_ : (s_ - c.e) / s_;
            c.L = c.far + l;
            turn(logit(k), c);
        }
    }

    // dz'/dz and d2z'/dz2.
    void turn(Real z, Class& c) const {
        const Real T = q_.temperature, cap = q_.softcap;
        c.slope = 1 / T;
        c.bend = 0;
        if (cap == 0) return;
        const bool infinite = std::isinf(z);
        const Real e = std::exp(-2 * std::fabs(z) / cap), sech = 4 * e / ((1 + e) * (1 + e));
        c.slope = infinite ? 0 : sech / T;
        c.bend = infinite ? 0 : -2 / cap * std::tanh(z / cap) * c.slope;
    }

    void target(const Part& part) {
        const auto& rows = q_.rows;
        const Real keep = 1 - Real(q_.hard), smooth = rows.smoothing;
        int64_t first = 0;
        for (int64_t k = 1; k < K_; ++k) first = logit(k) > logit(first) ? k : first;
        for (int64_t k = 0; k < K_; ++k) {
            Class& c = classes_[size_t(k)];
            const Real given = part.label >= 0 ? Real(k == part.label) : Real(rows.target(row_, k)) * rows.factor(row_);
            c.q = keep * ((1 - smooth) * given + smooth / K_) + (q_.hard != 0 && k == first ? Real(q_.hard) : 0);
            c.q *= Real(rows.of_class(k)) * q_.alpha_of(k);
            if (c.q == 0) continue;
            c.f = bend(q_.shape, c.L, c.u, c.p);
            Q_ += c.q;
            value += c.q * c.f.f;
            (k == a_ ? A_top_ : A_others_) += c.q * c.f.slope;
            const Real C = curvature(c), up = q_.curvature == kUpper ? c.u : 1;
            (k == a_ ? C_top_ : C_others_) += C * up;
            (k == a_ ? size_top_ : size_others_) += c.q * c.f.size * up;
        }
        const Real of_entropy = q_.entropy == 0 ? 0 : Q_ * q_.entropy * entropy_;
        const Real of_lse = q_.z_loss == 0 ? 0 : Q_ * q_.z_loss * lse_ * lse_;
        value_scale = value + std::fabs(of_entropy) + (q_.z_loss == 0 ? 0 : Q_ * q_.z_loss * M_ * M_);
        value += of_entropy + of_lse;
    }

    Real curvature(const Class& c) const {
        return c.q * (q_.curvature == kUpper ? std::fmax(c.f.curvature, 0) : c.f.curvature);
    }

    FamilyElement element(int64_t k) const {
        const Class& c = classes_[size_t(k)];
        const bool top = k == a_;
        const Real A = A_top_ + A_others_, own = c.q * c.f.slope, others = top ? A_others_ : A - own;
        FamilyElement out;
        out.grad = c.p * others - c.u * own;
        out.grad_scale = std::fmin(A * c.p + own, A * c.u + others);
        hessian(c, top, A, out);
        if (c.p > 0) extras(c, out);
        const Real turned = c.bend == 0 ? 0 : out.grad * c.bend, turned_scale = out.grad_scale * std::fabs(c.bend);
        const Real square = c.slope * c.slope, bent = q_.curvature == kUpper ? std::fmax(turned, 0) : turned;
        out.hess = factor_ * (out.hess * square + bent);
        out.hess_scale = factor_ * (out.hess_scale * square + turned_scale);
        out.grad *= factor_ * c.slope;
        out.grad_scale *= factor_ * c.slope;
        return out;
    }

    void hessian(const Class& c, bool top, Real A, FamilyElement& out) const {
        const bool upper = q_.curvature == kUpper;
        const Real common = A * c.p * c.u, up = upper ? c.u : 1, C = curvature(c), size = c.q * c.f.size;
        const Real rest = top ? C_others_ : C_others_ + (C_top_ - C * up);
        const Real rest_size = top ? size_others_ : size_others_ + std::fmax(size_top_ - size * up, 0) + size_top_;
        const Real weight = upper ? c.p : c.p * c.p, twice = upper ? 2 : 1;
        out.hess = twice * (common + C * c.u * c.u + weight * rest);
        out.hess_scale = twice * (common + size * c.u * c.u + weight * rest_size);
    }

    // What entropy and z_loss add.
    void extras(const Class& c, FamilyElement& out) const {
        const bool upper = q_.curvature == kUpper;
        const Real omega = Q_ * q_.entropy, lambda = Q_ * q_.z_loss, over = c.far - mean_far_;
        const Real sum = c.L + entropy_, curved = c.p * c.u;
        out.grad += omega * c.p * over + 2 * lambda * lse_ * c.p;
        out.grad_scale += std::fabs(omega) * c.p * sum + 2 * lambda * M_ * c.p;
        const Real bent = (1 - 2 * c.p) * over - c.u;
        if (!upper) {
            out.hess += omega * c.p * bent + 2 * lambda * (c.p * c.p + lse_ * curved);
            out.hess_scale += std::fabs(omega) * c.p * (sum + c.u) + 2 * lambda * (c.p * c.p + M_ * curved);
            return;
        }
        const Real widest = std::fabs(bent) + c.u * std::fabs(1 - over) + 2 * entropy_;
        out.hess += std::fabs(omega) * c.p * widest + 2 * lambda * (c.p + 2 * std::fmax(lse_, 0) * curved);
        out.hess_scale += std::fabs(omega) * c.p * (sum + c.u + c.u * (1 + sum) + 2 * entropy_) +
                          2 * lambda * (c.p + 2 * M_ * curved);
    }

    const FamilyQuestion<storage>& q_;
    int64_t row_, K_, a_ = 0;
    std::vector<Class> classes_;
    Real s_ = 1, mean_far_ = 0, entropy_ = 0, lse_ = 0, M_ = 0, Q_ = 0, factor_ = 0;
    Real A_top_ = 0, A_others_ = 0, C_top_ = 0, C_others_ = 0, size_top_ = 0, size_others_ = 0;
};

}  // namespace fuzz
