// Probability jobs: rows of probabilities or their logarithms, whole, on an inner axis, or one gathered element a row.
#include "question.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

// The question's `logits` are probabilities, or their logarithms.
template <int32_t storage> struct Asked {
    Question<storage> q;
    bool logarithms = false, look = false, gathered = false;
    double silent = 1e-5, refused = 0.01;

    bool indexed() const { return q.has_labels && q.smoothing == 0; }
};

template <int32_t storage> struct Answer {
    std::vector<typename Format<storage>::T> values;
    std::vector<typename Format<storage>::E> grad, hess;
    std::vector<double> notes;
    Tally tally;
};

// The element at each row's label, 0.5 where there is none: what the engine copies of arrays that do not lie well.
template <int32_t storage> std::vector<typename Format<storage>::E> gathered(const Question<storage>& q) {
    std::vector<typename Format<storage>::E> taken;
    for (int64_t i = 0; i < q.rows; ++i) {
        const Label label = q.label(i);
        const bool known = label >= 0 && label < q.classes;
        taken.push_back(known ? q.logits[size_t(q.at(i, int64_t(label)))] : typename Format<storage>::E(0.5));
    }
    return taken;
}

template <int32_t storage>
Answer<storage> run(const KernelTable& table, const Asked<storage>& asked, const Manner& how) {
    using E = typename Format<storage>::E;
    const Question<storage>& q = asked.q;
    const std::vector<E> given = asked.gathered ? gathered(q) : q.logits;
    ProbabilityJob job{};
    const BoundTargets<storage> targets(q, how.shift, job);
    const Exact<E> probs(given, how.shift);
    Exact<E> values(q.rows, how.shift), grad(how.in_place || !how.grad ? 0 : q.size(), how.shift + 1);
    Exact<double> notes(3 * blocks_of(q.rows, how), how.shift);
    values.fill(0xa5);
    grad.fill(0xa5);
    if (asked.gathered) job.inner = 1;
    job.probs = probs.data();
    job.silent = asked.silent;
    job.refused = asked.refused;
    job.logarithms = asked.logarithms;
    job.gathered = asked.gathered;
    job.look = asked.look;
    job.values = how.values ? values.data() : nullptr;
    job.grad = how.grad ? (how.in_place ? probs.data() : grad.data()) : nullptr;
    job.notes = notes.data();
    Answer<storage> answer;
    answer.tally = run_in_blocks(table.probability[storage], job, q.rows, how);
    EXPECT(how.in_place || probs.holds(given), "probabilities were changed");
    targets.expect_unchanged();
    if (how.values) answer.values = values.values();
    if (how.grad) answer.grad = how.in_place ? probs.values() : grad.values();
    answer.notes = notes.values();
    return answer;
}

// Rows that are distributions, some of them nearly; with zeros, ones, and now and then anything.
template <int32_t storage> void decode_probabilities(Bytes& bytes, Asked<storage>& asked) {
    Question<storage>& q = asked.q;
    q.logits.resize(size_t(q.size()));
    const int64_t style = bytes.below(4);
    const double off = bytes.pick({0.0, 0.0, 3e-4, -2e-3, 0.2});
    for (int64_t i = 0; i < q.rows; ++i) {
        Real sum = 0;
        std::vector<double> row(size_t(q.classes), 0.0);
        for (double& x : row) {
            x = style == 1 && bytes.random_below(3) ? 0 : std::exp(-30 * (style == 2) * bytes.random_unit());
            x *= bytes.random_unit();
            sum += x;
        }
        if (sum == 0) row[0] = double(sum = 1);
        for (int64_t k = 0; k < q.classes; ++k) {
            const double p = row[size_t(k)] / double(sum) * (1 + off);
            q.logits[size_t(q.at(i, k))] = narrowed<storage>(asked.logarithms ? std::log(p) : p);
        }
    }
    for (int64_t i = q.size() > 0 && bytes.one_in(2) ? bytes.between(1, 4) : 0; i > 0; --i) {
        const double low = double(ulp<Format<storage>>(0));
        const double special = bytes.pick({0.0, -0.0, 1.0, -1.0, 1.5, double(NAN), -double(INFINITY), low, -800.0});
        q.logits[size_t(bytes.below(q.size()))] = narrowed<storage>(special);
    }
}

