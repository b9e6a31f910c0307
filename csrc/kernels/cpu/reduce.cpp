// reduce.cpp -- sum, prod, max, min, any, all, count, norms, logsumexp, mean, var over the middle of [outer, n, inner].
//
//   norm = (sum |x|^p)^(1/p),   logsumexp = m + log(sum exp(x - m)), m = max x,   var = sum (x - mean)^2 / (n - c)
//
// Parallel over outer indices; where there are few, over pieces of rows and columns, whose totals are then merged in
// order. Accumulates as reduce_fold.h says. Results with positions: reduce_index.cpp.
#include "kernels/reduce.h"

#include "core/parallel.h"
#include "kernels/cpu/reduce_columns.h"
#include "kernels/cpu/reduce_index.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/vec_math.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kPieceElements = 1 << 17;

template <class T>
struct AddExp : Add<T> {  // of x - s
  using V = Vec<T>;
  static constexpr int kUnroll = 2;
  PYNN_INLINE V identity(V) const { return V(kMinusInfinity<T>); }
  PYNN_INLINE V step(V acc, V x, V s) const { return acc + exp(x - s); }
};
template <class T>
[[gnu::noinline]] Vec<T> power(Vec<T> x, Vec<T> p) {  // long enough to stand once
  return pow(x, p);
}
template <class T>
struct AddPower : Add<T> {  // of |x|
  using V = Vec<T>;
  static constexpr int kUnroll = 1;
  T p;
  PYNN_INLINE V identity(V) const { return V(p < 0 ? kInfinity<T> : T(0)); }
  PYNN_INLINE V step(V acc, V x, V) const { return acc + power(abs(x), V(p)); }
};

// run(fold, shift, out) folds every output's elements; `shift` is room for one T per output.
template <class T, class Run>
void evaluate(Reduce op, const ReduceArgs& a, const Run& run, int64_t count, T* shift, Total<T>* out) {
  const auto set = [&](auto f) {
    for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Total<T>>(f(out[i]));
  };
  const double n = static_cast<double>(a.nreduce), p = a.param;
  switch (op) {
    case Reduce::Sum:
      return run(Add<T>{}, nullptr, out);
    case Reduce::Prod:
      return run(Multiply<T>{}, nullptr, out);
    case Reduce::Max:
      return run(Extreme<T, true>{}, nullptr, out);
    case Reduce::Min:
      return run(Extreme<T, false>{}, nullptr, out);
    case Reduce::CountNonzero:
      return run(Count<T>{}, nullptr, out);
    case Reduce::Any:
      run(Count<T>{}, nullptr, out);
      return set([](auto v) { return v != 0; });
    case Reduce::All:
      run(Count<T>{}, nullptr, out);
      return set([n](auto v) { return v == n; });
    default:
      break;
  }
  if constexpr (!std::is_same_v<T, int64_t>) {
    const auto set_lanes = [&](auto f) {
      for (int64_t i = 0; i < count; i += VecD::kSize) f(VecD::load(out + i, count - i)).store(out + i, count - i);
    };
    // Doubles that become float32 stay right when multiplied by the inverse.
    const auto divide = [&](double d) {
      if constexpr (std::is_same_v<T, float>)
        set_lanes([inverse = VecD(1 / d)](VecD v) __attribute__((always_inline)) { return v * inverse; });
      else
        set_lanes([d](VecD v) __attribute__((always_inline)) { return v / VecD(d); });
    };
    switch (op) {
      case Reduce::NanSum:
        return run(AddNumbers<T>{}, nullptr, out);
      case Reduce::Mean:
        run(Add<T>{}, nullptr, out);
        return divide(n);
      case Reduce::Var:
        run(Add<T>{}, nullptr, out);
        divide(n);
        for (int64_t i = 0; i < count; ++i) shift[i] = static_cast<T>(out[i]);
        run(AddSquares<T>{}, shift, out);
        return divide(n > p ? n - p : 0);
      case Reduce::LogSumExp:
        run(Extreme<T, true>{}, nullptr, out);
        // All -inf, or an inf: nothing to shift by, and the sum is 0 or inf as it stands.
        for (int64_t i = 0; i < count; ++i) shift[i] = __builtin_isinf(out[i]) ? T(0) : static_cast<T>(out[i]);
        run(AddExp<T>{}, shift, out);
        set_lanes([](VecD v) __attribute__((always_inline)) { return log(v); });
        for (int64_t i = 0; i < count; ++i) out[i] += shift[i];
        return;
      case Reduce::Norm:
        if (a.nreduce == 0) return set([](double) { return 0.0; });
        if (p == 0) return run(Count<T>{}, nullptr, out);
        if (p == 1) return run(AddAbs<T>{}, nullptr, out);
        if (p == 2) {
          for (int64_t i = 0; i < count; ++i) shift[i] = T(0);
          run(AddSquares<T>{}, shift, out);
          return set_lanes([](VecD v) __attribute__((always_inline)) { return sqrt(v); });
        }
        if (__builtin_isinf(p))
          return p > 0 ? run(Extreme<T, true, true>{}, nullptr, out) : run(Extreme<T, false, true>{}, nullptr, out);
        run(AddPower<T>{{}, static_cast<T>(p)}, nullptr, out);
        return set([p](double v) { return __builtin_pow(v, 1 / p); });
      default:
        break;
    }
  }
  no_loop("reduce", a.dtype);
}

