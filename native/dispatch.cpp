// Picks the kernel table by the machine's feature bits, at import; a name forces another.
#include "dispatch.hpp"

#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

extern "C" {
#if defined(__x86_64__)
extern const KernelTable crossent_table_v2, crossent_table_v3, crossent_table_v4;
#else
extern const KernelTable crossent_table_base;
#endif
}

namespace crossent {
namespace {

struct Candidate {
    const KernelTable* table;
    bool runs;
};

#if defined(__x86_64__)
constexpr int kCandidates = 3;

// Whether the processor has every feature that the compiler may use for a level; "avx2" asks the system as well.
bool has_v2() {
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return false;
    constexpr unsigned kWanted = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 | bit_SSE4_2 | bit_POPCNT;
    return (c & kWanted) == kWanted;
}
bool has_v3() {
    unsigned a, b, c, d, extended;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !__get_cpuid(0x80000001, &a, &b, &extended, &d)) return false;
    constexpr unsigned kWanted = bit_FMA | bit_MOVBE | bit_F16C | bit_AVX;
    constexpr unsigned kLzcnt = 1u << 5;
    return (c & kWanted) == kWanted && (extended & kLzcnt) && __builtin_cpu_supports("avx2") &&
           __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2");
}

void candidates(Candidate out[kCandidates]) {
    __builtin_cpu_init();
    const bool v2 = has_v2(), v3 = v2 && has_v3();
    const bool v4 = v3 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                    __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
                    __builtin_cpu_supports("avx512vl");
    out[0] = {&crossent_table_v2, v2};
    out[1] = {&crossent_table_v3, v3};
    out[2] = {&crossent_table_v4, v4};
}
#else
constexpr int kCandidates = 1;
void candidates(Candidate out[kCandidates]) { out[0] = {&crossent_table_base, true}; }
#endif

const KernelTable* in_use = nullptr;

}  // namespace

int available_tables(const char* names[kMaxTables]) {
    Candidate list[kCandidates];
    candidates(list);
    int n = 0;
    for (const Candidate& c : list) {
        if (c.runs) names[n++] = c.table->name;
    }
    return n;
}

bool select_table(const char* name) {
    Candidate list[kCandidates];
    candidates(list);
    for (const Candidate& c : list) {
        if (c.runs && std::strcmp(c.table->name, name) == 0) {
            __atomic_store_n(&in_use, c.table, __ATOMIC_RELEASE);
            return true;
        }
    }
    return false;
}

const KernelTable& table() { return *__atomic_load_n(&in_use, __ATOMIC_ACQUIRE); }

}  // namespace crossent
