// elementwise.cpp -- finds the loop of an operation and runs it over strided operands of any dtype.
//
// The index space is cut into tiles of rows x cols. Within a tile an operand is used where it lies if it is in the
// loop's type already and its rows are contiguous (or one element for all); otherwise it is gathered and converted
// into scratch memory that stays in the cache, and the result is converted and scattered from there. The loop takes the
// whole tile as one row if all operands are dense there. Tiles run in parallel; their borders depend on sizes and
// strides alone.
#include "kernels/cpu/loops.h"
#include "kernels/cpu/tiles.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// ---- Tables of loops: [operation][type], null where there is none.

constexpr DType kColumns[] = {DType::Float32, DType::Float64,   DType::Int32,     DType::Int64,
                              DType::Float16, DType::BFloat16,  DType::Int8,      DType::UInt8,
                              DType::Int16,   DType::Complex64, DType::Complex128};
constexpr int kColumnCount = 11;
constexpr int column_of(DType t) {
  for (int i = 0; i < kColumnCount; ++i)
    if (kColumns[i] == t) return i;
  return -1;
}
struct Row {
  Loop of[kColumnCount];
};
template <int count>
struct Table {
  Row rows[count];
};

#define PYNN_TABLE(Op, loop)                                                                                     \
  template <Op op>                                                                                               \
  constexpr Row make_row() {                                                                                     \
    Row row = {};                                                                                                \
    if constexpr (has_loop(op, TypeClass::Full)) row.of[0] = &loop<op, float>, row.of[1] = &loop<op, double>;    \
    if constexpr (has_loop(op, TypeClass::Wide)) row.of[2] = &loop<op, int32_t>, row.of[3] = &loop<op, int64_t>; \
    if constexpr (has_loop(op, TypeClass::Half)) row.of[4] = &loop<op, Half>, row.of[5] = &loop<op, BFloat16>;   \
    if constexpr (has_loop(op, TypeClass::Narrow))                                                               \
      row.of[6] = &loop<op, int8_t>, row.of[7] = &loop<op, uint8_t>, row.of[8] = &loop<op, int16_t>;             \
    if constexpr (has_loop(op, TypeClass::Complex))                                                              \
      row.of[9] = &complex_##loop<op, Complex64>, row.of[10] = &complex_##loop<op, Complex128>;                  \
    return row;                                                                                                  \
  }                                                                                                              \
  template <int... i>                                                                                            \
  constexpr Table<sizeof...(i)> make_table_##Op(std::integer_sequence<int, i...>) {                              \
    return {{make_row<static_cast<Op>(i)>()...}};                                                                \
  }                                                                                                              \
  constexpr auto k##Op##Loops = make_table_##Op(std::make_integer_sequence<int, int(Op::Count)>());
PYNN_TABLE(Unary, unary_loop)
PYNN_TABLE(Binary, binary_loop)
PYNN_TABLE(Ternary, ternary_loop)
#undef PYNN_TABLE

template <int count, class Op>
PYNN_INLINE Loop find_loop(const Table<count>& table, Op op, DType type, const char* name) {
  const int column = column_of(type);
  const Loop loop = column < 0 ? nullptr : table.rows[static_cast<int>(op)].of[column];
  if (!loop) [[unlikely]]
    no_loop(name, type);
  return loop;
}

// Estimated time of one element, in ns.
double cost(Unary op) {
  switch (op) {
    case Unary::Copy:
    case Unary::Neg:
    case Unary::Abs:
    case Unary::Square:
    case Unary::Relu:
    case Unary::Clamp:
    case Unary::LeakyRelu:
    case Unary::Threshold:
    case Unary::Softshrink:
    case Unary::Hardsigmoid:
    case Unary::Hardswish:
    case Unary::NanToNum:
    case Unary::Reciprocal:
      return 0.3;
    default:
      return 1;
  }
}
double cost(Binary op) {
  switch (op) {
    case Binary::FloorDiv:
    case Binary::Remainder:
    case Binary::Fmod:
    case Binary::Pow:
    case Binary::Atan2:
      return 3;
    default:
      return op < Binary::TanhBackward || op == Binary::ReluBackward || op == Binary::ThresholdBackward ||
                     op == Binary::HardtanhBackward
                 ? 0.4
                 : 1;
  }
}
double cost(Ternary) { return 0.6; }

// ---- The engine.

struct Job {
  Loop loop;
  LoopParams params;
  DType type, result;  // what the loop reads and writes
  double cost;
};

// One thread's work, and what stays the same from tile to tile.
struct TileRunner {
  const MapArgs& args;
  const Tiling& tiling;
  const Job& job;
  const bool* usable;             // where it lies
  Convert convert[kMaxOperands];  // into the loop's type, or (result) out of it
  LoopArgs loop;
  int64_t size[kMaxOperands];               // bytes of an element in the loop
  const char* gathered[kMaxOperands] = {};  // what scratch holds, of a tile of these cols and at most these rows
  int64_t gathered_rows = 0, gathered_cols = 0;
  alignas(64) char scratch[kMaxOperands][kScratchBytes];

