// Kernels with a fault put in, to see that the harness finds it: CROSSENT_FUZZ_SPOIL names the fault.
#include "fuzz.hpp"

namespace fuzz {
namespace {

const KernelTable* real;
const char* fault;

bool is(const char* name) { return std::strcmp(fault, name) == 0; }

// Moves a number by 64 of its ulps.
template <class E> void move(void* array, int64_t at) {
    E* element = static_cast<E*>(array) + at;
    uint64_t bits = 0;
    std::memcpy(&bits, element, sizeof(E));
    bits ^= 64;
    std::memcpy(element, &bits, sizeof(E));
}

// `rows` values and `size` gradient elements lie in the job; the last of them is spoilt, or the byte after.
template <int32_t storage, class Job> void spoil(const Job& job, int64_t rows, int64_t size) {
    using T = typename Format<storage>::T;
    if (is("bad row") && *job.blocks.bad != kNoBadRow) *job.blocks.bad += 8;
    if (is("sums") && job.blocks.rows > 0) job.blocks.sums[2] += 1;
    if (rows == 0) return;
    if (is("value") && job.values) move<T>(job.values, rows - 1);
    if (is("gradient") && job.grad) move<typename Format<storage>::E>(job.grad, size - 1);
    if (is("overrun") && job.values) static_cast<volatile char*>(job.values)[rows * int64_t(sizeof(T))] = 0;
}

template <int32_t storage> void softmax(const SoftmaxJob* job) {
    real->softmax[storage](job);
    spoil<storage>(*job, job->blocks.rows, job->blocks.rows * job->classes);
}
template <int32_t storage> void sigmoid(const SigmoidJob* job) {
    real->sigmoid[storage](job);
    spoil<storage>(*job, job->blocks.rows * job->columns, job->blocks.rows * job->columns);
}
template <int32_t storage> void probability(const ProbabilityJob* job) {
    real->probability[storage](job);
    spoil<storage>(*job, job->blocks.rows, job->blocks.rows * job->classes);
}
template <int32_t storage> void binary_probability(const BinaryProbabilityJob* job) {
    real->binary_probability[storage](job);
    spoil<storage>(*job, job->blocks.rows * job->columns, job->blocks.rows * job->columns);
}

}  // namespace

const KernelTable& spoilt(const KernelTable& table) {
    static KernelTable copy;
    fault = std::getenv("CROSSENT_FUZZ_SPOIL");
    if (!fault || !*fault) return table;
    real = &table;
    copy = table;
    copy.softmax[kF32] = softmax<kF32>;
    copy.softmax[kF64] = softmax<kF64>;
    copy.softmax[kBf16] = softmax<kBf16>;
    copy.softmax[kF16] = softmax<kF16>;
    copy.sigmoid[kF32] = sigmoid<kF32>;
    copy.sigmoid[kF64] = sigmoid<kF64>;
    copy.sigmoid[kBf16] = sigmoid<kBf16>;
    copy.sigmoid[kF16] = sigmoid<kF16>;
    copy.probability[kF32] = probability<kF32>;
    copy.probability[kF64] = probability<kF64>;
    copy.binary_probability[kF32] = binary_probability<kF32>;
    copy.binary_probability[kF64] = binary_probability<kF64>;
    return copy;
}

}  // namespace fuzz
