// factor.cpp -- LU, Cholesky and QR factors of real matrices on the CPU, and systems of an LU. Values only: the
// derivatives stand with what is made of them, in pynn/_linalg.
#include "kernels/factor.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/qr.h"
#include "ops/creation.h"
#include "ops/triangular.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

DimVector batch_of(const Tensor& x, int64_t dims) { return DimVector(x.sizes().first(x.dim() - dims)); }
int64_t count_of(Dims sizes) {
  int64_t n = 1;
  for (int64_t s : sizes) n *= s;
  return n;
}
void check_real(const char* op, const Tensor& x) {
  PYNN_CHECK(x.dtype() == DType::Float32 || x.dtype() == DType::Float64, op, ": float32 or float64 is required, got ",
             dtype_name(x.dtype()));
  PYNN_CHECK(x.device().is_cpu() && x.dim() >= 2, op, ": matrices on the CPU are required");
}
FactorArgs factor_args(const Tensor& a, const Tensor& info) {
  const int64_t m = a.size(-2), n = a.size(-1);
  return {a.data(), m, n, info.numel(), a.dtype(), nullptr, info.data_as<int32_t>()};
}

std::tuple<Tensor, Tensor, Tensor> lu_factor(const Tensor& x) {
  check_real("linalg.lu_factor", x);
  GradMode off(false);
  const Tensor lu = clone_contiguous(x);
  DimVector sizes = batch_of(x, 2);
  const Tensor info = zeros(sizes, DType::Int32);
  sizes.push_back(std::min(x.size(-2), x.size(-1)));
  const Tensor pivots = empty(sizes, DType::Int32);
  FactorArgs args = factor_args(lu, info);
  args.pivots = pivots.data_as<int32_t>();
  if (lu.numel()) kernels::lu_factor(lu.device(), args);
  return {lu, pivots, info};
}

// U, from the upper triangle.
std::tuple<Tensor, Tensor> cholesky_factor(const Tensor& x) {
  check_real("linalg.cholesky", x);
  GradMode off(false);
  const Tensor u = clone_contiguous(x), info = zeros(batch_of(x, 2), DType::Int32);
  if (u.numel()) kernels::cholesky_factor(u.device(), factor_args(u, info));
  return {u, info};
}

// V, T and R with A = (I - V T V^T) R, for matrices with at least as many rows as columns.
std::tuple<Tensor, Tensor, Tensor> qr_factor(const Tensor& x) {
  check_real("linalg.qr", x);
  const int64_t m = x.size(-2), n = x.size(-1);
  PYNN_CHECK(m >= n, "linalg.qr: at least as many rows as columns are required, got ", dims_str(x.sizes()));
  GradMode off(false);
  DimVector sizes = batch_of(x, 2);
  const int64_t batch = count_of(sizes);
  sizes.push_back(n), sizes.push_back(n);
  const Tensor v = clone_contiguous(x), r = zeros(sizes, x.dtype()), t = zeros(sizes, x.dtype());
  if (v.numel()) kernels::qr_factor(v.device(), {v.data(), r.data(), t.data(), m, n, batch, v.dtype()});
  return {v, t, r};
}

// The row exchanges of `pivots` on x [..., m, n], in place.
void exchange(const Tensor& x, const Tensor& pivots, bool backwards) {
  if (x.numel())
    kernels::exchange_rows(x.device(), x.data(), x.size(-2), x.size(-1), static_cast<int64_t>(item_size(x.dtype())),
                           count_of(batch_of(x, 2)), pivots.data_as<int32_t>(), pivots.size(-1), backwards);
}
void check_pivots(const char* op, const Tensor& pivots, int64_t rows) {
  PYNN_CHECK(pivots.dtype() == DType::Int32 && pivots.dim() >= 1 && pivots.size(-1) <= rows && pivots.device().is_cpu(),
             op, ": int32 pivots of at most ", rows, " rows are required");
  const int32_t* p = pivots.data_as<int32_t>();
  for (int64_t i = 0; i < pivots.numel(); ++i)
    PYNN_CHECK(p[i] >= 1 && p[i] <= rows, op, ": pivots must lie in [1, ", rows, "], got ", p[i]);
}

// Row i of P^T A is row order[i] of A.
Tensor pivot_order(const Tensor& given, int64_t rows) {
  GradMode off(false);
  const Tensor pivots = contiguous(given);
  check_pivots("lu_unpack", pivots, rows);
  DimVector sizes = batch_of(pivots, 1);
  sizes.push_back(rows), sizes.push_back(1);
  const Tensor order = clone_contiguous(expand(view(arange(rows), DimVector{rows, 1}), sizes));
  exchange(order, pivots, false);
  return squeeze(order, DimVector{-1});
}

// x with A x = b (adjoint: A^T x = b), all of one batch.
Tensor lu_solve(const Tensor& lu, const Tensor& given, const Tensor& b, bool adjoint) {
  const int64_t n = lu.size(-1), m = b.size(-1);
  check_real("linalg.lu_solve", lu), check_real("linalg.lu_solve", b);
  GradMode off(false);
  const Tensor pivots = contiguous(given), x = clone_contiguous(b);
  check_pivots("linalg.lu_solve", pivots, n);
  const int64_t batch = count_of(batch_of(x, 2));
  PYNN_CHECK(lu.dtype() == x.dtype() && lu.size(-2) == n && x.size(-2) == n && same(batch_of(lu, 2), batch_of(x, 2)) &&
                 pivots.numel() == batch * n,
             "linalg.lu_solve: sizes differ, got ", dims_str(lu.sizes()), ", ", dims_str(pivots.sizes()), " and ",
             dims_str(b.sizes()));
  if (x.numel() == 0) return no_gradient(x);
  const Tensor a = reshape(lu, DimVector{batch, n, n}), flat = view(x, DimVector{batch, n, m});
  if (adjoint) {
    const Tensor t = transpose(a, 1, 2);
    solve_in_place(t, flat, /*upper=*/false, /*unit=*/false);
    solve_in_place(t, flat, /*upper=*/true, /*unit=*/true);
    exchange(x, pivots, true);
  } else {
    exchange(x, pivots, false);
    solve_in_place(a, flat, /*upper=*/false, /*unit=*/true);
    solve_in_place(a, flat, /*upper=*/true, /*unit=*/false);
  }
  return no_gradient(x);
}

}  // namespace

PYNN_OP(lu_factor, "_linalg.real_lu(Tensor A) -> (Tensor LU, Tensor pivots, Tensor info)",
        "P A = L U with partial pivoting, L and U in one; info is the first zero on U's diagonal, from 1, or 0.");
PYNN_OP(cholesky_factor, "_linalg.real_cholesky(Tensor A) -> (Tensor U, Tensor info)",
        "A = U^T U, from A's upper triangle; info is the order of the first leading minor that is not positive, or 0.");
PYNN_OP(qr_factor, "_linalg.real_qr(Tensor A) -> (Tensor V, Tensor T, Tensor R)", "A = (I - V T V^T) R.");
PYNN_OP(pivot_order, "_linalg.pivot_order(Tensor pivots, int rows) -> Tensor",
        "The permutation of row exchanges: row i comes from row order[i].");
PYNN_OP(lu_solve, "_linalg.real_lu_solve(Tensor LU, Tensor pivots, Tensor B, bool adjoint=False) -> Tensor",
        "The solutions of A X = B, or A^T X = B, from A's LU.");

}  // namespace pynn::ops
