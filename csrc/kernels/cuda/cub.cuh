// cub.cuh -- what is taken from CUB, as plain functions: cub.cu alone includes it, and the emulator has std::.
#pragma once
#include <cstdint>

namespace pynn::cuda {

// Sorts n (key, value) pairs by the lowest `bits` bits of their keys, stably. They come in `keys` and `values`; as much
// room is in the others. Returns whether the result is in those.
bool sort_pairs(uint32_t* keys, uint32_t* other_keys, uint32_t* values, uint32_t* other_values, int64_t n, int bits);
bool sort_pairs(uint64_t* keys, uint64_t* other_keys, uint32_t* values, uint32_t* other_values, int64_t n, int bits);

// How many bits numbers up to `most` have.
inline int bits_of(uint64_t most) {
  int bits = 1;
  while (most >>= 1) ++bits;
  return bits;
}

}  // namespace pynn::cuda
