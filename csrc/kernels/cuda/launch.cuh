// launch.cuh -- what every .cu file is written with: launches, grid loops, element types, warp and block reductions.
//
// Kernels are started by launch(kernel, grid, block, arguments...), never by <<<>>>, and take dynamic shared memory
// from dynamic_shared<T>(): then tests/cuda_emulator can run the same files on a CPU (docs/notes/cuda.md).
#pragma once
#include <algorithm>
#include <type_traits>
#include <utility>

#include "core/dtype.h"
#include "core/error.h"
#include "cuda/launch.h"
#include "cuda/runtime.h"
#include "kernels/stub.h"
#ifdef PYNN_CUDA_EMULATED
#include "cuda_emulator.h"
#else
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#endif

namespace pynn::cuda {

constexpr int kBlock = 256;  // threads of a block where nothing speaks for another size
constexpr int kWarp = 32;
// Of any block. A kernel whose blocks may be as large says __launch_bounds__(kMostThreads): only then does the compiler
// keep to the registers that so many threads can have, and the emulator cannot tell.
constexpr int kMostThreads = 1024;

// The argument itself where it has the parameter's type, else converted.
template <class P, class A>
decltype(auto) as_parameter(const A& a) {
  if constexpr (std::is_same_v<P, A>)
    return (a);
  else
    return static_cast<P>(a);
}

// `shared` bytes of dynamic shared memory.
template <class... P, class... A>
void launch_shared(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, const A&... arguments) {
#ifdef PYNN_CUDA_EMULATED
  emulator::run(grid, block, shared, [=] { kernel(static_cast<P>(arguments)...); });
#else
  const auto start = [&](const auto&... values) {
    void* places[] = {const_cast<void*>(static_cast<const void*>(&values))..., nullptr};
    launch_kernel(reinterpret_cast<const void*>(kernel), grid, block, shared, places);
  };
  start(as_parameter<P>(arguments)...);
#endif
}
template <class... P, class... A>
void launch(void (*kernel)(P...), dim3 grid, dim3 block, const A&... arguments) {
  launch_shared(kernel, grid, block, 0, arguments...);
}

template <class T>
__device__ T* dynamic_shared() {
#ifdef PYNN_CUDA_EMULATED
  return static_cast<T*>(emulator::dynamic_shared_memory());
#else
  extern __shared__ __align__(16) unsigned char pynn_dynamic_shared[];
  return reinterpret_cast<T*>(pynn_dynamic_shared);
#endif
}

// Blocks for a grid loop over n items, `block` at a time: enough to fill the device some waves, not more.
inline unsigned grid_for(int64_t n, int block = kBlock) {
  const int64_t wanted = (n + block - 1) / block;
  return static_cast<unsigned>(std::clamp<int64_t>(wanted, 1, static_cast<int64_t>(multiprocessors()) * 32));
}
// for (int64_t i of all items below n), by all threads of the grid.
#define PYNN_GRID_LOOP(i, n)                                                             \
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < (n); \
       i += static_cast<int64_t>(gridDim.x) * blockDim.x)

// ---- element types ----

// What arithmetic happens in: float for the half types, else the type itself.
template <class T>
struct ComputeType {
  using type = T;
};
template <>
struct ComputeType<Half> {
  using type = float;
};
template <>
struct ComputeType<BFloat16> {
  using type = float;
};
template <class T>
using Compute = typename ComputeType<T>::type;

template <class T>
__device__ inline Compute<T> load(T v) {
  return v;
}
#ifndef PYNN_CUDA_EMULATED
template <>
__device__ inline float load<Half>(Half v) {
  return __half2float(__ushort_as_half(v.bits));
}
template <>
__device__ inline float load<BFloat16>(BFloat16 v) {
  return __bfloat162float(__ushort_as_bfloat16(v.bits));
}
#endif

