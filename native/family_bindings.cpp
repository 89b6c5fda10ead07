// Bindings of the family of losses: annotations and size checks.
#include "bindings.hpp"

namespace crossent {

namespace {

Shape shape_of(int kind, double a, double b) {
    need(kind >= kLog && kind <= kPower, "shape");
    return {kind, a, b};
}

int curvature_of(int curvature) {
    need(curvature == kExact || curvature == kUpper, "curvature");
    return curvature;
}

template <int32_t storage, class S = typename Held<storage>::S, class T = typename Held<storage>::T> struct Family {
    // What a shard of a vocabulary knows of the whole one, and where its rows' states go to or come from.
    static void set_shard(FamilyJob& job, int64_t first_class, int64_t all_classes, const Maybe<Out<double>>& left,
                          const Maybe<In<double>>& given, int64_t rows) {
        need(first_class >= 0 && all_classes - first_class >= job.base.classes, "first_class and all_classes");
        job.first_class = first_class;
        job.all_classes = all_classes;
        int64_t size = 0;
        need(!__builtin_mul_overflow(rows, int64_t(kRowState), &size), "rows");
        job.left = data(left, size, "left");
        job.given = data(given, size, "given");
        const bool whole = all_classes == job.base.classes;
        need(!(left && given), "left and given");
        need(whole || left || given, "a shard's states");
        need(!left || !(job.base.values || job.base.grad), "values and grad of a shard");
        need(!given || (job.base.grad && !job.base.values && !job.base.hess), "grad of a shard");
        need(!(left || given) || (job.shape.kind == kLog && job.hard == 0), "shape of a shard");
    }

    static OneBlock run(In<S> logits, int64_t classes, int64_t inner, Maybe<Any> labels, Maybe<In<S>> soft,
                        Maybe<In<double>> soft_factor, Maybe<In<double>> class_weight, Maybe<In<double>> row_weight,
                        Maybe<int64_t> ignore_index, double smoothing, double value_factor, double grad_factor,
                        double sum_tolerance, Maybe<Out<T>> values, Maybe<Out<S>> grad, Maybe<Out<S>> hess, int shape,
                        double a, double b, double softcap, double temperature, Maybe<In<double>> bias, double tau,
                        Maybe<In<double>> alpha, double z_loss, double entropy_weight, double hard, int curvature,
                        int64_t first_class, int64_t all_classes, Maybe<Out<double>> left, Maybe<In<double>> given,
                        int64_t block_rows, int64_t last, Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        const int64_t size = int64_t(logits.size());
        need(aligned(logits), "logits");
        need(classes > 0 && inner > 0 && size % classes == 0 && (size / classes) % inner == 0, "logits");
        need(labels.has_value() != soft.has_value(), "labels and soft targets");
        need(grad.has_value() || !hess.has_value(), "hess without grad");
        const int64_t rows = size / classes;
        FamilyJob job{};
        SoftmaxJob& base = job.base;
        Left found(state, sums);
        base.blocks = found.blocks(rows, block_rows, last);
        base.classes = classes;
        base.inner = inner;
        base.logits = logits.data();
        set_targets(base, rows, labels, soft, soft_factor, class_weight, row_weight, ignore_index);
        base.smoothing = smoothing;
        base.value_factor = value_factor;
        base.grad_factor = grad_factor;
        base.sum_tolerance = sum_tolerance;
        base.values = data(values, rows, "values");
        base.grad = data(grad, size, "grad");
        base.hess = data(hess, size, "hess");
        job.shape = shape_of(shape, a, b);
        job.softcap = softcap;
        job.temperature = temperature;
        job.bias = data(bias, 2 * classes, "bias");
        job.tau = tau;
        job.alpha = data(alpha, classes, "alpha");
        job.z_loss = z_loss;
        job.entropy_weight = entropy_weight;
        job.hard = hard;
        job.curvature = curvature_of(curvature);
        set_shard(job, first_class, all_classes, left, given, rows);
        run_unlocked(table().family[storage], job);
        return found.result();
    }
};

template <int32_t storage, class S = typename Held<storage>::S, class T = typename Held<storage>::T>
struct BinaryFamily {
    static OneBlock run(In<S> logits, int64_t columns, Maybe<In<T>> targets, Maybe<In<double>> wide_targets,
                        Maybe<In<double>> pos_weight, Maybe<In<double>> weight, double smoothing,
                        double negative_weight, double positive_weight, double value_factor, double grad_factor,
                        Maybe<Out<T>> values, Maybe<Out<S>> grad, Maybe<Out<S>> hess, int shape, double a, double b,
                        double up, double down, int curvature, int64_t block_rows, int64_t last,
                        Maybe<Out<int64_t>> state, Maybe<Out<double>> sums) {
        const int64_t size = int64_t(logits.size());
        need(aligned(logits), "logits");
        need(columns > 0 && size % columns == 0, "logits");
        need(grad.has_value() || !hess.has_value(), "hess without grad");
        BinaryFamilyJob job{};
        SigmoidJob& base = job.base;
        Left found(state, sums);
        base.blocks = found.blocks(size / columns, block_rows, last);
        base.columns = columns;
        base.logits = logits.data();
        set_element_targets(base, targets, wide_targets, size);
        set_weights(base, pos_weight, weight, size / columns);
        base.smoothing = smoothing;
        base.negative_weight = negative_weight;
        base.positive_weight = positive_weight;
        base.value_factor = value_factor;
        base.grad_factor = grad_factor;
        base.values = data(values, size, "values");
        base.grad = data(grad, size, "grad");
        base.hess = data(hess, size, "hess");
        job.shape = shape_of(shape, a, b);
        job.up = up;
        job.down = down;
        job.curvature = curvature_of(curvature);
        run_unlocked(table().binary_family[storage], job);
        return found.result();
    }
};

template <int32_t storage> void bind(nb::module_& m, const char* family, const char* binary) {
    m.def(family, &Family<storage>::run, CROSSENT_ARG("logits"), nb::arg("classes"), nb::arg("inner"),
          CROSSENT_MAYBE("labels"), CROSSENT_MAYBE("soft"), CROSSENT_MAYBE("soft_factor"),
          CROSSENT_MAYBE("class_weight"), CROSSENT_MAYBE("row_weight"), nb::arg("ignore_index").none(),
          nb::arg("smoothing"), nb::arg("value_factor"), nb::arg("grad_factor"), nb::arg("sum_tolerance"),
          CROSSENT_MAYBE("values"), CROSSENT_MAYBE("grad"), CROSSENT_MAYBE("hess"), nb::arg("shape"), nb::arg("a"),
          nb::arg("b"), nb::arg("softcap"), nb::arg("temperature"), CROSSENT_MAYBE("bias"), nb::arg("tau"),
          CROSSENT_MAYBE("alpha"), nb::arg("z_loss"), nb::arg("entropy_weight"), nb::arg("hard"), nb::arg("curvature"),
          nb::arg("first_class"), nb::arg("all_classes"), CROSSENT_MAYBE("left"), CROSSENT_MAYBE("given"),
          nb::arg("block_rows"), nb::arg("last"), CROSSENT_MAYBE("state"), CROSSENT_MAYBE("sums"),
          "A loss of the softmax family on a block range: see FamilyJob in native/kernels.hpp.");
    m.def(binary, &BinaryFamily<storage>::run, CROSSENT_ARG("logits"), nb::arg("columns"), CROSSENT_MAYBE("targets"),
          CROSSENT_MAYBE("wide_targets"), CROSSENT_MAYBE("pos_weight"), CROSSENT_MAYBE("weight"), nb::arg("smoothing"),
          nb::arg("negative_weight"), nb::arg("positive_weight"), nb::arg("value_factor"), nb::arg("grad_factor"),
          CROSSENT_MAYBE("values"), CROSSENT_MAYBE("grad"), CROSSENT_MAYBE("hess"), nb::arg("shape"), nb::arg("a"),
          nb::arg("b"), nb::arg("up"), nb::arg("down"), nb::arg("curvature"), nb::arg("block_rows"), nb::arg("last"),
          CROSSENT_MAYBE("state"), CROSSENT_MAYBE("sums"),
          "A loss of the binary family on a block range: see BinaryFamilyJob in native/kernels.hpp.");
}

}  // namespace

void bind_family(nb::module_& m) {
    bind<kF32>(m, "family_f32", "binary_family_f32");
    bind<kF64>(m, "family_f64", "binary_family_f64");
    bind<kBf16>(m, "family_bf16", "binary_family_bf16");
    bind<kF16>(m, "family_f16", "binary_family_f16");
}

}  // namespace crossent
