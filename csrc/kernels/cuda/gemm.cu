// gemm.cu -- C[b] = alpha * A[b] B[b] + beta * C[b] + bias, relu.
//
// Floating types go to cuBLASLt, which sees a row-major C [m, n] as the column-major [n, m] of B^T A^T: the bias, one
// per column, is one per row there. What it cannot do, or without it, a plain kernel does: tiles of 64 x 64 in shared
// memory, float32 or float64 accumulators; integers accumulate in 64 bits and wrap.
#include "kernels/gemm.h"

#include <optional>

#include "cuda/cublaslt.h"
#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

// ---- the plain kernel

constexpr int kTile = 64, kDepth = 16, kSide = 16, kEach = kTile / kSide;  // 16 x 16 threads, 4 x 4 results each

// All integer types in one kernel, which asks for the type at each load: a tenth of the code, for products that are
// rare.
struct Integer {};

template <class T>
using Accumulator = std::conditional_t<std::is_same_v<T, Integer>, uint64_t, Compute<T>>;

template <class T>
__device__ Accumulator<T> element(const void* p, int64_t i, DType dtype) {
  if constexpr (std::is_same_v<T, Integer>) {
    switch (dtype) {
      case DType::Int8:
        return static_cast<uint64_t>(int64_t{static_cast<const int8_t*>(p)[i]});
      case DType::Int16:
        return static_cast<uint64_t>(int64_t{static_cast<const int16_t*>(p)[i]});
      case DType::Int32:
        return static_cast<uint64_t>(int64_t{static_cast<const int32_t*>(p)[i]});
      case DType::Int64:
        return static_cast<const uint64_t*>(p)[i];
      default:  // uint8 and bool
        return static_cast<const uint8_t*>(p)[i];
    }
  } else {
    return load(static_cast<const T*>(p)[i]);
  }
}
template <class T>
__device__ void set_element(void* p, int64_t i, DType dtype, Accumulator<T> v) {
  if constexpr (std::is_same_v<T, Integer>) {
    if (dtype == DType::Int64)
      static_cast<uint64_t*>(p)[i] = v;
    else if (dtype == DType::Int32)
      static_cast<uint32_t*>(p)[i] = static_cast<uint32_t>(v);
    else if (dtype == DType::Int16)
      static_cast<uint16_t*>(p)[i] = static_cast<uint16_t>(v);
    else
      static_cast<uint8_t*>(p)[i] = static_cast<uint8_t>(dtype == DType::Bool ? v != 0 : v);
  } else {
    static_cast<T*>(p)[i] = store_as<T>(v);
  }
}

// Rows [row0, row0 + 64) and [p0, p0 + 16) along k of an operand [rows, k] into tile[p][row]; zeros outside.
template <class T, class S>
__device__ void load_tile(S (*tile)[kTile + 1], const void* from, DType dtype, int64_t start, int64_t row0,
                          int64_t rows, int64_t p0, int64_t k, int64_t row_stride, int64_t k_stride) {
  const int thread = static_cast<int>(threadIdx.y) * kSide + static_cast<int>(threadIdx.x);
#pragma unroll 1
  for (int e = thread; e < kTile * kDepth; e += kSide * kSide) {
    // Neighbouring threads read neighbouring memory.
    const int r = k_stride == 1 ? e / kDepth : e % kTile, p = k_stride == 1 ? e % kDepth : e / kTile;
    const bool inside = row0 + r < rows && p0 + p < k;
    tile[p][r] = inside ? element<T>(from, start + (row0 + r) * row_stride + (p0 + p) * k_stride, dtype) : S(0);
  }
}

