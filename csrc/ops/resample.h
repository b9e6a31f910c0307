// resample.h -- sparse linear maps along dims.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "ops/op.h"

namespace pynn::ops {

// Output o is sum_k weight[first[o] + k] * input[start[o] + k]. Starts and ends must not fall as o grows, so that the
// transposed map has the same form.
struct Taps {
  int64_t in = 0;
  std::vector<int64_t> start, first{0};
  std::vector<double> weight;
  int64_t out() const { return static_cast<int64_t>(start.size()); }
  // Adds an output; weights in order from position `at`.
  void add(int64_t at, const double* weights, int64_t n) {
    start.push_back(at);
    weight.insert(weight.end(), weights, weights + n);
    first.push_back(static_cast<int64_t>(weight.size()));
  }
};
using TapsRef = std::shared_ptr<const Taps>;

struct DimTaps {
  int64_t dim;
  TapsRef taps;
};
// One map after the other, of different dims. x float32, float64 or int64.
Tensor resample(const Tensor& x, std::span<const DimTaps> maps);

}  // namespace pynn::ops
