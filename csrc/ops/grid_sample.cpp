// grid_sample.cpp -- an input's values at the positions of a grid: kernels on the CPU; composed of gathers on other
// devices and for second derivatives.
#include "kernels/grid_sample.h"

#include "autograd/engine.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

struct How {
  GridMode mode;
  GridPadding padding;
  bool align_corners;
};

// ---- composed -----------------------------------------------------------------------------------------------------

// Positions mirrored at the ends until they lie between them.
Tensor reflected(const Tensor& at, int64_t size, bool align_corners) {
  const double low = align_corners ? 0 : -0.5, span = static_cast<double>(align_corners ? size - 1 : size);
  if (span == 0) return at * 0.0;
  const Tensor distance = abs(at - low), there = fmod(distance, span);
  const Tensor even = eq(remainder(floor(detach(distance) / span), 2.0), 0.0);
  return where(even, there + low, (span + low) - there);
}

Tensor inside(const Tensor& p, int64_t size, How how) {
  if (how.padding == GridPadding::Zeros) return p;
  const double last = static_cast<double>(size - 1);
  const Tensor at = how.padding == GridPadding::Reflection ? reflected(p, size, how.align_corners) : p;
  const Tensor held = clamp(detach(at), 0.0, last);  // no derivative there, nor on the outermost elements
  return where(logical_and(gt(at, 0.0), lt(at, last)), at, where(eq(held, held), held, 0.0));
}

// Keys' weight of the element `k` - 1 after the last before a position, t beyond that.
Tensor cubic_weight(const Tensor& t, int k) {
  constexpr double a = -0.75;
  const Tensor x = k == 0 ? t + 1.0 : k == 1 ? t : (k - 1.0) - t;
  if (k == 0 || k == 3) return ((x * a - 5 * a) * x + 8 * a) * x - 4 * a;
  return (x * (a + 2) - (a + 3)) * x * x + 1.0;
}

// The input [n, c, ...] at whole positions, one [n, ...] for each dim, the last dim's first; zero outside.
Tensor pick(const Tensor& input, std::span<const Tensor> at, const Tensor& weight) {
  Tensor index, valid;
  int64_t stride = 1;
  for (size_t d = 0; d < at.size(); ++d) {
    const int64_t size = input.size(-1 - static_cast<int64_t>(d));
    const Tensor p = detach(at[d]), ok = logical_and(ge(p, 0.0), le(p, static_cast<double>(size - 1)));
    const Tensor place = mul(to_dtype(where(ok, p, 0.0), DType::Int64), Scalar(stride));
    index = d ? index + place : place;
    valid = d ? logical_and(valid, ok) : ok;
    stride *= size;
  }
  const int64_t n = input.size(0), c = input.size(1);
  const Tensor where_to = expand(unsqueeze(flatten(index, 1), 1), DimVector{n, c, index.numel() / n});
  DimVector sizes(index.sizes());
  sizes.insert(1, c);
  const Tensor found = reshape(gather(flatten(input, 2), 2, where_to), sizes), mask = unsqueeze(valid, 1);
  if (!weight.defined()) return where(mask, found, 0.0);
  // In three dims a weight that is no number counts for nothing outside, as in PyTorch.
  return at.size() == 3 ? where(mask, found * unsqueeze(weight, 1), 0.0)
                        : where(mask, found, 0.0) * unsqueeze(weight, 1);
}

