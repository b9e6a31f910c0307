// philox.cuh -- Philox4x32-10 (Salmon et al. 2011): four 32-bit numbers of a key and a counter.
#pragma once
#include "core/random.h"
#include "kernels/cuda/launch.cuh"

namespace pynn::cuda {

struct Draws {
  uint32_t v[4];
};

class PhiloxStream {
 public:
  __device__ explicit PhiloxStream(const Philox& p)
      : seed_(p.seed), offset_(p.offset + (p.replayed ? *p.replayed : 0)) {}

  // Of counter i; `round` tells further draws of the same counter apart. 7 rounds are the fewest that pass every test.
  template <int kRounds = 10>
  __device__ Draws at(uint64_t i, uint64_t round = 0) const {
    i += offset_;
    uint32_t c[4] = {static_cast<uint32_t>(i), static_cast<uint32_t>(i >> 32), static_cast<uint32_t>(round),
                     static_cast<uint32_t>(round >> 32)};
    uint32_t k0 = static_cast<uint32_t>(seed_), k1 = static_cast<uint32_t>(seed_ >> 32);
#pragma unroll
    for (int r = 0; r < kRounds; ++r) {
      const uint64_t a = uint64_t{0xD2511F53} * c[0], b = uint64_t{0xCD9E8D57} * c[2];
      const uint32_t next[4] = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k0, static_cast<uint32_t>(b),
                                static_cast<uint32_t>(a >> 32) ^ c[3] ^ k1, static_cast<uint32_t>(a)};
      c[0] = next[0], c[1] = next[1], c[2] = next[2], c[3] = next[3];
      k0 += 0x9E3779B9;
      k1 += 0xBB67AE85;
    }
    return {c[0], c[1], c[2], c[3]};
  }

 private:
  uint64_t seed_, offset_;
};

// [0, 1) with as many bits as the type holds, and (0, 1].
template <class C>
__device__ inline C unit(uint32_t high, uint32_t low) {
  if constexpr (sizeof(C) == 4)
    return static_cast<C>(high >> 8) * C(1.0 / (1 << 24));
  else
    return static_cast<C>((static_cast<uint64_t>(high) << 32 | low) >> 11) * C(1.0 / (uint64_t{1} << 53));
}
template <class C>
__device__ inline C unit_above_zero(uint32_t high, uint32_t low) {
  if constexpr (sizeof(C) == 4)
    return (static_cast<C>(high) + C(0.5)) * C(1.0 / (uint64_t{1} << 32));
  else
    return (static_cast<C>(static_cast<uint64_t>(high) << 32 | low) + C(0.5)) * C(0.5 / (uint64_t{1} << 63));
}

}  // namespace pynn::cuda