template <int32_t storage> Asked<storage> decode(Bytes& bytes) {
    Asked<storage> asked;
    Question<storage>& q = asked.q;
    decode_targets(bytes, q);
    asked.logarithms = bytes.one_in(2);
    decode_probabilities(bytes, asked);
    q.smoothing = bytes.pick({0.0, 0.0, 0.1, 1.0, 1e-9});
    q.value_factor = bytes.pick({1.0, 1.4426950408889634});
    q.grad_factor = bytes.pick({1.0, 1.4426950408889634, 1.0 / 48});
    asked.look = bytes.one_in(2);
    if (!q.sane) {
        q.smoothing = bytes.any_double();
        q.value_factor = bytes.any_double();
        q.grad_factor = bytes.any_double();
        asked.silent = bytes.any_double();
        asked.refused = bytes.any_double();
    }
    return asked;
}

// By the definition, in long double: what the row's probabilities come to, after its targets were found in order.
template <int32_t storage> struct NaiveRow {
    bool entries = true, close = false;
    Real sum = 1, value = 0;
    std::vector<Real> grad;

    NaiveRow(const Asked<storage>& asked, int64_t row, const Part& part) {
        const Question<storage>& q = asked.q;
        const Real a = q.smoothing, f = Real(q.weight(row)) * q.grad_factor;
        Real total = 0;
        for (int64_t k = 0; k < q.classes; ++k) {
            const Real x = q.logit(row, k);
            const Real target = part.label >= 0 ? Real(k == part.label) : Real(q.target(row, k)) * q.factor(row);
            const Real weight = q.of_class(k) * ((1 - a) * target + a / q.classes);
            const bool fits = asked.logarithms ? x <= 0 : x >= 0 && x <= 1;
            if (!fits && (asked.look || weight > 0)) entries = false;
            total += asked.logarithms ? std::exp(x) : x;
            grad.push_back(weight > 0 ? -f * (asked.logarithms ? weight : weight / std::fabs(x)) : 0);
            if (weight > 0) value += weight * (asked.logarithms ? -x : -std::log(std::fabs(x)));
        }
        value *= Real(q.weight(row)) * q.value_factor;
        if (asked.look && entries) sum = total;
        const Real off = std::fabs(sum - 1);
        close = std::fabs(off - asked.refused) < 1e-9L || std::fabs(off - asked.silent) < 1e-9L;
    }
};

template <int32_t storage>
void check_row(const KernelTable& table, const Asked<storage>& asked, const Answer<storage>& got, int64_t row,
               const NaiveRow<storage>& naive) {
    using F = Format<storage>;
    const long long i = row, K = asked.q.classes;
    const Real value = got.values[size_t(row)];
    EXPECT(near<F>(value, naive.value, 4 * ulp<F>(naive.value)), "%s row %lld of %lld classes: %.17Lg, exactly %.19Lg",
           table.name, i, K, value, naive.value);
    for (int64_t k = 0; !got.grad.empty() && k < K; ++k) {
        const Real g = got.grad[size_t(asked.q.at(row, k))], exact = naive.grad[size_t(k)];
        EXPECT(near<F>(g, exact, 8 * ulp<F>(exact)), "%s row %lld, class %lld of %lld: gradient %.17Lg, exactly %.19Lg",
               table.name, i, (long long)k, K, g, exact);
    }
}