Tensor composed(const Tensor& input, const Tensor& grid, How how) {
  const int64_t dims = input.dim() - 2, taps = how.mode == GridMode::Nearest ? 1 : how.mode == GridMode::Linear ? 2 : 4;
  std::vector<Tensor> at, weight;  // [dims][taps], the last dim first
  for (int64_t d = 0; d < dims; ++d) {
    const int64_t size = input.size(-1 - d);
    const double scale = static_cast<double>(how.align_corners ? size - 1 : size) / 2;
    Tensor p = (select(grid, -1, d) + 1.0) * scale;
    if (!how.align_corners) p = p - 0.5;
    if (taps < 4) p = inside(p, size, how);
    const Tensor low = taps == 1 ? round(detach(p)) : floor(detach(p)), t = p - low;
    for (int k = 0; k < taps; ++k) {
      at.push_back(taps == 4 ? inside(low + (k - 1.0), size, how) : low + static_cast<double>(k));
      weight.push_back(taps == 4 ? cubic_weight(t, k) : k ? t : 1.0 - t);
    }
  }
  // The sum of nothing: the gradient of the grid is zero, not absent.
  if (taps == 1) return pick(input, at, Tensor()) + sum(narrow(grid, -1, 0, 0));
  Tensor total;
  std::vector<Tensor> corner(static_cast<size_t>(dims));
  const int64_t corners = dims == 2 ? taps * taps : taps * taps * taps;
  for (int64_t k = 0; k < corners; ++k) {
    Tensor w;
    for (int64_t d = 0, rest = k; d < dims; ++d, rest /= taps) {
      corner[d] = at[d * taps + rest % taps];
      w = d ? w * weight[d * taps + rest % taps] : weight[rest % taps];
    }
    const Tensor part = pick(input, corner, w);
    total = k ? total + part : part;
  }
  return total;
}

// For second derivatives: by the composed form's graph, from copies of the inputs that nothing else leads to.
Gradients composed_gradients(const Grads& g, const Tensor& x, const Tensor& grid, How how) {
  const Tensor in[] = {expand(x, x.sizes()), expand(grid, grid.sizes())};
  std::vector<Tensor> wanted;
  for (size_t i = 0; i < 2; ++i)
    if (g.needs(i)) wanted.push_back(in[i]);
  const Tensor y = composed(in[0], in[1], how);
  const auto found = autograd::grad(std::span(&y, 1), std::span(&g[0], 1), wanted, {true, true}, true);
  Gradients d(2);
  for (size_t i = 0, k = 0; i < 2; ++i)
    if (g.needs(i)) d[i] = found[k++];
  return d;
}

// ---- kernels ------------------------------------------------------------------------------------------------------

GridSampleArgs arguments(const Tensor& x, const Tensor& grid, How how) {
  GridSampleArgs a{};
  a.x = x.data(), a.grid = grid.data();
  a.dtype = x.dtype();
  a.mode = how.mode, a.padding = how.padding, a.align_corners = how.align_corners;
  a.dims = static_cast<int>(x.dim() - 2);
  for (int64_t d = 0; d < 3; ++d) a.size[2 - d] = d < a.dims ? x.size(-1 - d) : 1;
  a.n = x.size(0), a.channels = x.size(1);
  a.points = 1;
  for (int64_t d = 1; d <= a.dims; ++d) a.points *= grid.size(d);
  return a;
}

Gradients gradients(const Grads& g, const Tensor& x, const Tensor& grid, How how) {
  Gradients d(2);
  if (!g[0].defined()) return d;
  if (!x.numel() || !grid.numel()) {
    if (g.needs(0)) d[0] = zeros(x.sizes(), x.dtype(), x.device());
    if (g.needs(1)) d[1] = zeros(grid.sizes(), grid.dtype(), grid.device());
    return d;
  }
  if (thread_state.grad_enabled) return composed_gradients(g, x, grid, how);
  const Tensor dy = contiguous(to_dtype(g[0], x.dtype()));
  GridSampleArgs a = arguments(x, grid, how);
  a.dy = dy.data();
  if (g.needs(0)) {
    d[0] = empty(x.sizes(), x.dtype(), x.device());
    a.dx = d[0].data();
    if (!x.device().is_meta()) kernels::grid_sample_backward_input(x.device(), a);
  }
  if (g.needs(1) && how.mode == GridMode::Nearest) {
    d[1] = zeros(grid.sizes(), grid.dtype(), grid.device());
  } else if (g.needs(1)) {
    d[1] = empty(grid.sizes(), grid.dtype(), grid.device());
    a.dgrid = d[1].data();
    if (!x.device().is_meta()) kernels::grid_sample_backward_grid(x.device(), a);
  }
  return d;
}

