// random.cpp -- tensors of random numbers. The draws and their order are PyTorch's (core/random.h).
#include "core/random.h"

#include <algorithm>
#include <mutex>
#include <numbers>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/op.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

void check_generator(const Generator& g, DeviceType type) {
  PYNN_CHECK(g.device().type == type, "Expected a '", Device{type}.str(), "' device type for generator but found '",
             Device{g.device().type}.str(), "'");
}

}  // namespace

CpuGenerator& cpu_generator(Generator* g) {
  if (!g) return default_generator();
  check_generator(*g, DeviceType::Cpu);
  return static_cast<CpuGenerator&>(*g);
}

CudaGenerator& cuda_generator(Generator* g, Device device) {
  if (!g) return default_cuda_generator(device.index);
  check_generator(*g, DeviceType::Cuda);
  return static_cast<CudaGenerator&>(*g);
}

Philox next_philox(Generator* generator, Device device, int64_t counters) {
  CudaGenerator& g = cuda_generator(generator, device);
  std::lock_guard lock(g.mutex);
  return g.next(static_cast<uint64_t>(counters));
}

void fill_cuda(const Tensor& out, Generator* generator, RandomArgs args) {
  if (out.numel() == 0) return;
  const Tensor x = out.is_contiguous() ? out : empty(out.sizes(), out.dtype(), out.device());
  args.dtype = x.dtype();
  args.out = x.data();
  args.n = x.numel();
  args.philox = next_philox(generator, x.device(), args.n);
  kernels::random_fill(x.device(), args);
  if (!x.same(out)) copy_data(out, x);
}

namespace {

using OptType = std::optional<DType>;
using OptDevice = std::optional<Device>;
using OptFormat = std::optional<MemoryFormat>;

Tensor with_grad(Tensor t, bool requires_grad) {
  if (requires_grad) {
    PYNN_CHECK(!is_integral(t.dtype()), "requires_grad: a floating point or complex dtype is required, got ",
               dtype_name(t.dtype()));
    t.impl()->requires_grad = true;
  }
  return t;
}

// x with its dims in memory order, the largest stride first: PyTorch draws in that order, whatever the shape says.
DimVector memory_order(const Tensor& x) {
  DimVector order;
  for (int64_t d = 0; d < x.dim(); ++d) order.push_back(d);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return x.stride(a) > x.stride(b); });
  return order;
}
Tensor permuted(const Tensor& x, const DimVector& order) {
  DimVector sizes, strides;
  for (int64_t d : order) sizes.push_back(x.size(d)), strides.push_back(x.stride(d));
  return alias(x, sizes, strides, x.offset());
}

// Runs f(buffer, n) on memory of T, then converts it into x, which may be of any layout and type.
template <class T, class F>
void draw(const Tensor& out, F&& f) {
  if (out.numel() == 0 || out.device().is_meta()) return;
  const Tensor x = out.is_contiguous() ? out : permuted(out, memory_order(out));
  if (x.dtype() == DTypeOf<T>::value && x.is_contiguous()) {
    f(x.data_as<T>(), x.numel());
    return;
  }
  Tensor buffer = empty(x.sizes(), DTypeOf<T>::value);
  f(buffer.data_as<T>(), x.numel());
  copy_data(x, buffer);
}

template <class F>
void draw_floating(const char* op, const Tensor& x, Generator* generator, F&& f) {
  check_floating(op, x);
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  const auto call = [&](auto* p, int64_t n) { f(g, p, n); };
  switch (x.dtype()) {
    case DType::Float64:
      return draw<double>(x, call);
    case DType::Float16:
      return draw<Half>(x, call);
    case DType::BFloat16:
      return draw<BFloat16>(x, call);
    default:
      return draw<float>(x, call);
  }
}

// Complex numbers as real ones.
Tensor parts(const Tensor& x) { return detach(view_as_real(x)); }

