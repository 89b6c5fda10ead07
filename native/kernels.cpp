// The kernel table of one instruction set. CROSSENT_TABLE names it; CMake compiles this file once for each.
#include "binary_probability.hpp"
#include "elementary_table.hpp"
#include "family.hpp"
#include "gram.hpp"
#include "linear_step.hpp"
#include "probability.hpp"
#include "score_tile.hpp"
#include "sigmoid.hpp"
#include "sigmoid_family.hpp"
#include "softmax_job.hpp"
#include "softmax_mass.hpp"
#include "sparse_rows.hpp"

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

template <class S> void softmax(const SoftmaxJob* job) {
    FloatControl control;
    run_softmax<S>(*job);
}
template <class S> void sigmoid(const SigmoidJob* job) {
    FloatControl control;
    run_sigmoid<S>(*job);
}
template <class S> void mass(const MassJob* job) {
    FloatControl control;
    run_mass<S>(*job);
}
template <class S> void family(const FamilyJob* job) {
    FloatControl control;
    run_family<S>(*job);
}
template <class S> void binary_family(const BinaryFamilyJob* job) {
    FloatControl control;
    run_binary_family<S>(*job);
}
template <class T> void probability(const ProbabilityJob* job) {
    FloatControl control;
    run_probability<T>(*job);
}
template <class T> void binary_probability(const BinaryProbabilityJob* job) {
    FloatControl control;
    run_binary_probability<T>(*job);
}

template <class S> void linear_logits(const LinearRowsJob* job) {
    FloatControl control;
    run_linear_logits<S>(*job);
}
template <class S> void linear_sums(const LinearRowsJob* job) {
    FloatControl control;
    run_linear_sums<S>(*job);
}
template <class S> void linear_step(const LinearStepJob* job) {
    FloatControl control;
    run_linear_step<S>(*job, softmax<double>, sigmoid<double>);
}
template <class S> void column_moments(const MomentsJob* job) {
    FloatControl control;
    run_column_moments<S>(*job);
}
template <class S> void gram(const GramJob* job) {
    FloatControl control;
    run_gram<S>(*job);
}
template <class S> void score(const ScoreJob* job) {
    FloatControl control;
    run_score<S>(*job);
}
template <class S> void sparse(const SparseJob* job) {
    FloatControl control;
    run_sparse<S>(*job);
}

}  // namespace

extern "C" {
extern const KernelTable CROSSENT_TABLE;
const KernelTable CROSSENT_TABLE = {
    CROSSENT_ISA_NAME,
    {softmax<float>, softmax<double>, softmax<Bf16>, softmax<F16>},
    {sigmoid<float>, sigmoid<double>, sigmoid<Bf16>, sigmoid<F16>},
    {mass<float>, mass<double>, mass<Bf16>, mass<F16>},
    {family<float>, family<double>, family<Bf16>, family<F16>},
    {binary_family<float>, binary_family<double>, binary_family<Bf16>, binary_family<F16>},
    {probability<float>, probability<double>},
    {binary_probability<float>, binary_probability<double>},
    {linear_logits<float>, linear_logits<double>},
    {linear_sums<float>, linear_sums<double>},
    {linear_step<float>, linear_step<double>},
    {column_moments<float>, column_moments<double>},
    {gram<float>, gram<double>},
    {sparse<float>, sparse<double>},
    {score<float>, score<double>},
    kElementary,
    int32_t(sizeof(kElementary) / sizeof(kElementary[0])),
};
}
