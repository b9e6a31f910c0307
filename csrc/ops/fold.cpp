// fold.cpp -- unfold (im2col) and fold (col2im), each the other's gradient.
#include "autograd/record.h"
#include "ops/convolution.h"
#include "ops/creation.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// x [N, C, in] and col [N, C * taps, pixels].
struct Shape {
  int64_t batch, channels, taps, pixels;
  ConvGeometry g;
};

UnfoldArgs args_of(const Shape& s, const Tensor& x, const Tensor& col) {
  UnfoldArgs a{};
  a.x = x.data(), a.col = col.data();
  a.dtype = x.dtype();
  a.batch = s.batch, a.channels = s.channels;
  a.g = s.g;
  return a;
}

Tensor fold_to(const Tensor& col, const Shape& s);

Tensor unfold_from(const Tensor& input, const Shape& s) {
  const Tensor x = contiguous(input);
  Tensor col = empty(DimVector{s.batch, s.channels * s.taps, s.pixels}, x.dtype(), x.device());
  if (col.numel() && !col.device().is_meta()) kernels::unfold(x.device(), args_of(s, x, col));
  return record("im2col", std::move(col), inputs(x), save(s),
                [](const Tensor& g, const Shape& s) { return fold_to(g, s); });
}

Tensor fold_to(const Tensor& input, const Shape& s) {
  const Tensor col = contiguous(input);
  Tensor x = empty(DimVector{s.batch, s.channels, s.g.in[1], s.g.in[2]}, col.dtype(), col.device());
  if (x.numel() && !x.device().is_meta()) kernels::fold(x.device(), args_of(s, x, col));
  return record("col2im", std::move(x), inputs(col), save(s),
                [](const Tensor& g, const Shape& s) { return unfold_from(g, s); });
}

// The geometry of windows over `in`; checks all but the tensor.
Shape shape_of(const char* op, Dims in, Dims kernel, Dims dilation, Dims padding, Dims stride) {
  const auto two = [&](const char* name, Dims d) {
    check_range(op, name, d);
    PYNN_CHECK(d.size() == 2, op, ": it is expected that ", name, " has 2 numbers, got ", dims_str(d));
  };
  two("kernel_size", kernel), two("dilation", dilation), two("padding", padding), two("stride", stride);
  const auto least = [&](const char* name, Dims d, int64_t low) {
    PYNN_CHECK(d[0] >= low && d[1] >= low, op, ": ", name,
               low ? " should be greater than zero" : " should be non-negative", ", but got ", dims_str(d));
  };
  least("kernel_size", kernel, 1), least("dilation", dilation, 1), least("padding", padding, 0),
      least("stride", stride, 1);
  Shape s{};
  s.g = geometry_of(in, kernel, stride, padding, dilation);
  for (int64_t i = 0; i < 2; ++i)
    s.g.out[i + 1] = window_count(in[i], kernel[i], stride[i], 2 * padding[i], dilation[i]);
  s.taps = kernel[0] * kernel[1];
  s.pixels = s.g.out[1] * s.g.out[2];
  PYNN_CHECK(s.pixels > 0, op, ": the windows must fit into the padded input, got spatial size ", dims_str(in),
             ", kernel_size=", dims_str(kernel), ", dilation=", dims_str(dilation), ", padding=", dims_str(padding));
  return s;
}

Tensor without_batch(const Tensor& t) {
  const int64_t first[] = {0};
  return squeeze(t, Dims(first));
}

Tensor unfold(const Tensor& x, Dims kernel, Dims dilation, Dims padding, Dims stride) {
  const char* op = "unfold";
  const Dims d = x.sizes();
  bool fits = d.size() == 3 || d.size() == 4;
  for (size_t i = d.size() == 4; fits && i < d.size(); ++i) fits = d[i] > 0;
  PYNN_CHECK(fits, op, ": expected 3D or 4D (batch mode) input whose sizes, but that of the batch, are not zero, got ",
             dims_str(d));
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()) || x.dtype() == DType::Bool, op,
                  ": floating-point input is required, got ", dtype_name(x.dtype()));
  Shape s = shape_of(op, d.last(2), kernel, dilation, padding, stride);
  const Tensor batched = d.size() == 4 ? x : unsqueeze(x, 0);
  s.batch = batched.size(0), s.channels = batched.size(1);
  const Tensor col = unfold_from(batched, s);
  return d.size() == 4 ? col : without_batch(col);
}

Tensor fold(const Tensor& col, Dims output_size, Dims kernel, Dims dilation, Dims padding, Dims stride) {
  const char* op = "fold";
  check_range(op, "output_size", output_size);
  PYNN_CHECK(output_size.size() == 2, op, ": it is expected that output_size has 2 numbers, got ",
             dims_str(output_size));
  const Dims d = col.sizes();
  bool fits = d.size() == 2 || d.size() == 3;
  for (size_t i = d.size() == 3; fits && i < d.size(); ++i) fits = d[i] > 0;
  PYNN_CHECK(fits, op, ": expected 2D or 3D (batch mode) input whose sizes, but that of the batch, are not zero, got ",
             dims_str(d));
  PYNN_CHECK_KIND(NotImplemented, is_floating(col.dtype()) || col.dtype() == DType::Bool, op,
                  ": floating-point input is required, got ", dtype_name(col.dtype()));
  Shape s = shape_of(op, output_size, kernel, dilation, padding, stride);
  const Tensor batched = d.size() == 3 ? col : unsqueeze(col, 0);
  PYNN_CHECK(batched.size(1) % s.taps == 0, op,
             ": the channels must be divisible by the product of kernel_size, got input ", dims_str(d),
             " and kernel_size=", dims_str(kernel));
  PYNN_CHECK(batched.size(2) == s.pixels, op, ": the last dim must match the number of sliding blocks, got ",
             batched.size(2), " and ", s.g.out[1], " * ", s.g.out[2], " = ", s.pixels);
  s.batch = batched.size(0), s.channels = batched.size(1) / s.taps;
  const Tensor x = fold_to(batched, s);
  return d.size() == 3 ? x : without_batch(x);
}

}  // namespace

PYNN_OP(unfold, "_nn.unfold(Tensor input, int[] kernel_size, int[] dilation, int[] padding, int[] stride) -> Tensor",
        "Windows of [N, C, H, W] as columns: [N, C * taps, windows].", kFunctionOnly);
PYNN_OP(fold,
        "_nn.fold(Tensor input, int[] output_size, int[] kernel_size, int[] dilation, int[] padding, int[] stride) -> "
        "Tensor",
        "Columns of windows added up in place: the transpose of unfold.", kFunctionOnly);

}  // namespace pynn::ops