  TileRunner(const MapArgs& a, const Tiling& t, const Job& j, const bool* u)
      : args(a), tiling(t), job(j), usable(u), loop(0, j.params) {
    for (int k = 0; k < args.noperands; ++k) {
      const DType type = args.operands[k].dtype;
      convert[k] = k == 0 ? converter(type, job.result) : converter(job.type, type);
      loop.steps[k] = !usable[k] || tiling.strides[k].col != 0;
      size[k] = static_cast<int64_t>(item_size(k == 0 ? job.result : job.type));
    }
  }

  void gather(int k, const char* from, Strides s, int64_t rows, int64_t cols) {
    const int64_t row = cols * size[k], all = rows * row;
    convert[k](scratch[k], {cols, 1}, from, s, s.row == 0 ? 1 : rows, cols);
    for (int64_t done = row; s.row == 0 && done < all; done *= 2)  // the same row again and again
      __builtin_memcpy(scratch[k] + done, scratch[k], static_cast<size_t>(min_of(done, all - done)));
    gathered[k] = from;
  }

  bool run(char* const* at, int64_t rows, int64_t cols) {
    if (rows > gathered_rows || cols != gathered_cols) {
      for (const char*& p : gathered) p = nullptr;
      gathered_rows = rows, gathered_cols = cols;
    }
    bool dense = true;
    for (int k = 0; k < args.noperands; ++k) {
      const Strides s = tiling.strides[k];
      loop.at[k] = usable[k] ? at[k] : scratch[k];
      loop.row_bytes[k] = (usable[k] ? s.row : cols) * size[k];
      dense &= loop.row_bytes[k] == loop.steps[k] * cols * size[k];
      if (usable[k] || k == 0 || gathered[k] == at[k]) continue;
      gather(k, at[k], s, rows, cols);
    }
    loop.rows = dense ? 1 : rows;
    loop.n = dense ? rows * cols : cols;
    const bool ok = job.loop(loop);
    if (!usable[0]) convert[0](at[0], tiling.strides[0], scratch[0], {cols, 1}, rows, cols);
    return ok;
  }
};

bool in_loop_type(const MapArgs& args, const Job& job, int k) {
  return args.operands[k].dtype == (k == 0 ? job.result : job.type);
}
// Whether operand k, of these strides, needs no scratch; a result and a unary loop's operand have no step 0.
bool is_usable(const MapArgs& args, const Job& job, int k, Strides s, const Tiling& t) {
  if (!in_loop_type(args, job, k)) return false;
  if (s.col == 0 && t.cols > 1) return k > 0 && args.noperands > 2 && (t.by_row || s.row == 0);
  return (s.col == 1 || t.cols == 1) && (t.by_row || s.row == t.cols);
}

bool run_tiles(const MapArgs& args, const Job& job) {
  Tiling tiling = make_tiling(args);
  bool usable[kMaxOperands], all = true;
  int64_t item = 2;  // of the widest scratch; of bools half of what would fit, since the operands are to stay in L1 too
  for (int k = 0; k < args.noperands; ++k) {
    usable[k] = is_usable(args, job, k, tiling.strides[k], tiling);
    if (usable[k]) continue;
    all = false;
    item = max_of(item, static_cast<int64_t>(item_size(k == 0 ? job.result : job.type)));
  }
  make_tiles(tiling,
             all ? even_lines(args.numel, kDirectElements) : (tiling.crossed ? kScratchBytes : kUsualBytes) / item);
  bool ok = true;
  const auto work = [&](int64_t begin, int64_t end) {
    TileRunner runner(args, tiling, job, usable);
    bool fine = true;
    each_tile(args, tiling, begin, end,
              [&](char* const* at, int64_t rows, int64_t cols) { fine &= runner.run(at, rows, cols); });
    if (!fine) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
  };
  if (args.numel < kSerial)
    work(0, tiling.tiles);
  else
    parallel_for(0, tiling.tiles, tile_grain(tiling, job.cost), work);
  return ok;
}

// Contiguous operands, or one element for all, need no tiles.
bool run_contiguous(const Job& job, int noperands, const LoopArgs& args) {
  if (args.n < kSerial) return job.loop(args);
  const int64_t size = static_cast<int64_t>(item_size(job.type)), result = static_cast<int64_t>(item_size(job.result));
  bool ok = true;
  parallel_for(0, args.n, even_lines(args.n, grain_for(job.cost)), [&](int64_t begin, int64_t end) {
    LoopArgs part = args;
    for (int k = 0; k < noperands; ++k)
      part.at[k] = static_cast<char*>(args.at[k]) + begin * args.steps[k] * (k == 0 ? result : size);
    part.n = end - begin;
    if (!job.loop(part)) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
  });
  return ok;
}