void fill_uniform(const Tensor& x, double from, double to, Generator* generator) {
  PYNN_CHECK(from <= to, "uniform_: expects to return a [from, to) range, but found from=", from, " > to=", to);
  if (is_complex(x.dtype())) return fill_uniform(parts(x), from, to, generator);
  check_floating("uniform_", x);
  if (x.device().is_cuda()) return fill_cuda(x, generator, {.kind = Distribution::Uniform, .a = from, .b = to});
  draw_floating("uniform_", x, generator, [&](CpuGenerator& g, auto* p, int64_t n) { g.uniform(p, n, from, to); });
}

void fill_normal(const Tensor& x, double mean, double std, Generator* generator) {
  PYNN_CHECK(std >= 0, "normal_: expects std >= 0.0, but found std ", std);
  // The variance is that of both parts; the mean, as in PyTorch, is that of each.
  if (is_complex(x.dtype())) return fill_normal(parts(x), mean, std / std::numbers::sqrt2, generator);
  check_floating("normal_", x);
  if (x.device().is_cuda()) return fill_cuda(x, generator, {.kind = Distribution::Normal, .a = mean, .b = std});
  if (!x.is_contiguous()) {  // drawn one at a time, whatever the size
    CpuGenerator& g = cpu_generator(generator);
    std::lock_guard lock(g.mutex);
    draw<double>(x, [&](double* p, int64_t n) { g.normal_serial(p, n, mean, std); });
    return;
  }
  draw_floating("normal_", x, generator, [&](CpuGenerator& g, auto* p, int64_t n) { g.normal(p, n, mean, std); });
}

// Both the least and the greatest number that may come must be elements of the type.
void check_bounds(const char* op, DType type, int64_t least, int64_t greatest) {
  const auto holds = [&](int64_t v) {
    switch (type) {
      case DType::Bool:
        return v == 0 || v == 1;
      case DType::UInt8:
        return v == static_cast<uint8_t>(v);
      case DType::Int8:
        return v == static_cast<int8_t>(v);
      case DType::Int16:
        return v == static_cast<int16_t>(v);
      case DType::Int32:
        return v == static_cast<int32_t>(v);
      case DType::Float16:
        return v >= -65504 && v <= 65504;
      default:
        return true;
    }
  };
  PYNN_CHECK(holds(least) && holds(greatest), op, ": numbers from ", least, " to ", greatest, " are out of bounds for ",
             dtype_name(type));
}

void fill_randint(const char* op, const Tensor& x, int64_t low, int64_t high, Generator* generator) {
  PYNN_CHECK(low < high, op, ": expects 'from' to be less than 'to', but got from=", low, " >= to=", high);
  PYNN_CHECK(!is_complex(x.dtype()), op, ": handles only integral, floating-point and boolean types, got ",
             dtype_name(x.dtype()));
  check_bounds(op, x.dtype(), low, high - 1);
  const uint64_t range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (x.device().is_cuda()) return fill_cuda(x, generator, {.kind = Distribution::Range, .low = low, .range = range});
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  draw<int64_t>(x, [&](int64_t* p, int64_t n) { g.randint(p, n, low, high); });
}

