// Independent labels whose terms -log p and -log(1 - p) have a shape: in double whatever the logits are.
//
// loss = A f(p) + B f(1 - p), with L and u of either side from e = exp(-|z|) without cancellation:
//   gradient = B slope(1 - p) p - A slope(p) (1 - p)
#pragma once

#include "shape.hpp"
#include "sigmoid.hpp"

namespace {

struct ShapedOptions : SigmoidOptions {
    Shape shape;
    double up, down;
    int32_t curvature;
};

CROSSENT_INLINE SigmoidResult sigmoid_math(F64 z, F64 y, F64 e, F64 w, F64 pos_weight, const ShapedOptions& o) {
    const F64 zero{}, one = splat<F64>(1);
    const ElementWeights<F64> weights = element_weights(y, pos_weight, o.positive, o.negative, o.smoothing);
    const F64 A = weights.up.value() * splat<F64>(o.up), B = weights.down.value() * splat<F64>(o.down);
    const auto above = z > zero;
    const F64 size = above ? z : -z;
    const auto deep = size > splat<F64>(700);
    if (any_of(deep)) e = deep ? exp_scaled<F64>(-size, zero, one) : e;  // of floats it is good up to there
    const F64 s = one + e, near = one / s, far = e / s, l = log1p_pair<F64>(e, zero), L = size + l;
    const F64 p = above ? near : far, u = above ? far : near;
    const Bent<F64> yes = bend<F64>(o.shape, above ? l : L, zero, u, p), no = bend<F64>(o.shape, above ? L : l, zero, p, u);
    const F64 losses = (A > zero ? A * yes.value : zero) + (B > zero ? B * no.value : zero);
    const F64 value_factor = w * splat<F64>(o.value_factor), grad_factor = w * splat<F64>(o.grad_factor);
    const bool upper = o.curvature == kUpper;
    const F64 c_yes = upper && yes.curvature < zero ? zero : yes.curvature;
    const F64 c_no = upper && no.curvature < zero ? zero : no.curvature;
    const F64 hess = A * (c_yes * u * u + yes.slope * p * u) + B * (c_no * p * p + no.slope * p * u);
    return {value_factor * losses, grad_factor * (B * no.slope * p - A * yes.slope * u), grad_factor * hess};
}

template <class S> CROSSENT_INLINE void run_binary_family(const BinaryFamilyJob& job) {
    const ShapedOptions options{options_of(job.base), job.shape, job.up, job.down, job.curvature};
    run_elements<S>(job.base, options);
}

}  // namespace
