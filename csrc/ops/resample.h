// resample.h -- sparse linear maps along one dim.
#pragma once
#include <memory>
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

// x float32, float64 or int64.
Tensor resample(const Tensor& x, int64_t dim, const TapsRef& taps);

}  // namespace pynn::ops