Tensor op_rand(Dims sizes, Generator* g, OptType t, OptDevice d, bool grad) {
  PYNN_CHECK_KIND(NotImplemented, !is_integral(t.value_or(default_dtype())),
                  "rand: a floating point or complex dtype is required, got ", dtype_name(*t));
  Tensor x = empty(sizes, t.value_or(default_dtype()), d.value_or(Device{}));
  fill_uniform(x, 0, 1, g);
  return with_grad(std::move(x), grad);
}
Tensor op_randn(Dims sizes, Generator* g, OptType t, OptDevice d, bool grad) {
  PYNN_CHECK_KIND(NotImplemented, !is_integral(t.value_or(default_dtype())),
                  "randn: a floating point or complex dtype is required, got ", dtype_name(*t));
  Tensor x = empty(sizes, t.value_or(default_dtype()), d.value_or(Device{}));
  fill_normal(x, 0, 1, g);
  return with_grad(std::move(x), grad);
}
Tensor op_randint(int64_t low, int64_t high, Dims sizes, Generator* g, OptType t, OptDevice d, bool grad) {
  Tensor x = empty(sizes, t.value_or(DType::Int64), d.value_or(Device{}));
  fill_randint("randint", x, low, high, g);
  return with_grad(std::move(x), grad);
}
Tensor op_randint_high(int64_t high, Dims sizes, Generator* g, OptType t, OptDevice d, bool grad) {
  return op_randint(0, high, sizes, g, t, d, grad);
}
Tensor op_randperm(int64_t n, Generator* generator, OptType t, OptDevice d, bool grad) {
  PYNN_CHECK(n >= 0, "randperm: n must be non-negative, got ", n);
  Tensor x = empty(DimVector{n}, t.value_or(DType::Int64), d.value_or(Device{}));
  if (x.device().is_cuda()) {
    const Tensor order = x.dtype() == DType::Int64 ? x : empty(DimVector{n}, DType::Int64, x.device());
    if (n)
      kernels::random_permutation(x.device(), order.data_as<int64_t>(), n,
                                  next_philox(generator, x.device(), kPermutationCounters));
    if (!order.same(x)) copy_data(x, order);
    return with_grad(std::move(x), grad);
  }
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  draw<int64_t>(x, [&](int64_t* p, int64_t count) { g.randperm(p, count); });
  return with_grad(std::move(x), grad);
}

Tensor op_rand_like(const Tensor& x, Generator* g, OptType t, OptDevice d, bool grad, OptFormat f) {
  Tensor y = empty_as(x, t, d, f);
  fill_uniform(y, 0, 1, g);
  return with_grad(std::move(y), grad);
}
Tensor op_randn_like(const Tensor& x, Generator* g, OptType t, OptDevice d, bool grad, OptFormat f) {
  Tensor y = empty_as(x, t, d, f);
  fill_normal(y, 0, 1, g);
  return with_grad(std::move(y), grad);
}
Tensor op_randint_like_range(const Tensor& x, int64_t low, int64_t high, OptType t, OptDevice d, bool grad,
                             OptFormat f) {
  Tensor y = empty_as(x, t, d, f);
  fill_randint("randint_like", y, low, high, nullptr);
  return with_grad(std::move(y), grad);
}
Tensor op_randint_like(const Tensor& x, int64_t high, OptType t, OptDevice d, bool grad, OptFormat f) {
  return op_randint_like_range(x, 0, high, t, d, grad, f);
}

// In place. The old values do not count, so neither does their gradient.
Tensor overwritten(const char* op, const Tensor& x) {
  record_inplace(op, x, inputs(x), save(), [](const Tensor&) { return Tensor(); });
  return x;
}
Tensor op_uniform_(const Tensor& x, double from, double to, Generator* g) {
  autograd::check_inplace("uniform_", x);
  fill_uniform(x, from, to, g);
  return overwritten("uniform_", x);
}
Tensor op_normal_(const Tensor& x, double mean, double std, Generator* g) {
  autograd::check_inplace("normal_", x);
  fill_normal(x, mean, std, g);
  return overwritten("normal_", x);
}
Tensor op_random_range_(const Tensor& x, int64_t low, std::optional<int64_t> high, Generator* g) {
  autograd::check_inplace("random_", x);
  PYNN_CHECK(high, "random_: needs an upper bound when a lower one is given");
  fill_randint("random_", x, low, *high, g);
  return overwritten("random_", x);
}
Tensor op_random_to_(const Tensor& x, int64_t high, Generator* g) { return op_random_range_(x, 0, high, g); }
Tensor op_random_(const Tensor& x, Generator* generator) {
  autograd::check_inplace("random_", x);
  if (x.device().is_cuda()) {
    fill_cuda(x, generator, {.kind = Distribution::Range, .range = Generator::last_random(x.dtype()) + 1});
    return overwritten("random_", x);
  }
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  draw<int64_t>(x, [&](int64_t* p, int64_t n) { g.random(p, n, x.dtype()); });
  return overwritten("random_", x);
}
Tensor op_exponential_(const Tensor& x, double lambda, Generator* generator) {
  autograd::check_inplace("exponential_", x);
  check_floating("exponential_", x);
  PYNN_CHECK(lambda > 0, "exponential_: expects lambda > 0.0, but found lambda=", lambda);
  if (x.device().is_cuda()) {
    fill_cuda(x, generator, {.kind = Distribution::Exponential, .a = lambda});
    return overwritten("exponential_", x);
  }
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  draw<double>(x, [&](double* p, int64_t n) { g.exponential(p, n, lambda); });
  return overwritten("exponential_", x);
}

