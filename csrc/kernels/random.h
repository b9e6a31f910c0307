// random.h -- random numbers by Philox, for CUDA (the CPU's come from core/random.h): element i of a fill is a function
// of the philox's counters and of i alone.
#pragma once
#include <cstdint>

#include "core/dtype.h"
#include "core/random.h"
#include "kernels/stub.h"

namespace pynn {

enum class Distribution : uint8_t {
  Uniform,      // [a, b)
  Normal,       // mean a, deviation b
  LogNormal,    // e to that
  Exponential,  // of rate a, never 0
  Cauchy,       // of median a, scale b
  Geometric,    // trials up to the first success, of probability a
  Bernoulli,    // 1 with probability a, else 0
  Bernoullis,   // the same, of probabilities p
  Range,        // low + [0, range); range 0: all 64 bits
  Poisson,      // counts of means p
  Binomial,     // successes among p trials of probability q
};

// n contiguous elements of any real dtype (the first five: of a floating one). p and q: as many, contiguous; p of
// Bernoullis of any floating type, else both Float64.
struct RandomArgs {
  Distribution kind;
  DType dtype, p_dtype;
  void* out;
  int64_t n;
  double a, b;
  int64_t low;
  uint64_t range;
  const void *p, *q;
  Philox philox;  // n counters
};
PYNN_CUDA_ONLY_KERNEL(void, random_fill, (const RandomArgs& args));

// A permutation of 0 .. n-1; one counter per round of the network that makes it, kPermutationCounters in all.
constexpr uint64_t kPermutationCounters = 8;
PYNN_CUDA_ONLY_KERNEL(void, random_permutation, (int64_t* out, int64_t n, Philox philox));

// y = x, each element times `scale`, or times 0 with probability p. n contiguous elements; y may be x. n counters.
struct DropoutArgs {
  DType dtype;
  void* y;
  const void* x;
  int64_t n;
  double p, scale;
  Philox philox;
};
PYNN_CUDA_ONLY_KERNEL(void, random_dropout, (const DropoutArgs& args));

// `count` positions of each of `rows` rows of n, drawn with replacement; sums: the rows' running sums of weights.
// rows * count counters.
PYNN_CUDA_ONLY_KERNEL(void, random_positions,
                      (int64_t* out, const double* sums, int64_t rows, int64_t n, int64_t count, Philox philox));

}  // namespace pynn
