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

#define CROSSENT_ARG(name) nb::arg(name).noconvert()
#define CROSSENT_MAYBE(name) nb::arg(name).noconvert().none()

// Adds the functions of probability_bindings.cpp to the module.
void bind_probabilities(nb::module_& m);

}  // namespace crossent