void fill_bernoulli(const Tensor& x, const Tensor& p, Generator* generator) {
  check_floating("bernoulli", p);
  const Tensor valid = logical_and(ge(p, 0.0), le(p, 1.0));  // NaN is not
  PYNN_CHECK(p.device().is_meta() || !any_zero(valid), "bernoulli: probabilities must be in [0, 1]");
  if (x.device().is_cuda()) {
    const Tensor probs = contiguous(p);
    return fill_cuda(x, generator, {.kind = Distribution::Bernoullis, .p_dtype = p.dtype(), .p = probs.data()});
  }
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  const Tensor ordered = permuted(p, memory_order(x));
  const Tensor probs = contiguous(p.dtype() == DType::Float64 ? ordered : to_dtype(ordered, DType::Float32));
  draw<bool>(x, [&](bool* out, int64_t n) {
    if (probs.dtype() == DType::Float64) {
      g.bernoulli(out, n, probs.data_as<double>());
    } else {
      g.bernoulli(out, n, probs.data_as<float>());
    }
  });
}
void fill_bernoulli(const Tensor& x, double p, Generator* generator) {
  PYNN_CHECK(p >= 0 && p <= 1, "bernoulli_: expects p to be in [0, 1], but got p=", p);
  if (x.device().is_cuda()) return fill_cuda(x, generator, {.kind = Distribution::Bernoulli, .a = p});
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  draw<bool>(x, [&](bool* out, int64_t n) { g.bernoulli(out, n, p); });
}
// Samples are on the graph, as in PyTorch, and have the slope 0.
constexpr auto kFlat = [](const Tensor& g) { return mul(g, 0.0); };
Tensor op_bernoulli(const Tensor& p, Generator* g) {
  check_floating("bernoulli", p);
  Tensor x = empty(p.sizes(), p.dtype(), p.device());
  {
    GradMode off(false);
    fill_bernoulli(x, p, g);
  }
  return record("bernoulli", std::move(x), inputs(p), save(), kFlat);
}
Tensor op_bernoulli_p(const Tensor& like, double p, Generator* g) {
  Tensor x = empty(like.sizes(), like.dtype(), like.device());
  fill_bernoulli(x, p, g);
  return no_gradient(std::move(x));
}
Tensor op_bernoulli_(const Tensor& x, double p, Generator* g) {
  autograd::check_inplace("bernoulli_", x);
  fill_bernoulli(x, p, g);
  return overwritten("bernoulli_", x);
}
Tensor op_bernoulli_tensor_(const Tensor& x, const Tensor& p, Generator* g) {
  autograd::check_inplace("bernoulli_", x);
  check_fits("bernoulli_", x, p.sizes());
  GradMode off(false);
  Tensor spread = empty(x.sizes(), p.dtype(), p.device());
  copy_data(spread, p);
  fill_bernoulli(x, spread, g);
  return overwritten("bernoulli_", x);
}

