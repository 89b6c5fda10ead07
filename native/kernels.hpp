// The jobs that Python hands to native code, and the one table of entry points that each instruction set exports.
//
// Plain C data: nothing here depends on an instruction set. Pointers may be null where a job does not use them. The
// caller has checked shapes and sizes; values (labels, NaN, targets) are checked by the kernels in their own pass.
#pragma once

#include <cstdint>

// What is wrong with a row; the lowest bad row wins, whatever the threads. Stored as row * 8 + code.
enum RowError : int64_t { kNonFinite = 1, kLabel = 2, kTarget = 3, kTargetSum = 4, kEntry = 5, kRowSum = 6 };

// How numbers are stored.
enum Storage : int32_t { kF32, kF64, kBf16, kF16, kStorages };

enum LabelType : int32_t { kInt8, kInt16, kInt32, kInt64, kUint8, kUint16, kUint32, kUint64 };
// Targets of independent labels may be these too.
enum TargetType : int32_t { kFloat32 = kUint64 + 1, kFloat64, kBool };

// What `grad` receives.
enum Output : int32_t { kGradient, kProbs, kLogProbs };

// Work is cut into fixed blocks of rows; threads draw them from a shared counter and leave one sum for each, so the
// merged sum has the same bits for any number of threads.
struct Blocks {
    int64_t rows;        // in the whole job
    int64_t block_rows;  // in a block
    int64_t last;        // draw blocks below this number, then return (so that Python can look at signals)
    int64_t* next;       // the shared counter
    int64_t* bad;        // lowest bad row * 8 + RowError, or INT64_MAX
    double* sums;        // [blocks, 3]: weighted loss, weighted target mass, rows kept
};

static inline int64_t block_count(const Blocks& b) { return b.rows == 0 ? 0 : (b.rows - 1) / b.block_rows + 1; }

// f(log p) of the family: see shape.hpp.
enum ShapeKind : int32_t { kLog, kFocal, kPoly, kPower };
struct Shape {
    int32_t kind;
    double a, b;
};

// Rows of K logits: data [outer, K, inner], row number = outer index * inner + inner index. S is the type they are stored
// in (float, double, bfloat16, half precision), T that of the arithmetic (float for the last two).
struct SoftmaxJob {
    Blocks blocks;
    int64_t classes, inner;
    const void* logits;
    const void* labels;        // [rows] of label_type, or
    const void* soft;          // [outer, K, inner] of S, or neither: then the row's value is log(sum(exp(z)))
    const double* soft_factor;   // [rows]: multiplies the row's soft targets (normalisation)
    const double* class_weight;  // [K]
    const void* class_weight_lanes;  // the same, of T
    const double* row_weight;    // [rows]; 0 leaves the row out
    double smoothing, value_factor, grad_factor, sum_tolerance;  // sum_tolerance < 0: sums are not looked at
    int64_t ignore_index;
    int32_t has_ignore, label_type, output;
    void* values;  // [rows] of T
    void* grad;    // [outer, K, inner] of S; may be the logits themselves
    void* hess;    // as grad, never the logits
    int32_t stream;  // there is a grad, large, warm and not the logits: write it past the caches
    const Shape* shape;  // of rows in batches and long rows of floats with index targets; null: cross-entropy
};

// What the diagonal of the Hessian is: itself, or a diagonal matrix that is never below the whole Hessian.
enum Curvature : int32_t { kExact, kUpper };

// A row of a vocabulary that is cut into shards, as each shard leaves it and as they are merged: maximum (high and low
// part), sum of exp(z - maximum) over the other classes, sum of exp(d) d with d = maximum - z, then of the targets:
// sum of q d, of q without the maximum's, of q at the maximum, and the mass before smoothing.
enum RowState : int32_t { kMaximum, kMaximumLow, kOthers, kSpread, kGap, kTargetOthers, kTargetTop, kTargetMass, kRowState };

// Everything that a member of the softmax family may be: `base` with its options, output kGradient, in double.
struct FamilyJob {
    SoftmaxJob base;
    Shape shape;
    double softcap;      // 0: none
    double temperature;  // 1: none
    const double* bias;  // [2, K]: added to the logits times tau, high and low parts; null: none
    double tau;
    const double* alpha;  // [K]: weights that the mass does not have; null: none
    double z_loss, entropy_weight;
    double hard;  // part of the target that goes to the first maximum
    int32_t curvature;
    int64_t first_class, all_classes;  // labels count all classes; those elsewhere lie in other shards
    double* left;         // [rows, kRowState]: filled, without values or gradient; null: none
    const double* given;  // [rows, kRowState]: of all shards: the gradient only; null: none
};

