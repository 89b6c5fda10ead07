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

// The last value and gradient element of a job are spoilt, or the byte after.
template <int32_t storage, class Job> void spoil(const Job& job) {
    using T = typename Format<storage>::T;
    int64_t values = job.blocks.rows, size = job.blocks.rows;
    if constexpr (requires { job.columns; }) size = values *= job.columns;
    else size *= job.classes;
    if (is("bad row") && *job.blocks.bad != kNoBadRow) *job.blocks.bad += 8;
    if (is("sums") && job.blocks.rows > 0) job.blocks.sums[2] += 1;
    if (values == 0) return;
    if (is("value") && job.values) move<T>(job.values, values - 1);
    if (is("gradient") && job.grad) move<typename Format<storage>::E>(job.grad, size - 1);
    if (is("overrun") && job.values) static_cast<volatile char*>(job.values)[values * int64_t(sizeof(T))] = 0;
}

// Puts the fault behind the table's kernels for these storages.
template <auto kernels, int32_t storage> void spoil_one(KernelTable& table) {
    (table.*kernels)[storage] = [](const auto* job) {
        (real->*kernels)[storage](job);
        spoil<storage>(base_of(*job));
    };
}
template <auto kernels, int32_t... storages> void spoil_all(KernelTable& table) {
    (spoil_one<kernels, storages>(table), ...);
}

}  // namespace

const KernelTable& spoilt(const KernelTable& table) {
    static KernelTable copy;
    fault = std::getenv("CROSSENT_FUZZ_SPOIL");
    if (!fault || !*fault) return table;
    real = &table;
    copy = table;
    spoil_all<&KernelTable::softmax, kF32, kF64, kBf16, kF16>(copy);
    spoil_all<&KernelTable::sigmoid, kF32, kF64, kBf16, kF16>(copy);
    spoil_all<&KernelTable::family, kF32, kF64, kBf16, kF16>(copy);
    spoil_all<&KernelTable::binary_family, kF32, kF64, kBf16, kF16>(copy);
    spoil_all<&KernelTable::probability, kF32, kF64>(copy);
    spoil_all<&KernelTable::binary_probability, kF32, kF64>(copy);
    return copy;
}

}  // namespace fuzz