// normal(mean, std): tensors or numbers, at least one tensor or a size.
Tensor standard_normal(Dims sizes, DType t, Device d, Generator* g) {
  Tensor x = empty(sizes, t, d);
  fill_normal(x, 0, 1, g);
  return x;
}
void check_deviation(const Tensor& std) {
  PYNN_CHECK(std.device().is_meta() || !any_zero(ge(std, 0.0)), "normal: expects all elements of std >= 0.0");
}
Tensor no_slope(const Tensor& g, const Tensor& like) { return sum_to(mul(g, 0.0), like.sizes()); }
Tensor flat(Tensor y, const Tensor& a, const Tensor& b = {}) {
  return record(
      "normal", std::move(y), inputs(a, b), save(a, b),
      [](const Tensor& g, const Tensor& a, const Tensor&) { return no_slope(g, a); },
      [](const Tensor& g, const Tensor&, const Tensor& b) { return no_slope(g, b); });
}
Tensor op_normal(const Tensor& mean, Other std, Generator* g) {
  Tensor y;
  {
    GradMode off(false);
    if (std.tensor) {
      check_deviation(*std.tensor);
    } else {
      PYNN_CHECK(std.scalar.to_double() >= 0, "normal: expects std >= 0.0, but found std ", std.scalar.to_double());
    }
    const DimVector sizes =
        std.tensor ? broadcast_sizes("normal", mean.sizes(), std.tensor->sizes()) : DimVector(mean.sizes());
    y = add(mul(standard_normal(sizes, mean.dtype(), mean.device(), g), std), mean);
  }
  return flat(std::move(y), mean, std.tensor ? *std.tensor : Tensor());
}
Tensor op_normal_std(double mean, const Tensor& std, Generator* g) {
  Tensor y;
  {
    GradMode off(false);
    check_deviation(std);
    y = add(mul(standard_normal(std.sizes(), std.dtype(), std.device(), g), std), mean);
  }
  return flat(std::move(y), std);
}
Tensor op_normal_size(double mean, double std, Dims sizes, Generator* g, OptType t, OptDevice d, bool grad) {
  Tensor x = empty(sizes, t.value_or(default_dtype()), d.value_or(Device{}));
  fill_normal(x, mean, std, g);
  return with_grad(std::move(x), grad);
}

}  // namespace

namespace {

// On CUDA the mask is drawn anew, from the same counters, where it is needed.
Tensor dropout_cuda(const Tensor& input, double p, const Philox& philox) {
  const Tensor x = contiguous(input);
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  if (x.numel())
    kernels::random_dropout(x.device(), {x.dtype(), y.data(), x.data(), x.numel(), p, 1 / (1 - p), philox});
  return record("dropout", std::move(y), inputs(x), save(p, philox),
                [](const Tensor& g, double p, const Philox& philox) { return dropout_cuda(g, p, philox); });
}

}  // namespace

// y = x * mask / (1 - p), each element kept with probability 1 - p.
Tensor dropout(const Tensor& x, double p, bool training) {
  PYNN_CHECK_KIND(Value, p >= 0 && p <= 1, "dropout: probability has to be between 0 and 1, but got ", p);
  if (!training || p == 0) return x;
  check_floating("dropout", x);
  if (p == 1) return mul(x, 0.0);
  if (x.device().is_cuda()) return dropout_cuda(x, p, next_philox(nullptr, x.device(), (x.numel() + 3) / 4));
  Tensor mask = empty_like(x);
  {
    GradMode off(false);
    fill_bernoulli(mask, 1 - p, nullptr);
    mul_(mask, 1 / (1 - p));
  }
  return mul(x, mask);
}

#define PYNN_RANDOM \
  "*, Generator? generator=None, dtype? dtype=None, device? device=None, bool requires_grad=False) -> Tensor"
PYNN_OP(op_rand, "rand(int... size, " PYNN_RANDOM, "Uniform in [0, 1). Same as torch.rand, same numbers.", kOut);
PYNN_OP(op_randn, "randn(int... size, " PYNN_RANDOM, "Normal, mean 0, variance 1. Same as torch.randn, same numbers.",
        kOut);
PYNN_OP(op_randint, "randint(int low, int high, Size size, " PYNN_RANDOM,
        "Integers in [low, high). Same as torch.randint, same numbers.", kOut);
PYNN_OP(op_randint_high, "randint(int high, Size size, " PYNN_RANDOM, "Integers in [0, high).", kOut);
PYNN_OP(op_randperm, "randperm(int n, " PYNN_RANDOM, "A permutation of 0 .. n-1. Same as torch.randperm, same numbers.",
        kOut);
