// sequence.cpp -- evenly spaced numbers, block by block: computed in int64, float64 or float32, where they are to lie
// or else in scratch memory, from which they are cast. Parallel over blocks.
#include "kernels/sequence.h"

#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kElements = 512;  // of a block

// y[i] = base + step * (j + by * i), where by is 1 or -1. The product is rounded before the sum, on CPUs with fused
// multiply-adds too: a loop of its own.
template <class T>
void line(T* y, int64_t n, T base, T step, int64_t j, int64_t by) {
  using V = Vec<T>;
  constexpr int W = V::kSize;
  int64_t i = 0;
  if constexpr (sizeof(T) == 4) {
    const Vec<int32_t> lanes = Vec<int32_t>::iota(0) * Vec<int32_t>(static_cast<int32_t>(by));
    if (j <= INT32_MAX - kElements)
      for (; i + W <= n; i += W) {
        const Vec<int32_t> k = lanes + Vec<int32_t>(static_cast<int32_t>(j + by * i));
        (V(__builtin_convertvector(k.v, F32)) * V(step)).store(y + i);
      }
  } else {
    const V lanes = V::iota(0) * V(static_cast<T>(by));
    for (; i + W <= n; i += W) ((lanes + V(static_cast<T>(j + by * i))) * V(step)).store(y + i);
  }
  for (; i < n; ++i) y[i] = step * static_cast<T>(j + by * i);
  for (i = 0; i + W <= n; i += W) (V::load(y + i) + V(base)).store(y + i);
  for (; i < n; ++i) y[i] += base;
}

// Elements [at, at + n).
void numbers(const SequenceArgs& a, int64_t* y, int64_t at, int64_t n) {
  using V = Vec<int64_t>;
  const auto first = static_cast<uint64_t>(a.first), by = static_cast<uint64_t>(a.by);  // which wrap
  const auto value = [=](int64_t i) { return static_cast<int64_t>(first + by * static_cast<uint64_t>(i)); };
  int64_t lanes[V::kSize];
  for (int k = 0; k < V::kSize; ++k) lanes[k] = value(at + k);
  V v = V::load(lanes);
  const V step(value(V::kSize) - a.first);
  int64_t i = 0;
  for (; i + V::kSize <= n; i += V::kSize, v = v + step) v.store(y + i);
  for (; i < n; ++i) y[i] = value(at + i);
}
template <class T>
void numbers(const SequenceArgs& a, T* y, int64_t at, int64_t n) {
  const int64_t middle = a.spacing == Spacing::Reals || a.n == 1 ? a.n : a.n / 2;
  const int64_t up = min_of(max_of<int64_t>(middle - at, 0), n);
  line<T>(y, up, static_cast<T>(a.start), static_cast<T>(a.step), at, 1);
  line<T>(y + up, n - up, static_cast<T>(a.end), -static_cast<T>(a.step), a.n - 1 - at - up, -1);
}

template <class T>
void sequence_as(const SequenceArgs& a, DType computed) {
  const DType type = a.power ? DType::Float64 : computed;  // before the last cast
  const Convert to_double = converter(DType::Float64, computed), cast = converter(a.dtype, type);
  const auto item = static_cast<int64_t>(item_size(a.dtype));
  const double ns = (a.power ? 12 : 0.3) * kElements;
  parallel_for(0, ceil_div(a.n, kElements), grain_for(ns), [&](int64_t begin, int64_t end) {
    T block[kElements];
    double powers[kElements];
    for (int64_t at = begin * kElements; at < min_of(a.n, end * kElements); at += kElements) {
      const int64_t n = min_of(a.n - at, kElements);
      char* out = static_cast<char*>(a.out) + at * item;
      if (type == a.dtype && !a.power) {
        numbers(a, reinterpret_cast<T*>(out), at, n);
        continue;
      }
      numbers(a, block, at, n);
      if (a.power) {
        to_double(powers, {0, 1}, block, {0, 1}, 1, n);
        for (int64_t i = 0; i < n; ++i) powers[i] = __builtin_pow(a.base, powers[i]);
      }
      cast(out, {0, 1}, a.power ? static_cast<const void*>(powers) : block, {0, 1}, 1, n);
    }
  });
}

}  // namespace

void sequence(const SequenceArgs& a) {
  switch (a.spacing) {
    case Spacing::Integers:
      return sequence_as<int64_t>(a, DType::Int64);
    case Spacing::Single:
      return sequence_as<float>(a, DType::Float32);
    default:
      return sequence_as<double>(a, DType::Float64);
  }
}

}  // namespace PYNN_CPU_NAMESPACE
