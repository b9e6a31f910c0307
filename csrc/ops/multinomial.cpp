// multinomial.cpp -- positions drawn with given weights, by PyTorch's draws.
//
//   without replacement: the largest of p / Exponential(1), as many as wanted
//   with replacement:    the first position whose running sum of p reaches a uniform float64
#include <algorithm>
#include <cmath>
#include <mutex>

#include "autograd/record.h"
#include "core/random.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/random.h"
#include "ops/reduce.h"
#include "ops/scan.h"
#include "ops/sort.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

Tensor draw_with_replacement(const Tensor& p, int64_t count, CpuGenerator& g) {
  const int64_t n = p.size(-1), rows = p.numel() / n;
  const Tensor weights = contiguous(to_dtype(p, DType::Float64));
  DimVector sizes(p.sizes());
  sizes.back() = count;
  Tensor found = empty(sizes, DType::Int64);
  std::vector<double> sums(static_cast<size_t>(n)), draws(static_cast<size_t>(count));
  for (int64_t r = 0; r < rows; ++r) {
    double total = 0;
    for (int64_t i = 0; i < n; ++i) sums[i] = total += weights.data_as<double>()[r * n + i];
    for (double& s : sums) s /= total;
    g.uniform(draws.data(), count, 0, 1);
    for (int64_t i = 0; i < count; ++i) {
      const auto at = std::lower_bound(sums.begin(), sums.end() - 1, draws[i]);
      found.data_as<int64_t>()[r * count + i] = at - sums.begin();
    }
  }
  return found;
}

Tensor positions_cuda(const Tensor& p, int64_t count, Generator* generator) {
  DimVector sizes(p.sizes());
  sizes.back() = count;
  Tensor found = empty(sizes, DType::Int64, p.device());
  const Tensor sums = contiguous(cumsum(p, -1, DType::Float64));
  const int64_t n = p.size(-1);
  kernels::random_positions(p.device(), found.data_as<int64_t>(), sums.data_as<double>(), p.numel() / n, n, count,
                            next_philox(generator, p.device(), found.numel()));
  return found;
}

Tensor multinomial(const Tensor& p, int64_t count, bool replacement, Generator* generator) {
  PYNN_CHECK(is_floating(p.dtype()),
             "multinomial: multinomial only supports floating-point dtypes for input, got: ", dtype_name(p.dtype()));
  PYNN_CHECK(p.dim() == 1 || p.dim() == 2, "multinomial: prob_dist must be 1 or 2 dim, got ", dims_str(p.sizes()));
  PYNN_CHECK(count > 0, "multinomial: cannot sample n_sample <= 0 samples, got ", count);
  PYNN_CHECK(replacement || count <= p.size(-1),
             "multinomial: cannot sample n_sample > prob_dist.size(-1) samples without "
             "replacement, got ",
             count, " for ", dims_str(p.sizes()));
  PYNN_CHECK(p.size(-1) > 0, "multinomial: at least one weight per row is required, got ", dims_str(p.sizes()));
  DimVector sizes(p.sizes());
  sizes.back() = count;
  if (p.numel() == 0 || p.device().is_meta()) return empty(sizes, DType::Int64, p.device());
  GradMode off(false);
  PYNN_CHECK(!any_zero(logical_and(ge(p, 0.0), isfinite(p))),
             "multinomial: probability tensor contains either `inf`, `nan` or element < 0");
  const int64_t last[] = {-1};
  PYNN_CHECK(!any_zero(sum(p, Dims(last))),
             "multinomial: invalid multinomial distribution (sum of probabilities <= 0)");
  const bool cuda = p.device().is_cuda(), alone = !replacement || count == 1;
  if (!alone && cuda) return no_gradient(positions_cuda(p, count, generator));
  Tensor waits = alone ? empty(p.sizes(), DType::Float64, p.device()) : Tensor();
  if (cuda) {
    fill_cuda(waits, generator, {.kind = Distribution::Exponential, .a = 1});
  } else {
    CpuGenerator& g = cpu_generator(generator);
    std::lock_guard lock(g.mutex);
    if (!alone) return no_gradient(draw_with_replacement(p, count, g));
    g.exponential(waits.data_as<double>(), waits.numel(), 1);
  }
  const Tensor scores = div(p, to_dtype(waits, p.dtype()));
  return no_gradient(std::get<1>(first_k("multinomial", scores, p.dim() - 1, count, true)));
}

}  // namespace

PYNN_OP(multinomial,
        "multinomial(Tensor input, int num_samples, bool replacement=False, *, Generator? generator=None) -> Tensor",
        "Positions in each row, drawn with the row's weights. Same as torch.multinomial, same numbers.", kOut);

}  // namespace pynn::ops
