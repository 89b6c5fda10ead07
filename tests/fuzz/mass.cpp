// Mass jobs: what targets weigh before any logit is read, and the lowest bad row among them.
#include "question.hpp"
#include "running.hpp"

namespace fuzz {
namespace {

struct Answer {
    std::vector<double> row_sums;
    Tally tally;
};

template <int32_t storage>
Answer run(const KernelTable& table, const Question<storage>& q, const Manner& how) {
    MassJob job{};
    const BoundTargets<storage> targets(q, how.shift, job);
    Exact<double> row_sums(q.has_soft ? q.rows : 0, how.shift);
    row_sums.fill(0);
    job.row_sums = q.has_soft ? row_sums.data() : nullptr;
    Answer answer;
    answer.tally = run_in_blocks(table.mass[storage], job, q.rows, how);
    targets.expect_unchanged();
    answer.row_sums = row_sums.values();
    return answer;
}

template <int32_t storage>
void check(const KernelTable& table, const Question<storage>& q, const Manner& how, Bytes bytes) {
    const Answer got = run(table, q, how);
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
        EXPECT(got.tally.bad != kNoBadRow || std::fabs(found - sum) <= 5e-15L * sum,
               "%s: row %lld sums to %.17Lg, not %.17Lg", table.name, (long long)i, found, sum);
    }
    const Answer cut = run(table, q, how.cut(bytes));
    expect_bad(table.name, got.tally.bad, bad);
    expect_bad(table.name, cut.tally.bad, bad);
    if (bad != kNoBadRow) return;
    for (const Answer* answer : {&got, &cut}) {
        expect_sums(table.name, answer->tally, kept, mass, 1e-14L, std::vector<double>{});
    }
    EXPECT(same_bits(got.row_sums, cut.row_sums), "%s: other row sums in blocks", table.name);
}

template <int32_t storage> void fuzz_storage(Bytes& bytes) {
    Question<storage> q;
    decode_targets(bytes, q);
    if (!q.has_labels && !q.has_soft) return;  // module.cpp wants one of them
    Manner how;
    how.shift = bytes.below(8);
    on_every_table([&](const KernelTable& table) { check(table, q, how, bytes); });
}

}  // namespace

void fuzz_mass(Bytes& bytes) {
    in_some_storage(bytes, [&](auto storage) { fuzz_storage<storage.value>(bytes); });
}

}  // namespace fuzz
