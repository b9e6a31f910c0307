// upsample.cpp -- interpolation along 1 to 3 spatial dims: nearest, linear and cubic, with or without antialiasing.
//
// Each dim is a sparse linear map (resample.h); its taps are computed here. Positions are computed in the input's type,
// as in PyTorch, so that both round to the same neighbours.
#include <cmath>

#include "core/memory_format.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/convolution.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/resample.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

enum class Mode { Nearest, NearestExact, Linear, Cubic, Lanczos };

struct Axis {
  int64_t in, out;
  std::optional<double> scale;  // asked for by the caller
  bool align_corners;
};

// Input positions per output position.
template <class T>
T step_of(const Axis& a) {
  if (a.align_corners) return a.out > 1 ? static_cast<T>(a.in - 1) / static_cast<T>(a.out - 1) : T(0);
  return a.scale && *a.scale > 0 ? static_cast<T>(1.0 / *a.scale) : static_cast<T>(a.in) / static_cast<T>(a.out);
}

template <class T>
T position(const Axis& a, T step, int64_t o) {
  return a.align_corners ? step * static_cast<T>(o) : step * (static_cast<T>(o) + T(0.5)) - T(0.5);
}

// The integer part of a position, within [low, high]; low of what is no number.
template <class T>
int64_t whole(T at, int64_t low, int64_t high) {
  at = std::floor(at);
  return at >= static_cast<T>(high) ? high : at > static_cast<T>(low) ? static_cast<int64_t>(at) : low;
}

