// pooling.cpp -- maxima and averages over windows of 1 to 3 spatial dims, sliding or adaptive.
//
// Maxima remember their positions: the gradient is scattered there. Averages are a linear map per dim (resample.h).
#include "kernels/pooling.h"

#include "autograd/record.h"
#include "core/memory_format.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/convolution.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/indexing_scatter.h"
#include "ops/reduce.h"
#include "ops/resample.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// The windows along one dim.
struct Windows {
  std::vector<int64_t> start, end;  // inside of the input
  std::vector<int64_t> count;       // how many positions an average divides by
  int64_t step = 1;
  int64_t out() const { return static_cast<int64_t>(start.size()); }
};

DType computed_in(DType t) { return t == DType::Float64 ? t : is_floating(t) ? DType::Float32 : DType::Int64; }

// `first` is 1 where an input without a batch may have no channels.
void check_input(const char* op, const Tensor& x, int64_t dims, int64_t first = 0) {
  bool fits = x.dim() == dims + 1 || x.dim() == dims + 2;
  for (int64_t d = x.dim() == dims + 2 ? 1 : first; fits && d < x.dim(); ++d) fits = x.size(d) > 0;
  PYNN_CHECK(fits, op, ": expected ", dims + 1, "D or ", dims + 2,
             "D (batch mode) input whose sizes, but that of the batch, are not zero, got ", dims_str(x.sizes()));
}

struct Sliding {
  DimVector kernel, stride, padding, dilation;
  bool ceil_mode, count_include_pad;

  Sliding(const char* op, int64_t dims, Dims k, std::optional<Dims> s, Dims p, Dims d, bool ceil, bool include)
      : kernel(per_dim(op, "kernel_size", k, dims)),
        stride(s && !s->empty() ? per_dim(op, "stride", *s, dims) : kernel),
        padding(per_dim(op, "padding", p, dims)),
        dilation(per_dim(op, "dilation", d, dims)),
        ceil_mode(ceil),
        count_include_pad(include) {
    for (int64_t i = 0; i < dims; ++i) {
      PYNN_CHECK(kernel[i] > 0, op, ": kernel size should be greater than zero, got ", dims_str(kernel));
      PYNN_CHECK(stride[i] > 0, op, ": stride should be greater than zero, got ", dims_str(stride));
      PYNN_CHECK(padding[i] >= 0, op, ": pad must be non-negative, but got ", dims_str(padding));
      PYNN_CHECK(dilation[i] > 0, op, ": dilation should be greater than zero, but got ", dims_str(dilation));
      PYNN_CHECK(padding[i] <= (dilation[i] * (kernel[i] - 1) + 1) / 2, op,
                 ": pad should be at most half of effective kernel size, but got pad=", padding[i],
                 ", kernel_size=", kernel[i], " and dilation=", dilation[i]);
    }
  }

  Windows along(const char* op, const Tensor& x, int64_t dims, int64_t i) const {
    const int64_t in = x.size(x.dim() - dims + i), s = stride[i], p = padding[i], reach = dilation[i] * (kernel[i] - 1);
    const int64_t room = in + 2 * p - reach - 1;
    int64_t out = room < 0 && !ceil_mode ? 0 : (room + (ceil_mode ? s - 1 : 0)) / s + 1;
    if (room + (ceil_mode ? s - 1 : 0) < 0) out = 0;
    if (ceil_mode && (out - 1) * s >= in + p) --out;  // the last window must start inside
    PYNN_CHECK(out >= 1, op, ": the windows must fit into the padded input, got input ", dims_str(x.sizes()),
               ", kernel_size ", dims_str(kernel), ", padding ", dims_str(padding), " (Output size is too small)");
    Windows w;
    w.step = dilation[i];
    for (int64_t o = 0; o < out; ++o) {
      int64_t from = o * s - p;
      const int64_t to = std::min(from + reach + 1, in + p);
      w.count.push_back(to - from);
      if (from < 0) from += (-from + w.step - 1) / w.step * w.step;
      w.start.push_back(from);
      w.end.push_back(std::min(to, in));
      if (!count_include_pad) w.count.back() = w.end.back() - from;
    }
    return w;
  }
};

Windows adaptive_along(int64_t in, int64_t out) {
  Windows w;
  for (int64_t o = 0; o < out; ++o) {
    w.start.push_back(o * in / out);
    w.end.push_back(((o + 1) * in + out - 1) / out);
    w.count.push_back(w.end.back() - w.start.back());
  }
  return w;
}

// ---- maxima -------------------------------------------------------------------------------------------------------

struct Pooled {
  Tensor values, indices;
};

int64_t plane_size(Dims sizes, int64_t dims) {
  int64_t n = 1;
  for (int64_t s : sizes.last(static_cast<size_t>(dims))) n *= s;
  return n;
}