#define PYNN_RANDOM_LIKE                                                                                            \
  "*, Generator? generator=None, dtype? dtype=None, device? device=None, bool requires_grad=False, memory_format? " \
  "memory_format=None) -> Tensor"
PYNN_OP(op_rand_like, "rand_like(Tensor input, " PYNN_RANDOM_LIKE, "Uniform in [0, 1), of the input's shape.",
        kFunctionOnly);
PYNN_OP(op_randn_like, "randn_like(Tensor input, " PYNN_RANDOM_LIKE, "Normal, of the input's shape.", kFunctionOnly);
PYNN_OP(op_randint_like,
        "randint_like(Tensor input, int high, *, dtype? dtype=None, device? device=None, bool requires_grad=False, "
        "memory_format? memory_format=None) -> Tensor",
        "Integers in [0, high), of the input's shape.", kFunctionOnly);
PYNN_OP(op_randint_like_range,
        "randint_like(Tensor input, int low, int high, *, dtype? dtype=None, device? device=None, bool "
        "requires_grad=False, memory_format? memory_format=None) -> Tensor",
        "Integers in [low, high), of the input's shape.", kFunctionOnly);
PYNN_OP(op_uniform_, "uniform_(Tensor input, float from=0.0, float to=1.0, *, Generator? generator=None) -> Tensor",
        "Uniform in [from, to), in place. Same as torch.Tensor.uniform_.", kMethodOnly);
PYNN_OP(op_normal_, "normal_(Tensor input, float mean=0.0, float std=1.0, *, Generator? generator=None) -> Tensor",
        "Normal, in place. Same as torch.Tensor.normal_.", kMethodOnly);
PYNN_OP(op_random_, "random_(Tensor input, *, Generator? generator=None) -> Tensor",
        "Integers over all that the dtype holds exactly, in place. Same as torch.Tensor.random_.", kMethodOnly);
PYNN_OP(op_random_to_, "random_(Tensor input, int to, *, Generator? generator=None) -> Tensor", "Integers in [0, to).",
        kMethodOnly);
PYNN_OP(op_random_range_, "random_(Tensor input, int from, int? to, *, Generator? generator=None) -> Tensor",
        "Integers in [from, to).", kMethodOnly);
PYNN_OP(op_exponential_, "exponential_(Tensor input, float lambd=1.0, *, Generator? generator=None) -> Tensor",
        "Exponential with rate lambd, in place. Same as torch.Tensor.exponential_.", kMethodOnly);
PYNN_OP(op_bernoulli, "bernoulli(Tensor input, *, Generator? generator=None) -> Tensor",
        "1 with probability input, else 0. Same as torch.bernoulli.", kOut);
PYNN_OP(op_bernoulli_p, "bernoulli(Tensor input, float p, *, Generator? generator=None) -> Tensor",
        "One probability for all.", kOut);
PYNN_OP(op_bernoulli_tensor_, "bernoulli_(Tensor input, Tensor p, *, Generator? generator=None) -> Tensor",
        "1 with probability p, in place. Same as torch.Tensor.bernoulli_.", kMethodOnly);
PYNN_OP(op_bernoulli_, "bernoulli_(Tensor input, float p=0.5, *, Generator? generator=None) -> Tensor",
        "One probability for all.", kMethodOnly);
PYNN_OP(op_normal, "normal(Tensor mean, Other std=1.0, *, Generator? generator=None) -> Tensor",
        "Normal with a mean and a deviation per element. Same as torch.normal.", kFunctionOnly | kOut);
PYNN_OP(op_normal_std, "normal(float mean, Tensor std, *, Generator? generator=None) -> Tensor", "One mean for all.",
        kOut);
PYNN_OP(op_normal_size, "normal(float mean, float std, Size size, " PYNN_RANDOM, "One mean and deviation for all.",
        kOut);
PYNN_OP(dropout, "_nn.dropout(Tensor input, float p, bool training) -> Tensor",
        "Each element 0 with probability p, else divided by 1 - p. Same as torch.nn.functional.dropout.");

}  // namespace pynn::ops
