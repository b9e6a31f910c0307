// complex.cu -- maps of complex numbers (kernels/elementwise.h), and their products along a dim (kernels/complex.h).
//
// Ops are switched on in the kernel: one kernel for those of a few instructions, one for those that call functions,
// whose registers and stack the first need not pay for.
#include "kernels/complex.h"

#include "kernels/cuda/map.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/scan.cuh"
#ifdef PYNN_CUDA_EMULATED
#include <complex>
#else
#include <thrust/complex.h>
#endif

namespace pynn::cuda::of_complex {

template <class S>
using WidePair = S;

#ifdef PYNN_CUDA_EMULATED
namespace library = std;
#else
namespace library = thrust;
#endif
#define PYNN_FROM_LIBRARY(name)                                                 \
  template <class S>                                                            \
  __device__ inline S name(S a) {                                               \
    const auto y = library::name(library::complex<decltype(a.re)>(a.re, a.im)); \
    return {y.real(), y.imag()};                                                \
  }
PYNN_FROM_LIBRARY(exp)
PYNN_FROM_LIBRARY(log)
PYNN_FROM_LIBRARY(sqrt)
PYNN_FROM_LIBRARY(sin)
PYNN_FROM_LIBRARY(cos)
PYNN_FROM_LIBRARY(tan)
PYNN_FROM_LIBRARY(asin)
PYNN_FROM_LIBRARY(acos)
PYNN_FROM_LIBRARY(atan)
PYNN_FROM_LIBRARY(sinh)
PYNN_FROM_LIBRARY(cosh)
PYNN_FROM_LIBRARY(tanh)
PYNN_FROM_LIBRARY(asinh)
PYNN_FROM_LIBRARY(acosh)
PYNN_FROM_LIBRARY(atanh)
#undef PYNN_FROM_LIBRARY

}  // namespace pynn::cuda::of_complex

#define PYNN_COMPLEX_NAMESPACE pynn::cuda::of_complex
#define PYNN_FN __device__ inline
#define PYNN_MATH(name) ::pynn::cuda::math::name
#include "kernels/complex_functions.h"