// The order in which x is read and the result written: channels last stays, on the CPU.
MemoryFormat format_of(const Tensor& x, int64_t dims) {
  return x.dim() == dims + 2 && x.device().is_cpu() ? suggested_format(x) : MemoryFormat::Contiguous;
}
// Of a tensor in that order: how many channels are next to each other.
int64_t channels_of(const Tensor& x, MemoryFormat format) { return format == MemoryFormat::Contiguous ? 1 : x.size(1); }

Tensor max_backward(const Tensor& g, const Tensor& index, Dims sizes, int64_t dims, MemoryFormat format) {
  const DimVector planes{-1, plane_size(g.sizes(), dims)};
  const int64_t n = plane_size(sizes, dims), count = g.numel() / std::max<int64_t>(planes[1], 1);
  if (g.numel() == 0) return zeros(sizes, g.dtype(), g.device());
  if (g.device().is_cpu() && (g.dtype() == DType::Float32 || g.dtype() == DType::Float64)) {
    const Tensor gs = contiguous(g, format), at = contiguous(index, format);
    Tensor x = empty(sizes, g.dtype(), g.device(), format);
    const int64_t channels = channels_of(x, format);
    kernels::max_pool_backward(g.device(), {gs.data(), at.data_as<int64_t>(), x.data(), g.dtype(), count / channels,
                                            channels, n, g.numel() / count});
    return record("max_pool_backward", std::move(x), inputs(g), save(index, g.sizes(), dims),
                  [](const Tensor& gg, const Tensor& at, Dims out, int64_t d) {
                    const Tensor flat = reshape(gg, DimVector{-1, plane_size(gg.sizes(), d)});
                    return reshape(gather(flat, 1, reshape(at, DimVector{flat.size(0), -1})), out);
                  });
  }
  const Tensor x = scatter_sum(DimVector{count, n}, 1, reshape(index, planes), reshape(g, planes));
  return contiguous(reshape(x, sizes), format);
}

Pooled max_pool_over(const Tensor& input, const std::vector<Windows>& windows, bool want_index,
                     const ConvGeometry* sliding = nullptr) {
  const int64_t dims = static_cast<int64_t>(windows.size()), lead = input.dim() - dims;
  DimVector sizes(input.sizes());
  for (int64_t i = 0; i < dims; ++i) sizes[lead + i] = windows[i].out();
  const bool graph = thread_state.grad_enabled && autograd::needs_graph(input);
  const MemoryFormat format = format_of(input, dims);
  Tensor y, index;
  {
    GradMode off(false);
    const bool as_is = input.device().is_cuda() && is_floating(input.dtype());
    const Tensor x = contiguous(as_is ? input : to_dtype(input, computed_in(input.dtype())), format);
    y = empty(sizes, x.dtype(), x.device(), format);
    if (graph || want_index) index = empty(sizes, DType::Int64, x.device(), format);
    if (y.numel() && !y.device().is_meta()) {
      static const int64_t zero = 0, one = 1;
      MaxPoolArgs a{};
      a.x = x.data(), a.y = y.data();
      a.index = index.defined() ? index.data_as<int64_t>() : nullptr;
      a.dtype = x.dtype();
      a.channels = channels_of(x, format);
      a.planes = x.numel() / plane_size(x.sizes(), dims) / a.channels;
      for (int64_t d = 0; d < 3; ++d) {
        const int64_t i = d - (3 - dims);
        a.in[d] = i < 0 ? 1 : x.size(lead + i);
        a.out[d] = i < 0 ? 1 : windows[i].out();
        a.step[d] = i < 0 ? 1 : windows[i].step;
        a.start[d] = i < 0 ? &zero : windows[i].start.data();
        a.end[d] = i < 0 ? &one : windows[i].end.data();
      }
      a.sliding = sliding;
      kernels::max_pool(x.device(), a);
    }
    y = to_dtype(y, input.dtype());
  }
  y = record("max_pool_with_indices", std::move(y), inputs(input), save(index, input.sizes(), dims, format),
             [](const Tensor& g, const Tensor& index, Dims sizes, int64_t dims, MemoryFormat format) {
               return max_backward(g, index, sizes, dims, format);
             });
  return {y, index};
}

constexpr const char* kMaxNames[] = {"max_pool1d", "max_pool2d", "max_pool3d"};
constexpr const char* kAvgNames[] = {"avg_pool1d", "avg_pool2d", "avg_pool3d"};
constexpr const char* kAdaptiveMaxNames[] = {"adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"};
constexpr const char* kAdaptiveAvgNames[] = {"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d"};

