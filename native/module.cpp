// The Python module crossent._native: annotations and size checks; every value is checked by the kernels themselves.
#include <atomic>
#include <chrono>
#include <thread>

#include "bindings.hpp"
#include "buffers.hpp"

namespace crossent {

namespace {

// A daemon thread that asks for that lock while the interpreter shuts down is unwound by force (before Python 3.14),
// which no C++ frame survives. So `close_down`, run at exit, waits until no call is under way, and a call that begins
// later, in any thread but the closing one, sleeps for the rest of the process.
std::atomic<int64_t> calls{0};
std::atomic<bool> closed{false};
std::thread::id closing_thread;

}  // namespace

Call::Call() {
    if (closed.load() && std::this_thread::get_id() != closing_thread) {
        nb::gil_scoped_release forever;
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
    ++calls;
}

Call::~Call() { --calls; }

namespace {

void close_down() {
    closing_thread = std::this_thread::get_id();
    closed = true;
    nb::gil_scoped_release released;
    for (int i = 0; calls.load() > 0 && i < 10000; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

template <int32_t storage, class S = typename Held<storage>::S, class T = typename Held<storage>::T> struct Softmax {
    static OneBlock run(In<S> logits, int64_t classes, int64_t inner, Maybe<Any> labels, Maybe<In<S>> soft,
                    Maybe<In<double>> soft_factor, Maybe<In<double>> class_weight, Maybe<In<T>> class_weight_lanes,
                    Maybe<In<double>> row_weight, Maybe<int64_t> ignore_index, double smoothing, double value_factor,
                    double grad_factor, double sum_tolerance, int output, Maybe<Out<T>> values, Maybe<Out<S>> grad,
                    Maybe<Out<S>> hess, bool stream, int64_t block_rows, int64_t last,
                    Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        const int64_t size = int64_t(logits.size());
        need(aligned(logits), "logits");
        need(classes > 0 && inner > 0 && size % classes == 0 && (size / classes) % inner == 0, "logits");
        const int64_t rows = size / classes;
        need(inner == 1 || classes <= INT32_MAX, "classes on an inner axis");
        need(class_weight.has_value() == class_weight_lanes.has_value(), "class_weight");
        need(grad.has_value() || !hess.has_value(), "hess without grad");
        SoftmaxJob job{};
        Left left(state, sums);
        job.blocks = left.blocks(rows, block_rows, last);
        job.classes = classes;
        job.inner = inner;
        job.logits = logits.data();
        set_targets(job, rows, labels, soft, soft_factor, class_weight, row_weight, ignore_index);
        job.class_weight_lanes = data(class_weight_lanes, classes, "class_weight");
        job.smoothing = smoothing;
        job.value_factor = value_factor;
        job.grad_factor = grad_factor;
        job.sum_tolerance = sum_tolerance;
        job.output = output;
        job.values = data(values, rows, "values");
        job.grad = data(grad, size, "grad");
        job.hess = data(hess, size, "hess");
        job.stream = stream && grad;
        run_unlocked(table().softmax[storage], job);
        return left.result();
    }
};

// Rows with int64 labels by their addresses, for callers whose arrays take longer to wrap than a few rows to compute: the
// sum or mean goes to `loss`, the gradient to `grad` unless that is 0. Returns the lowest bad row * 8 + code. The caller
// answers for sizes, alignment and lifetime.
template <class T>
int64_t rows_at(uintptr_t logits, uintptr_t labels, uintptr_t grad, uintptr_t loss, int64_t rows, int64_t classes,
                int64_t ignore_index, bool mean) {
    need(logits && labels && loss && rows > 0 && classes > 0, "rows");
    int64_t state[2] = {0, INT64_MAX};
    double sums[3] = {};
    SoftmaxJob job{};
    job.blocks = {rows, rows, 1, state, state + 1, sums};
    job.classes = classes;
    job.inner = 1;
    job.logits = reinterpret_cast<const T*>(logits);
    job.labels = reinterpret_cast<const int64_t*>(labels);
    job.label_type = kInt64;
    job.has_ignore = true;
    job.ignore_index = ignore_index;
    job.value_factor = 1;
    job.grad_factor = mean ? 1.0 / double(rows) : 1;
    job.sum_tolerance = -1;
    job.output = kGradient;
    T* slopes = reinterpret_cast<T*>(grad);
    job.grad = slopes;
    run_unlocked(table().softmax[sizeof(T) == 4 ? kF32 : kF64], job);
    const double kept = sums[2];
    *reinterpret_cast<T*>(loss) = T(mean ? sums[0] / kept : sums[0]);
    if (mean && slopes && kept != double(rows) && kept > 0) {
        const T factor = T(double(rows) / kept);
        for (int64_t i = 0; i < rows * classes; ++i) slopes[i] *= factor;
    }
    return state[1];
}

template <int32_t storage, class S = typename Held<storage>::S, class T = typename Held<storage>::T> struct Sigmoid {
    static OneBlock run(In<S> logits, int64_t columns, Maybe<In<T>> targets, Maybe<In<double>> wide_targets,
                    Maybe<In<double>> pos_weight, Maybe<In<double>> weight, double smoothing,
                    double negative_weight, double positive_weight, double value_factor, double grad_factor,
                    Maybe<Out<T>> values, Maybe<Out<S>> grad, Maybe<Out<S>> hess, bool stream, int64_t block_rows, int64_t last,
                    Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        const int64_t size = int64_t(logits.size());
        need(aligned(logits), "logits");
        need(columns > 0 && size % columns == 0, "logits");
        const int64_t rows = size / columns;
        SigmoidJob job{};
        Left left(state, sums);
        job.blocks = left.blocks(rows, block_rows, last);
        job.columns = columns;
        job.logits = logits.data();
        set_element_targets(job, targets, wide_targets, size);
        set_weights(job, pos_weight, weight, rows);
        job.smoothing = smoothing;
        job.negative_weight = negative_weight;
        job.positive_weight = positive_weight;
        job.value_factor = value_factor;
        job.grad_factor = grad_factor;
        job.values = data(values, size, "values");
        job.grad = data(grad, size, "grad");
        job.hess = data(hess, size, "hess");
        job.stream = stream && grad;
        run_unlocked(table().sigmoid[storage], job);
        return left.result();
    }
};

template <int32_t storage, class S = typename Held<storage>::S> struct Mass {
    static OneBlock run(int64_t rows, int64_t classes, int64_t inner, Maybe<Any> labels, Maybe<In<S>> soft,
                    Maybe<In<double>> soft_factor, Maybe<In<double>> class_weight, Maybe<In<double>> row_weight,
                    Maybe<int64_t> ignore_index, double sum_tolerance, Maybe<Out<double>> row_sums, int64_t block_rows,
                    int64_t last, Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        need(rows >= 0 && classes > 0 && inner > 0 && rows % inner == 0, "targets");
        need(labels.has_value() != soft.has_value(), "labels and soft targets");
        MassJob job{};
        Left left(state, sums);
        job.blocks = left.blocks(rows, block_rows, last);
        job.classes = classes;
        job.inner = inner;
        job.labels = data(labels, rows, "labels");
        job.label_type = labels ? label_type(*labels) : 0;
        if (soft) need(int64_t(soft->size()) % classes == 0 && int64_t(soft->size()) / classes == rows, "soft targets");
        job.soft = soft ? data(soft, int64_t(soft->size()), "soft targets") : nullptr;
        job.soft_factor = data(soft_factor, rows, "soft_factor");
        job.class_weight = data(class_weight, classes, "class_weight");
        job.row_weight = data(row_weight, rows, "row_weight");
        job.has_ignore = ignore_index.has_value();
        job.ignore_index = ignore_index.value_or(0);
        job.sum_tolerance = sum_tolerance;
        job.row_sums = data(row_sums, rows, "row_sums");
        run_unlocked(table().mass[storage], job);
        return left.result();
    }
};

std::vector<std::string> available_isas() {
    const char* names[kMaxTables];
    const int n = available_tables(names);
    return {names, names + n};
}

std::vector<std::string> elementary_names() {
    std::vector<std::string> names;
    for (int i = 0; i < table().elementary_count; ++i) names.push_back(table().elementary[i].name);
    return names;
}

template <class T> void elementary(const std::string& name, In<T> x, In<T> e, Out<T> out, bool one_by_one) {
    need(e.size() == x.size() && out.size() == x.size(), "x, e, out");
    need(aligned(x) && aligned(e) && aligned(out), "x, e, out");
    const KernelTable& kernels = table();
    for (int i = 0; i < kernels.elementary_count; ++i) {
        const Elementary& f = kernels.elementary[i];
        if (name != f.name) continue;
        const Call call;
        nb::gil_scoped_release released;
        if constexpr (sizeof(T) == 4) {
            need(f.f32[one_by_one], "float function");
            f.f32[one_by_one](int64_t(x.size()), x.data(), e.data(), out.data());
        } else {
            need(f.f64[one_by_one], "double function");
            f.f64[one_by_one](int64_t(x.size()), x.data(), e.data(), out.data());
        }
        return;
    }
    throw std::invalid_argument("crossent._native: no elementary function " + name);
}

template <int32_t storage> void bind(nb::module_& m, const char* softmax, const char* sigmoid, const char* mass) {
    m.def(softmax, &Softmax<storage>::run, CROSSENT_ARG("logits"), nb::arg("classes"), nb::arg("inner"),
          CROSSENT_MAYBE("labels"), CROSSENT_MAYBE("soft"), CROSSENT_MAYBE("soft_factor"),
          CROSSENT_MAYBE("class_weight"),
          CROSSENT_MAYBE("class_weight_lanes"), CROSSENT_MAYBE("row_weight"), nb::arg("ignore_index").none(),
          nb::arg("smoothing"), nb::arg("value_factor"), nb::arg("grad_factor"), nb::arg("sum_tolerance"),
          nb::arg("output"), CROSSENT_MAYBE("values"), CROSSENT_MAYBE("grad"), CROSSENT_MAYBE("hess"),
          nb::arg("stream"), nb::arg("block_rows"), nb::arg("last"), CROSSENT_MAYBE("state"), CROSSENT_MAYBE("sums"),
          "Softmax cross-entropy of a block range: see SoftmaxJob in native/kernels.hpp.");
    m.def(sigmoid, &Sigmoid<storage>::run, CROSSENT_ARG("logits"), nb::arg("columns"), CROSSENT_MAYBE("targets"),
          CROSSENT_MAYBE("wide_targets"), CROSSENT_MAYBE("pos_weight"), CROSSENT_MAYBE("weight"), nb::arg("smoothing"),
          nb::arg("negative_weight"),
          nb::arg("positive_weight"), nb::arg("value_factor"), nb::arg("grad_factor"), CROSSENT_MAYBE("values"),
          CROSSENT_MAYBE("grad"), CROSSENT_MAYBE("hess"), nb::arg("stream"), nb::arg("block_rows"), nb::arg("last"),
          CROSSENT_MAYBE("state"), CROSSENT_MAYBE("sums"),
          "Binary cross-entropy of a block range: see SigmoidJob in native/kernels.hpp.");
    m.def(mass, &Mass<storage>::run, nb::arg("rows"), nb::arg("classes"), nb::arg("inner"), CROSSENT_MAYBE("labels"),
          CROSSENT_MAYBE("soft"), CROSSENT_MAYBE("soft_factor"), CROSSENT_MAYBE("class_weight"),
          CROSSENT_MAYBE("row_weight"), nb::arg("ignore_index").none(), nb::arg("sum_tolerance"),
          CROSSENT_MAYBE("row_sums"), nb::arg("block_rows"), nb::arg("last"), CROSSENT_MAYBE("state"),
          CROSSENT_MAYBE("sums"), "Mass of the targets of a block range: see MassJob in native/kernels.hpp.");
}

}  // namespace

}  // namespace crossent

NB_MODULE(_native, m) {
    using namespace crossent;
    m.doc() = "Native kernels of crossent and the memory of results. "
              "Private: only crossent.core and crossent.settings call them.";
    const std::vector<std::string> isas = available_isas();
    if (isas.empty()) throw nb::import_error("crossent needs an x86-64-v2 processor (SSE4.2 and POPCNT)");
    select_table(isas.back().c_str());
    bind_buffers(m);
    for (auto [name, function] : {std::pair("rows_at_f32", &rows_at<float>), std::pair("rows_at_f64", &rows_at<double>)}) {
        m.def(name, function, nb::arg("logits"), nb::arg("labels"), nb::arg("grad"), nb::arg("loss"), nb::arg("rows"),
              nb::arg("classes"), nb::arg("ignore_index"), nb::arg("mean"),
              "Softmax cross-entropy of a few rows by their addresses: the lowest bad row * 8 + code.");
    }
    bind<kF32>(m, "softmax_f32", "sigmoid_f32", "mass_f32");
    bind<kF64>(m, "softmax_f64", "sigmoid_f64", "mass_f64");
    bind<kBf16>(m, "softmax_bf16", "sigmoid_bf16", "mass_bf16");
    bind<kF16>(m, "softmax_f16", "sigmoid_f16", "mass_f16");
    bind_family(m);
    bind_probabilities(m);
    bind_matrices(m);
    bind_scores(m);
    bind_statistics(m);
    bind_exact(m);
    m.def("available_isas", &available_isas, "Instruction sets of this build that this machine runs, slowest first.");
    m.def("select_isa", [](const std::string& name) { return select_table(name.c_str()); }, nb::arg("name"),
          "Uses the named instruction set from now on; False if it is not available.");
    m.def("close_down", &close_down, "At exit: waits for calls under way; later ones in other threads never return.");
    m.def("after_fork", [] { calls = 0; }, "Forgets the calls of threads that a fork left behind.");
#if defined(__clang__)
    const std::string compiler = __VERSION__;  // says Clang itself
#else
    const std::string compiler = "GCC " __VERSION__;
#endif
    m.def("compiler", [compiler] { return compiler; }, "The compiler that built this module.");
    m.def("current_isa", [] { return std::string(table().name); }, "The instruction set in use.");
    m.def("elementary_names", &elementary_names, "The functions of native/elementary.hpp that tests can ask.");
    m.def("elementary", &elementary<float>, nb::arg("name"), CROSSENT_ARG("x"), CROSSENT_ARG("e"), CROSSENT_ARG("out"),
          nb::arg("one_by_one") = false, "For tests: out = f(x, e) by the named function of native/elementary.hpp.");
    m.def("elementary", &elementary<double>, nb::arg("name"), CROSSENT_ARG("x"), CROSSENT_ARG("e"), CROSSENT_ARG("out"),
          nb::arg("one_by_one") = false, "For tests: out = f(x, e) by the named function of native/elementary.hpp.");
}