// From a compute type (or any arithmetic type) to a stored one.
template <class T, class S>
__device__ inline T store_as(S v) {
#ifndef PYNN_CUDA_EMULATED
  if constexpr (std::is_same_v<T, Half>) {
    T h;
    h.bits = __half_as_ushort(__float2half_rn(static_cast<float>(v)));
    return h;
  } else if constexpr (std::is_same_v<T, BFloat16>) {
    T h;
    h.bits = __bfloat16_as_ushort(__float2bfloat16_rn(static_cast<float>(v)));
    return h;
  } else
#endif
      if constexpr (std::is_same_v<T, bool>) {
    return v != S(0);
  } else if constexpr (std::is_same_v<T, Half> || std::is_same_v<T, BFloat16>) {
    return T(static_cast<float>(v));
  } else {
    return static_cast<T>(v);
  }
}

// N elements read and written by one instruction: N * sizeof(T) of 2 to 16 bytes, aligned to that.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T v[N];
};
inline bool aligned(const void* p, size_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

// f(T{}) for the type of a dtype: dispatch_floating("softmax", dtype, [&](auto t) { using T = decltype(t); ... });
template <class F>
void dispatch_floating(const char* op, DType dtype, F f) {
  switch (dtype) {
    case DType::Float32:
      return f(float{});
    case DType::Float64:
      return f(double{});
    case DType::Float16:
      return f(Half{});
    case DType::BFloat16:
      return f(BFloat16{});
    default:
      no_loop(op, dtype);
  }
}
template <class F>
void dispatch_real(const char* op, DType dtype, F f) {  // bool included, complex not
  switch (dtype) {
    case DType::Bool:
      return f(bool{});
    case DType::UInt8:
      return f(uint8_t{});
    case DType::Int8:
      return f(int8_t{});
    case DType::Int16:
      return f(int16_t{});
    case DType::Int32:
      return f(int32_t{});
    case DType::Int64:
      return f(int64_t{});
    default:
      return dispatch_floating(op, dtype, f);
  }
}
// By size alone, for what only moves: uint8_t, uint16_t, uint32_t, uint64_t, and two of those for complex128.
struct Bytes16 {
  uint64_t a, b;
};
template <class F>
void dispatch_size(DType dtype, F f) {
  switch (item_size(dtype)) {
    case 1:
      return f(uint8_t{});
    case 2:
      return f(uint16_t{});
    case 4:
      return f(uint32_t{});
    case 8:
      return f(uint64_t{});
    default:
      return f(Bytes16{});
  }
}

// ---- warps and blocks ----

// All lanes get f over the warp.
template <class T, class F>
__device__ inline T warp_reduce(T v, F f) {
  for (int lane = kWarp / 2; lane; lane /= 2) v = f(v, __shfl_xor_sync(0xffffffffu, v, lane));
  return v;
}
// All threads get f over the block, blockDim.x a multiple of kWarp, every thread taking part. The order is fixed.
template <class T, class F>
__device__ inline T block_reduce(T v, F f, T identity) {
  __shared__ T partial[kWarp];
  v = warp_reduce(v, f);
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  if (warps == 1) return v;
  __syncthreads();  // `partial` may be in use by a call before
  if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = v;
  __syncthreads();
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  return warp_reduce(lane < warps ? partial[lane] : identity, f);
}
struct Plus {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a + b;
  }
};
// NaN wins.
struct Larger {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
#if !defined(PYNN_CUDA_EMULATED) && defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  __device__ float operator()(float a, float b) const {
    float c;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(c) : "f"(a), "f"(b));
    return c;
  }
#endif
};
struct Smaller {
  template <class T>
  __device__ T operator()(T a, T b) const {
    return a < b || a != a ? a : b;
  }
};
template <class T>
__device__ inline T block_sum(T v) {
  return block_reduce(v, Plus{}, T(0));
}

// Says that `index` is not in [0, size): raised with the op's name at the next synchronisation.
__device__ inline void out_of_range(Deferred* d, const char* op, int64_t index, int64_t size) {
  if (atomicCAS(&d->raised, 0u, 1u) != 0u) return;
  d->op = op;
  d->index = index;
  d->size = size;
  __threadfence_system();
}

}  // namespace pynn::cuda