bool run(const MapArgs& args, const Job& job) {
  if (args.numel == 0) return true;
  LoopArgs loop(args.numel, job.params);
  bool simple = args.ndim <= 1;
  for (int k = 0; k < args.noperands; ++k) {
    const int64_t step = loop.steps[k] = args.ndim > 0 ? args.operands[k].strides[0] : 1;
    loop.at[k] = args.operands[k].data;
    simple &= in_loop_type(args, job, k) && (step == 1 || (step == 0 && k > 0 && args.noperands > 2));
  }
  return simple ? run_contiguous(job, args.noperands, loop) : run_tiles(args, job);
}

// Bools are bytes of 0 and 1; these operations keep them so.
constexpr bool serves_bool(Unary op) { return op == Unary::LogicalNot; }
constexpr bool serves_bool(Ternary) { return false; }
constexpr bool serves_bool(Binary op) {
  return yields_bool(op) || (op >= Binary::BitAnd && op <= Binary::BitXor) || op == Binary::Mul ||
         op == Binary::Maximum || op == Binary::Minimum;
}
constexpr bool yields_bool(Ternary) { return false; }

// The job of `op`: in the operands' own type if they are all of one half or narrow type that has such a loop, else in
// args.compute.
template <int count, class Op>
PYNN_INLINE bool run_op(const Table<count>& table, Op op, const MapArgs& args, const char* name) {
  const DType own = args.operands[1].dtype;
  const bool small = is_floating(own) ? item_size(own) == 2 : item_size(own) < 4;
  bool same = small && args.compute == (is_floating(own) ? DType::Float32 : DType::Int32) &&
              args.operands[0].dtype == (yields_bool(op) ? DType::Bool : own);
  for (int k = 2; k < args.noperands; ++k) same &= args.operands[k].dtype == own;
  Loop loop = nullptr;
  if (same) {
    const int column = column_of(own == DType::Bool && serves_bool(op) ? DType::UInt8 : own);
    if (column >= 0) loop = table.rows[static_cast<int>(op)].of[column];
  }
  const DType type = loop ? own : args.compute;
  if (!loop) loop = find_loop(table, op, type, name);
  const DType result = yields_bool(op) ? DType::Bool : type;
  const double ns = cost(op) * (is_complex(type) ? 8 : 1);
  return run(args, {loop, {args.params, args.iparams}, type, result, ns});
}

}  // namespace

void map_unary(Unary op, const MapArgs& args) { run_op(kUnaryLoops, op, args, "map_unary"); }
bool map_binary(Binary op, const MapArgs& args) { return run_op(kBinaryLoops, op, args, "map_binary"); }
void map_ternary(Ternary op, const MapArgs& args) { run_op(kTernaryLoops, op, args, "map_ternary"); }

// ---- Contiguous operands of one type.

namespace {

const double kNoParams[4] = {1, 0, 0, 0};  // alpha is 1
const int64_t kNoIntParams[2] = {1, 0};

// Parameters that came as doubles, for Int64 loops.
struct ContiguousParams {
  int64_t integers[2];
  LoopParams p;
  PYNN_INLINE ContiguousParams(DType type, const double* f) : p{f ? f : kNoParams, kNoIntParams} {
    if (type != DType::Int64 || !f) return;
    for (int k = 0; k < 2; ++k)
      integers[k] = f[k] >= 0x1p63 ? INT64_MAX : f[k] >= -0x1p63 ? static_cast<int64_t>(f[k]) : INT64_MIN;
    p.i = integers;
  }
};

}  // namespace

void unary_contiguous(Unary op, DType type, void* y, const void* x, int64_t n, const double* params) {
  const Loop loop = find_loop(kUnaryLoops, op, type, "unary_contiguous");
  const ContiguousParams c(type, params);
  LoopArgs args(n, c.p);
  args.at[0] = y, args.at[1] = const_cast<void*>(x);
  args.steps[0] = args.steps[1] = 1;
  if (n < kSerial) {
    loop(args);
    return;
  }
  run_contiguous({loop, c.p, type, yields_bool(op) ? DType::Bool : type, cost(op)}, 2, args);
}

bool binary_contiguous(Binary op, DType type, void* y, const void* a, int64_t a_step, const void* b, int64_t b_step,
                       int64_t n, const double* params) {
  const Loop loop = find_loop(kBinaryLoops, op, type, "binary_contiguous");
  const ContiguousParams c(type, params);
  LoopArgs args(n, c.p);
  args.at[0] = y, args.at[1] = const_cast<void*>(a), args.at[2] = const_cast<void*>(b);
  args.steps[0] = 1, args.steps[1] = a_step, args.steps[2] = b_step;
  if (n < kSerial) return loop(args);
  return run_contiguous({loop, c.p, type, yields_bool(op) ? DType::Bool : type, cost(op)}, 3, args);
}

}  // namespace PYNN_CPU_NAMESPACE
