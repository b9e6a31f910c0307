// convolution_half.cpp -- convolution of half types: bfloat16 by AMX where that serves, the rest by way of float32.
#include "core/parallel.h"
#include "kernels/cpu/convert.h"
#include "kernels/cpu/convolution_paths.h"
#include "kernels/cpu/scratch.h"
#include "kernels/cpu/unfold.h"

namespace PYNN_CPU_NAMESPACE {
namespace {

constexpr int64_t kRun = 4096;  // elements that are converted at once
constexpr double kConvertNs = 0.1;

struct Tensors {
  int64_t x, w, y, bias;  // elements
  Tensors(const ConvArgs& a, bool forward)
      : x(a.batch * a.groups * a.ci * product3(a.g.in)),
        w(a.groups * a.co * a.ci * product3(a.g.kernel)),
        y(a.batch * a.groups * a.co * product3(a.g.out)),
        bias(a.bias ? a.groups * (forward ? a.co : a.ci) : 0) {}
};

void convert(Convert f, void* to, int64_t to_size, const void* from, int64_t from_size, int64_t n) {
  parallel_for(0, ceil_div(n, kRun), grain_for(kConvertNs * kRun), [&](int64_t begin, int64_t end) {
    const int64_t i = begin * kRun;
    f(static_cast<char*>(to) + i * to_size, {n, 1}, static_cast<const char*>(from) + i * from_size, {n, 1}, 1,
      min_of(n, end * kRun) - i);
  });
}

// f of float32 copies; `result` is one of a's tensors.
void by_floats(const ConvArgs& a, void* ConvArgs::* result, void (*f)(const ConvArgs&)) {
  const Tensors n(a, result == &ConvArgs::y);
  const Scratch<float> x(n.x), w(n.w), y(n.y), bias(n.bias);
  const Convert widen = converter(DType::Float32, a.dtype), narrow = converter(a.dtype, DType::Float32);
  ConvArgs b = a;
  b.dtype = DType::Float32;
  b.x = x.get(), b.w = w.get(), b.y = y.get();
  if (a.bias) {
    convert(widen, bias.get(), 4, a.bias, 2, n.bias);
    b.bias = bias.get();
  }
  const auto each = [&](auto g) {
    g(&ConvArgs::x, n.x);
    g(&ConvArgs::w, n.w);
    g(&ConvArgs::y, n.y);
  };
  each([&](void* ConvArgs::* t, int64_t size) {
    if (t != result) convert(widen, b.*t, 4, a.*t, 2, size);
  });
  f(b);
  each([&](void* ConvArgs::* t, int64_t size) {
    if (t == result) convert(narrow, a.*t, 2, b.*t, 4, size);
  });
}

}  // namespace

void half_forward(const ConvArgs& a) {
  if (!amx_forward(a)) by_floats(a, &ConvArgs::y, conv_forward);
}
void half_backward_input(const ConvArgs& a) {
  if (!amx_backward_input(a)) by_floats(a, &ConvArgs::x, conv_backward_input);
}
void half_backward_weight(const ConvArgs& a) {
  if (!amx_backward_weight(a)) by_floats(a, &ConvArgs::w, conv_backward_weight);
}

}  // namespace PYNN_CPU_NAMESPACE
