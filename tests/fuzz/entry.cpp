// The one entry point of fuzzing engines: the first byte says which job the others describe.
//
// To add a job: a file with its decoder, its line in fuzz.hpp, its line in kJobs.
#include "fuzz.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace fuzz {

#if defined(__x86_64__)
// Flush to zero, denormals are zero, rounding up: the worst that a caller may have set.
Control::Control(bool disturbed) : saved_(_mm_getcsr()) {
    if (disturbed) _mm_setcsr(0x1f80 | 0x8000 | 0x0040 | 0x4000);
}
Control::~Control() { _mm_setcsr(saved_); }
#else
Control::Control(bool) : saved_(0) {}
Control::~Control() {}
#endif

}  // namespace fuzz

namespace {

constexpr void (*kJobs[])(fuzz::Bytes&) = {fuzz::fuzz_softmax, fuzz::fuzz_sigmoid, fuzz::fuzz_mass,
                                           fuzz::fuzz_probability, fuzz::fuzz_binary_probability, fuzz::fuzz_family,
                                           fuzz::fuzz_binary_family};
constexpr int64_t kWeights[] = {5, 2, 1, 2, 2, 5, 1};  // softmax and its family have the most code

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    fuzz::Bytes bytes(data, size);
    int64_t total = 0;
    for (const int64_t w : kWeights) total += w;
    int64_t at = bytes.below(total);
    for (size_t job = 0; job < sizeof kJobs / sizeof *kJobs; ++job) {
        if (at < kWeights[job]) {
            kJobs[job](bytes);
            break;
        }
        at -= kWeights[job];
    }
    return 0;
}