// Keys' kernel, |x| < 2.
template <class T>
T cubic(T x, T a) {
  x = std::abs(x);
  if (x <= 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : T(0);
}

template <class T>
T filter(Mode mode, T x) {
  if (mode == Mode::Linear) return std::max(T(0), 1 - std::abs(x));
  if (mode == Mode::Cubic) return cubic(x, T(-0.5));
  if (std::abs(x) >= 3) return T(0);
  constexpr T pi = T(3.14159265358979323846);
  return x == 0 ? T(1) : std::sin(pi * x) / (pi * x) * std::sin(pi * x / 3) / (pi * x / 3);
}

template <class T>
Taps antialiased(Mode mode, const Axis& a) {
  Taps taps;
  taps.in = a.in;
  const T step = step_of<T>(a), shift = T(0.5);  // with aligned corners too, as in PyTorch
  const T half = mode == Mode::Linear ? T(1) : mode == Mode::Cubic ? T(2) : T(3);
  const T support = step >= 1 ? half * step : half, shrink = step >= 1 ? 1 / step : T(1);
  std::vector<double> w;
  for (int64_t o = 0; o < a.out; ++o) {
    const T center = step * (static_cast<T>(o) + shift);
    const int64_t from = whole(center - support + shift, 0, a.in), to = whole(center + support + shift, from, a.in);
    w.clear();
    double sum = 0;
    for (int64_t i = from; i < to; ++i) {
      w.push_back(static_cast<double>(filter(mode, (static_cast<T>(i) - center + shift) * shrink)));
      sum += w.back();
    }
    for (double& x : w) x = sum != 0 ? x / sum : x;
    taps.add(from, w.data(), static_cast<int64_t>(w.size()));
  }
  return taps;
}

template <class T>
Taps interpolated(Mode mode, const Axis& a) {
  Taps taps;
  taps.in = a.in;
  const T step = step_of<T>(a);
  for (int64_t o = 0; o < a.out; ++o) {
    if (mode == Mode::Nearest || mode == Mode::NearestExact) {
      const T at = mode == Mode::Nearest ? static_cast<T>(o) * step : (static_cast<T>(o) + T(0.5)) * step;
      const double one = 1;
      taps.add(whole(at, 0, a.in - 1), &one, 1);
      continue;
    }
    T at = position(a, step, o);
    if (mode == Mode::Linear) at = std::max(at, T(0));
    const int64_t first = whole(at, mode == Mode::Linear ? 0 : -1, a.in - 1);
    const T t = std::clamp(at - static_cast<T>(first), T(0), T(1));
    double w[4] = {};
    if (mode == Mode::Linear) {
      const bool two = first < a.in - 1;
      w[0] = two ? static_cast<double>(1 - t) : 1.0;
      w[1] = static_cast<double>(t);
      taps.add(first, w, two ? 2 : 1);
      continue;
    }
    // Beyond the ends the last element repeats.
    const int64_t low = std::clamp<int64_t>(first - 1, 0, a.in - 1), high = std::clamp<int64_t>(first + 2, 0, a.in - 1);
    for (int64_t k = 0; k < 4; ++k)
      w[std::clamp<int64_t>(first - 1 + k, 0, a.in - 1) - low] +=
          static_cast<double>(cubic(t + T(1) - static_cast<T>(k), T(-0.75)));
    taps.add(low, w, high - low + 1);
  }
  return taps;
}

Taps taps_of(Mode mode, const Axis& a, bool antialias, bool wide) {
  if (antialias) return wide ? antialiased<double>(mode, a) : antialiased<float>(mode, a);
  return wide ? interpolated<double>(mode, a) : interpolated<float>(mode, a);
}

// Weights of bytes are rounded to multiples of 2^-bits that fit 16 bits, so that sums are exact, and the same as
// PyTorch's. Returns bits.
int fixed_point(Taps& taps) {
  double largest = 0;
  for (double w : taps.weight) largest = std::max(largest, w);
  int bits = 0;
  while (bits < 22 && std::floor(std::ldexp(largest, bits + 1) + 0.5) < 32768) ++bits;
  for (double& w : taps.weight) w = std::ldexp(std::round(std::ldexp(w, bits)), -bits);
  return bits;
}

Mode mode_of(std::string_view name) {
  if (name == "nearest") return Mode::Nearest;
  if (name == "nearest-exact") return Mode::NearestExact;
  if (name == "lanczos") return Mode::Lanczos;
  return name == "bicubic" ? Mode::Cubic : Mode::Linear;
}

Tensor upsample(const Tensor& input, Dims size, std::string_view mode_name, bool align_corners, bool antialias,
                std::optional<double> scale0, std::optional<double> scale1, std::optional<double> scale2) {
  const char* op = "interpolate";
  const Mode mode = mode_of(mode_name);
  const int64_t dims = static_cast<int64_t>(size.size()), lead = 2;
  PYNN_CHECK(dims >= 1 && dims <= 3 && input.dim() == dims + lead, op, ": expected one size per spatial dim, got ",
             dims_str(size), " for input ", dims_str(input.sizes()));
  check_range(op, "size", size);
  bool positive = input.size(1) > 0;
  for (int64_t i = 0; i < dims; ++i) positive &= input.size(lead + i) > 0 && size[i] > 0;
  PYNN_CHECK(positive, op, ": input and output sizes should be greater than 0, got input ", dims_str(input.sizes()),
             " and output ", dims_str(size));
  const bool bytes = input.dtype() == DType::UInt8 && mode != Mode::Lanczos && (dims == 2 || mode < Mode::Linear);
  PYNN_CHECK_KIND(NotImplemented, is_floating(input.dtype()) || bytes, op, ": not supported for this dtype, got ",
                  dtype_name(input.dtype()), " (floating point is required)");
  const bool wide = input.dtype() == DType::Float64;
  const std::optional<double> scales[] = {scale0, scale1, scale2};
  Tensor x = to_dtype(input, wide ? DType::Float64 : DType::Float32);
  // The dim that shrinks most, or grows least, goes first. Bytes are rounded after each dim, the last one first, as in
  // PyTorch.
  DimVector order;
  for (int64_t i = dims; i-- > 0;) order.push_back(i);
  if (!bytes)
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return size[a] * input.size(lead + b) < size[b] * input.size(lead + a);
    });
  std::vector<DimTaps> maps;
  const auto apply = [&] { x = resample(x, maps), maps.clear(); };
  for (int64_t i : order) {
    Axis axis{input.size(lead + i), size[i], scales[i], align_corners};
    // In two dims PyTorch's nearest takes no scale where the size stays or doubles.
    if (mode == Mode::Nearest && dims == 2 && (axis.out == axis.in || axis.out == 2 * axis.in)) axis.scale.reset();
    // A size that stays is left alone, but by nearest and cubic (not of bytes) with a scale of their own, as in
    // PyTorch.
    const bool unchanged = axis.in == axis.out && (!axis.scale || antialias || bytes || mode == Mode::Linear);
    if (unchanged) continue;
    const bool rounded = bytes && mode >= Mode::Linear;
    Taps taps = taps_of(mode, axis, antialias, wide || rounded);
    const int bits = rounded ? fixed_point(taps) : 0;
    if (bits > 15) x = to_dtype(x, DType::Float64);  // twice 255 * 2^bits must be exact
    maps.push_back({lead + i, std::make_shared<Taps>(std::move(taps))});
    if (rounded) apply(), x = to_dtype(clamp(floor(add(x, Scalar(0.5))), Scalar(0), Scalar(255)), DType::Float32);
  }
  apply();
  return x.same(input) ? clone_of(x, suggested_format(x)) : to_dtype(x, input.dtype());
}

}  // namespace

PYNN_OP(upsample,
        "_nn.upsample(Tensor input, int[] size, str mode, bool align_corners=False, bool antialias=False, "
        "float? scale0=None, float? scale1=None, float? scale2=None) -> Tensor",
        "The input [N, C, ...] at other spatial sizes. `scale` is the factor of each spatial dim that positions are "
        "computed by; None takes the ratio of the sizes.");

}  // namespace pynn::ops
