// Bindings of losses of probabilities: annotations and size checks.
#include "bindings.hpp"

namespace crossent {

namespace {

template <class T> struct Probability {
    static void bind_layout(ProbabilityJob& job, const In<T>& probs, int64_t size) {
        need(job.classes > 0 && job.inner > 0 && job.blocks.rows % job.inner == 0, "probs");
        need(job.inner == 1 || !(job.gathered || job.look || job.soft || job.grad || job.smoothing != 0), "inner");
        need(!job.gathered || (job.labels && !job.look && job.smoothing == 0), "gathered");
        need((job.labels != nullptr) != (job.soft != nullptr), "labels and soft targets");
        need(int64_t(probs.size()) == (job.gathered ? job.blocks.rows : size) && aligned(probs), "probs");
        job.probs = probs.data();
    }

    static OneBlock run(In<T> probs, int64_t rows, int64_t classes, int64_t inner, Maybe<Any> labels, Maybe<In<T>> soft,
                    Maybe<In<double>> soft_factor, Maybe<In<double>> class_weight, Maybe<In<double>> row_weight,
                    Maybe<int64_t> ignore_index, double smoothing, double value_factor, double grad_factor,
                    double sum_tolerance, double silent, double refused, bool logarithms, bool gathered, bool look,
                    Maybe<Out<T>> values, Maybe<Out<T>> grad, Out<double> notes, int64_t block_rows, int64_t last,
                    Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        const Left left(state, sums);
        int64_t size = 0;
        need(!__builtin_mul_overflow(rows, classes, &size), "probs");
        ProbabilityJob job{};
        job.blocks = left.blocks(rows, block_rows, last);
        job.classes = classes;
        job.inner = inner;
        set_targets(job, rows, labels, soft, soft_factor, class_weight, row_weight, ignore_index);
        job.smoothing = smoothing;
        job.value_factor = value_factor;
        job.grad_factor = grad_factor;
        job.sum_tolerance = sum_tolerance;
        job.silent = silent;
        job.refused = refused;
        job.logarithms = logarithms;
        job.gathered = gathered;
        job.look = look;
        job.values = data(values, rows, "values");
        job.grad = data(grad, size, "grad");
        need(int64_t(notes.size()) == 3 * block_count(job.blocks) && aligned(notes), "notes");
        job.notes = notes.data();
        bind_layout(job, probs, size);
        run_unlocked(table().probability[sizeof(T) == 4 ? kF32 : kF64], job);
        return left.result();
    }
};

// Targets of independent labels: what label_type takes, and bool, float32, float64.
int32_t target_type(const Any& targets) {
    const nb::dlpack::dtype t = targets.dtype();
    if (t.code == uint8_t(nb::dlpack::dtype_code::Bool)) {
        need(t.lanes == 1 && t.bits == 8, "targets (dtype)");
        return kBool;
    }
    if (t.code != uint8_t(nb::dlpack::dtype_code::Float)) return label_type(targets);
    need(t.lanes == 1 && (t.bits == 32 || t.bits == 64), "targets (dtype)");
    return t.bits == 32 ? kFloat32 : kFloat64;
}

template <class T> struct BinaryProbability {
    static OneBlock run(Maybe<In<T>> probs, Any targets, int64_t columns, Maybe<In<double>> pos_weight,
                    Maybe<In<double>> weight, double smoothing, double negative_weight, double positive_weight,
                    double value_factor, double grad_factor, bool clamped, Maybe<Out<T>> values, Maybe<Out<T>> grad,
                    int64_t block_rows, int64_t last, Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        const Left left(state, sums);
        const int64_t size = int64_t(targets.size());
        need(aligned(targets), "targets");
        need(columns > 0 && size % columns == 0, "targets");
        need(probs || !(values || grad), "probs");
        BinaryProbabilityJob job{};
        job.blocks = left.blocks(size / columns, block_rows, last);
        job.columns = columns;
        job.probs = data(probs, size, "probs");
        job.targets = targets.data();
        job.target_type = target_type(targets);
        set_weights(job, pos_weight, weight, job.blocks.rows);
        job.smoothing = smoothing;
        job.negative_weight = negative_weight;
        job.positive_weight = positive_weight;
        job.value_factor = value_factor;
        job.grad_factor = grad_factor;
        job.clamped = clamped;
        job.values = data(values, size, "values");
        job.grad = data(grad, size, "grad");
        run_unlocked(table().binary_probability[sizeof(T) == 4 ? kF32 : kF64], job);
        return left.result();
    }
};

template <class T> void bind(nb::module_& m, const char* rows, const char* binary) {
    m.def(rows, &Probability<T>::run, CROSSENT_ARG("probs"), nb::arg("rows"), nb::arg("classes"), nb::arg("inner"),
          CROSSENT_MAYBE("labels"), CROSSENT_MAYBE("soft"), CROSSENT_MAYBE("soft_factor"),
          CROSSENT_MAYBE("class_weight"), CROSSENT_MAYBE("row_weight"), nb::arg("ignore_index").none(),
          nb::arg("smoothing"), nb::arg("value_factor"), nb::arg("grad_factor"), nb::arg("sum_tolerance"),
          nb::arg("silent"), nb::arg("refused"), nb::arg("logarithms"), nb::arg("gathered"), nb::arg("look"),
          CROSSENT_MAYBE("values"), CROSSENT_MAYBE("grad"), CROSSENT_ARG("notes"), nb::arg("block_rows"),
          nb::arg("last"), CROSSENT_MAYBE("state"), CROSSENT_MAYBE("sums"),
          "Cross-entropy of probability rows of a block range: see ProbabilityJob in native/kernels.hpp.");
    m.def(binary, &BinaryProbability<T>::run, CROSSENT_MAYBE("probs"), CROSSENT_ARG("targets"), nb::arg("columns"),
          CROSSENT_MAYBE("pos_weight"), CROSSENT_MAYBE("weight"), nb::arg("smoothing"), nb::arg("negative_weight"),
          nb::arg("positive_weight"), nb::arg("value_factor"), nb::arg("grad_factor"), nb::arg("clamped"),
          CROSSENT_MAYBE("values"), CROSSENT_MAYBE("grad"), nb::arg("block_rows"), nb::arg("last"), CROSSENT_MAYBE("state"), CROSSENT_MAYBE("sums"),
          "Binary cross-entropy of probabilities of a block range: see BinaryProbabilityJob in native/kernels.hpp.");
}

}  // namespace

void bind_probabilities(nb::module_& m) {
    bind<float>(m, "probability_f32", "binary_probability_f32");
    bind<double>(m, "probability_f64", "binary_probability_f64");
}

}  // namespace crossent
