// first_bad.h -- checking indices.
#pragma once
#include <cstdint>

#include "kernels/cpu/sizes.h"

namespace PYNN_CPU_NAMESPACE {

// The first position whose index lies outside [low, high), or -1.
PYNN_INLINE int64_t first_bad(const int64_t* index, int64_t n, int64_t low, int64_t high) {
  constexpr int64_t block = 256;
  for (int64_t i = 0; i < n; i += block) {
    const int64_t end = min_of(n, i + block);
    int64_t bad = 0;
    for (int64_t k = i; k < end; ++k) bad |= (index[k] < low) | (index[k] >= high);
    if (bad)
      for (int64_t k = i; k < end; ++k)
        if (index[k] < low || index[k] >= high) return k;
  }
  return -1;
}

}  // namespace PYNN_CPU_NAMESPACE
