// triangular.cpp -- triangular systems: substitution in blocks on the diagonal, products for the rest.
#include <complex>

#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/triangular.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/matmul.h"
#include "ops/triangular.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {

Tensor tril(const Tensor& x, int64_t diagonal);  // rearrange.cpp
Tensor triu(const Tensor& x, int64_t diagonal);

namespace {

// Rows of a block on the diagonal. The kernel for real ones is as fast as a product while the block stays in L2, but
// runs on as many threads as there are panels of columns.
int64_t block_of(DType dtype, int64_t columns) {
  return is_complex(dtype) ? 16 : (columns < 256 ? 1024 : 2048) / static_cast<int64_t>(item_size(dtype));
}

// x [n, m] = a^-1 x for complex a [n, n].
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

// All systems of a batch: a [batch, n, n], x [batch, n, m].
void solve_real(const Tensor& a, const Tensor& x, bool upper, bool unit) {
  const int64_t n = x.size(1), size = static_cast<int64_t>(item_size(a.dtype())), way = upper ? -1 : 1;
  const int64_t last = upper ? n - 1 : 0;  // where the first row to be solved lies
  TriangularArgs g;
  g.a = static_cast<const char*>(a.data()) + last * (a.stride(1) + a.stride(2)) * size;
  g.x = static_cast<char*>(x.data()) + last * x.stride(1) * size;
  g.n = n, g.m = x.size(2), g.batch = x.size(0);
  g.a_rs = way * a.stride(1), g.a_cs = way * a.stride(2), g.a_batch = a.stride(0);
  g.x_rs = way * x.stride(1), g.x_batch = x.stride(0);
  g.unit = unit, g.dtype = a.dtype();
  kernels::solve_lower(x.device(), g);
}

}  // namespace

void solve_in_place(const Tensor& a, const Tensor& x, bool upper, bool unit) {
  const int64_t n = x.size(1), block = block_of(a.dtype(), x.size(2));
  if (n > block) {
    const int64_t half = (n / 2 + 15) / 16 * 16, first = upper ? half : 0, rest = half - first;
    const int64_t known = upper ? n - half : half, left = n - known;
    const Tensor x_known = narrow(x, 1, first, known), x_left = narrow(x, 1, rest, left);
    const Tensor a_rest = narrow(a, 1, rest, left), a_between = narrow(a_rest, 2, first, known);
    solve_in_place(narrow(narrow(a, 1, first, known), 2, first, known), x_known, upper, unit);
    run_gemm(x_left, a_between, x_known, {}, -1, 1, kAllParts);
    return solve_in_place(narrow(a_rest, 2, rest, left), x_left, upper, unit);
  }
  if (!is_complex(a.dtype())) return solve_real(a, x, upper, unit);
  for (int64_t i = 0; i < x.size(0); ++i)
    if (a.dtype() == DType::Complex64)
      substitute<std::complex<float>>(select(a, 0, i), select(x, 0, i), upper, unit);
    else
      substitute<std::complex<double>>(select(a, 0, i), select(x, 0, i), upper, unit);
}

namespace {

// a [..., n, n] and b [..., n, m] of the same batch, on the CPU.
Tensor solve_left(const Tensor& a, const Tensor& b, bool upper, bool unit) {
  const int64_t n = b.size(-2), m = b.size(-1);
  Tensor x;
  {
    GradMode off(false);
    x = clone_contiguous(b);
    const int64_t batch = x.numel() ? x.numel() / (n * m) : 0;
    if (batch && !x.device().is_meta())
      solve_in_place(reshape(a, DimVector{batch, n, n}), view(x, DimVector{batch, n, m}), upper, unit);
  }
  return record(
      "linalg_solve_triangular", x, inputs(a, b), save(a, x, upper, unit),
      [](const Tensor& g, const Tensor& a, const Tensor& x, bool upper, bool unit) {
        const Tensor ga =
            neg(matmul(solve_left(conj(transpose(a, -2, -1)), g, !upper, unit), conj(transpose(x, -2, -1))));
        return upper ? triu(ga, unit) : tril(ga, -int64_t{unit});
      },
      [](const Tensor& g, const Tensor& a, const Tensor&, bool upper, bool unit) {
        return solve_left(conj(transpose(a, -2, -1)), g, !upper, unit);
      });
}

Tensor solve_triangular(const Tensor& a, const Tensor& b, bool upper, bool left, bool unit) {
  const char* op = "linalg.solve_triangular";
  for (const Tensor* x : {&a, &b}) {
    const char* name = x == &a ? "A" : "B";
    PYNN_CHECK(item_size(x->dtype()) != 2 || !is_floating(x->dtype()), op, ": Low precision dtypes not supported. Got ",
               dtype_name(x->dtype()));
    PYNN_CHECK(is_floating(x->dtype()) || is_complex(x->dtype()), op,
               ": Expected a floating point or complex tensor as input. Got ", dtype_name(x->dtype()));
    PYNN_CHECK(x->dim() >= 2, op, ": The input tensor ", name, " must have at least 2 dimensions, got ", x->dim());
  }
  PYNN_CHECK(a.dtype() == b.dtype(), op, ": Expected all tensors to have the same dtype, got ", dtype_name(a.dtype()),
             " and ", dtype_name(b.dtype()));
  PYNN_CHECK(a.device() == b.device(), op, ": Expected all tensors to be on the same device, got ", a.device().str(),
             " and ", b.device().str());
  PYNN_CHECK(a.size(-1) == a.size(-2), op, ": A must be batches of square matrices, but they are ", a.size(-2), " by ",
             a.size(-1), " matrices");
  PYNN_CHECK(a.size(-1) == b.size(left ? -2 : -1), op, ": Incompatible shapes of A and B for the equation ",
             left ? "AX = B" : "XA = B", " (", a.size(-2), "x", a.size(-1), " and ", b.size(-2), "x", b.size(-1), ")");
  if (!left) return transpose(solve_triangular(transpose(a, -2, -1), transpose(b, -2, -1), !upper, true, unit), -2, -1);
  if (a.device().is_cuda()) {
    const Device host;
    return to_device(solve_triangular(to_device(a, host), to_device(b, host), upper, true, unit), a.device());
  }
  const Dims a_batch = a.sizes().first(a.dim() - 2), b_batch = b.sizes().first(b.dim() - 2);
  if (same(a_batch, b_batch)) return solve_left(a, b, upper, unit);
  const auto expanded = [batch = broadcast_sizes(op, a_batch, b_batch)](const Tensor& x) {
    DimVector sizes(batch);
    sizes.push_back(x.size(-2)), sizes.push_back(x.size(-1));
    return expand(x, sizes);
  };
  return solve_left(expanded(a), expanded(b), upper, unit);
}

}  // namespace

PYNN_OP(solve_triangular,
        "_linalg.solve_triangular(Tensor A, Tensor B, *, bool upper, bool left=True, bool unitriangular=False) -> "
        "Tensor",
        "X with A X = B, or (left=False) X A = B, for triangular A; the other triangle is not read. Same as "
        "torch.linalg.solve_triangular.",
        kOut);

}  // namespace pynn::ops