// Independent labels: elements [rows, columns], target y in [0, 1]. With one column, rows are packed into lanes.
struct SigmoidJob {
    Blocks blocks;
    int64_t columns;
    const void* logits;        // [rows, columns] of S
    const void* targets;         // of T, element (i, j) at i * target_row + j * target_column, or
    const double* wide_targets;  // as float64, for float logits
    const double* pos_weight;  // element j at j * pos_weight_column
    const double* weight;      // element (i, j) at i * weight_row + j * weight_column; 0 leaves the element out
    int64_t target_row, target_column, weight_row, weight_column, pos_weight_column;
    double smoothing, negative_weight, positive_weight, value_factor, grad_factor;
    void* values;  // [rows, columns] of T
    void* grad;    // as the logits; may be the logits themselves
    void* hess;    // as the logits, never the logits
    int32_t stream;  // as in SoftmaxJob
};

// The mass of the targets before any logit is read: checks them, sums weight * mass over the rows kept.
struct MassJob {
    Blocks blocks;
    int64_t classes, inner;
    const void* labels;
    const void* soft;
    const double* soft_factor;
    const double* class_weight;
    const double* row_weight;
    double sum_tolerance;
    int64_t ignore_index;
    int32_t has_ignore, label_type;
    double* row_sums;  // [rows]: sum of the row's soft targets, unweighted
};

// Rows of K probabilities, or of their logarithms: [rows, K] of T, or one element a row where it was gathered.
struct ProbabilityJob {
    Blocks blocks;
    int64_t classes, inner;  // inner > 1 (classes lie that far apart): index targets and values only, no row sums
    const void* probs;
    const void* labels;          // [rows] of label_type, or
    const void* soft;            // [rows, K] of T
    const double* soft_factor;   // [rows]: multiplies the row's soft targets
    const double* class_weight;  // [K]
    const double* row_weight;    // [rows]; 0 leaves the row out
    double smoothing, value_factor, grad_factor, sum_tolerance;  // sum_tolerance as in SoftmaxJob
    double silent, refused;  // how far a row's sum may be off 1 without a note, without an error
    int64_t ignore_index;
    int32_t has_ignore, label_type, logarithms, gathered, look;  // look: at every entry and every row sum
    void* values;   // [rows] of T
    void* grad;     // [rows, K] of T; may be the probabilities themselves
    double* notes;  // [blocks, 3]: rows whose sum is worth a note, lowest and highest of these sums
};

// Independent labels whose prediction is the probability of the positive: elements [rows, columns].
struct BinaryProbabilityJob {
    Blocks blocks;
    int64_t columns;
    const void* probs;    // [rows, columns] of T, or null: targets are checked and their mass is summed
    const void* targets;  // [rows, columns] of target_type (LabelType or TargetType), in [0, 1]
    const double* pos_weight;  // element j at j * pos_weight_column
    const double* weight;      // element (i, j) at i * weight_row + j * weight_column; 0 leaves the element out
    int64_t weight_row, weight_column, pos_weight_column;
    double smoothing, negative_weight, positive_weight, value_factor, grad_factor;
    bool clamped;  // the limits of torch.nn.BCELoss
    int32_t target_type;
    void* values;  // [rows, columns] of T
    void* grad;    // as values; may be the probabilities themselves
};

// Independent labels whose two terms have a shape: `base`, in double.
struct BinaryFamilyJob {
    SigmoidJob base;
    Shape shape;
    double up, down;  // more factors of the positive and the negative term, which the mass does not have
    int32_t curvature;
};

// Rows of features for a linear model, float or double, `stride` elements apart: see dense_rows.hpp. One of the two:
// logits from coef and intercept, or sums from slopes.
struct LinearRowsJob {
    int64_t count, columns, stride, outputs;
    const void* rows;
    const double* center;     // [D] or null
    const double* coef;       // [K, D]
    const double* intercept;  // [K]
    const double* slopes;     // [count, K]
    double* logits;           // [count, K]
    double* sums;             // [K, D], added to
};

// One step of a fit over rows in blocks that stay in cache: logits, loss and slopes in place, sums of slopes. One of the
// two losses, whose targets and weights are those of the rows; its blocks, logits and outputs are set here.
struct LinearStepJob {
    LinearRowsJob rows;  // logits: a buffer of [block_rows, K]
    const SoftmaxJob* softmax;
    const SigmoidJob* sigmoid;
    int64_t block_rows;
    double* totals;  // [K]: sum of slopes, added to
    double* value;   // added to
    int64_t* bad;    // as in Blocks, relative to the first row
};

struct MomentsJob {
    int64_t count, columns, stride;
    const void* rows;
    const double* weight;  // [count] or null
    const double* shift;   // [D]
    double* moments;       // [5, D], updated
};

