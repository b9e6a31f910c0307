// gemm.cpp -- entry of the matrix product: dtypes and batches; gemm_float.h does the work.
//
//   C[b] = alpha * A[b] B[b] + beta * C[b] + bias, relu;   A [m, k], B [k, n], C [m, n]
//
// Parallel over the batch when single products are small, else inside of them. bfloat16 goes to gemm_amx.h or
// gemm_group.h where the CPU multiplies it; else it, and float16 always, is converted to float32 and back. Integers
// accumulate in int64 and wrap, but for gemm_int8.
#include "kernels/gemm.h"

#include "kernels/cpu/convert.h"
#include "kernels/cpu/gemm_amx.h"
#include "kernels/cpu/gemm_float.h"
#include "kernels/cpu/gemm_group.h"
#include "kernels/cpu_features.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

template <class T>
PYNN_INLINE const T* step(const void* p, int64_t elements) {
  return static_cast<const T*>(p) + elements;
}

template <class T>
Product<T> product_of(const GemmArgs& g, int64_t b) {
  return {g.m,
          g.n,
          g.k,
          step<T>(g.a, b * g.a_batch),
          step<T>(g.b, b * g.b_batch),
          g.a_rs,
          g.a_cs,
          g.b_rs,
          g.b_cs,
          {const_cast<T*>(step<T>(g.c, b * g.c_batch)), g.c_rs, g.c_cs, static_cast<Wide<T>>(g.alpha),
           static_cast<Wide<T>>(g.beta), static_cast<const T*>(g.bias), 0, 1, g.epilogue == Epilogue::Relu},
          g.b_ready,
          g.parts,
          g.b_stays};
}

// f(b) for each product of the batch; W elements to a vector.
template <int64_t W, class F>
void for_batch(const GemmArgs& g, F f) {
  if (g.batch == 1) return f(int64_t{0});
  const double work = multiply_adds(g.m, g.n, g.k + 1) / W;
  if (work >= 8 * kSerialVectors && g.batch < 4 * num_threads()) {
    for (int64_t b = 0; b < g.batch; ++b) f(b);
    return;
  }
  // A few parts per thread, of whole shares: whoever takes over another's product has to fetch it from that core.
  const int64_t threads = threads_for(static_cast<double>(g.batch) * work * kVectorNs);
  const int64_t grain = threads == 1 ? g.batch : ceil_div(g.batch, 4 * threads);
  parallel_for(0, g.batch, grain, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) f(b);
  });
}

template <class G>
GroupProduct<G> groups_of(const GemmArgs& g, int64_t b) {
  using E = typename G::Elem;
  using O = typename G::Out;
  return {g.m,
          g.n,
          g.k,
          step<E>(g.a, b * g.a_batch),
          step<E>(g.b, b * g.b_batch),
          g.a_rs,
          g.a_cs,
          g.b_rs,
          g.b_cs,
          {const_cast<O*>(step<O>(g.c, b * g.c_batch)), g.c_rs, g.c_cs, static_cast<Wide<O>>(g.alpha),
           static_cast<Wide<O>>(g.beta), static_cast<const O*>(g.bias), 0, 1, g.epilogue == Epilogue::Relu}};
}

// A product of this few multiplications takes less time than the choice of a way to compute it.
constexpr double kTiny = 64;

template <class T>
void gemm_tiny(const GemmArgs& g, int64_t batch) {
  using V = Vec<T>;
  const Product<T> p = product_of<T>(g, batch);
  if (p.n <= V::kSize && p.n > 2 && p.out.c_cs == 1) {
    T copy[static_cast<int64_t>(kTiny) * V::kSize];
    const bool by_rows = p.b_cs == 1;
    if (!by_rows)
      for (int64_t l = 0; l < p.k; ++l)
        for (int64_t j = 0; j < p.n; ++j) copy[l * V::kSize + j] = p.b[l * p.b_rs + j * p.b_cs];
    const T* const b = by_rows ? p.b : copy;
    const int64_t row = by_rows ? p.b_rs : V::kSize;
    for (int64_t i = 0; i < p.m; ++i) {
      V sum(T(0));
      for (int64_t l = 0; l < p.k; ++l) sum = fma(V(p.a[i * p.a_rs + l * p.a_cs]), V::load(b + l * row, p.n), sum);
      store_vector(p.out, i, 0, sum, p.n);
    }
    return;
  }
  for (int64_t i = 0; i < p.m; ++i)
    for (int64_t j = 0; j < p.n; ++j) {
      T sum = 0;
      for (int64_t l = 0; l < p.k; ++l) sum += p.a[i * p.a_rs + l * p.a_cs] * p.b[l * p.b_rs + j * p.b_cs];
      T* c = p.out.c + i * p.out.c_rs + j * p.out.c_cs;
      T y = p.out.alpha * sum + (p.out.bias ? p.out.bias[j] : T(0));
      if (p.out.beta != T(0)) y += p.out.beta * *c;
      *c = p.out.relu && y < T(0) ? T(0) : y;
    }
}

