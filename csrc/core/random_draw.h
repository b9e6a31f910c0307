// random_draw.h -- loops over draws and their maps to [0, 1); private to random*.cpp.
#pragma once
#include <algorithm>

#include "core/random.h"

namespace pynn {

// The low 24 or 53 bits, as many as the type holds exactly.
inline float unit_float(uint32_t u) { return static_cast<float>(static_cast<int32_t>(u & 0xffffff)) * 0x1p-24f; }
inline double unit_double(uint64_t u) {
  return static_cast<double>(static_cast<int64_t>(u & 0x1fffffffffffff)) * 0x1p-53;
}

// f(i) for i in [begin, end), in steps that GCC makes vectors of; it leaves loops of other counts alone.
template <class F>
inline void each_of(int64_t begin, int64_t end, F f) {
  constexpr int kStep = 8;
  for (; begin + kStep <= end; begin += kStep)
    for (int k = 0; k < kStep; ++k) f(begin + k);
  for (; begin < end; ++begin) f(begin);
}

template <class F>
void CpuGenerator::for_each32(int64_t n, F f) {
  for (int64_t i = 0; i < n;) {
    if (next_ == kWords) refill();
    const int64_t count = std::min<int64_t>(n - i, kWords - next_);
    const uint32_t* u = draws_ + next_;
    each_of(0, count, [=](int64_t j) { f(i + j, u[j]); });
    next_ += static_cast<int>(count);
    i += count;
  }
}

template <class F>
void CpuGenerator::for_each64(int64_t n, F f) {
  for (int64_t i = 0; i < n;) {
    if (kWords - next_ < 2) {  // a pair that straddles two blocks
      f(i++, random64());
      continue;
    }
    const int64_t count = std::min<int64_t>(n - i, (kWords - next_) / 2);
    const uint32_t* u = draws_ + next_;
    for (int64_t j = 0; j < count; ++j) f(i + j, uint64_t{u[2 * j]} << 32 | u[2 * j + 1]);
    next_ += static_cast<int>(2 * count);
    i += count;
  }
}

}  // namespace pynn
