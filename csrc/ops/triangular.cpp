// triangular.cpp -- triangular systems: substitution in small blocks on the diagonal, products for the rest.
#include <complex>

#include "autograd/record.h"
#include "core/parallel.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {

Tensor tril(const Tensor& x, int64_t diagonal);  // rearrange.cpp
Tensor triu(const Tensor& x, int64_t diagonal);

namespace {

constexpr int64_t kBlock = 16;

// x [n, m] = a^-1 x for a [n, n] triangular.
template <class T>
void substitute(const Tensor& a, const Tensor& x, bool upper, bool unit) {
  const T* const at = static_cast<const T*>(a.data());
  T* const to = static_cast<T*>(x.data());
  const int64_t n = x.size(0), m = x.size(1);
  for (int64_t r = 0; r < n; ++r) {
    const int64_t i = upper ? n - 1 - r : r;
    T* const row = to + i * x.stride(0);
    for (int64_t j = upper ? i + 1 : 0; j < (upper ? n : i); ++j) {
      const T f = at[i * a.stride(0) + j * a.stride(1)];
      const T* const known = to + j * x.stride(0);
      for (int64_t c = 0; c < m; ++c) row[c] -= f * known[c];
    }
    if (unit) continue;
    const T pivot = at[i * (a.stride(0) + a.stride(1))];
    for (int64_t c = 0; c < m; ++c) row[c] /= pivot;
  }
}

void solve(const Tensor& a, const Tensor& x, bool upper, bool unit) {
  const int64_t n = x.size(0);
  if (n > kBlock) {
    const int64_t half = (n / 2 + kBlock - 1) / kBlock * kBlock, first = upper ? half : 0, rest = half - first;
    const int64_t known = upper ? n - half : half, left = n - known;
    const Tensor x_known = narrow(x, 0, first, known), x_left = narrow(x, 0, rest, left);
    solve(narrow(narrow(a, 0, first, known), 1, first, known), x_known, upper, unit);
    run_gemm(x_left, narrow(narrow(a, 0, rest, left), 1, first, known), x_known, {}, -1, 1);
    return solve(narrow(narrow(a, 0, rest, left), 1, rest, left), x_left, upper, unit);
  }
  const auto with = [&](auto zero) { substitute<decltype(zero)>(a, x, upper, unit); };
  if (is_complex(a.dtype()))
    a.dtype() == DType::Complex64 ? with(std::complex<float>()) : with(std::complex<double>());
  else
    a.dtype() == DType::Float32 ? with(0.0f) : with(0.0);
}

// a [..., n, n] and b [..., n, m] of the same batch, on the CPU.
Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  const char* op = "_linalg_solve_triangular";
  PYNN_CHECK(a.dim() >= 2 && b.dim() == a.dim() && a.size(-1) == a.size(-2) && b.size(-2) == a.size(-1) &&
                 same(b.sizes().first(b.sizes().size() - 2), a.sizes().first(a.sizes().size() - 2)),
             op, ": [..., n, n] and [..., n, m] are required, got ", dims_str(a.sizes()), " and ", dims_str(b.sizes()));
  PYNN_CHECK(a.dtype() == b.dtype() && item_size(a.dtype()) >= 4 && (is_floating(a.dtype()) || is_complex(a.dtype())),
             op, ": float32, float64 or complex matrices of one dtype are required, got ", dtype_name(a.dtype()),
             " and ", dtype_name(b.dtype()));
  PYNN_CHECK(a.device() == b.device() && !a.device().is_cuda(), op, ": tensors on the CPU are required, got ",
             a.device().str(), " and ", b.device().str());
  const int64_t n = b.size(-2), m = b.size(-1);
  Tensor x;
  {
    GradMode off(false);
    x = clone_contiguous(b);
    const int64_t batch = x.numel() ? x.numel() / (n * m) : 0;
    const Tensor matrices = batch ? reshape(a, DimVector{batch, n, n}) : a, sides = view(x, DimVector{batch, n, m});
    if (!x.device().is_meta())
      for (int64_t i = 0; i < batch; ++i) solve(select(matrices, 0, i), select(sides, 0, i), upper, unit);
  }
  return record(
      "linalg_solve_triangular", x, inputs(a, b), save(a, x, upper, unit),
      [](const Tensor& g, const Tensor& a, const Tensor& x, bool upper, bool unit) {
        const Tensor ga =
            neg(matmul(solve_triangular(conj(transpose(a, -2, -1)), g, !upper, unit), conj(transpose(x, -2, -1))));
        return upper ? triu(ga, unit) : tril(ga, -int64_t{unit});
      },
      [](const Tensor& g, const Tensor& a, const Tensor&, bool upper, bool unit) {
        return solve_triangular(conj(transpose(a, -2, -1)), g, !upper, unit);
      });
}

}  // namespace

PYNN_OP(solve_triangular, "_linalg_solve_triangular(Tensor A, Tensor B, bool upper, bool unitriangular) -> Tensor",
        "A^-1 B for triangular A; see linalg.solve_triangular.", kFunctionOnly);

}  // namespace pynn::ops
