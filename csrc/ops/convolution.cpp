// convolution.cpp -- convolution of 1 to 3 spatial dims and its transpose.
//
// Three products of x, w and y that are each other's derivatives (kernels/convolution.h), so that gradients of any
// order need nothing else. A transposed convolution is the one that gives x.
#include "ops/convolution.h"

#include <atomic>

#include "autograd/record.h"
#include "core/memory_format.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {

void check_range(const char* op, const char* name, Dims given) {
  for (int64_t n : given)
    PYNN_CHECK(n == static_cast<int32_t>(n), op, ": ", name, " must fit 32 bits, got ", dims_str(given));
}

DimVector per_dim(const char* op, const char* name, Dims given, int64_t dims) {
  check_range(op, name, given);
  PYNN_CHECK(given.size() == 1 || given.size() == static_cast<size_t>(dims), op, ": expected ", name,
             " to be a single integer value or a list of ", dims, " values to match the dimensions, but got ", name,
             "=", dims_str(given));
  return given.size() == 1 ? DimVector(static_cast<size_t>(dims), given[0]) : DimVector(given);
}

ConvGeometry geometry_of(Dims in, Dims kernel, Dims stride, Dims padding, Dims dilation) {
  ConvGeometry g;
  const size_t front = 3 - in.size();
  for (size_t d = 0; d < 3; ++d) {
    const bool real = d >= front;
    g.in[d] = real ? in[d - front] : 1;
    g.out[d] = 1;
    g.kernel[d] = real ? kernel[d - front] : 1;
    g.stride[d] = real ? stride[d - front] : 1;
    g.pad[d] = real ? padding[d - front] : 0;
    g.dilation[d] = real ? dilation[d - front] : 1;
  }
  return g;
}