template <class T>
__global__ void plain_product(GemmArgs g) {
  using S = Accumulator<T>;
  __shared__ S as[kDepth][kTile + 1], bs[kDepth][kTile + 1];
  const int tx = static_cast<int>(threadIdx.x), ty = static_cast<int>(threadIdx.y);
  const int64_t row_tiles = (g.m + kTile - 1) / kTile, column_tiles = (g.n + kTile - 1) / kTile;
  S alpha, beta;
  if constexpr (std::is_same_v<T, Integer>) {
    alpha = static_cast<S>(static_cast<int64_t>(g.alpha)), beta = static_cast<S>(static_cast<int64_t>(g.beta));
  } else {
    alpha = static_cast<S>(g.alpha), beta = static_cast<S>(g.beta);
  }
#pragma unroll 1
  for (int64_t task = blockIdx.x; task < row_tiles * column_tiles * g.batch; task += gridDim.x) {
    const int64_t i0 = task % row_tiles * kTile, j0 = task / row_tiles % column_tiles * kTile;
    const int64_t batch = task / row_tiles / column_tiles;
    S acc[kEach][kEach] = {};
#pragma unroll 1
    for (int64_t p0 = 0; p0 < g.k; p0 += kDepth) {
      load_tile<T>(as, g.a, g.dtype, batch * g.a_batch, i0, g.m, p0, g.k, g.a_rs, g.a_cs);
      load_tile<T>(bs, g.b, g.dtype, batch * g.b_batch, j0, g.n, p0, g.k, g.b_cs, g.b_rs);
      __syncthreads();
#pragma unroll 4
      for (int p = 0; p < kDepth; ++p)
#pragma unroll
        for (int i = 0; i < kEach; ++i)
#pragma unroll
          for (int j = 0; j < kEach; ++j) acc[i][j] += as[p][ty + i * kSide] * bs[p][tx + j * kSide];
      __syncthreads();
    }
#pragma unroll
    for (int i = 0; i < kEach; ++i)
#pragma unroll
      for (int j = 0; j < kEach; ++j) {
        const int64_t row = i0 + ty + i * kSide, column = j0 + tx + j * kSide;
        if (row >= g.m || column >= g.n) continue;
        const int64_t at = batch * g.c_batch + row * g.c_rs + column * g.c_cs;
        S v = alpha * acc[i][j];
        if (beta != S(0)) v += beta * element<T>(g.c, at, g.dtype);
        if (g.bias) v += element<T>(g.bias, column, g.dtype);
        if (g.epilogue == Epilogue::Relu) {
          if constexpr (std::is_same_v<T, Integer>)
            v = static_cast<int64_t>(v) < 0 ? 0 : v;
          else
            v = v > 0 || v != v ? v : S(0);
        }
        set_element<T>(g.c, at, g.dtype, v);
      }
  }
}

void plain(const GemmArgs& g) {
  const int64_t tiles = (g.m + kTile - 1) / kTile * ((g.n + kTile - 1) / kTile) * g.batch;
  const auto run = [&](auto t) {
    launch(plain_product<decltype(t)>, static_cast<unsigned>(std::min<int64_t>(tiles, INT32_MAX)), dim3(kSide, kSide),
           g);
  };
  is_integral(g.dtype) ? run(Integer{}) : dispatch_floating("matmul", g.dtype, run);
}

// ---- by cuBLASLt

// An operand of any strides, made row-major without gaps.
template <class E>
__global__ void pack(E* to, const E* from, int64_t rows, int64_t columns, int64_t rs, int64_t cs, int64_t batch,
                     int64_t step) {
#pragma unroll 1
  PYNN_GRID_LOOP(i, rows * columns * batch) {
    const int64_t column = i % columns, row = i / columns % rows, b = i / columns / rows;
    to[i] = from[b * step + row * rs + column * cs];
  }
}

// y += bias of the column, relu: where the library's epilogue is along the other dim.
template <class T>
__global__ void add_bias(GemmArgs g) {
#pragma unroll 1
  PYNN_GRID_LOOP(i, g.m * g.n * g.batch) {
    const int64_t row = i % g.m, column = i / g.m % g.n, b = i / g.m / g.n;
    T& y = static_cast<T*>(g.c)[b * g.c_batch + row * g.c_rs + column * g.c_cs];
    Compute<T> v = load(y);
    if (g.bias) v += load(static_cast<const T*>(g.bias)[column]);
    if (g.epilogue == Epilogue::Relu) v = v > 0 || v != v ? v : Compute<T>(0);
    y = store_as<T>(v);
  }
}

