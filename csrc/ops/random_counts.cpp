// random_counts.cpp -- fills from further distributions, with PyTorch's draws: geometric, Cauchy, log-normal, Poisson
// and binomial. For large means the last two use Hoermann's transformed rejection.
#include <cmath>
#include <limits>
#include <mutex>
#include <numbers>

#include "autograd/record.h"
#include "core/random.h"
#include "core/random_draw.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

double uniform(CpuGenerator& g) { return unit_double(g.random64()); }

#define PYNN_COUNTS_FN inline
#define PYNN_MATH(name) std::name
#include "kernels/random_counts.h"

// One value per element, in row-major order.
template <class F>
Tensor fill_each(const char* op, const Tensor& x, Generator* generator, const RandomArgs& cuda, F f) {
  autograd::check_inplace(op, x);
  if (x.device().is_cuda()) {
    fill_cuda(x, generator, cuda);
  } else if (x.numel() && !x.device().is_meta()) {
    CpuGenerator& g = cpu_generator(generator);
    std::lock_guard lock(g.mutex);
    const Tensor draws = empty(x.sizes(), DType::Float64);
    double* p = draws.data_as<double>();
    for (int64_t i = 0; i < x.numel(); ++i) p[i] = f(g);
    copy_data(x, draws);
  }
  record_inplace(op, x, inputs(x), save(), [](const Tensor& g) { return mul(g, 0.0); });
  return x;
}

Tensor geometric_(const Tensor& x, double p, Generator* g) {
  PYNN_CHECK(p > 0 && p < 1, "geometric_: expects p to be in (0, 1), but got p=", p);
  const double scale = std::log(1 - p);
  return fill_each("geometric_", x, g, {.kind = Distribution::Geometric, .a = p},
                   [&](CpuGenerator& r) { return std::ceil(std::log(uniform(r)) / scale); });
}
Tensor cauchy_(const Tensor& x, double median, double sigma, Generator* g) {
  PYNN_CHECK(sigma > 0, "cauchy_: expects sigma > 0.0, but found sigma=", sigma);
  check_floating("cauchy_", x);
  return fill_each("cauchy_", x, g, {.kind = Distribution::Cauchy, .a = median, .b = sigma},
                   [&](CpuGenerator& r) { return median + sigma * std::tan(std::numbers::pi * (uniform(r) - 0.5)); });
}
Tensor log_normal_(const Tensor& x, double mean, double std, Generator* g) {
  PYNN_CHECK(std > 0, "log_normal_: expects std > 0.0, but found std=", std);
  check_floating("log_normal_", x);
  return fill_each("log_normal_", x, g, {.kind = Distribution::LogNormal, .a = mean, .b = std}, [&](CpuGenerator& r) {
    double z;
    r.normal_serial(&z, 1, mean, std);
    return std::exp(z);
  });
}

Tensor zero_slope(const char* op, Tensor y, const Tensor& a, const Tensor& b) {
  return record(
      op, std::move(y), inputs(a, b), save(), [](const Tensor& g) { return mul(g, 0.0); },
      [](const Tensor& g) { return mul(g, 0.0); });
}

Tensor poisson(const Tensor& rate, Generator* generator) {
  check_floating("poisson", rate);
  if (rate.device().is_meta()) return zero_slope("poisson", empty_like(rate), rate, kUndefined);
  const Tensor mean = [&] {
    GradMode off(false);
    return contiguous(to_dtype(rate, DType::Float64));
  }();
  Tensor y = empty(rate.sizes(), DType::Float64, rate.device());
  if (rate.device().is_cuda()) {
    PYNN_CHECK(!any_nonzero(lt(mean, 0.0)), "poisson: invalid Poisson rate, expected rate to be non-negative");
    fill_cuda(y, generator, {.kind = Distribution::Poisson, .p = mean.data()});
    return zero_slope("poisson", to_dtype(y, rate.dtype()), rate, kUndefined);
  }
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  for (int64_t i = 0; i < y.numel(); ++i) {
    const double m = mean.data_as<double>()[i];
    PYNN_CHECK(!(m < 0), "poisson: invalid Poisson rate, expected rate to be non-negative, got ", m);
    y.data_as<double>()[i] = poisson_one(m, [&] { return uniform(g); });
  }
  return zero_slope("poisson", to_dtype(y, rate.dtype()), rate, kUndefined);
}

Tensor binomial(const Tensor& count, const Tensor& prob, Generator* generator) {
  PYNN_CHECK(is_floating(count.dtype()) && is_floating(prob.dtype()),
             "binomial: only supports floating-point dtypes, got ", dtype_name(count.dtype()), " and ",
             dtype_name(prob.dtype()));
  PYNN_CHECK(count.dtype() == prob.dtype(), "binomial: expected count and prob to have the same dtype, got ",
             dtype_name(count.dtype()), " and ", dtype_name(prob.dtype()));
  const DimVector sizes = broadcast_sizes("binomial", count.sizes(), prob.sizes());
  if (count.device().is_meta() || prob.device().is_meta())
    return zero_slope("binomial",
                      empty(sizes, count.dtype(), count.device().is_meta() ? count.device() : prob.device()), count,
                      prob);
  Tensor n, p;
  {
    GradMode off(false);
    n = contiguous(expand(to_dtype(count, DType::Float64), sizes));
    p = contiguous(expand(to_dtype(prob, DType::Float64), sizes));
  }
  Tensor y = empty(sizes, DType::Float64, n.device());
  if (n.device().is_cuda()) {
    fill_cuda(y, generator, {.kind = Distribution::Binomial, .p = n.data(), .q = p.data()});
    return zero_slope("binomial", to_dtype(y, count.dtype()), count, prob);
  }
  CpuGenerator& g = cpu_generator(generator);
  std::lock_guard lock(g.mutex);
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data_as<double>()[i] = binomial_one(n.data_as<double>()[i], p.data_as<double>()[i], [&] { return uniform(g); });
  return zero_slope("binomial", to_dtype(y, count.dtype()), count, prob);
}

}  // namespace

PYNN_OP(
    geometric_, "geometric_(Tensor input, float p, *, Generator? generator=None) -> Tensor",
    "The number of trials up to the first success of probability p, in place. Same as torch.Tensor.geometric_, same "
    "numbers.",
    kMethodOnly);
PYNN_OP(cauchy_, "cauchy_(Tensor input, float median=0.0, float sigma=1.0, *, Generator? generator=None) -> Tensor",
        "Cauchy distributed, in place. Same as torch.Tensor.cauchy_, same numbers.", kMethodOnly);
PYNN_OP(log_normal_, "log_normal_(Tensor input, float mean=1.0, float std=2.0, *, Generator? generator=None) -> Tensor",
        "e to a normal number, in place. Same as torch.Tensor.log_normal_, same numbers.", kMethodOnly);
PYNN_OP(poisson, "poisson(Tensor input, Generator? generator=None) -> Tensor",
        "Poisson distributed counts of the given means. Same as torch.poisson, same numbers.", kFunctionOnly);
PYNN_OP(binomial, "binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor",
        "Successes among count trials of probability prob. Same as torch.binomial, same numbers.", kFunctionOnly);

}  // namespace pynn::ops
