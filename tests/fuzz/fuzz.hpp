// What every fuzzed job needs: bytes to decode, memory of exactly the size, numbers as stored, and a loud end.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include <sys/mman.h>

#include "kernels.hpp"

#if defined(__SANITIZE_ADDRESS__)
#define FUZZ_POISONS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define FUZZ_POISONS 1
#endif
#endif
#if defined(FUZZ_POISONS)
#include <sanitizer/asan_interface.h>
#endif

// Says what does not hold and ends the process: the engine saves the input.
#define EXPECT(holds, ...)                                                                \
    do {                                                                                  \
        if (!(holds)) {                                                                   \
            std::fprintf(stderr, "\n%s:%d: %s does not hold: ", __FILE__, __LINE__, #holds); \
            std::fprintf(stderr, __VA_ARGS__);                                            \
            std::fprintf(stderr, "\n");                                                   \
            std::abort();                                                                 \
        }                                                                                 \
    } while (0)

namespace fuzz {

using Real = long double;  // of the naive sums that kernels are compared with

constexpr int64_t kNoBadRow = INT64_MAX;

// An input, read from its front; zeros follow its end. `random` spreads a few of its bytes over large arrays.
class Bytes {
  public:
    Bytes(const uint8_t* data, size_t size) : data_(data), left_(size) {}

    uint64_t raw(int bytes) {
        uint64_t v = 0;
        for (int i = 0; i < bytes && left_ > 0; ++i, --left_) v |= uint64_t(*data_++) << (8 * i);
        return v;
    }
    int64_t below(int64_t n) { return int64_t(raw(n > 256 ? 2 : 1) % uint64_t(n)); }
    int64_t between(int64_t low, int64_t high) { return low + below(high - low + 1); }
    bool one_in(int n) { return below(n) == n - 1; }
    template <class V> V pick(std::initializer_list<V> list) { return list.begin()[below(int64_t(list.size()))]; }
    double any_double() {
        const uint64_t bits = raw(8);
        double x;
        std::memcpy(&x, &bits, sizeof x);
        return x;
    }
    bool empty() const { return left_ == 0; }

    void seed_random() { state_ = raw(4) * 2 + 1; }
    uint64_t random() {  // splitmix64
        uint64_t z = state_ += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
    }
    double random_unit() { return double(random() >> 11) * 0x1p-53; }
    int64_t random_below(int64_t n) { return int64_t(random() % uint64_t(n)); }

  private:
    const uint8_t* data_;
    size_t left_;
    uint64_t state_ = 1;
};

// Memory between two pages that nobody may touch. Regions are kept: making one costs more than a small job.
class Region {
  public:
    static constexpr size_t kPage = 1 << 16, kRoom = 1 << 19;  // pages of any machine divide kPage
    static char* take() {
        if (free_list().empty()) {
            void* memory = mmap(nullptr, kRoom + 2 * kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            char* room = static_cast<char*>(memory) + kPage;
            if (memory == MAP_FAILED || mprotect(room, kRoom, PROT_READ | PROT_WRITE) != 0) std::abort();
            return room;
        }
        char* room = free_list().back();
        free_list().pop_back();
        return room;
    }
    static void give(char* room) { free_list().push_back(room); }

  private:
    static std::vector<char*>& free_list() {
        static std::vector<char*> list;
        return list;
    }
};

// Memory of exactly n elements that ends where a forbidden page begins, or begins where one ends (front). The hardware
// sees what a sanitizer does not: vector instructions. What is left of the region is forbidden to sanitized code.
template <class E> class Exact {
  public:
    Exact(int64_t n, int64_t shift) : size_(size_t(n) * sizeof(E)) {
        const bool front = shift % 4 == 3;
        if (size_ > Region::kRoom) std::abort();
        room_ = Region::take();
        start_ = front ? room_ : room_ + Region::kRoom - size_;
#if defined(FUZZ_POISONS)
        __asan_poison_memory_region(room_, Region::kRoom);
        __asan_unpoison_memory_region(start_, size_);
#endif
    }
    Exact(const std::vector<E>& values, int64_t shift) : Exact(int64_t(values.size()), shift) {
        if (size_) std::memcpy(data(), values.data(), size_);
    }
    ~Exact() {
#if defined(FUZZ_POISONS)
        __asan_unpoison_memory_region(room_, Region::kRoom);
#endif
        Region::give(room_);
    }
    Exact(const Exact&) = delete;
    Exact& operator=(const Exact&) = delete;

    E* data() const { return reinterpret_cast<E*>(start_); }
    void fill(int byte) { if (size_) std::memset(data(), byte, size_); }
    std::vector<E> values() const { return {data(), data() + size_ / sizeof(E)}; }
    bool holds(const std::vector<E>& values) const {
        return size_ == values.size() * sizeof(E) && (size_ == 0 || std::memcmp(data(), values.data(), size_) == 0);
    }

  private:
    char *room_, *start_;
    size_t size_;
};

template <class E> bool same_bits(const E* a, const E* b, int64_t n) {
    return n == 0 || std::memcmp(a, b, size_t(n) * sizeof(E)) == 0;
}
template <class E> bool same_bits(const std::vector<E>& a, const std::vector<E>& b) {
    return a.size() == b.size() && same_bits(a.data(), b.data(), int64_t(a.size()));
}

// A binary format: mantissa bits without the hidden one, smallest and largest exponent. E is how an element is held.
template <int32_t storage> struct Format;
template <> struct Format<kF32> {
    using E = float;
    using T = float;
    static constexpr int kMantissa = 23, kLow = -126, kHigh = 127;
};
template <> struct Format<kF64> {
    using E = double;
    using T = double;
    static constexpr int kMantissa = 52, kLow = -1022, kHigh = 1023;
};
template <> struct Format<kBf16> {
    using E = uint16_t;
    using T = float;
    static constexpr int kMantissa = 7, kLow = -126, kHigh = 127;
};
template <> struct Format<kF16> {
    using E = uint16_t;
    using T = float;
    static constexpr int kMantissa = 10, kLow = -14, kHigh = 15;
};

// The format of the arithmetic, in which bounds are stated.
template <int32_t storage> using Computed = Format<storage == kF64 ? kF64 : kF32>;

// The spacing of a format at x.
template <class F> Real ulp(Real x) {
    if (!std::isfinite(x)) return 0;
    const int e = x == 0 ? F::kLow : std::ilogb(x);
    return std::ldexp(Real(1), (e < F::kLow ? F::kLow : e) - F::kMantissa);
}

// The number that an element holds; of 16 bits by the definition of the format.
template <int32_t storage> double widened(typename Format<storage>::E e) {
    using F = Format<storage>;
    if constexpr (sizeof(e) == 2) {
        const int exponent = (e & 0x7fff) >> F::kMantissa, mantissa = e & ((1 << F::kMantissa) - 1);
        const double sign = e & 0x8000 ? -1 : 1;
        if (exponent == F::kHigh - F::kLow + 2) return mantissa ? NAN : sign * INFINITY;
        const int whole = exponent ? mantissa | 1 << F::kMantissa : mantissa;
        return sign * std::ldexp(double(whole), (exponent ? exponent - 1 : 0) + F::kLow - F::kMantissa);
    } else {
        return double(e);
    }
}

// The nearest element; ties may fall either way, which no caller minds. NaN stays NaN.
template <int32_t storage> typename Format<storage>::E narrowed(double x) {
    using F = Format<storage>;
    using E = typename F::E;
    if constexpr (sizeof(E) == 2) {
        const E sign = std::signbit(x) ? 0x8000 : 0;
        const E top = E((F::kHigh - F::kLow + 2) << F::kMantissa);
        if (std::isnan(x)) return E(sign | top | 1);
        if (std::fabs(x) >= std::ldexp(2 - std::ldexp(1.0, -F::kMantissa - 1), F::kHigh)) return E(sign | top);
        const double step = double(ulp<F>(x));
        const double steps = std::nearbyint(std::fabs(x) / step);
        const int e = int(std::lround(std::log2(step))) - (F::kLow - F::kMantissa);
        return E(sign | (uint32_t(steps) + (uint32_t(e) << F::kMantissa)));
    } else {
        return E(x);
    }
}

// Whether `got` is within `bound` of `exact`, overflow beside the largest number allowed for.
template <class F> bool near(Real got, Real exact, Real bound) {
    if (std::isnan(got) || std::isnan(exact)) return false;
    if (std::isinf(exact)) return got == exact;
    const Real top = std::ldexp(Real(2) - std::ldexp(Real(1), -F::kMantissa - 1), F::kHigh);
    if (std::isinf(got)) return (got > 0) == (exact > 0) && std::fabs(exact) + bound >= top;
    return std::fabs(got - exact) <= bound;
}

// The caller's floating-point control register, disturbed for one native call: kernels must not care.
class Control {
  public:
    explicit Control(bool disturbed);
    ~Control();
    Control(const Control&) = delete;

  private:
    unsigned saved_;
};

// Runs `check(table)` with the kernel table of every instruction set that this machine runs.
template <class Check> void on_every_table(Check check);

// Calls `fuzz(std::integral_constant<int32_t, storage>)` with the storage that the next byte names.
template <class Fuzz> void in_some_storage(Bytes& bytes, Fuzz fuzz) {
    switch (bytes.below(kStorages)) {
        case kF32: return fuzz(std::integral_constant<int32_t, kF32>{});
        case kF64: return fuzz(std::integral_constant<int32_t, kF64>{});
        case kBf16: return fuzz(std::integral_constant<int32_t, kBf16>{});
        default: return fuzz(std::integral_constant<int32_t, kF16>{});
    }
}

// What a job of a family is built on; other jobs are that themselves.
template <class Job> auto& base_of(Job& job) {
    if constexpr (requires { job.base; }) return job.base;
    else return job;
}

// The table itself, or one with a fault if CROSSENT_FUZZ_SPOIL asks for it.
const KernelTable& spoilt(const KernelTable& table);

// One function a job: decodes the bytes into a job, runs it, ends the process where an invariant does not hold.
void fuzz_softmax(Bytes& bytes);
void fuzz_sigmoid(Bytes& bytes);
void fuzz_mass(Bytes& bytes);
void fuzz_probability(Bytes& bytes);
void fuzz_binary_probability(Bytes& bytes);
void fuzz_family(Bytes& bytes);
void fuzz_binary_family(Bytes& bytes);

}  // namespace fuzz

#include "dispatch.hpp"

template <class Check> void fuzz::on_every_table(Check check) {
    const char* names[crossent::kMaxTables];
    const int n = crossent::available_tables(names);
    for (int i = 0; i < n; ++i) {
        crossent::select_table(names[i]);
        check(spoilt(crossent::table()));
    }
}
