// The kernel table of one instruction set. CROSSENT_TABLE names it; CMake compiles this file once for each.
#include "binary_probability.hpp"
#include "probability.hpp"
#include "sigmoid.hpp"
#include "softmax_job.hpp"

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

namespace {

// The caller's floating-point control register is saved, set (round to nearest, subnormals kept) and restored.
class FloatControl {
  public:
#if defined(__x86_64__)
    FloatControl() : saved_(_mm_getcsr()) { _mm_setcsr(0x1f80); }
    ~FloatControl() { _mm_setcsr(saved_); }
    FloatControl(const FloatControl&) = delete;

  private:
    unsigned saved_;
#elif defined(__aarch64__)
    FloatControl() {
        asm volatile("mrs %0, fpcr" : "=r"(saved_));
        asm volatile("msr fpcr, %0" : : "r"(uint64_t(0)) : "memory");
    }
    ~FloatControl() { asm volatile("msr fpcr, %0" : : "r"(saved_) : "memory"); }
    FloatControl(const FloatControl&) = delete;

  private:
    uint64_t saved_;
#else
    FloatControl() {}
#endif
};

void softmax_f32(const SoftmaxJob* job) {
    FloatControl control;
    run_softmax<float>(*job);
}
void softmax_f64(const SoftmaxJob* job) {
    FloatControl control;
    run_softmax<double>(*job);
}
void sigmoid_f32(const SigmoidJob* job) {
    FloatControl control;
    run_sigmoid<float>(*job);
}
void sigmoid_f64(const SigmoidJob* job) {
    FloatControl control;
    run_sigmoid<double>(*job);
}
void mass_f32(const MassJob* job) {
    FloatControl control;
    run_mass<float>(*job);
}
void mass_f64(const MassJob* job) {
    FloatControl control;
    run_mass<double>(*job);
}
void probability_f32(const ProbabilityJob* job) {
    FloatControl control;
    run_probability<float>(*job);
}
void probability_f64(const ProbabilityJob* job) {
    FloatControl control;
    run_probability<double>(*job);
}
void binary_probability_f32(const BinaryProbabilityJob* job) {
    FloatControl control;
    run_binary_probability<float>(*job);
}
void binary_probability_f64(const BinaryProbabilityJob* job) {
    FloatControl control;
    run_binary_probability<double>(*job);
}

}  // namespace

extern "C" {
extern const KernelTable CROSSENT_TABLE;
const KernelTable CROSSENT_TABLE = {CROSSENT_ISA_NAME, softmax_f32, softmax_f64, sigmoid_f32,
                                    sigmoid_f64,       mass_f32,    mass_f64,
                                    probability_f32, probability_f64, binary_probability_f32, binary_probability_f64};
}
