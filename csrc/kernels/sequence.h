// sequence.h -- evenly spaced numbers.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "kernels/stub.h"

namespace pynn {

enum class Spacing : uint8_t {
  Integers,  // first + i * by
  Reals,     // start + i * step
  Single,    // of n: from `start` up, or from the middle on from `end` down, in float32
  Double     // the same in float64
};

struct SequenceArgs {
  Spacing spacing;
  int64_t first = 0, by = 0;
  double start = 0, end = 0, step = 0;
  bool power = false;  // base to the power of each
  double base = 0;
  DType dtype = DType::Float32;  // on CUDA real
  void* out = nullptr;           // contiguous
  int64_t n = 0;
};
PYNN_KERNEL(void, sequence, (const SequenceArgs& args));

}  // namespace pynn
