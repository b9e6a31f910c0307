// resample.cpp -- sparse linear maps along dims, for pooling by averages and interpolation. The gradient is the
// transposed map, so that derivatives of any order are the same op.
#include "ops/resample.h"

#include "autograd/record.h"
#include "core/memory_format.h"
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

Tensor map_all(const Tensor& x, std::span<const DimTaps> maps, MemoryFormat format);
// The gradient lies as x does.
Tensor back(const Tensor& g, std::initializer_list<DimTaps> maps, MemoryFormat format) {
  std::vector<DimTaps> turned;
  for (const DimTaps& m : maps) turned.push_back({m.dim, transposed(*m.taps)});
  return map_all(g, turned, format);
}

Tensor along(const Tensor& input, int64_t dim, const TapsRef& taps, MemoryFormat format) {
  const Tensor x = contiguous(input, format);
  DimVector sizes(x.sizes());
  sizes[dim] = taps->out();
  Tensor y = empty(sizes, x.dtype(), x.device(), format);
  if (y.numel() && !y.device().is_meta()) {
    ResampleArgs a{};
    a.x = x.data(), a.y = y.data();
    a.dtype = x.dtype();
    a.outer = a.inner = 1;
    bool inside = false;  // of dim, in memory
    for (int64_t d : memory_dims(format, x.dim())) {
      if (d != dim) (inside ? a.inner : a.outer) *= x.size(d);
      inside |= d == dim;
    }
    a.in = x.size(dim), a.out = taps->out();
    a.start = taps->start.data(), a.first = taps->first.data();
    a.weight = taps->weight.data();
    kernels::resample(x.device(), a);
  }
  return record("resample", std::move(y), inputs(x), save(dim, taps, format),
                [](const Tensor& g, int64_t dim, const TapsRef& taps, MemoryFormat format) {
                  return back(g, {{dim, taps}}, format);
                });
}

// Dims 2 and 3 of x, which is channels last, in one pass.
Tensor along_both(const Tensor& input, const TapsRef& rows, const TapsRef& columns) {
  constexpr MemoryFormat format = MemoryFormat::ChannelsLast;
  const Tensor x = contiguous(input, format);
  Tensor y = empty(DimVector{x.size(0), x.size(1), rows->out(), columns->out()}, x.dtype(), x.device(), format);
  const auto map = [](const Taps& t) {
    return ResamplePlaneArgs::Map{t.in, t.out(), t.start.data(), t.first.data(), t.weight.data()};
  };
  if (y.numel())
    kernels::resample_plane(x.device(),
                            {x.data(), y.data(), x.dtype(), x.size(0), x.size(1), map(*rows), map(*columns)});
  return record("resample", std::move(y), inputs(x), save(rows, columns),
                [](const Tensor& g, const TapsRef& rows, const TapsRef& columns) {
                  return back(g, {{2, rows}, {3, columns}}, MemoryFormat::ChannelsLast);
                });
}

Tensor map_all(const Tensor& input, std::span<const DimTaps> maps, MemoryFormat format) {
  if (maps.size() == 2 && input.device().is_cpu() && format == MemoryFormat::ChannelsLast) {
    const bool ordered = maps[0].dim < maps[1].dim;
    return along_both(input, maps[!ordered].taps, maps[ordered].taps);
  }
  Tensor x = input;
  for (const DimTaps& m : maps) x = along(x, m.dim, m.taps, format);
  return x;
}

}  // namespace

Tensor resample(const Tensor& x, std::span<const DimTaps> maps) { return map_all(x, maps, suggested_format(x)); }

}  // namespace pynn::ops