namespace pynn::cuda {
namespace {

using namespace of_complex;

enum class Kind { Short, Long };
template <class S, Kind kind>
constexpr int kCostOf = kind == Kind::Long ? 2
                        : sizeof(S) == 16  ? 1
                                           : 0;  // several of 16 bytes would spill

// A bool is 1 or 0, which a bool in memory gets right.
template <class S>
__device__ S value(S z) {
  return z;
}
template <class S>
__device__ S value(bool b) {
  return {b ? Part<S>(1) : Part<S>(0), Part<S>(0)};
}
#define PYNN_CASE(name) \
  case Op::name:        \
    return value<S>(result(std::integral_constant<Op, Op::name>{}));

template <class S, Kind kind>
struct ComplexUnary : MapFunction<true, kCostOf<S, kind>, S> {
  using Op = Unary;
  Op op;
  __device__ S operator()(S a) const {
    const auto result = [&](auto k) { return unary<decltype(k)::value>(a); };
    if constexpr (kind == Kind::Short) {
      switch (op) {
        PYNN_CASE(Neg)
        PYNN_CASE(Square)
        PYNN_CASE(Reciprocal)
        PYNN_CASE(LogicalNot)
        PYNN_CASE(IsNan)
        PYNN_CASE(IsInf)
        PYNN_CASE(IsFinite)
        PYNN_CASE(Conj)
        default:
          break;
      }
    } else {
      switch (op) {
        PYNN_CASE(Abs)
        PYNN_CASE(Sign)
        PYNN_CASE(Sqrt)
        PYNN_CASE(Rsqrt)
        PYNN_CASE(Exp)
        PYNN_CASE(Exp2)
        PYNN_CASE(Expm1)
        PYNN_CASE(Log)
        PYNN_CASE(Log2)
        PYNN_CASE(Log10)
        PYNN_CASE(Log1p)
        PYNN_CASE(Sin)
        PYNN_CASE(Cos)
        PYNN_CASE(Tan)
        PYNN_CASE(Asin)
        PYNN_CASE(Acos)
        PYNN_CASE(Atan)
        PYNN_CASE(Sinh)
        PYNN_CASE(Cosh)
        PYNN_CASE(Tanh)
        PYNN_CASE(Asinh)
        PYNN_CASE(Acosh)
        PYNN_CASE(Atanh)
        PYNN_CASE(Sigmoid)
        PYNN_CASE(Angle)
        default:
          break;
      }
    }
    return {};
  }
};

template <class S>
struct Factor {  // alpha, value
  S by;
  bool plain;
  Factor(const MapArgs& args, bool has)
      : by{has ? static_cast<Part<S>>(args.params[0]) : Part<S>(1),
           has ? static_cast<Part<S>>(args.params[1]) : Part<S>(0)},
        plain(by.re == 1 && by.im == 0) {}
};

template <class S, Kind kind>
struct ComplexBinary : MapFunction<true, kCostOf<S, kind>, S> {
  using Op = Binary;
  Op op;
  Factor<S> alpha;
  __device__ S operator()(S a, S b) const {
    const auto result = [&](auto k) { return binary<decltype(k)::value>(a, b, alpha.by, alpha.plain); };
    if constexpr (kind == Kind::Short) {
      switch (op) {
        PYNN_CASE(Add)
        PYNN_CASE(Sub)
        PYNN_CASE(Mul)
        PYNN_CASE(Div)
        PYNN_CASE(Eq)
        PYNN_CASE(Ne)
        PYNN_CASE(LogicalAnd)
        PYNN_CASE(LogicalOr)
        PYNN_CASE(LogicalXor)
        default:
          return {};
      }
    } else {
      return binary<Op::Pow>(a, b, alpha.by, alpha.plain);
    }
  }
};

template <class S>
struct ComplexTernary : MapFunction<true, kCostOf<S, Kind::Short>, S> {
  using Op = Ternary;
  Op op;
  Factor<S> factor;
  __device__ S operator()(S a, S b, S c) const {
    const auto result = [&](auto k) { return ternary<decltype(k)::value>(a, b, c, factor.by); };
    switch (op) {
      PYNN_CASE(Where)
      PYNN_CASE(Addcmul)
      PYNN_CASE(Addcdiv)
      PYNN_CASE(Lerp)
      default:
        return {};
    }
  }
};
#undef PYNN_CASE

template <class F>
void dispatch_complex(DType dtype, F f) {
  dtype == DType::Complex64 ? f(Complex64{}) : f(Complex128{});
}

}  // namespace

void map_complex(Unary op, const MapArgs& args) {
  using enum Unary;
  const bool is_short = op == Neg || op == Square || op == Reciprocal || op == Conj || yields_bool(op);
  const bool is_long = op == Abs || op == Sign || op == Angle || op == Sigmoid || (op >= Sqrt && op <= Atanh);
  if (!is_short && !is_long) no_loop("map_unary", args.compute);
  if (args.numel == 0) return;
  dispatch_complex(args.compute, [&](auto s) {
    using S = decltype(s);
    if (is_short)
      run_any<ComplexUnary<S, Kind::Short>, S, 1>(args, {{}, op});
    else
      run_any<ComplexUnary<S, Kind::Long>, S, 1>(args, {{}, op});
  });
}

void map_complex(Binary op, const MapArgs& args) {
  using enum Binary;
  const bool is_short = (op >= Add && op <= Div) || op == Eq || op == Ne || (op >= LogicalAnd && op <= LogicalXor);
  if (!is_short && op != Pow) no_loop("map_binary", args.compute);
  if (args.numel == 0) return;
  dispatch_complex(args.compute, [&](auto s) {
    using S = decltype(s);
    const Factor<S> alpha(args, op == Add || op == Sub);
    if (is_short)
      run_any<ComplexBinary<S, Kind::Short>, S, 2>(args, {{}, op, alpha});
    else
      run_any<ComplexBinary<S, Kind::Long>, S, 2>(args, {{}, op, alpha});
  });
}

void map_complex(Ternary op, const MapArgs& args) {
  using enum Ternary;
  if (op > Lerp) no_loop("map_ternary", args.compute);
  if (args.numel == 0) return;
  dispatch_complex(args.compute, [&](auto s) {
    using S = decltype(s);
    run_any<ComplexTernary<S>, S, 3>(args, {{}, op, Factor<S>(args, op == Addcmul || op == Addcdiv)});
  });
}

// ---- Products along the middle of [outer, n, inner], accumulated in double

namespace {

template <class S>
struct Product {
  using State = Complex128;
  const S* x;
  S* y;
  __device__ State identity() const { return {1, 0}; }
  __device__ State element(int64_t at, int64_t) const { return cast_parts<Complex128>(x[at]); }
  __device__ State combine(const State& a, const State& b) const { return mul(a, b); }
  __device__ void merge(State& a, const State& b) const { a = mul(a, b); }
  __device__ void write(int64_t at, const State& s) const { y[at] = cast_parts<S>(s); }
};

// A group of threads for a line.
template <class S>
__global__ void __launch_bounds__(kBlock) products(Product<S> f, int64_t lines, int64_t n, int64_t inner, int group) {
  const int per_block = kBlock / group, lane = static_cast<int>(threadIdx.x) % group;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < lines;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t line = first + threadIdx.x / group, start = line / inner * n * inner + line % inner;
    Complex128 s = f.identity();
    if (line < lines)
      for (int64_t r = lane; r < n; r += group) f.merge(s, f.element(start + r * inner, r));
    s = merge_group(f, s, group);
    if (lane == 0 && line < lines) f.write(line, s);
  }
}

template <class S>
Product<S> product_of(const ReduceArgs& a) {
  return {static_cast<const S*>(a.x), static_cast<S*>(a.y)};
}

}  // namespace

void complex_prod(const ReduceArgs& a) {
  const int64_t lines = a.outer * a.inner;
  if (lines == 0) return;
  // Neighbours in a warp read neighbours where lines are many and side by side.
  const bool side_by_side = a.inner >= kWarp && lines >= static_cast<int64_t>(multiprocessors()) * kBlock;
  const int group = side_by_side ? 1 : power_of_two(ceil_div(a.nreduce, 4), kBlock);
  dispatch_complex(a.dtype, [&](auto s) {
    using S = decltype(s);
    launch(products<S>, blocks_for(ceil_div(lines * group, kBlock)), kBlock, product_of<S>(a), lines, a.nreduce,
           a.inner, group);
  });
}
void complex_cumprod(const ReduceArgs& a) {
  if (a.outer * a.nreduce * a.inner == 0) return;
  dispatch_complex(a.dtype, [&](auto s) {
    using S = decltype(s);
    launch_scan(product_of<S>(a), a.outer, a.nreduce, a.inner);
  });
}
PYNN_CUDA_KERNEL(complex_prod);
PYNN_CUDA_KERNEL(complex_cumprod);

}  // namespace pynn::cuda
