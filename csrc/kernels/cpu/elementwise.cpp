// elementwise.cpp -- finds the loop of an operation and runs it over strided operands of any dtype.
//
// The index space is cut into tiles of rows x cols of the two innermost dims. Within a tile an operand is used where
// it lies if it already is in the loop's type and contiguous (or one element for all); otherwise it is gathered and
// converted into scratch memory that stays in the L1 cache, and the result is converted and scattered from there.
// Tiles run in parallel; their borders depend on sizes and strides alone.
#include "kernels/cpu/loops.h"
#include "kernels/cpu/tiles.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// ---- Tables of loops: [operation][type], null where there is none.

constexpr int type_index(DType t) {
  return t == DType::Float32 ? 0 : t == DType::Float64 ? 1 : t == DType::Int32 ? 2 : t == DType::Int64 ? 3 : -1;
}
constexpr bool has_float_loop(Unary op) { return op != Unary::BitNot; }
constexpr bool has_float_loop(Binary op) { return op < Binary::BitAnd || op > Binary::ShiftRight; }
constexpr bool has_float_loop(Ternary) { return true; }

template <class Loop>
struct Row {
  Loop of_type[4];
};
template <class Loop, int count>
struct Table {
  Row<Loop> rows[count];
};

#define PYNN_TABLE(Op, Loop, loop)                                                        \
  template <Op op>                                                                        \
  constexpr Row<Loop> make_row() {                                                        \
    Row<Loop> row = {};                                                                   \
    if constexpr (has_float_loop(op)) row.of_type[0] = &loop<op, float>;                  \
    if constexpr (has_float_loop(op)) row.of_type[1] = &loop<op, double>;                 \
    if constexpr (has_loop(op, true)) row.of_type[2] = &loop<op, int32_t>;                \
    if constexpr (has_loop(op, true)) row.of_type[3] = &loop<op, int64_t>;                \
    return row;                                                                           \
  }                                                                                       \
  template <int... i>                                                                     \
  constexpr Table<Loop, sizeof...(i)> make_table_##Op(std::integer_sequence<int, i...>) { \
    return {{make_row<static_cast<Op>(i)>()...}};                                         \
  }                                                                                       \
  constexpr auto k##Op##Loops = make_table_##Op(std::make_integer_sequence<int, int(Op::Count)>());
PYNN_TABLE(Unary, UnaryLoop, unary_loop)
PYNN_TABLE(Binary, BinaryLoop, binary_loop)
PYNN_TABLE(Ternary, TernaryLoop, ternary_loop)
#undef PYNN_TABLE

template <class Loop, int count, class Op>
PYNN_INLINE Loop find_loop(const Table<Loop, count>& table, Op op, DType type, const char* name) {
  const int t = type_index(type);
  const Loop loop = t < 0 ? nullptr : table.rows[static_cast<int>(op)].of_type[t];
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
      return op < Binary::TanhBackward || op == Binary::ReluBackward ? 0.4 : 1;
  }
}
double cost(Ternary) { return 0.6; }

// ---- The engine. A loop of any arity is called with one pointer and one step (0 or 1) per operand.

struct Job {
  bool (*call)(const Job&, void* const* at, const int64_t* steps, int64_t n);
  void (*loop)();
  LoopParams params;
  DType result;  // what the loop writes
  double cost;
};

// One thread's work, and what stays the same from tile to tile.
struct TileRunner {
  const MapArgs& args;
  const Tiling& tiling;
  const Job& job;
  bool same_type[kMaxOperands];
  Convert convert[kMaxOperands];            // into the loop's type, or (result) out of it
  const char* gathered[kMaxOperands] = {};  // what scratch holds, of a tile of these rows and cols
  int64_t gathered_rows = 0, gathered_cols = 0;
  alignas(64) char scratch[kMaxOperands][kScratchBytes];

  TileRunner(const MapArgs& a, const Tiling& t, const Job& j) : args(a), tiling(t), job(j) {
    for (int k = 0; k < args.noperands; ++k) {
      const DType type = args.operands[k].dtype, in_loop = k == 0 ? job.result : args.compute;
      same_type[k] = type == in_loop;
      convert[k] = k == 0 ? converter(type, in_loop) : converter(in_loop, type);
    }
  }

  bool run(char* const* at, int64_t rows, int64_t cols) {
    if (rows != gathered_rows || cols != gathered_cols) {
      for (const char*& p : gathered) p = nullptr;
      gathered_rows = rows, gathered_cols = cols;
    }
    void* use[kMaxOperands];
    int64_t steps[kMaxOperands];
    for (int k = 0; k < args.noperands; ++k) {
      const Strides s = tiling.strides[k];
      steps[k] = 1;
      use[k] = at[k];
      if (same_type[k] && (cols == 1 || s.col == 1) && (rows == 1 || s.row == cols)) continue;
      if (same_type[k] && k > 0 && args.noperands > 2 && s.col == 0 && (rows == 1 || s.row == 0)) {
        steps[k] = 0;
        continue;
      }
      use[k] = scratch[k];
      if (k == 0 || gathered[k] == at[k]) continue;
      convert[k](scratch[k], {cols, 1}, at[k], s, rows, cols);
      gathered[k] = at[k];
    }
    const bool ok = job.call(job, use, steps, rows * cols);
    if (use[0] != at[0]) convert[0](at[0], tiling.strides[0], use[0], {cols, 1}, rows, cols);
    return ok;
  }
};