// A matrix [rows, columns] as BLAS takes it: one stride is 1, the other at least the length. A size of 1 has no stride.
struct Layout {
  bool fits, columns_together;  // columns_together: row-major
  int64_t ld;
};
Layout layout_of(int64_t rows, int64_t columns, int64_t rs, int64_t cs) {
  if (columns == 1) cs = 1;
  if (rows == 1 && cs == 1) rs = columns;
  if (cs == 1 && rs >= columns) return {true, true, rs};
  if (rows == 1) rs = 1;
  if (rs == 1 && cs >= rows) return {true, false, cs};
  return {false, true, columns};
}

struct Operand {
  const void* data;
  bool columns_together;
  int64_t ld, step;
};
Operand operand(const void* p, int64_t rows, int64_t columns, int64_t rs, int64_t cs, int64_t batch, int64_t step,
                DType dtype, std::optional<Scratch>& scratch) {
  const Layout layout = layout_of(rows, columns, rs, cs);
  if (layout.fits) return {p, layout.columns_together, layout.ld, step};
  const int64_t count = step ? batch : 1, n = rows * columns * count;
  scratch.emplace(static_cast<size_t>(n) * item_size(dtype));
  dispatch_size(dtype, [&](auto e) {
    using E = decltype(e);
    launch(pack<E>, grid_for(n), kBlock, scratch->as<E>(), static_cast<const E*>(p), rows, columns, rs, cs, count,
           step);
  });
  return {scratch->as<void>(), true, columns, step ? rows * columns : 0};
}

bool by_library(const GemmArgs& g) {
  if (!is_floating(g.dtype) || g.k == 0) return false;
  const Layout c = layout_of(g.m, g.n, g.c_rs, g.c_cs);
  if (!c.fits) return false;
  std::optional<Scratch> a_scratch, b_scratch;
  const Operand a = operand(g.a, g.m, g.k, g.a_rs, g.a_cs, g.batch, g.a_batch, g.dtype, a_scratch);
  const Operand b = operand(g.b, g.k, g.n, g.b_rs, g.b_cs, g.batch, g.b_batch, g.dtype, b_scratch);
  ColumnProduct p{};
  p.k = g.k;
  p.c = g.c, p.ldc = c.ld, p.c_batch = g.c_batch;
  p.batch = g.batch;
  p.alpha = g.alpha, p.beta = g.beta;
  p.dtype = g.dtype;
  // A row-major matrix is its transpose in the library's eyes.
  const auto left = [&](const Operand& o, bool transposed) {
    p.a = o.data, p.lda = o.ld, p.a_batch = o.step, p.transpose_a = transposed;
  };
  const auto right = [&](const Operand& o, bool transposed) {
    p.b = o.data, p.ldb = o.ld, p.b_batch = o.step, p.transpose_b = transposed;
  };
  if (c.columns_together) {
    p.m = g.n, p.n = g.m;
    left(b, !b.columns_together);
    right(a, !a.columns_together);
    p.bias = g.bias;
    p.relu = g.epilogue == Epilogue::Relu;
    if (cublaslt_product(p)) return true;
    p.bias = nullptr, p.relu = false;  // there may be a way without the epilogue
  } else {
    p.m = g.m, p.n = g.n;
    left(a, a.columns_together);
    right(b, b.columns_together);
  }
  if (!cublaslt_product(p)) return false;
  if (g.bias || g.epilogue == Epilogue::Relu)
    dispatch_floating("matmul", g.dtype,
                      [&](auto t) { launch(add_bias<decltype(t)>, grid_for(g.m * g.n * g.batch), kBlock, g); });
  return true;
}

}  // namespace

void gemm(const GemmArgs& g) {
  if (g.m == 0 || g.n == 0 || g.batch == 0) return;
  if (!by_library(g)) plain(g);
}
PYNN_CUDA_KERNEL(gemm);

}  // namespace pynn::cuda
