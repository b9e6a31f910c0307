// reduce.cu -- sum, prod, max, min, any, all, norms, logsumexp, mean and var over the middle of [outer, n, inner].
// Results with positions: reduce_index.cu.
#include "kernels/reduce.h"

#include "kernels/cuda/reduce.cuh"

namespace pynn::cuda {
void reduce_index(Reduce op, const ReduceArgs& args);

namespace {

// Where results go.
struct Output {
  void* y;
  DType dtype;
};

template <class T>
struct SumFold {
  using E = Element<T>;
  using State = std::conditional_t<std::is_integral_v<T>, uint64_t, E>;  // integers wrap
  Output out;
  double divisor;  // below 0: none
  bool skip_nan = false;
  __device__ State identity() const { return State(0); }
  template <int K>
  __device__ void take(State& a, const E (&v)[K], int64_t, int64_t) const {
    State t[K];
#pragma unroll
    for (int k = 0; k < K; ++k) t[k] = skip_nan && v[k] != v[k] ? State(0) : static_cast<State>(v[k]);
#pragma unroll
    for (int step = 1; step < K; step *= 2)
#pragma unroll
      for (int k = 0; k + step < K; k += 2 * step) t[k] += t[k + step];
    a += t[0];
  }
  __device__ void merge(State& a, State b) const { a += b; }
  __device__ void finish(State a, int64_t at) const {
    if constexpr (std::is_integral_v<T>)
      put(out.y, out.dtype, at, static_cast<int64_t>(a));
    else
      put(out.y, out.dtype, at, divisor < 0 ? a : static_cast<E>(a / static_cast<E>(divisor)));
  }
};

enum class Simple : uint8_t { Prod, Max, Min, Any, All, Count, AbsSum, Squares, AbsMax, AbsMin, Power };

template <class T>
struct SimpleFold {
  using E = Element<T>;
  using State = E;
  Output out;
  Simple op;
  E p;

