// resample.cpp -- sparse linear maps along one dim, for pooling by averages and interpolation. The gradient is the
// transposed map, so that derivatives of any order are the same op.
#include "ops/resample.h"

#include "autograd/record.h"
#include "kernels/resample.h"
#include "ops/creation.h"

namespace pynn::ops {
namespace {

TapsRef transposed(const Taps& t) {
  auto out = std::make_shared<Taps>();
  out->in = t.out();
  std::vector<std::vector<double>> weights(static_cast<size_t>(t.in));
  std::vector<int64_t> start(static_cast<size_t>(t.in), 0);
  for (int64_t o = 0; o < t.out(); ++o)
    for (int64_t k = t.first[o]; k < t.first[o + 1]; ++k) {
      const int64_t i = t.start[o] + k - t.first[o];
      if (weights[i].empty()) start[i] = o;
      weights[i].push_back(t.weight[k]);
    }
  for (int64_t i = 0; i < t.in; ++i) out->add(start[i], weights[i].data(), static_cast<int64_t>(weights[i].size()));
  return out;
}

}  // namespace

Tensor resample(const Tensor& input, int64_t dim, const TapsRef& taps) {
  const Tensor x = contiguous(input);
  DimVector sizes(x.sizes());
  sizes[dim] = taps->out();
  Tensor y = empty(sizes, x.dtype(), x.device());
  if (y.numel() && !y.device().is_meta()) {
    ResampleArgs a{};
    a.x = x.data(), a.y = y.data();
    a.dtype = x.dtype();
    a.outer = a.inner = 1;
    for (int64_t d = 0; d < dim; ++d) a.outer *= x.size(d);
    for (int64_t d = dim + 1; d < x.dim(); ++d) a.inner *= x.size(d);
    a.in = x.size(dim), a.out = taps->out();
    a.start = taps->start.data(), a.first = taps->first.data();
    a.weight = taps->weight.data();
    kernels::resample(x.device(), a);
  }
  return record("resample", std::move(y), inputs(x), save(dim, taps),
                [](const Tensor& g, int64_t dim, const TapsRef& taps) { return resample(g, dim, transposed(*taps)); });
}

}  // namespace pynn::ops
