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
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Generator& pick(Generator* g) { return g ? *g : default_generator(); }
double uniform(Generator& g) { return unit_double(g.random64()); }

// One value per element, in row-major order.
template <class F>
Tensor fill_each(const char* op, const Tensor& x, Generator* generator, F f) {
  autograd::check_inplace(op, x);
  if (x.numel() && !x.device().is_meta()) {
    Generator& g = pick(generator);
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
  return fill_each("geometric_", x, g, [&](Generator& r) { return std::ceil(std::log(uniform(r)) / scale); });
}
Tensor cauchy_(const Tensor& x, double median, double sigma, Generator* g) {
  PYNN_CHECK(sigma > 0, "cauchy_: expects sigma > 0.0, but found sigma=", sigma);
  check_floating("cauchy_", x);
  return fill_each("cauchy_", x, g,
                   [&](Generator& r) { return median + sigma * std::tan(std::numbers::pi * (uniform(r) - 0.5)); });
}
Tensor log_normal_(const Tensor& x, double mean, double std, Generator* g) {
  PYNN_CHECK(std > 0, "log_normal_: expects std > 0.0, but found std=", std);
  check_floating("log_normal_", x);
  return fill_each("log_normal_", x, g, [&](Generator& r) {
    double z;
    r.normal_serial(&z, 1, mean, std);
    return std::exp(z);
  });
}

double poisson_one(double mean, Generator& g) {
  if (!(mean > 0)) return std::isnan(mean) ? mean : 0;
  if (mean < 10) {  // uniforms are multiplied until they fall below e^-mean
    const double limit = std::exp(-mean);
    double product = 1;
    for (int64_t k = 0;; ++k) {
      product *= uniform(g);
      if (product <= limit) return static_cast<double>(k);
    }
  }
  const double root = std::sqrt(mean), log_mean = std::log(mean);
  const double b = 0.931 + 2.53 * root, a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), fast = 0.9277 - 3.6224 / (b - 2);
  for (;;) {
    const double u = uniform(g) - 0.5, v = uniform(g), us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= fast) return k;
    if (k < 0 || (us < 0.013 && v > us)) continue;
    const double left = std::log(v) + std::log(inverse_alpha) - std::log(a / (us * us) + b);
    if (left <= -mean + k * log_mean - std::lgamma(k + 1)) return k;
  }
}

// log(k!) minus Stirling's formula.
double stirling_tail(double k) {
  static constexpr double table[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.0207906721037650,
                                     0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                                     0.00925546218271273, 0.00833056343336287};
  if (k <= 9) return table[static_cast<size_t>(k)];
  const double s = (k + 1) * (k + 1);
  return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / s) / s) / (k + 1);
}

double binomial_low(double n, double p, Generator& g) {  // p <= 1/2
  if (n * p < 10) {                                      // gaps between successes are geometric
    const double scale = std::log1p(-p);
    double tried = 0;
    for (int64_t found = 0;; ++found) {
      tried += std::ceil(std::log(uniform(g)) / scale);
      if (!(tried <= n)) return static_cast<double>(found);
    }
  }
  const double deviation = std::sqrt(n * p * (1 - p));
  const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, c = n * p + 0.5;
  const double fast = 0.92 - 4.2 / b, r = p / (1 - p), alpha = (2.83 + 5.1 / b) * deviation;
  const double m = std::floor((n + 1) * p);
  for (;;) {
    const double u = uniform(g) - 0.5, v = uniform(g), us = 0.5 - std::fabs(u);
    const double k = std::floor((2 * a / us + b) * u + c);
    if (us >= 0.07 && v <= fast) return k;
    if (k < 0 || k > n) continue;
    const double left = std::log(v * alpha / (a / (us * us) + b));
    const double bound = (m + 0.5) * std::log((m + 1) / (r * (n - m + 1))) +
                         (n + 1) * std::log((n - m + 1) / (n - k + 1)) +
                         (k + 0.5) * std::log(r * (n - k + 1) / (k + 1)) + stirling_tail(m) + stirling_tail(n - m) -
                         stirling_tail(k) - stirling_tail(n - k);
    if (left <= bound) return k;
  }
}
double binomial_one(double n, double p, Generator& g) {
  if (std::isnan(n) || std::isnan(p)) return std::numeric_limits<double>::quiet_NaN();
  if (n <= 0 || p <= 0) return 0;
  if (p >= 1) return n;
  return p <= 0.5 ? binomial_low(n, p, g) : n - binomial_low(n, 1 - p, g);
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
  Tensor y = empty(rate.sizes(), DType::Float64);
  Generator& g = pick(generator);
  std::lock_guard lock(g.mutex);
  for (int64_t i = 0; i < y.numel(); ++i) {
    const double m = mean.data_as<double>()[i];
    PYNN_CHECK(!(m < 0), "poisson: invalid Poisson rate, expected rate to be non-negative, got ", m);
    y.data_as<double>()[i] = poisson_one(m, g);
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
  Tensor y = empty(sizes, DType::Float64);
  Generator& g = pick(generator);
  std::lock_guard lock(g.mutex);
  for (int64_t i = 0; i < y.numel(); ++i)
    y.data_as<double>()[i] = binomial_one(n.data_as<double>()[i], p.data_as<double>()[i], g);
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