// float and double
template <class T>
void gemm_real(const GemmArgs& g) {
  if (multiply_adds(g.m, g.n, g.k) <= kTiny)
    for_batch<Vec<T>::kSize>(g, [&](int64_t b) { gemm_tiny<T>(g, b); });
  else
    for_batch<Vec<T>::kSize>(g, [&](int64_t b) { gemm_product(product_of<T>(g, b)); });
}

// f(begin, end) of `lines` of n elements to convert: a share per thread, as the product will share them out.
template <class F>
void for_lines(int64_t lines, int64_t n, F f) {
  const double ns = 0.1 * static_cast<double>(lines) * static_cast<double>(n);
  const int64_t threads = ns < kForkCost / 4 ? 1 : threads_for(ns);
  parallel_for(0, lines, ceil_div(lines, threads), f);
}

// Half types: few rows where they lie, else operands converted to contiguous float32, and the result back.
template <class S>
void gemm_half(const GemmArgs& g, int64_t batch) {
  const Product<S> p = turned(product_of<S>(g, batch));
  if (runs_along_k(p) && few_rows(p) && p.a_cs == 1 && p.k <= kLongestDot) return gemm_dots(p);
  const auto at = [&](const void* p, int64_t elements) { return static_cast<const char*>(p) + 2 * elements; };
  const Scratch<float> a(g.m * g.k), b(g.k * g.n), c(g.m * g.n), bias(g.n);
  const Convert to_float = converter(DType::Float32, g.dtype), from_float = converter(g.dtype, DType::Float32);
  // `lines` of n elements each, which lie next to each other in `y`
  const auto floats = [&](float* y, const char* x, Strides s, int64_t lines, int64_t n) {
    for_lines(lines, n, [&](int64_t begin, int64_t end) {
      to_float(y + begin * n, {n, 1}, x + 2 * begin * s.row, s, end - begin, n);
    });
  };
  // By rows or by columns, as it lies: so Linear's weight takes the path without packing.
  const auto matrix = [&](float* y, const char* x, Strides s, int64_t rows, int64_t cols) -> Strides {
    if (s.row != 1) return floats(y, x, s, rows, cols), Strides{cols, 1};
    return floats(y, x, {s.col, 1}, cols, rows), Strides{1, rows};
  };
  const Strides a_layout = matrix(a.get(), at(g.a, batch * g.a_batch), {g.a_rs, g.a_cs}, g.m, g.k);
  const Strides b_layout = matrix(b.get(), at(g.b, batch * g.b_batch), {g.b_rs, g.b_cs}, g.k, g.n);
  char* y = const_cast<char*>(at(g.c, batch * g.c_batch));
  if (g.beta != 0) floats(c.get(), y, {g.c_rs, g.c_cs}, g.m, g.n);
  if (g.bias) floats(bias.get(), static_cast<const char*>(g.bias), {g.n, 1}, 1, g.n);
  gemm_product<float>({g.m,
                       g.n,
                       g.k,
                       a.get(),
                       b.get(),
                       a_layout.row,
                       a_layout.col,
                       b_layout.row,
                       b_layout.col,
                       {c.get(), g.n, 1, static_cast<float>(g.alpha), static_cast<float>(g.beta),
                        g.bias ? bias.get() : nullptr, 0, 1, g.epilogue == Epilogue::Relu}});
  for_lines(g.m, g.n, [&](int64_t begin, int64_t end) {
    from_float(y + 2 * begin * g.c_rs, {g.c_rs, g.c_cs}, c.get() + begin * g.n, {g.n, 1}, end - begin, g.n);
  });
}

// int8, or uint8 by int8, by way of int16; k is made even.
void gemm_words(const GemmArgs& g, int64_t batch) {
  const int64_t k = round_up(g.k, 2);
  const Scratch<int16_t> a(g.m * k), b(k * g.n);
  const Strides layout = g.b_rs == 1 ? Strides{1, k} : Strides{g.n, 1};  // as B lies
  converter(DType::Int16, g.dtype)(a.get(), {k, 1}, step<char>(g.a, batch * g.a_batch), {g.a_rs, g.a_cs}, g.m, g.k);
  converter(DType::Int16, DType::Int8)(b.get(), layout, step<char>(g.b, batch * g.b_batch), {g.b_rs, g.b_cs}, g.k, g.n);
  if (k > g.k) {
    for (int64_t i = 0; i < g.m; ++i) a[i * k + g.k] = 0;
    for (int64_t j = 0; j < g.n; ++j) b[g.k * layout.row + j * layout.col] = 0;
  }
  const auto out = groups_of<Int16Pairs>(g, batch).out;
  gemm_groups(GroupProduct<Int16Pairs>{g.m, g.n, k, a.get(), b.get(), k, 1, layout.row, layout.col, out});
}

