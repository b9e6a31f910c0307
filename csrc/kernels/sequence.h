// sequence.h -- evenly spaced numbers, for CUDA (the CPU's are made in ops/creation.cpp).
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
  DType dtype;  // real
  void* out;    // contiguous
  int64_t n;
  int64_t first, by;
  double start, end, step;
  bool power;  // base to the power of each
  double base;
};
PYNN_CUDA_ONLY_KERNEL(void, sequence, (const SequenceArgs& args));

}  // namespace pynn