bool is_direct(const MapArgs& args, const Job& job) {
  for (int k = 0; k < args.noperands; ++k) {
    const int64_t step = args.ndim > 0 ? args.operands[k].strides[args.ndim - 1] : 1;
    if (args.operands[k].dtype != (k == 0 ? job.result : args.compute)) return false;
    if (step != 1 && !(step == 0 && k > 0 && args.noperands > 2)) return false;
  }
  return true;
}

bool run(const MapArgs& args, const Job& job) {
  if (args.numel == 0) return true;
  const bool direct = is_direct(args, job);
  if (direct && args.ndim <= 1 && args.numel < kSerial) {
    void* at[kMaxOperands];
    int64_t steps[kMaxOperands];
    for (int k = 0; k < args.noperands; ++k) {
      at[k] = args.operands[k].data;
      steps[k] = args.ndim > 0 ? args.operands[k].strides[0] : 1;
    }
    return job.call(job, at, steps, args.numel);
  }
  const Tiling tiling = make_tiling(args, direct, kScratchBytes / static_cast<int64_t>(item_size(args.compute)));
  bool ok = true;
  const auto work = [&](int64_t begin, int64_t end) {
    TileRunner runner(args, tiling, job);
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

bool call_unary(const Job& job, void* const* at, const int64_t*, int64_t n) {
  reinterpret_cast<UnaryLoop>(job.loop)(at[0], at[1], n, job.params);
  return true;
}
bool call_binary(const Job& job, void* const* at, const int64_t* steps, int64_t n) {
  return reinterpret_cast<BinaryLoop>(job.loop)(at[0], at[1], steps[1], at[2], steps[2], n, job.params);
}
bool call_ternary(const Job& job, void* const* at, const int64_t* steps, int64_t n) {
  reinterpret_cast<TernaryLoop>(job.loop)(at[0], at[1], steps[1], at[2], steps[2], at[3], steps[3], n, job.params);
  return true;
}
template <class Loop>
PYNN_INLINE auto untyped(Loop loop) {
  return reinterpret_cast<void (*)()>(loop);
}

}  // namespace

void map_unary(Unary op, const MapArgs& args) {
  const UnaryLoop loop = find_loop(kUnaryLoops, op, args.compute, "map_unary");
  const LoopParams params{args.params, args.iparams};
  run(args, {call_unary, untyped(loop), params, yields_bool(op) ? DType::Bool : args.compute, cost(op)});
}

bool map_binary(Binary op, const MapArgs& args) {
  const BinaryLoop loop = find_loop(kBinaryLoops, op, args.compute, "map_binary");
  const LoopParams params{args.params, args.iparams};
  return run(args, {call_binary, untyped(loop), params, yields_bool(op) ? DType::Bool : args.compute, cost(op)});
}

void map_ternary(Ternary op, const MapArgs& args) {
  const TernaryLoop loop = find_loop(kTernaryLoops, op, args.compute, "map_ternary");
  run(args, {call_ternary, untyped(loop), {args.params, args.iparams}, args.compute, cost(op)});
}

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
  const UnaryLoop loop = find_loop(kUnaryLoops, op, type, "unary_contiguous");
  const ContiguousParams c(type, params);
  if (n < kSerial) return loop(y, x, n, c.p);
  const int64_t size = static_cast<int64_t>(item_size(type)), result_size = yields_bool(op) ? 1 : size;
  parallel_for(0, n, grain_for(cost(op)), [&](int64_t begin, int64_t end) {
    loop(static_cast<char*>(y) + begin * result_size, static_cast<const char*>(x) + begin * size, end - begin, c.p);
  });
}

bool binary_contiguous(Binary op, DType type, void* y, const void* a, int64_t a_step, const void* b, int64_t b_step,
                       int64_t n, const double* params) {
  const BinaryLoop loop = find_loop(kBinaryLoops, op, type, "binary_contiguous");
  const ContiguousParams c(type, params);
  if (n < kSerial) return loop(y, a, a_step, b, b_step, n, c.p);
  const int64_t size = static_cast<int64_t>(item_size(type)), result_size = yields_bool(op) ? 1 : size;
  bool ok = true;
  parallel_for(0, n, grain_for(cost(op)), [&](int64_t begin, int64_t end) {
    const bool fine =
        loop(static_cast<char*>(y) + begin * result_size, static_cast<const char*>(a) + begin * a_step * size, a_step,
             static_cast<const char*>(b) + begin * b_step * size, b_step, end - begin, c.p);
    if (!fine) __atomic_store_n(&ok, false, __ATOMIC_RELAXED);
  });
  return ok;
}

}  // namespace PYNN_CPU_NAMESPACE