// Integers: row by row, columns in runs that stay in registers and L1.
template <class S>
void gemm_int(const GemmArgs& g, int64_t batch) {
  constexpr int64_t run = 64;
  const S* a = step<S>(g.a, batch * g.a_batch);
  const S* b = step<S>(g.b, batch * g.b_batch);
  S* c = const_cast<S*>(step<S>(g.c, batch * g.c_batch));
  const S* bias = static_cast<const S*>(g.bias);
  const uint64_t alpha = static_cast<uint64_t>(static_cast<int64_t>(g.alpha));
  const uint64_t beta = static_cast<uint64_t>(static_cast<int64_t>(g.beta));
  parallel_for(0, g.m, grain_for(static_cast<double>(g.n) * static_cast<double>(g.k) + 1), [&](int64_t i0, int64_t i1) {
    for (int64_t i = i0; i < i1; ++i)
      for (int64_t j0 = 0; j0 < g.n; j0 += run) {
        const int64_t n = min_of(run, g.n - j0);
        uint64_t acc[run] = {};  // unsigned: wraps
        for (int64_t p = 0; p < g.k; ++p) {
          const uint64_t x = static_cast<uint64_t>(static_cast<int64_t>(a[i * g.a_rs + p * g.a_cs]));
          const S* row = b + p * g.b_rs + j0 * g.b_cs;
          for (int64_t j = 0; j < n; ++j) acc[j] += x * static_cast<uint64_t>(static_cast<int64_t>(row[j * g.b_cs]));
        }
        for (int64_t j = 0; j < n; ++j) {
          S& y = c[i * g.c_rs + (j0 + j) * g.c_cs];
          uint64_t v = alpha * acc[j];
          if (beta != 0) v += beta * static_cast<uint64_t>(static_cast<int64_t>(y));
          if (bias) v += static_cast<uint64_t>(static_cast<int64_t>(bias[j0 + j]));
          if (g.epilogue == Epilogue::Relu && static_cast<int64_t>(v) < 0) v = 0;
          y = static_cast<S>(v);
        }
      }
  });
}

}  // namespace

void gemm(const GemmArgs& g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  switch (g.dtype) {
    case DType::Float32:
      return gemm_real<float>(g);
    case DType::Float64:
      return gemm_real<double>(g);
    case DType::BFloat16:
#ifdef PYNN_VEC_DOT
      if (cpu_features().amx_bf16)
        return for_batch<32 * kWords>(g, [&](int64_t b) { gemm_amx(groups_of<Bf16Pairs>(g, b)); });
      if (cpu_features().avx512_bf16)
        return for_batch<2 * kWords>(g, [&](int64_t b) { gemm_groups(groups_of<Bf16Pairs>(g, b)); });
#endif
      return for_batch<Vec<float>::kSize>(g, [&](int64_t b) { gemm_half<BFloat16>(g, b); });
    case DType::Float16:
      return for_batch<Vec<float>::kSize>(g, [&](int64_t b) { gemm_half<Half>(g, b); });
    default:
      break;
  }
  for (int64_t b = 0; b < g.batch; ++b) switch (g.dtype) {
      case DType::Bool:
        gemm_int<bool>(g, b);
        break;
      case DType::UInt8:
        gemm_int<uint8_t>(g, b);
        break;
      case DType::Int8:
        gemm_int<int8_t>(g, b);
        break;
      case DType::Int16:
        gemm_int<int16_t>(g, b);
        break;
      case DType::Int32:
        gemm_int<int32_t>(g, b);
        break;
      case DType::Int64:
        gemm_int<int64_t>(g, b);
        break;
      default:
        no_loop("gemm", g.dtype);
    }
}

size_t gemm_ready_bytes([[maybe_unused]] const GemmArgs& g) {
#ifdef PYNN_VEC_DOT
  const size_t bytes = SplitAhead(nullptr, g.n, g.k, g.parts).bytes();
  if (g.dtype == DType::Float32 && g.batch == 1 && bytes <= kMostAhead && takes_split(product_of<float>(g, 0)))
    return bytes;
#endif
  return 0;
}
void gemm_make_ready([[maybe_unused]] const GemmArgs& g, [[maybe_unused]] void* to) {
#ifdef PYNN_VEC_DOT
  split_ahead(product_of<float>(g, 0), to);
#endif
}

void gemm_int8(const GemmArgs& g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
#ifdef PYNN_VEC_DOT
  if (cpu_features().amx_int8)
    return for_batch<64 * kWords>(g, [&](int64_t b) {
      g.dtype == DType::Int8 ? gemm_amx(groups_of<Int8Quads>(g, b)) : gemm_amx(groups_of<Uint8Quads>(g, b));
    });
#endif
  for_batch<4 * Vec<int32_t>::kSize>(g, [&](int64_t b) {
#ifdef PYNN_VEC_DOT
    if (cpu_features().avx512_vnni)
      return g.dtype == DType::Int8 ? gemm_groups(groups_of<Int8Quads>(g, b))
                                    : gemm_groups(groups_of<Uint8Quads>(g, b));
#endif
    gemm_words(g, b);
  });
}

}  // namespace PYNN_CPU_NAMESPACE
