// scatter.cu -- y[o, index[o, k, i], i] op= x[o, k, i], a thread per value, atomically.
//
// Sums of float32, float64, int32 and int64 have an instruction; everything else is a compare-and-swap loop on the word
// that holds the element. The order of updates is not determined.
#include <cstring>

#include "kernels/cuda/elements.cuh"
#include "kernels/indexing.h"

namespace pynn::cuda {
namespace {

using Word64 = unsigned long long;

template <class To, class From>
__device__ inline To bits_as(From v) {
  To out;
  memcpy(&out, &v, sizeof out);
  return out;
}

// *p = f(*p), for elements of up to 8 bytes.
template <class S, class F>
__device__ inline void update(S* p, F f) {
  if constexpr (sizeof(S) >= 4) {
    using Word = std::conditional_t<sizeof(S) == 4, unsigned, Word64>;
    Word* word = reinterpret_cast<Word*>(p);
    Word seen = *word, before;
    do {
      before = seen;
      const Word after = bits_as<Word>(f(bits_as<S>(before)));
      if (after == before) return;
      seen = atomicCAS(word, before, after);
    } while (seen != before);
  } else {
    using Part = std::conditional_t<sizeof(S) == 1, uint8_t, uint16_t>;
    const auto address = reinterpret_cast<uintptr_t>(p);
    unsigned* word = reinterpret_cast<unsigned*>(address & ~uintptr_t{3});
    const int shift = static_cast<int>(address & 3) * 8;
    const unsigned mask = static_cast<unsigned>(static_cast<Part>(~Part{0})) << shift;
    unsigned seen = *word, before;
    do {
      before = seen;
      const S now = bits_as<S>(static_cast<Part>((before & mask) >> shift));
      const unsigned after = (before & ~mask) | static_cast<unsigned>(bits_as<Part>(f(now))) << shift;
      if (after == before) return;
      seen = atomicCAS(word, before, after);
    } while (seen != before);
  }
}

template <class S>
__device__ inline void add_to(S* p, S v) {
  if constexpr (std::is_same_v<S, float> || std::is_same_v<S, double> || std::is_same_v<S, int32_t>)
    atomicAdd(p, v);
  else if constexpr (std::is_same_v<S, int64_t>)
    atomicAdd(reinterpret_cast<Word64*>(p), static_cast<Word64>(v));
  else if constexpr (kIsComplex<S>) {
    atomicAdd(&p->re, v.re);
    atomicAdd(&p->im, v.im);
  } else
    update(p, [=](S now) { return store_as<S>(sum_of(load(now), load(v))); });
}

// The larger (smaller) one; NaN wins.
template <class C>
__device__ inline C extreme_of(C a, C b, bool max) {
  return a != a || (max ? b <= a : b >= a) ? a : b;
}

template <class S>
__global__ void scatter_along(GatherArgs a, Deferred* bad) {
  const S* x = static_cast<const S*>(a.x);
  S* y = static_cast<S*>(a.y);
  PYNN_GRID_LOOP(t, a.outer * a.nindex * a.inner) {
    const int64_t at = a.index[t];
    if (at < 0 || at >= a.nx) {
      out_of_range(bad, a.op, at, a.nx);
      continue;
    }
    const int64_t r = a.inner == 1 ? t : divide(t, a.inner), o = divide(r, a.nindex);
    S* to = y + (o * a.nx + at) * a.inner + (t - r * a.inner);
    const S v = x[a.scalar_src ? 0 : t];
    if (a.mode == ScatterMode::Assign) {
      *to = v;
    } else if (a.mode == ScatterMode::Add) {
      add_to(to, v);
    } else if constexpr (sizeof(S) <= 8) {
      if (a.mode == ScatterMode::Multiply) {
        update(to, [=](S now) { return store_as<S>(product_of(load(now), load(v))); });
      } else if constexpr (!kIsComplex<S>) {
        const bool max = a.mode == ScatterMode::Max;
        update(to, [=](S now) { return store_as<S>(extreme_of(load(now), load(v), max)); });
      }
    }
  }
}

}  // namespace

int64_t scatter(const GatherArgs& a) {
  const int64_t n = a.outer * a.nindex * a.inner;
  if (n == 0) return -1;
  if (is_complex(a.dtype) && a.mode != ScatterMode::Assign && a.mode != ScatterMode::Add &&
      (a.mode != ScatterMode::Multiply || a.dtype == DType::Complex128))
    no_loop(a.op, a.dtype);
  dispatch_all(a.op, a.dtype, [&](auto s) { launch(scatter_along<decltype(s)>, grid_for(n), kBlock, a, deferred()); });
  return -1;
}
PYNN_CUDA_KERNEL(scatter);

}  // namespace pynn::cuda