Tensor sampled(const Tensor& input, const Tensor& grid_in, How how) {
  DimVector sizes(grid_in.sizes().first(static_cast<size_t>(grid_in.dim()) - 1));
  sizes.insert(1, input.size(1));
  int64_t plane = 1;
  for (int64_t d = 2; d < input.dim(); ++d) plane *= input.size(d);
  const bool some = input.numel() && grid_in.numel();
  if (some && (input.device().is_cuda() || plane >= kLargestGridPlane)) return composed(input, grid_in, how);
  const Tensor x = contiguous(input), grid = contiguous(grid_in);
  const Tensor y = some ? empty(sizes, x.dtype(), x.device()) : zeros(sizes, x.dtype(), x.device());
  if (some && !y.device().is_meta()) {
    GridSampleArgs a = arguments(x, grid, how);
    a.y = y.data();
    kernels::grid_sample_forward(x.device(), a);
  }
  const std::span<const Tensor> outputs(&y, 1);
  record_multi(
      "grid_sample", outputs, inputs(x, grid), save(x, grid, how),
      [](const Grads& g, const Tensor& x, const Tensor& grid, const How& how) { return gradients(g, x, grid, how); });
  return y;
}

}  // namespace

Tensor grid_sample(const Tensor& input, const Tensor& grid, std::string_view mode, std::string_view padding_mode,
                   bool align_corners) {
  const char* op = "grid_sample";
  PYNN_CHECK_KIND(Value, mode == "bilinear" || mode == "nearest" || mode == "bicubic", op,
                  ": expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: '", mode, "'");
  PYNN_CHECK_KIND(Value, padding_mode == "zeros" || padding_mode == "border" || padding_mode == "reflection", op,
                  ": expected padding_mode to be 'zeros', 'border', or 'reflection', but got: '", padding_mode, "'");
  const int64_t dims = input.dim() - 2;
  const auto shapes = [&] {
    return "got input with sizes " + dims_str(input.sizes()) + " and grid with sizes " + dims_str(grid.sizes());
  };
  PYNN_CHECK((dims == 2 || dims == 3) && grid.dim() == input.dim() && grid.size(-1) == dims, op,
             ": expected 4D or 5D input, and a grid of as many dims whose last has one number for each spatial dim, ",
             shapes());
  PYNN_CHECK(input.size(0) == grid.size(0), op, ": expected grid and input to have same batch size, ", shapes());
  for (int64_t d = 0; d < dims; ++d)
    PYNN_CHECK(input.size(2 + d) > 0, op, ": expected input to have non-empty spatial dimensions, ", shapes());
  PYNN_CHECK(mode != "bicubic" || dims == 2, op, ": bicubic interpolation only supports 4D input, ", shapes());
  PYNN_CHECK_KIND(NotImplemented, is_floating(input.dtype()), op, ": floating-point input is required, got ",
                  dtype_name(input.dtype()));
  PYNN_CHECK(input.dtype() == grid.dtype(), op, ": input and grid must have the same dtype, got ",
             dtype_name(input.dtype()), " and ", dtype_name(grid.dtype()));
  const How how{mode == "nearest"    ? GridMode::Nearest
                : mode == "bilinear" ? GridMode::Linear
                                     : GridMode::Cubic,
                padding_mode == "zeros"    ? GridPadding::Zeros
                : padding_mode == "border" ? GridPadding::Border
                                           : GridPadding::Reflection,
                align_corners};
  const DType computed = input.dtype() == DType::Float64 ? DType::Float64 : DType::Float32;
  return to_dtype(sampled(to_dtype(input, computed), to_dtype(grid, computed), how), input.dtype());
}

PYNN_OP(grid_sample,
        "_nn.grid_sample(Tensor input, Tensor grid, str mode, str padding_mode, bool align_corners) -> Tensor",
        "The input [N, C, ...] at the positions of the grid. Same as torch.nn.functional.grid_sample.");

}  // namespace pynn::ops
