// Mass jobs: what targets weigh before any logit is read, and the lowest bad row among them.
#include "question.hpp"

namespace fuzz {
namespace {

struct Answer {
    std::vector<double> row_sums;
    Real mass = 0, kept = 0;
    int64_t bad = kNoBadRow;
};

template <int32_t storage>
Answer run(const KernelTable& table, const Question<storage>& q, int64_t block_rows, int64_t step, int64_t shift) {
    using E = typename Format<storage>::E;
    const Exact<E> soft(q.soft, shift);
    const Exact<uint8_t> labels(q.labels, shift + 2);
    const Exact<double> factor(q.soft_factor, shift), class_weight(q.class_weight, shift), row_weight(q.row_weight, 1);
    const int64_t blocks = q.rows == 0 ? 0 : (q.rows - 1) / block_rows + 1;
    Exact<double> sums(3 * blocks, shift), row_sums(q.has_soft ? q.rows : 0, shift);
    sums.fill(0);
    row_sums.fill(0);
    int64_t next = 0, bad = kNoBadRow;

    MassJob job{};
    job.blocks = {q.rows, block_rows, 0, &next, &bad, sums.data()};
    job.classes = q.classes;
    job.inner = q.inner;
    job.labels = q.has_labels ? labels.data() : nullptr;
    job.soft = q.has_soft ? soft.data() : nullptr;
    job.soft_factor = q.has_factor ? factor.data() : nullptr;
    job.class_weight = q.has_class_weight ? class_weight.data() : nullptr;
    job.row_weight = q.has_row_weight ? row_weight.data() : nullptr;
    job.sum_tolerance = q.sum_tolerance;
    job.ignore_index = q.ignore;
    job.has_ignore = q.has_ignore;
    job.label_type = q.label_type;
    job.row_sums = q.has_soft ? row_sums.data() : nullptr;
    while (next < blocks && bad == kNoBadRow) {
        job.blocks.last = next + step;
        const int64_t before = next;
        table.mass[storage](&job);
        EXPECT(next > before && next <= blocks, "next is %lld of %lld", (long long)next, (long long)blocks);
    }

    EXPECT(soft.holds(q.soft) && labels.holds(q.labels), "targets were changed");
    Answer answer;
    answer.bad = bad;
    answer.row_sums = row_sums.values();
    for (int64_t b = 0; b < blocks; ++b) {
        answer.mass += sums.data()[3 * b + 1];
        answer.kept += sums.data()[3 * b + 2];
    }
    return answer;
}

template <int32_t storage>
void check(const KernelTable& table, const Question<storage>& q, int64_t shift, Bytes bytes) {
    const Answer got = run(table, q, 1 << 20, 1, shift);
    if (!q.sane) return;
    int64_t bad = kNoBadRow;
    Real mass = 0, kept = 0;
    for (int64_t i = 0; i < q.rows && bad == kNoBadRow; ++i) {
        const Part part = part_of(q, i);
        if (part.close) return;
        if (part.code) bad = i * 8 + part.code;
        else if (part.takes_part) {
            mass += q.weight(i) * part.mass;
            kept += 1;
        }
        if (!q.has_soft || part.code || q.weight(i) == 0) continue;
        Real sum = 0;
        for (int64_t k = 0; k < q.classes; ++k) sum += q.target(i, k);
        const Real found = got.row_sums[size_t(i)];
        EXPECT(got.bad != kNoBadRow || std::fabs(found - sum) <= 1e-15L * sum,
               "%s: row %lld sums to %.17Lg, not %.17Lg", table.name, (long long)i, found, sum);
    }
    EXPECT(got.bad == bad, "%s: bad row %lld, code %lld reported; it is %lld, code %lld", table.name,
           (long long)(got.bad / 8), (long long)(got.bad % 8), (long long)(bad / 8), (long long)(bad % 8));
    const Answer cut = run(table, q, bytes.between(1, 9), bytes.between(1, 4), bytes.below(8));
    EXPECT(cut.bad == bad, "%s: another bad row in blocks", table.name);
    if (bad != kNoBadRow) return;
    EXPECT(got.kept == kept && cut.kept == kept, "%s: %Lg and %Lg rows kept of %Lg", table.name, got.kept, cut.kept,
           kept);
    EXPECT(std::fabs(got.mass - mass) <= 1e-14L * mass && std::fabs(cut.mass - mass) <= 1e-14L * mass,
           "%s: mass %.17Lg, not %.17Lg", table.name, got.mass, mass);
    EXPECT(same_bits(got.row_sums, cut.row_sums), "%s: other row sums in blocks", table.name);
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    Question<storage> q;
    decode_targets(bytes, q);
    if (!q.has_labels && !q.has_soft) return;  // module.cpp wants one of them
    const int64_t shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) {
        if (table.mass[storage]) check(table, q, shift, bytes);
    });
}

}  // namespace

void fuzz_mass(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
