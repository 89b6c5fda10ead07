// What the bindings share: arrays as arguments, size checks, the way into native code.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <stdexcept>

#include "dispatch.hpp"

namespace crossent {

namespace nb = nanobind;

using Any = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class A> using Maybe = std::optional<A>;

inline void need(bool fits, const char* what) {
    if (!fits) throw std::invalid_argument(std::string("crossent._native: size of ") + what + " does not fit");
}

// A call into native code, from before the lock of the interpreter is released until it is held again: see module.cpp.
class Call {
  public:
    Call();
    ~Call();
    Call(const Call&) = delete;
};

template <class Job> void run_unlocked(void (*kernel)(const Job*), const Job& job) {
    const Call call;
    nb::gil_scoped_release released;
    kernel(&job);
}

template <class A> bool aligned(const A& array) {
    return reinterpret_cast<uintptr_t>(array.data()) % array.itemsize() == 0;
}

template <class A> auto data(const Maybe<A>& array, int64_t size, const char* what) -> decltype(array->data()) {
    if (!array) return nullptr;
    need(int64_t(array->size()) == size, what);
    need(aligned(*array), what);
    return array->data();
}

inline int32_t label_type(const Any& labels) {
    const nb::dlpack::dtype t = labels.dtype();
    const bool integer = t.code == uint8_t(nb::dlpack::dtype_code::Int);
    need(integer || t.code == uint8_t(nb::dlpack::dtype_code::UInt), "labels (dtype)");
    need(t.lanes == 1 && (t.bits == 8 || t.bits == 16 || t.bits == 32 || t.bits == 64), "labels (dtype)");
    const int32_t log2_bytes = t.bits == 8 ? 0 : t.bits == 16 ? 1 : t.bits == 32 ? 2 : 3;
    return (integer ? kInt8 : kUint8) + log2_bytes;
}

// Weighted loss, weighted mass, rows kept, lowest bad row * 8 + code: of a job of one block, whose caller brings no
// arrays for them (making and passing two would take longer than a few rows do).
using OneBlock = std::optional<std::tuple<double, double, int64_t, int64_t>>;

// Where a call leaves what it finds. state: int64 [2] = next block, lowest bad row * 8 + code; sums: float64 [blocks, 3].
class Left {
  public:
    Left(Maybe<Out<int64_t>>& state, Maybe<Out<double>>& sums) : given_(state.has_value()) {
        need(given_ == sums.has_value(), "state without sums");
        if (!given_) return;
        need(state->size() == 2 && aligned(*state) && aligned(*sums), "state");
        need(state->data()[0] >= 0, "state");
        state_ = state->data();
        sums_ = sums->data();
        size_ = sums->size();
    }
    Left(const Left&) = delete;

    Blocks blocks(int64_t rows, int64_t block_rows, int64_t last) const {
        need(rows >= 0 && block_rows > 0, "block_rows");
        const Blocks blocks{rows, block_rows, last, state_, state_ + 1, sums_};
        need(size_ % 3 == 0 && int64_t(size_ / 3) == block_count(blocks), "sums");
        return blocks;
    }
    OneBlock result() const {
        if (given_) return {};
        return std::tuple(sums_[0], sums_[1], int64_t(sums_[2]), state_[1]);
    }

  private:
    int64_t own_state_[2] = {0, INT64_MAX}, *state_ = own_state_;
    double own_sums_[3] = {}, *sums_ = own_sums_;
    size_t size_ = 3;
    bool given_;
};

// What NumPy arrays of each Storage hold (half precision and bfloat16 come as uint16) and the arithmetic's type.
template <int32_t storage> struct Held {
    using S = uint16_t;
    using T = float;
};
template <> struct Held<kF32> {
    using S = float;
    using T = float;
};
template <> struct Held<kF64> {
    using S = double;
    using T = double;
};

// Targets and weights of rows, as SoftmaxJob, FamilyJob's base and ProbabilityJob name them.
template <class Job, class S>
void set_targets(Job& job, int64_t rows, const Maybe<Any>& labels, const Maybe<In<S>>& soft,
                 const Maybe<In<double>>& soft_factor, const Maybe<In<double>>& class_weight,
                 const Maybe<In<double>>& row_weight, Maybe<int64_t> ignore_index) {
    job.labels = data(labels, rows, "labels");
    job.label_type = labels ? label_type(*labels) : 0;
    int64_t size = 0;
    need(!__builtin_mul_overflow(rows, job.classes, &size), "rows");
    job.soft = data(soft, size, "soft targets");
    need(!(labels && soft), "labels and soft targets");
    job.soft_factor = data(soft_factor, rows, "soft_factor");
    job.class_weight = data(class_weight, job.classes, "class_weight");
    job.row_weight = data(row_weight, rows, "row_weight");
    job.has_ignore = ignore_index.has_value();
    job.ignore_index = ignore_index.value_or(0);
}

// The weights of independent labels: one positive weight or one a column; one weight a row or one an element.
template <class Job>
void set_weights(Job& job, const Maybe<In<double>>& pos_weight, const Maybe<In<double>>& weight, int64_t rows) {
    const bool one = pos_weight && pos_weight->size() == 1;
    job.pos_weight = data(pos_weight, one ? 1 : job.columns, "pos_weight");
    job.pos_weight_column = one ? 0 : 1;
    if (!weight) return;
    const bool by_row = int64_t(weight->size()) == rows;
    job.weight = data(weight, by_row ? rows : rows * job.columns, "weight");
    job.weight_row = by_row ? 1 : job.columns;
    job.weight_column = by_row ? 0 : 1;
}

// Targets of independent labels: of the arithmetic's type or as doubles, one for each element or one for all.
template <class T>
void set_element_targets(SigmoidJob& job, const Maybe<In<T>>& targets, const Maybe<In<double>>& wide_targets,
                         int64_t size) {
    need(targets.has_value() != wide_targets.has_value(), "targets and wide_targets");
    if (wide_targets || targets->size() != 1 || size == 1) {
        job.targets = data(targets, size, "targets");
        job.wide_targets = data(wide_targets, size, "wide_targets");
        job.target_row = job.columns;
        job.target_column = 1;
    } else {
        job.targets = data(targets, 1, "targets");
    }
}

#define CROSSENT_ARG(name) nb::arg(name).noconvert()
#define CROSSENT_MAYBE(name) nb::arg(name).noconvert().none()

// Adds the functions of probability_bindings.cpp to the module.
void bind_probabilities(nb::module_& m);
// And of family_bindings.cpp.
void bind_family(nb::module_& m);
// And of matrix_bindings.cpp.
void bind_matrices(nb::module_& m);
// And of score_bindings.cpp.
void bind_scores(nb::module_& m);
// And of statistics_bindings.cpp.
void bind_statistics(nb::module_& m);
// And of exact_bindings.cpp.
void bind_exact(nb::module_& m);

}  // namespace crossent