namespace {

struct Shape {
  int64_t dims, groups;
  ConvGeometry g;
  MemoryFormat format;  // of x and y
};

DimVector with_spatial(int64_t first, int64_t second, const int64_t* three, int64_t dims) {
  DimVector sizes{first, second};
  for (int64_t d = 3 - dims; d < 3; ++d) sizes.push_back(three[d]);
  return sizes;
}

// Integers are computed in int64: they wrap.
Tensor operand(const Tensor& t, MemoryFormat format = MemoryFormat::Contiguous) {
  return contiguous(is_floating(t.dtype()) ? t : to_dtype(t, DType::Int64), format);
}

using Kernel = decltype(kernels::conv_forward);

std::atomic<ConvPath> forced_path{ConvPath::Auto};

// Channels last stays, on the CPU.
MemoryFormat format_of(const Tensor& x) { return x.device().is_cpu() ? suggested_format(x) : MemoryFormat::Contiguous; }

// The arguments but the tensors: t is x or y, of which `in` and `out` are the channels; no weight: it is the result.
ConvArgs args_of(const Tensor& t, int64_t in, int64_t out, const Tensor& weight, const Tensor& bias, const Shape& s,
                 ConvResult result, bool relu = false) {
  ConvArgs a{};
  a.bias = bias.defined() ? bias.data() : nullptr;
  a.dtype = is_floating(t.dtype()) ? t.dtype() : DType::Int64;
  a.batch = t.size(0);
  a.groups = s.groups;
  a.ci = in / s.groups;
  a.co = out / s.groups;
  a.g = s.g;
  a.path = forced_path.load(std::memory_order_relaxed);
  a.relu = relu && t.device().is_cpu();
  a.channels_last = s.format != MemoryFormat::Contiguous;
  a.weights_last = weight.defined() && format_of(weight) != MemoryFormat::Contiguous;
  if (a.channels_last || a.weights_last) {
    const ConvOrders orders = kernels::conv_orders(t.device(), a, result);
    a.channels_last = orders.channels_last, a.weights_last = orders.weights_last;
  }
  return a;
}
MemoryFormat order_of(const ConvArgs& a, const Shape& s) {
  return a.channels_last ? s.format : MemoryFormat::Contiguous;
}

Tensor weight_operand(const ConvArgs& a, const Tensor& w) {
  return operand(w, a.weights_last ? format_of(w) : MemoryFormat::Contiguous);
}

void run(const Kernel& kernel, ConvArgs a, const Tensor& x, const Tensor& w, const Tensor& y) {
  a.x = x.data(), a.w = w.data(), a.y = y.data();
  kernel(x.device(), a);
}

Tensor sum_channels(const Tensor& g) {
  if (format_of(g) != MemoryFormat::Contiguous) {  // rows of channels: a view
    const int64_t first[] = {0};
    return sum(reshape(transpose(flatten(g, 2), 1, 2), DimVector{-1, g.size(1)}), Dims(first));
  }
  DimVector dims{0};
  for (int64_t d = 2; d < g.dim(); ++d) dims.push_back(d);
  return sum(g, Dims(dims));
}

Tensor backward_input(const Tensor& y, const Tensor& w, const Tensor& bias, const Shape& s);
Tensor backward_weight(const Tensor& x, const Tensor& y, const Shape& s);

Tensor forward(const Tensor& x, const Tensor& w, const Tensor& bias, const Shape& s, bool relu = false) {
  Tensor y;
  {
    GradMode off(false);
    const Tensor b = bias.defined() ? operand(bias) : bias;
    const ConvArgs a = args_of(x, x.size(1), w.size(0), w, b, s, ConvResult::Output, relu);
    const MemoryFormat format = order_of(a, s);
    const Tensor xs = operand(x, format), ws = weight_operand(a, w);
    y = empty(with_spatial(x.size(0), w.size(0), s.g.out, s.dims), xs.dtype(), x.device(), format);
    if (y.numel() && !y.device().is_meta()) run(kernels::conv_forward, a, xs, ws, y);
    if (relu && !a.relu) y = ops::relu(y);
    y = contiguous(to_dtype(y, x.dtype()), s.format);
  }
  y = record(
      "convolution", std::move(y), inputs(x, w, bias), save(needed_by(w, x), needed_by(x, w), s),
      [](const Tensor& g, const Tensor&, const Tensor& w, const Shape& s) { return backward_input(g, w, {}, s); },
      [](const Tensor& g, const Tensor& x, const Tensor&, const Shape& s) { return backward_weight(x, g, s); },
      [](const Tensor& g, const Tensor&, const Tensor&, const Shape&) { return sum_channels(g); });
  return relu ? relu_of_result(y) : y;
}

// x such that <x, t> = <y, forward(t, w)> for all t, plus the bias.
Tensor backward_input(const Tensor& y, const Tensor& w, const Tensor& bias, const Shape& s) {
  Tensor x;
  {
    GradMode off(false);
    const Tensor b = bias.defined() ? operand(bias) : bias;
    const ConvArgs a = args_of(y, w.size(1) * s.groups, y.size(1), w, b, s, ConvResult::Input);
    const MemoryFormat format = order_of(a, s);
    const Tensor ys = operand(y, format), ws = weight_operand(a, w);
    x = empty(with_spatial(y.size(0), w.size(1) * s.groups, s.g.in, s.dims), ys.dtype(), y.device(), format);
    if (x.numel() && !x.device().is_meta()) run(kernels::conv_backward_input, a, x, ws, ys);
    x = contiguous(to_dtype(x, y.dtype()), s.format);
  }
  return record(
      "convolution", std::move(x), inputs(y, w, bias), save(needed_by(w, y), needed_by(y, w), s),
      [](const Tensor& g, const Tensor&, const Tensor& w, const Shape& s) { return forward(g, w, {}, s); },
      [](const Tensor& g, const Tensor& y, const Tensor&, const Shape& s) { return backward_weight(g, y, s); },
      [](const Tensor& g, const Tensor&, const Tensor&, const Shape&) { return sum_channels(g); });
}

Tensor backward_weight(const Tensor& x, const Tensor& y, const Shape& s) {
  Tensor w;
  {
    GradMode off(false);
    const ConvArgs a = args_of(x, x.size(1), y.size(1), {}, {}, s, ConvResult::Weight);
    const Tensor xs = operand(x, order_of(a, s)), ys = operand(y, order_of(a, s));
    w = empty(with_spatial(y.size(1), x.size(1) / s.groups, s.g.kernel, s.dims), xs.dtype(), x.device());
    if (w.device().is_meta() || !w.numel()) {
    } else if (x.numel() == 0 || y.numel() == 0) {
      fill(w, 0);
    } else {
      run(kernels::conv_backward_weight, a, xs, w, ys);
    }
    w = to_dtype(w, x.dtype());
  }
  return record(
      "convolution_backward", std::move(w), inputs(x, y), save(needed_by(y, x), needed_by(x, y), s),
      [](const Tensor& g, const Tensor&, const Tensor& y, const Shape& s) { return backward_input(y, g, {}, s); },
      [](const Tensor& g, const Tensor& x, const Tensor&, const Shape& s) { return forward(x, g, {}, s); });
}

// ---- checks -------------------------------------------------------------------------------------------------------

void check_types(const char* op, const Tensor& x, const Tensor& w, const Tensor& b, bool transposed) {
  PYNN_CHECK(x.dtype() == w.dtype(), op, ": input and weight must have the same dtype, got ", dtype_name(x.dtype()),
             " and ", dtype_name(w.dtype()));
  PYNN_CHECK(!b.defined() || x.dtype() == b.dtype(), op, ": input and bias must have the same dtype, got ",
             dtype_name(x.dtype()), " and ", dtype_name(b.dtype()));
  const bool taken = is_floating(x.dtype()) || (transposed ? x.dtype() == DType::Int64 : x.dtype() != DType::Bool);
  PYNN_CHECK_KIND(NotImplemented, taken && !is_complex(x.dtype()), op, ": not supported for this dtype, got ",
                  dtype_name(x.dtype()), " (floating point is required)");
}

// Checks what does not depend on the direction; returns x with a batch dim.
Tensor batched(const char* op, const Tensor& x, const Tensor& w, Dims stride, Dims padding, Dims dilation,
               int64_t groups) {
  const int64_t dims = w.dim() - 2;
  PYNN_CHECK(x.dim() == dims + 1 || x.dim() == dims + 2, op, ": expected ", dims + 1, "D (unbatched) or ", dims + 2,
             "D (batched) input, but got input of size: ", dims_str(x.sizes()));
  for (int64_t p : padding) PYNN_CHECK(p >= 0, op, ": negative padding is not supported, got ", dims_str(padding));
  for (int64_t s : stride) PYNN_CHECK(s > 0, op, ": non-positive stride is not supported, got ", dims_str(stride));
  for (int64_t d : dilation) PYNN_CHECK(d > 0, op, ": dilation should be greater than zero, got ", dims_str(dilation));
  PYNN_CHECK(groups > 0, op, ": non-positive groups is not supported, got ", groups);
  for (int64_t k : w.sizes().subspan(2))
    PYNN_CHECK(k > 0, op, ": kernel size should be greater than zero, got weight of size ", dims_str(w.sizes()));
  PYNN_CHECK(w.size(0) >= groups, op, ": Given groups=", groups, ", expected weight to be at least ", groups,
             " at dimension 0, but got weight of size ", dims_str(w.sizes()), " instead");
  PYNN_CHECK(w.size(0) % groups == 0, op, ": Given groups=", groups, ", expected weight to be divisible by ", groups,
             " at dimension 0, but got weight of size ", dims_str(w.sizes()), " instead");
  return x.dim() == dims + 2 ? x : unsqueeze(x, 0);
}

void check_channels(const char* op, const Tensor& x, const Tensor& w, const Tensor& b, int64_t channels, int64_t out,
                    int64_t groups) {
  PYNN_CHECK(x.size(1) == channels, op, ": Given groups=", groups, ", weight of size ", dims_str(w.sizes()),
             ", expected input", dims_str(x.sizes()), " to have ", channels, " channels, but got ", x.size(1),
             " channels instead");
  PYNN_CHECK(!b.defined() || (b.dim() == 1 && b.size(0) == out), op, ": Given weight of size ", dims_str(w.sizes()),
             ", expected bias to be 1-dimensional with ", out, " elements, but got bias of size ",
             dims_str(b.defined() ? b.sizes() : Dims()), " instead");
  bool empty = false;
  for (int64_t s : x.sizes().subspan(2)) empty |= s == 0;
  PYNN_CHECK(!empty, op,
             ": only zero batch or zero channel inputs are supported, but got input shape: ", dims_str(x.sizes()));
}

Tensor unbatched(const Tensor& y, bool was_batched) {
  const int64_t first[] = {0};
  return was_batched ? y : squeeze(y, Dims(first));
}

void check_weight_dims(const char* op, const Tensor& w, int64_t dims) {
  PYNN_CHECK(w.dim() == dims + 2, op, ": weight must have ", dims + 2, " dims, got ", dims_str(w.sizes()));
}

// A convolution of complex tensors is made of four of their parts; f takes x, w, b.
template <class F>
Tensor of_parts(const Tensor& x, const Tensor& w, const Tensor& b, F&& f) {
  const auto re = [](const Tensor& t) { return contiguous(real(t)); };
  const auto im = [](const Tensor& t) { return contiguous(imag(t)); };
  const Tensor xr = re(x), xi = im(x), wr = re(w), wi = im(w);
  return make_complex(sub(f(xr, wr, b.defined() ? re(b) : b), f(xi, wi, Tensor())),
                      add(f(xr, wi, b.defined() ? im(b) : b), f(xi, wr, Tensor())));
}
bool all_complex(const Tensor& x, const Tensor& w, const Tensor& b) {
  return is_complex(x.dtype()) && x.dtype() == w.dtype() && (!b.defined() || b.dtype() == x.dtype());
}

// `after` holds the padding behind; the geometry has the one in front.
Tensor convolve(const char* op, const Tensor& input, const Tensor& w, const Tensor& b, Dims stride, Dims before,
                Dims after, Dims dilation, int64_t groups, bool relu) {
  if (all_complex(input, w, b)) {
    const Tensor y = of_parts(input, w, b, [&](const Tensor& x, const Tensor& weight, const Tensor& bias) {
      return convolve(op, x, weight, bias, stride, before, after, dilation, groups, false);
    });
    return relu ? ops::relu(y) : y;
  }
  check_types(op, input, w, b, false);
  const Tensor x = batched(op, input, w, stride, before, dilation, groups);
  check_channels(op, x, w, b, w.size(1) * groups, w.size(0), groups);
  Shape s{w.dim() - 2, groups, geometry_of(x.sizes().subspan(2), w.sizes().subspan(2), stride, before, dilation),
          format_of(x)};
  for (int64_t d = 0; d < s.dims; ++d) {
    const int64_t reach = dilation[d] * (w.size(d + 2) - 1) + 1, room = x.size(d + 2) + before[d] + after[d];
    PYNN_CHECK(reach <= room, op, ": the kernel must fit into the padded input, got input ", dims_str(x.sizes()),
               ", kernel ", dims_str(w.sizes().subspan(2)), ", padding ", dims_str(before), ", dilation ",
               dims_str(dilation), " (Kernel size can't be greater than actual input size)");
    s.g.out[3 - s.dims + d] = window_count(x.size(d + 2), w.size(d + 2), stride[d], before[d] + after[d], dilation[d]);
  }
  return unbatched(forward(x, w, b, s, relu), x.same(input));
}

Tensor transposed(const char* op, const Tensor& input, const Tensor& w, const Tensor& b, Dims stride, Dims padding,
                  Dims output_padding, Dims dilation, int64_t groups) {
  if (all_complex(input, w, b))
    return of_parts(input, w, b, [&](const Tensor& x, const Tensor& weight, const Tensor& bias) {
      return transposed(op, x, weight, bias, stride, padding, output_padding, dilation, groups);
    });
  check_types(op, input, w, b, true);
  const Tensor y = batched(op, input, w, stride, padding, dilation, groups);
  check_channels(op, y, w, b, w.size(0), w.size(1) * groups, groups);
  Shape s{w.dim() - 2, groups, {}, format_of(y)};
  DimVector sizes;
  for (int64_t d = 0; d < s.dims; ++d) {
    PYNN_CHECK(output_padding[d] >= 0, op, ": negative output_padding is not supported, got ",
               dims_str(output_padding));
    PYNN_CHECK(output_padding[d] < stride[d] || output_padding[d] < dilation[d], op,
               ": output padding must be smaller than either stride or dilation, but got output_padding=",
               dims_str(output_padding), ", stride=", dims_str(stride), ", dilation=", dims_str(dilation));
    sizes.push_back((y.size(d + 2) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (w.size(d + 2) - 1) +
                    output_padding[d] + 1);
  }
  for (int64_t n : sizes)
    PYNN_CHECK(n > 0, op, ": the output must not be empty, got input ", dims_str(y.sizes()), " and output size ",
               dims_str(sizes), " (Output size is too small)");
  s.g = geometry_of(sizes, w.sizes().subspan(2), stride, padding, dilation);
  for (int64_t d = 0; d < s.dims; ++d) s.g.out[3 - s.dims + d] = y.size(d + 2);
  return unbatched(backward_input(y, w, b, s), y.same(input));
}

// ---- ops ----------------------------------------------------------------------------------------------------------

template <int N>
constexpr const char* kConvName = N == 1   ? "conv1d"
                                  : N == 2 ? "conv2d"
                                           : "conv3d";
template <int N>
constexpr const char* kTransposedName = N == 1   ? "conv_transpose1d"
                                        : N == 2 ? "conv_transpose2d"
                                                 : "conv_transpose3d";

template <int N>
Tensor conv(const Tensor& x, const Tensor& w, const Tensor& b, Dims stride, Dims padding, Dims dilation, int64_t groups,
            bool relu) {
  const char* op = kConvName<N>;
  check_weight_dims(op, w, N);
  const DimVector p = per_dim(op, "padding", padding, N);
  return convolve(op, x, w, b, per_dim(op, "stride", stride, N), p, p, per_dim(op, "dilation", dilation, N), groups,
                  relu);
}

template <int N>
Tensor conv_named(const Tensor& x, const Tensor& w, const Tensor& b, Dims stride, std::string_view padding,
                  Dims dilation, int64_t groups, bool relu) {
  const char* op = kConvName<N>;
  check_weight_dims(op, w, N);
  PYNN_CHECK(padding == "same" || padding == "valid", op, ": padding must be a number, 'same' or 'valid', got '",
             padding, "' (Invalid padding string)");
  const DimVector s = per_dim(op, "stride", stride, N), d = per_dim(op, "dilation", dilation, N);
  DimVector before(N, 0), after(N, 0);
  if (padding == "same")
    for (int64_t i = 0; i < N; ++i) {
      PYNN_CHECK(s[i] == 1, op, ": padding='same' is not supported for strided convolutions, got stride ", dims_str(s));
      const int64_t total = d[i] * (w.size(i + 2) - 1);
      before[i] = total / 2;
      after[i] = total - before[i];
    }
  return convolve(op, x, w, b, s, before, after, d, groups, relu);
}

template <int N>
Tensor conv_transpose(const Tensor& x, const Tensor& w, const Tensor& b, Dims stride, Dims padding, Dims output_padding,
                      int64_t groups, Dims dilation) {
  const char* op = kTransposedName<N>;
  check_weight_dims(op, w, N);
  return transposed(op, x, w, b, per_dim(op, "stride", stride, N), per_dim(op, "padding", padding, N),
                    per_dim(op, "output_padding", output_padding, N), per_dim(op, "dilation", dilation, N), groups);
}

Tensor convolution_any(const Tensor& x, const Tensor& w, const Tensor& b, Dims stride, Dims padding, Dims dilation,
                       bool is_transposed, Dims output_padding, int64_t groups) {
  const char* op = "convolution";
  const int64_t n = w.dim() - 2;
  PYNN_CHECK(n >= 1 && n <= 3, op, ": weight must have 3 to 5 dims, got ", dims_str(w.sizes()));
  const DimVector s = per_dim(op, "stride", stride, n), p = per_dim(op, "padding", padding, n),
                  d = per_dim(op, "dilation", dilation, n);
  return is_transposed ? transposed(op, x, w, b, s, p, per_dim(op, "output_padding", output_padding, n), d, groups)
                       : convolve(op, x, w, b, s, p, p, d, groups, false);
}

void convolution_path(std::string_view path) {
  for (int i = 0; i <= static_cast<int>(ConvPath::Amx); ++i)
    if (const auto p = static_cast<ConvPath>(i); path == conv_path_name(p)) return forced_path.store(p);
  fail(ErrorKind::Value,
       "convolution_path: auto, unfold, direct, few, windows, pointwise, winograd or amx is required, got '", path,
       "'");
}

}  // namespace

// clang-format off
#define PYNN_CONV(N, D, letters)                                                                                       \
  PYNN_OP(conv<N>, "conv" D "(Tensor input, Tensor weight, Tensor? bias=None, int[] stride=[1], int[] padding=[0], "   \
          "int[] dilation=[1], int groups=1, *, bool relu=False) -> Tensor",                                           \
          "Convolution (cross-correlation) of input [N, C, " letters "] or [C, " letters "] with weight "              \
          "[out, C / groups, ...]. Same as torch.nn.functional.conv" D ".", kFunctionOnly);                            \
  PYNN_OP(conv_named<N>, "conv" D "(Tensor input, Tensor weight, Tensor? bias=None, int[] stride=[1], "                \
          "str padding='valid', int[] dilation=[1], int groups=1, *, bool relu=False) -> Tensor",                      \
          "The same with padding 'valid' (none) or 'same' (the output has the input's size).", kFunctionOnly);         \
  PYNN_OP(conv_transpose<N>, "conv_transpose" D "(Tensor input, Tensor weight, Tensor? bias=None, int[] stride=[1], "  \
          "int[] padding=[0], int[] output_padding=[0], int groups=1, int[] dilation=[1]) -> Tensor",                  \
          "The transpose of a convolution, as its gradient computes it; weight is [C, out / groups, ...]. Same as "    \
          "torch.nn.functional.conv_transpose" D ".", kFunctionOnly)
// clang-format on
PYNN_CONV(1, "1d", "L");
PYNN_CONV(2, "2d", "H, W");
PYNN_CONV(3, "3d", "D, H, W");
PYNN_OP(convolution_any,
        "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, "
        "bool transposed, int[] output_padding, int groups) -> Tensor",
        "Convolution or its transpose of 1 to 3 spatial dims. Same as torch.convolution.", kFunctionOnly);
PYNN_OP(convolution_path, "_nn.convolution_path(str path) -> None",
        "For tests: the way all float32 convolutions on the CPU are computed from now on: 'unfold', 'direct', 'few', "
        "'windows', 'pointwise', 'winograd', or 'auto', the default. A shape that the path does not fit is an error.");

}  // namespace pynn::ops