template <int32_t storage>
void check_left_out(const KernelTable& table, const Asked<storage>& asked, const Answer<storage>& got, int64_t row) {
    EXPECT(got.values[size_t(row)] == 0, "%s row %lld is left out: value not 0", table.name, (long long)row);
    for (int64_t k = 0; !got.grad.empty() && k < asked.q.classes; ++k) {
        EXPECT(got.grad[size_t(asked.q.at(row, k))] == 0, "%s row %lld is left out: gradient not 0", table.name,
               (long long)row);
    }
}

// The rows whose sums are worth a note.
struct Notes {
    Real count = 0, lowest = INFINITY, highest = -Real(INFINITY);

    void add(Real sum) {
        ++count;
        lowest = std::fmin(lowest, sum);
        highest = std::fmax(highest, sum);
    }
    void expect(const char* name, const std::vector<double>& found) const {
        Notes all;
        for (size_t b = 0; b < found.size(); b += 3) {
            all.count += found[b];
            all.lowest = std::fmin(all.lowest, Real(found[b + 1]));
            all.highest = std::fmax(all.highest, Real(found[b + 2]));
        }
        EXPECT(all.count == count, "%s: %Lg sums noted of %Lg", name, all.count, count);
        EXPECT(count == 0 || (std::fabs(all.lowest - lowest) < 1e-9L && std::fabs(all.highest - highest) < 1e-9L),
               "%s: sums %Lg to %Lg noted of %Lg to %Lg", name, all.lowest, all.highest, lowest, highest);
    }
};

template <int32_t storage>
void check(const KernelTable& table, const Asked<storage>& asked, const Manner& how, Bytes bytes) {
    const Question<storage>& q = asked.q;
    const Answer<storage> got = run(table, asked, how);
    if (!q.sane) return;
    int64_t bad = kNoBadRow;
    Real mass = 0, kept = 0;
    Notes notes;
    for (int64_t i = 0; i < q.rows && bad == kNoBadRow; ++i) {
        const Part part = part_of(q, i);
        if (part.close) return;
        if (part.code) bad = i * 8 + part.code;
        else if (!part.takes_part && got.tally.bad == kNoBadRow) check_left_out(table, asked, got, i);
        if (part.code || !part.takes_part) continue;
        const NaiveRow<storage> naive(asked, i, part);
        if (naive.close) return;
        const Real off = std::fabs(naive.sum - 1);
        if (!naive.entries) bad = i * 8 + kEntry;
        else if (off > asked.refused) bad = i * 8 + kRowSum;
        else if (got.tally.bad == kNoBadRow) check_row(table, asked, got, i, naive);
        if (off > asked.silent) notes.add(naive.sum);
        mass += q.weight(i) * part.mass;
        kept += 1;
    }
    expect_bad(table.name, got.tally.bad, bad);
    expect_bad(table.name, run(table, asked, how.cut(bytes)).tally.bad, bad);
    if (bad != kNoBadRow) return;
    expect_sums(table.name, got.tally, kept, mass, 1e-12L, got.values);
    notes.expect(table.name, got.notes);
    expect_any_manner(table.name, got, how, bytes, [&](const Manner& other) { return run(table, asked, other); });
    if (!asked.indexed() || asked.look) return;
    Asked<storage> alone = asked;
    alone.gathered = true;
    expect_same(table.name, "of gathered elements", run(table, alone, how.values_only()), got);
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    Asked<storage> asked = decode<storage>(bytes);
    Question<storage>& q = asked.q;
    if (!q.has_labels && !q.has_soft) return;  // the binding wants one of them
    Manner how;
    how.grad = bytes.one_in(2);
    how.shift = bytes.below(8);
    // The binding refuses an inner axis with any of these; the engine turns such rows over.
    if (how.grad || asked.look || !asked.indexed()) q.inner = 1;
    on_every_table([&](const KernelTable& table) { check(table, asked, how, bytes); });
}

}  // namespace

void fuzz_probability(Bytes& bytes) {
    if (bytes.one_in(2)) fuzz_storage<kF32>(bytes);
    else fuzz_storage<kF64>(bytes);
}

}  // namespace fuzz