template <int N>
Pooled sliding_max(const Tensor& x, Dims kernel, std::optional<Dims> stride, Dims padding, Dims dilation, bool ceil,
                   bool want_index) {
  const char* op = kMaxNames[N - 1];
  const bool taken = N == 1 ? is_floating(x.dtype()) : x.dtype() != DType::Bool && !is_complex(x.dtype());
  PYNN_CHECK_KIND(NotImplemented, taken, op, ": not supported for this dtype, got ", dtype_name(x.dtype()),
                  " (floating point is required)");
  const Sliding s(op, N, kernel, stride, padding, dilation, ceil, true);
  check_input(op, x, N);
  std::vector<Windows> windows;
  for (int64_t i = 0; i < N; ++i) windows.push_back(s.along(op, x, N, i));
  ConvGeometry g = geometry_of(x.sizes().last(N), s.kernel, s.stride, s.padding, s.dilation);
  for (int64_t i = 0; i < N; ++i) g.out[3 - N + i] = windows[i].out();
  return max_pool_over(x, windows, want_index, &g);
}

template <int N>
Tensor max_pool(const Tensor& x, Dims kernel, std::optional<Dims> stride, Dims padding, Dims dilation, bool ceil) {
  return sliding_max<N>(x, kernel, stride, padding, dilation, ceil, false).values;
}
template <int N>
std::tuple<Tensor, Tensor> max_pool_with_indices(const Tensor& x, Dims kernel, std::optional<Dims> stride, Dims padding,
                                                 Dims dilation, bool ceil) {
  Pooled p = sliding_max<N>(x, kernel, stride, padding, dilation, ceil, true);
  return {std::move(p.values), std::move(p.indices)};
}

template <int N>
std::vector<Windows> adaptive_windows(const char* op, const Tensor& x, Dims output_size) {
  check_range(op, "output_size", output_size);
  PYNN_CHECK(output_size.size() == N, op, ": output_size must have ", N, " numbers, got ", dims_str(output_size));
  for (int64_t n : output_size)
    PYNN_CHECK(n >= 0, op, ": elements of output_size must be greater than or equal to 0, but received ",
               dims_str(output_size));
  check_input(op, x, N, 1);
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()), op, ": floating-point input is required, got ",
                  dtype_name(x.dtype()));
  std::vector<Windows> windows;
  for (int64_t i = 0; i < N; ++i) windows.push_back(adaptive_along(x.size(x.dim() - N + i), output_size[i]));
  return windows;
}

template <int N>
std::tuple<Tensor, Tensor> adaptive_max_pool(const Tensor& x, Dims output_size) {
  Pooled p = max_pool_over(x, adaptive_windows<N>(kAdaptiveMaxNames[N - 1], x, output_size), true);
  return {std::move(p.values), std::move(p.indices)};
}

// ---- averages -----------------------------------------------------------------------------------------------------

// Sums over windows of the last dims, each divided by its count of every dim, or all by `divisor`.
Tensor average(const Tensor& input, const std::vector<Windows>& windows, std::optional<int64_t> divisor) {
  const int64_t dims = static_cast<int64_t>(windows.size()), lead = input.dim() - dims;
  const bool whole = !is_floating(input.dtype());
  Tensor x = to_dtype(input, computed_in(input.dtype()));
  std::vector<DimTaps> maps;
  for (int64_t i = 0; i < dims; ++i) {
    const Windows& w = windows[i];
    auto taps = std::make_shared<Taps>();
    taps->in = x.size(lead + i);
    std::vector<double> weights;
    for (int64_t o = 0; o < w.out(); ++o) {
      const int64_t n = std::max<int64_t>(w.end[o] - w.start[o], 0);
      const int64_t by = divisor ? (i == 0 ? *divisor : 1) : w.count[o];
      weights.assign(static_cast<size_t>(n), whole ? 1.0 : 1.0 / static_cast<double>(by));
      taps->add(w.start[o], weights.data(), n);
    }
    maps.push_back({lead + i, taps});
  }
  x = resample(x, maps);
  if (whole) {
    Tensor by = full({}, Scalar(divisor.value_or(1)), DType::Int64, x.device());
    for (int64_t i = 0; i < dims && !divisor; ++i) {
      Tensor count = empty(DimVector{windows[i].out()}, DType::Int64);
      std::copy(windows[i].count.begin(), windows[i].count.end(), count.data_as<int64_t>());
      DimVector shape(static_cast<size_t>(x.dim()), 1);
      shape[lead + i] = windows[i].out();
      const Tensor there = empty(count.sizes(), DType::Int64, x.device());
      copy_data(there, count);
      by = mul(by, reshape(there, shape));
    }
    x = trunc_divide(x, by);
  }
  return to_dtype(x, input.dtype());
}

