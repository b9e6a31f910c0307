// resample.cu -- a sparse linear map along one dim: a thread per output, one sum in order.
//
// The map (starts, first taps, weights) travels in the kernel's arguments while it is small, as that of most pools is,
// and in arguments of some launches more where it is not: a graph that is captured then holds it, which it would not do
// of memory that is copied.
#include "kernels/resample.h"

#include <cstring>
#include <optional>
#include <vector>

#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {
namespace {

constexpr size_t kInline = 3584;

// weights (as C), then the starts of all outputs, then the number of each output's first tap.
template <class C>
struct Map {
  alignas(16) unsigned char bytes[kInline];
  const unsigned char* global;  // or nullptr
  int64_t out, taps;
};

struct Piece {
  alignas(16) unsigned char bytes[kInline];
};
__global__ void put_piece(unsigned char* to, const __grid_constant__ Piece piece, int n) {
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kBlock) to[i] = piece.bytes[i];
}

template <class T>
__global__ void map_rows(const T* x, T* y, int64_t outer, int64_t in, int64_t inner,
                         const __grid_constant__ Map<T> map) {
  const unsigned char* base = map.global ? map.global : map.bytes;
  const T* weight = reinterpret_cast<const T*>(base);
  const int* start = reinterpret_cast<const int*>(weight + map.taps);
  const int* first = start + map.out;
#pragma unroll 1
  PYNN_GRID_LOOP(index, outer * map.out * inner) {
    const int64_t i = index % inner, row = index / inner, o = row % map.out, a = row / map.out;
    const int begin = first[o], n = first[o + 1] - begin;
    const T* from = x + (a * in + start[o]) * inner + i;
    T sum = 0;
#pragma unroll 4
    for (int k = 0; k < n; ++k) sum += weight[begin + k] * from[k * inner];
    y[index] = sum;
  }
}

template <class T>
void resample_as(const ResampleArgs& a) {
  const int64_t taps = a.first[a.out];
  Map<T> map;
  map.out = a.out, map.taps = taps;
  map.global = nullptr;
  const size_t bytes = static_cast<size_t>(taps) * sizeof(T) + static_cast<size_t>(2 * a.out + 1) * sizeof(int);
  std::vector<unsigned char> large(bytes > kInline ? bytes : 0);
  unsigned char* to = large.empty() ? map.bytes : large.data();
  for (int64_t i = 0; i < taps; ++i) {
    const T w = static_cast<T>(a.weight[i]);
    std::memcpy(to + i * static_cast<int64_t>(sizeof(T)), &w, sizeof(T));
  }
  auto put = [&, at = to + taps * static_cast<int64_t>(sizeof(T))](int64_t v) mutable {
    const int n = static_cast<int>(v);
    std::memcpy(at, &n, sizeof n);
    at += sizeof n;
  };
  for (int64_t o = 0; o < a.out; ++o) put(a.start[o]);
  for (int64_t o = 0; o <= a.out; ++o) put(a.first[o]);
  std::optional<Scratch> scratch;
  if (!large.empty()) {
    scratch.emplace(bytes);
    map.global = scratch->as<unsigned char>();
    for (size_t at = 0; at < bytes; at += kInline) {
      Piece piece;
      const size_t n = std::min(kInline, bytes - at);
      std::memcpy(piece.bytes, large.data() + at, n);
      launch(put_piece, 1, kBlock, scratch->as<unsigned char>() + at, piece, static_cast<int>(n));
    }
  }
  launch(map_rows<T>, grid_for(a.outer * a.out * a.inner), kBlock, static_cast<const T*>(a.x), static_cast<T*>(a.y),
         a.outer, a.in, a.inner, map);
}

}  // namespace

void resample(const ResampleArgs& a) {
  a.dtype == DType::Float32   ? resample_as<float>(a)
  : a.dtype == DType::Float64 ? resample_as<double>(a)
                              : resample_as<int64_t>(a);
}
PYNN_CUDA_KERNEL(resample);

}  // namespace pynn::cuda