constexpr int kGramPanel = 24;           // columns of a panel: Python rounds the matrix up to whole ones
constexpr int64_t kGramPacked = 128;  // rows packed at a time

// See gram.hpp. `packed` holds panels * 128 * 24 doubles, gram (24 panels)^2 of them, updated.
struct GramJob {
    int64_t count, columns, stride, panels, first_panel, end_panel;
    const void* rows;
    const double* center;         // [D] or null
    const double* inverse_scale;  // [D]
    const double* weight;         // [count], >= 0
    double* packed;
    double* gram;
};

// Lines first .. end of a sparse matrix times a dense one; `outputs` is a multiple of 8: see sparse_rows.hpp.
struct SparseJob {
    int64_t first, end, outputs;
    const void* values;     // float or double
    const int32_t* index;   // of the rows of `other`; checked by the caller
    const int64_t* starts;  // [lines + 1]
    const double* other;    // [.., outputs]
    const double* base;     // [outputs] or null
    double* out;            // [end - first, outputs]
};

constexpr int kMomentTerms = 5, kScoreTerms = kMomentTerms + 27;
// Cells of probabilities: 32 an octave of p below 1/2 and of 1 - p from there on, 1/2 itself, p = 0 and p = 1.
constexpr int64_t kCellOctaves = 64, kHalfCells = (kCellOctaves - 1) * 32, kCells = 2 * kHalfCells + 3;
constexpr int64_t kMostScored = int64_t(1) << 20;  // rows of a table: 2^20 units below 2^42 fit into a sum
enum ScoreKind : int32_t { kScoreProbs, kScoreLogits, kScoreLogProbs };

// Rows first .. end of a prediction [count, K], scored: see score_rows.hpp. All tables are added to; a sum of units is two
// numbers, the low 32 bits and the rest.
struct ScoreJob {
    int64_t first, end, classes;
    const void* values;     // float or double
    const int64_t* labels;  // [count]
    int32_t kind;
    double silent, refused;  // how far a row's sum may be off 1 without a note, without an error
    const double* losses;    // [count] or null: -log p at the label is stored in `own_losses`
    double *own_losses, *target, *confidence;  // [count]; p at the label; p of class 1 of two, else of the first maximum
    int64_t* predicted;      // [count]
    int32_t tracked;         // whether any class has a slot
    const int64_t* slots;    // [K]: slot of the class's cells, -1 for none; slot 0 is that of the confidence
    int64_t* cells;          // [slots, kCells, 2]: units of p; rows + 2^32 hits
    int64_t *surprise, *zeros;  // [K, K, 2], [K, K] or null
    int64_t* sums;    // [kScoreTerms, 2]
    double* found;    // largest gap variance and excess variance, smallest and largest row sum
    int64_t* counts;  // rows in gap and temperature, with infinite loss, listed as large, with a sum worth a note
    int64_t* large;   // [count]
    double* terms;    // [count, kScoreTerms] or null: then nothing is added to sums, surprise and cells
    double* logs;     // [count, K], with terms
    double* scratch;  // score_scratch(K, surprise) numbers
    int64_t* bad;     // lowest bad row * 8 + RowError
};

// Seven tiles of rows in lanes (at most 8), and the surprise.
static inline int64_t score_scratch(int64_t classes, bool surprise) {
    return 7 * 8 * classes + (surprise ? classes * classes : 0);
}

// One function of elementary.hpp, for tests: out = f(x, e), on lanes [0] or one by one [1]; null where there is none.
struct Elementary {
    const char* name;
    void (*f32[2])(int64_t n, const float* x, const float* e, float* out);
    void (*f64[2])(int64_t n, const double* x, const double* e, double* out);
};

struct KernelTable {
    const char* name;
    // by Storage
    void (*softmax[kStorages])(const SoftmaxJob*);
    void (*sigmoid[kStorages])(const SigmoidJob*);
    void (*mass[kStorages])(const MassJob*);
    void (*family[kStorages])(const FamilyJob*);
    void (*binary_family[kStorages])(const BinaryFamilyJob*);
    void (*probability[2])(const ProbabilityJob*);
    void (*binary_probability[2])(const BinaryProbabilityJob*);
    // by Storage, kF32 and kF64
    void (*linear_logits[2])(const LinearRowsJob*);
    void (*linear_sums[2])(const LinearRowsJob*);
    void (*linear_step[2])(const LinearStepJob*);
    void (*column_moments[2])(const MomentsJob*);
    void (*gram[2])(const GramJob*);
    void (*sparse[2])(const SparseJob*);
    void (*score[2])(const ScoreJob*);
    const Elementary* elementary;
    int32_t elementary_count;
};