template <int N>
Tensor avg_pool(const Tensor& x, Dims kernel, std::optional<Dims> stride, Dims padding, bool ceil, bool include_pad,
                std::optional<int64_t> divisor) {
  const char* op = kAvgNames[N - 1];
  const Sliding s(op, N, kernel, stride, padding, DimVector{1}, ceil, include_pad);
  PYNN_CHECK(!divisor || *divisor != 0, op, ": divisor_override must be not zero, got 0");
  check_input(op, x, N);
  PYNN_CHECK_KIND(NotImplemented, is_floating(x.dtype()) || x.dtype() == DType::Int64, op,
                  ": not supported for this dtype, got ", dtype_name(x.dtype()), " (floating point is required)");
  std::vector<Windows> windows;
  for (int64_t i = 0; i < N; ++i) windows.push_back(s.along(op, x, N, i));
  return average(x, windows, divisor);
}
Tensor avg_pool1d(const Tensor& x, Dims kernel, std::optional<Dims> stride, Dims padding, bool ceil, bool include_pad) {
  return avg_pool<1>(x, kernel, stride, padding, ceil, include_pad, std::nullopt);
}

template <int N>
Tensor adaptive_avg_pool(const Tensor& x, Dims output_size) {
  std::vector<Windows> windows = adaptive_windows<N>(kAdaptiveAvgNames[N - 1], x, output_size);
  bool one = is_floating(x.dtype());
  DimVector over;
  for (int64_t i = 0; i < N; ++i) one &= windows[i].out() == 1, over.push_back(i - N);
  if (!one) return average(x, windows, std::nullopt);
  const Tensor y = mean(x, Dims(over), true);
  y.impl()->set_geometry(y.sizes(), strides_of(format_of(x, N), y.sizes()), y.offset());  // sizes of 1 have any stride
  return y;
}

}  // namespace

// clang-format off
#define PYNN_POOLS(N, D)                                                                                               \
  PYNN_OP(max_pool<N>, "max_pool" D "(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], "        \
          "int[] dilation=[1], bool ceil_mode=False) -> Tensor",                                                       \
          "The largest element of each window. Same as torch.max_pool" D ".", kFunctionOnly);                          \
  PYNN_OP(max_pool_with_indices<N>, "_nn.max_pool" D "_with_indices(Tensor input, int[] kernel_size, "                 \
          "int[]? stride=None, int[] padding=[0], int[] dilation=[1], bool ceil_mode=False) -> (Tensor, Tensor)",      \
          "The largest element of each window and its position in the flattened spatial dims.");                       \
  PYNN_OP(adaptive_max_pool<N>, "_nn.adaptive_max_pool" D "(Tensor input, int[] output_size) -> (Tensor, Tensor)",     \
          "The largest elements of as many windows as asked for, and their positions.");                               \
  PYNN_OP(adaptive_avg_pool<N>, "_nn.adaptive_avg_pool" D "(Tensor input, int[] output_size) -> Tensor",               \
          "Averages of as many windows as asked for. Same as torch.nn.functional.adaptive_avg_pool" D ".")
// clang-format on
PYNN_POOLS(1, "1d");
PYNN_POOLS(2, "2d");
PYNN_POOLS(3, "3d");
PYNN_OP(avg_pool1d,
        "avg_pool1d(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], bool ceil_mode=False, "
        "bool count_include_pad=True) -> Tensor",
        "Averages of windows. Same as torch.nn.functional.avg_pool1d.", kFunctionOnly);
// PyTorch has these as functions of tensors too.
PYNN_OP(max_pool_with_indices<1>,
        "max_pool1d_with_indices(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], "
        "int[] dilation=[1], bool ceil_mode=False) -> (Tensor, Tensor)",
        "The largest element of each window and its position.", kFunctionOnly);
PYNN_OP(adaptive_avg_pool<1>, "adaptive_avg_pool1d(Tensor input, int[] output_size) -> Tensor",
        "Averages of as many windows as asked for. Same as torch.adaptive_avg_pool1d.", kFunctionOnly);
PYNN_OP(adaptive_max_pool<1>, "adaptive_max_pool1d(Tensor input, int[] output_size) -> (Tensor, Tensor)",
        "The largest elements of as many windows as asked for, and their positions.", kFunctionOnly);
PYNN_OP(avg_pool<2>,
        "_nn.avg_pool2d(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], bool ceil_mode=False, "
        "bool count_include_pad=True, int? divisor_override=None) -> Tensor",
        "Averages of windows. Same as torch.nn.functional.avg_pool2d.", kOut);
PYNN_OP(avg_pool<3>,
        "_nn.avg_pool3d(Tensor input, int[] kernel_size, int[]? stride=None, int[] padding=[0], bool ceil_mode=False, "
        "bool count_include_pad=True, int? divisor_override=None) -> Tensor",
        "Averages of windows. Same as torch.nn.functional.avg_pool3d.", kOut);

}  // namespace pynn::ops