double cost_ns(Reduce op) {
  if (op == Reduce::LogSumExp) return 2;
  if (op == Reduce::Norm) return 1;
  return op == Reduce::Var ? 0.4 : 0.2;
}

// Many outer indices, or runs of short columns: whole ones in parallel, both passes of a two-pass formula while their
// input is in the cache.
template <class T>
void reduce_many(Reduce op, const ReduceArgs& a, const Source<T>& x) {
  const Convert store = converter(a.y_dtype, DTypeOf<Total<T>>::value);
  char* y = static_cast<char*>(a.y);
  const int64_t y_item = static_cast<int64_t>(item_size(a.y_dtype)), matrix = a.nreduce * a.inner;
  const int64_t w = min_of(a.inner, kMaxColumns), chunks = ceil_div(a.inner, w);
  const bool rows = fills_lanes<T>(a.inner) && a.outer > 1;
  const auto body = [&](int64_t begin, int64_t end) {
    T shift[kMaxColumns];
    Total<T> out[kMaxColumns];
    const int64_t group = kMaxColumns / w;  // chunks == 1 where it is more than 1
    for (int64_t i = begin; i < end; i += group) {
      const int64_t o = i / chunks, c = i % chunks * w, cols = min_of(w, a.inner - c), outers = min_of(group, end - i);
      const auto run = [&](const auto& fold, const T* s, Total<T>* to) {
        if (rows && is_short_row<T>(matrix)) {
          if (a.inner == 1) return fold_short_rows<true>(fold, x, o * matrix, outers, matrix, 1, s, to);
          return fold_short_rows<false>(fold, x, o * matrix, outers, matrix, a.inner, s, to);
        }
        for (int64_t k = 0; k < outers; ++k)
          fold_piece(fold, x, (o + k) * matrix, a.inner, 0, a.nreduce, c, c + cols, s ? s + k * cols : nullptr,
                     to + k * cols);
      };
      evaluate<T>(op, a, run, outers * cols, shift, out);
      store(y + (o * a.inner + c) * y_item, {0, 1}, out, {0, 1}, 1, outers * cols);
    }
  };
  const double ns = cost_ns(op) * static_cast<double>(a.nreduce * w) + 10;
  parallel_for(0, a.outer * chunks, grain_for(ns), body);
}

// Few outer indices: pieces of each in parallel.
template <class T>
void reduce_few(Reduce op, const ReduceArgs& a, const Source<T>& x) {
  using W = Total<T>;
  const Convert store = converter(a.y_dtype, DTypeOf<W>::value);
  const int64_t y_item = static_cast<int64_t>(item_size(a.y_dtype));
  const int64_t w = min_of(a.inner, kMaxColumns), chunks = ceil_div(a.inner, w);
  const int64_t rows = max_of(kPieceElements / w / kBlockRows, int64_t(1)) * kBlockRows;
  const int64_t splits = ceil_div(a.nreduce, rows);
  const Scratch<W> partial(splits * a.inner), out(a.inner);
  const Scratch<T> shift(a.inner);
  for (int64_t o = 0; o < a.outer; ++o) {
    const auto run = [&](const auto& fold, const T* s, W* to) {
      const double ns = cost_ns(op) * static_cast<double>(rows * w);
      parallel_for(0, splits * chunks, grain_for(ns), [&](int64_t begin, int64_t end) {
        for (int64_t piece = begin; piece < end; ++piece) {
          const int64_t split = piece / chunks, c = piece % chunks * w;
          fold_piece(fold, x, o * a.nreduce * a.inner, a.inner, split * rows, min_of(a.nreduce, (split + 1) * rows), c,
                     min_of(a.inner, c + w), s ? s + c : nullptr, partial.get() + split * a.inner + c);
        }
      });
      for (int64_t c = 0; c < a.inner; ++c) to[c] = partial[c];
      for (int64_t split = 1; split < splits; ++split)
        merge_totals<std::decay_t<decltype(fold)>>(to, partial.get() + split * a.inner, a.inner);
    };
    evaluate<T>(op, a, run, a.inner, shift.get(), out.get());
    store(static_cast<char*>(a.y) + o * a.inner * y_item, {0, 1}, out.get(), {0, 1}, 1, a.inner);
  }
}

template <class T>
void reduce_typed(Reduce op, const ReduceArgs& a) {
  const Source<T> x(a.x, a.dtype);
  if (a.nreduce * min_of(a.inner, kMaxColumns) <= kPieceElements || a.outer >= 64)
    reduce_many<T>(op, a, x);
  else
    reduce_few<T>(op, a, x);
}

}  // namespace

void reduce(Reduce op, const ReduceArgs& a) {
  if (a.outer == 0 || a.inner == 0) return;
  if (op == Reduce::ArgMax || op == Reduce::ArgMin || ((op == Reduce::Max || op == Reduce::Min) && a.index))
    return reduce_index(op, a);
  const bool real = op == Reduce::Mean || op == Reduce::Var || op == Reduce::Norm || op == Reduce::LogSumExp;
  if (a.dtype == DType::Float64 || (real && is_integral(a.dtype))) return reduce_typed<double>(op, a);
  const bool truth = op == Reduce::Any || op == Reduce::All;  // bytes, as what has most lanes
  if (is_integral(a.dtype) && !(truth && item_size(a.dtype) == 1)) return reduce_typed<int64_t>(op, a);
  if (is_complex(a.dtype)) no_loop("reduce", a.dtype);
  reduce_typed<float>(op, a);
}

}  // namespace PYNN_CPU_NAMESPACE
