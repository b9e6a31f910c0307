// first_bad.h -- checking indices.
#pragma once
#include <cstdint>

#include "core/parallel.h"
#include "kernels/cpu/sizes.h"
#include "kernels/cpu/vec.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

// Whether any index lies outside [low, high): outside means at or above high - low once low is taken away, unsigned.
PYNN_INLINE bool has_bad(const int64_t* index, int64_t n, int64_t low, int64_t high) {
  constexpr int L = Vec<int64_t>::kSize;
  const uint64_t span = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  const U64 from = native::splat<U64>(static_cast<uint64_t>(low)), width = native::splat<U64>(span);
  I64 bad = {};
  int64_t k = 0;
  for (; k + L <= n; k += L) {
    U64 v;
    __builtin_memcpy(&v, index + k, sizeof v);
    bad |= (I64)(v - from >= width);
  }
  int64_t rest = 0;
  for (; k < n; ++k) rest |= static_cast<uint64_t>(index[k]) - static_cast<uint64_t>(low) >= span;
  return rest != 0 || native::any(bad);
}

// The first position whose index lies outside [low, high), or -1.
PYNN_INLINE int64_t first_bad_serial(const int64_t* index, int64_t n, int64_t low, int64_t high) {
  if (!has_bad(index, n, low, high)) return -1;
  for (int64_t k = 0; k < n; ++k)
    if (index[k] < low || index[k] >= high) return k;
  return -1;
}

// The least bad position that several threads have seen.
class BadIndex {
 public:
  PYNN_INLINE void see(int64_t position) {
    int64_t least = __atomic_load_n(&least_, __ATOMIC_RELAXED);
    while (position < least &&
           !__atomic_compare_exchange_n(&least_, &least, position, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {}
  }
  PYNN_INLINE int64_t get() const { return least_ == INT64_MAX ? -1 : least_; }

 private:
  int64_t least_ = INT64_MAX;
};

PYNN_INLINE int64_t first_bad(const int64_t* index, int64_t n, int64_t low, int64_t high) {
  BadIndex bad;
  parallel_for(0, n, 1 << 16, [&](int64_t begin, int64_t end) {
    if (const int64_t at = first_bad_serial(index + begin, end - begin, low, high); at >= 0) bad.see(begin + at);
  });
  return bad.get();
}

}  // namespace
}  // namespace PYNN_CPU_NAMESPACE