  __device__ E identity() const {
    constexpr bool whole = std::is_integral_v<E>;
    switch (op) {
      case Simple::Prod:
      case Simple::All:
        return E(1);
      case Simple::Max:
        return whole ? static_cast<E>(INT64_MIN) : static_cast<E>(-INFINITY);
      case Simple::Min:
      case Simple::AbsMin:
        return whole ? static_cast<E>(INT64_MAX) : static_cast<E>(INFINITY);
      default:
        return E(0);
    }
  }
  // The operation is chosen once for all of v.
  template <int K>
  __device__ void take(State& a, const E (&v)[K], int64_t, int64_t) const {
    const auto each = [&](auto term, auto join) {
      E t[K];
#pragma unroll
      for (int k = 0; k < K; ++k) t[k] = term(v[k]);
#pragma unroll
      for (int step = 1; step < K; step *= 2)
#pragma unroll
        for (int k = 0; k + step < K; k += 2 * step) t[k] = join(t[k], t[k + step]);
      a = join(a, t[0]);
    };
    const auto same = [](E x) { return x; };
    const auto nonzero = [](E x) { return E(x != E(0)); };
    if constexpr (!std::is_integral_v<E>) {
      switch (op) {
        case Simple::Count:
          return each(nonzero, Plus{});
        case Simple::AbsSum:
          return each([](E x) { return fabs(x); }, Plus{});
        case Simple::Squares:
          return each([](E x) { return x * x; }, Plus{});
        case Simple::AbsMax:
          return each([](E x) { return fabs(x); }, Larger{});
        case Simple::AbsMin:
          return each([](E x) { return fabs(x); }, Smaller{});
        case Simple::Power:
          return each([p = p](E x) { return pow(static_cast<E>(fabs(x)), p); }, Plus{});
        default:
          break;
      }
    }
    switch (op) {
      case Simple::Prod:
        return each(same, times);
      case Simple::Max:
        return each(same, Larger{});
      case Simple::Min:
        return each(same, Smaller{});
      case Simple::Any:
        return each(nonzero, Larger{});
      default:
        return each(nonzero, Smaller{});
    }
  }
  struct Times {
    __device__ E operator()(E a, E b) const {
      if constexpr (std::is_integral_v<E>)
        return static_cast<E>(static_cast<uint64_t>(a) * static_cast<uint64_t>(b));
      else
        return a * b;
    }
  };
  static constexpr Times times{};
  __device__ void merge(State& a, State b) const {
    switch (op) {
      case Simple::Prod:
        a = Times{}(a, b);
        return;
      case Simple::Max:
      case Simple::Any:
      case Simple::AbsMax:
        a = Larger{}(a, b);
        return;
      case Simple::Min:
      case Simple::All:
      case Simple::AbsMin:
        a = Smaller{}(a, b);
        return;
      default:
        a += b;
    }
  }
  __device__ void finish(State a, int64_t at) const {
    if constexpr (!std::is_integral_v<E>) {
      if (op == Simple::Squares) a = sqrt(a);
      if (op == Simple::Power) a = pow(a, E(1) / p);
    }
    put(out.y, out.dtype, at, a);
  }
};

template <class T>
struct ExpSumFold : ExpSum<T> {
  using E = Element<T>;
  Output out;
  __device__ void finish(const typename ExpSum<T>::State& a, int64_t at) const {
    put(out.y, out.dtype, at, static_cast<E>(isinf(a.m) ? a.m : a.m + log(a.s)));
  }
};

template <class T>
struct VarFold : Moments<T> {
  using E = Element<T>;
  Output out;
  E divisor;
  __device__ void finish(const typename Moments<T>::State& a, int64_t at) const {
    put(out.y, out.dtype, at, static_cast<E>(a.squares / divisor));
  }
};

Simple simple(Reduce op, double p) {
  switch (op) {
    case Reduce::Prod:
      return Simple::Prod;
    case Reduce::Max:
      return Simple::Max;
    case Reduce::Min:
      return Simple::Min;
    case Reduce::Any:
      return Simple::Any;
    case Reduce::All:
      return Simple::All;
    case Reduce::CountNonzero:
      return Simple::Count;
    default:
      return p == 0          ? Simple::Count
             : p == 1        ? Simple::AbsSum
             : p == 2        ? Simple::Squares
             : p == INFINITY ? Simple::AbsMax
             : std::isinf(p) ? Simple::AbsMin
                             : Simple::Power;
  }
}

}  // namespace

void reduce(Reduce op, const ReduceArgs& a) {
  if (a.outer == 0 || a.inner == 0) return;
  if (op == Reduce::ArgMax || op == Reduce::ArgMin || ((op == Reduce::Max || op == Reduce::Min) && a.index))
    return reduce_index(op, a);
  const bool real = op == Reduce::Mean || op == Reduce::Var || op == Reduce::Norm || op == Reduce::LogSumExp ||
                    op == Reduce::CountNonzero;
  if (real && is_integral(a.dtype)) no_loop("reduce", a.dtype);  // ops convert
  const Output out{a.y, a.y_dtype};
  const double n = static_cast<double>(a.nreduce);
  dispatch_real("reduce", a.dtype, [&](auto t) {
    using T = decltype(t);
    using E = Element<T>;
    const auto run = [&](const auto& fold) { launch_reduce<T>(fold, a.x, a.outer, a.nreduce, a.inner); };
    if (op == Reduce::Sum || op == Reduce::NanSum) return run(SumFold<T>{out, -1, op == Reduce::NanSum});
    if constexpr (!std::is_integral_v<T>) {
      if (op == Reduce::Mean) return run(SumFold<T>{out, n});
      if (op == Reduce::LogSumExp) return run(ExpSumFold<T>{{}, out});
      if (op == Reduce::Var) return run(VarFold<T>{{}, out, static_cast<E>(n > a.param ? n - a.param : 0)});
      // The least of nothing is 0.
      if (op == Reduce::Norm && a.nreduce == 0) return run(SumFold<T>{out, -1});
    }
    run(SimpleFold<T>{out, simple(op, a.param), static_cast<E>(a.param)});
  });
}
PYNN_CUDA_KERNEL(reduce);

}  // namespace pynn::cuda
