// products.cpp -- products of vectors, and products added to something: dot, mv, outer, inner, addmm and their kin.
#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

Tensor mv(const Tensor& a, const Tensor& v) {
  PYNN_CHECK(a.dim() == 2 && v.dim() == 1, "mv: a matrix and a vector are required, got ", dims_str(a.sizes()), " and ",
             dims_str(v.sizes()));
  check_operands("mv", a, v);
  check_inner("mv", a, v, a.size(1), v.size(0));
  return named("mv", reshape(mm(a, unsqueeze(v, 1)), DimVector{a.size(0)}));
}

Tensor dot(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dim() == 1 && b.dim() == 1, "dot: 1D tensors expected, but got ", a.dim(), "D and ", b.dim(),
             "D tensors");
  check_operands("dot", a, b);
  check_inner("dot", a, b, a.size(0), b.size(0));
  return named("dot", reshape(mm(unsqueeze(a, 0), unsqueeze(b, 1)), {}));
}
Tensor vdot(const Tensor& a, const Tensor& b) { return named("vdot", dot(conj(a), b)); }

Tensor outer(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dim() == 1 && b.dim() == 1, "outer: Expected 1-D arguments, but got ", a.dim(), "-D and ", b.dim(),
             "-D");
  return mul(unsqueeze(a, 1), b);
}

// Over the last dims of both.
Tensor inner(const Tensor& a, const Tensor& b) {
  if (a.dim() == 0 || b.dim() == 0) return mul(a, b);
  check_operands("inner", a, b);
  const int64_t k = a.size(-1);
  PYNN_CHECK_KIND(Shape, k == b.size(-1), "inner: the last dimension must match on both input tensors but got shapes ",
                  dims_str(a.sizes()), " and ", dims_str(b.sizes()));
  DimVector sizes(a.sizes().first(a.dim() - 1));
  int64_t rows = 1, columns = 1;
  for (int64_t s : sizes) rows *= s;
  for (int64_t s : b.sizes().first(b.dim() - 1)) {
    columns *= s;
    sizes.push_back(s);
  }
  return reshape(mm(reshape(a, DimVector{rows, k}), transpose(reshape(b, DimVector{columns, k}), 0, 1)), sizes);
}

// beta * x, spread over `sizes`, as the memory that the product is added to. beta 0: x is not read, it may hold NaN.
Tensor start_from(const char* op, const Tensor& x, const Tensor& a, Dims sizes, Scalar beta) {
  PYNN_CHECK(x.dtype() == a.dtype(), op, ": self and mat2 must have the same dtype, but got ", dtype_name(x.dtype()),
             " and ", dtype_name(a.dtype()));
  PYNN_CHECK(x.device() == a.device(), op, ": expected all tensors to be on the same device, got ", x.device().str(),
             " and ", a.device().str());
  Tensor c = empty(sizes, a.dtype(), a.device());
  check_fits(op, c, x.sizes());
  if (!beta.equals(0)) copy_data(c, x);
  return c;
}

// A scalar times a tensor, where 1 costs nothing.
Tensor scaled(const Tensor& t, Scalar s) { return s.equals(1) ? t : mul(t, s); }

// Of complex tensors, where beta and alpha may be complex too.
Tensor added(const char* op, const Tensor& x, const Tensor& product, Scalar beta, Scalar alpha) {
  return named(op, beta.equals(0) ? scaled(product, alpha) : add(scaled(x, beta), product, alpha));
}

Tensor addmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  PYNN_CHECK(a.dim() == 2 && b.dim() == 2, "addmm: mat1 and mat2 must be matrices, got ", dims_str(a.sizes()), " and ",
             dims_str(b.sizes()));
  check_operands("addmm", a, b);
  check_inner("addmm", a, b, a.size(1), b.size(0));
  Tensor c = start_from("addmm", x, a, DimVector{a.size(0), b.size(1)}, beta);
  if (is_complex(a.dtype())) return added("addmm", x, mm(a, b), beta, alpha);
  run_gemm(c, a, b, kUndefined, alpha.to_double(), beta.to_double());
  return record(
      "addmm", std::move(c), inputs(x, a, b), save(a, b, beta, alpha),
      [](const Tensor& g, const Tensor&, const Tensor&, Scalar beta, Scalar) { return scaled(g, beta); },
      [](const Tensor& g, const Tensor&, const Tensor& b, Scalar, Scalar alpha) {
        return scaled(mm(g, transpose(b, 0, 1)), alpha);
      },
      [](const Tensor& g, const Tensor& a, const Tensor&, Scalar, Scalar alpha) {
        return scaled(mm(transpose(a, 0, 1), g), alpha);
      });
}

Tensor baddbmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  PYNN_CHECK(a.dim() == 3 && b.dim() == 3, "baddbmm: batch1 and batch2 must be 3D tensors, got ", dims_str(a.sizes()),
             " and ", dims_str(b.sizes()));
  check_operands("baddbmm", a, b);
  PYNN_CHECK_KIND(Shape, a.size(0) == b.size(0), "baddbmm: batch sizes differ, got ", dims_str(a.sizes()), " @ ",
                  dims_str(b.sizes()));
  check_inner("baddbmm", a, b, a.size(2), b.size(1));
  Tensor c = start_from("baddbmm", x, a, DimVector{a.size(0), a.size(1), b.size(2)}, beta);
  if (is_complex(a.dtype())) return added("baddbmm", x, bmm(a, b), beta, alpha);
  run_gemm(c, a, b, kUndefined, alpha.to_double(), beta.to_double());
  return record(
      "baddbmm", std::move(c), inputs(x, a, b), save(a, b, beta, alpha),
      [](const Tensor& g, const Tensor&, const Tensor&, Scalar beta, Scalar) { return scaled(g, beta); },
      [](const Tensor& g, const Tensor&, const Tensor& b, Scalar, Scalar alpha) {
        return scaled(bmm(g, transpose(b, 1, 2)), alpha);
      },
      [](const Tensor& g, const Tensor& a, const Tensor&, Scalar, Scalar alpha) {
        return scaled(bmm(transpose(a, 1, 2), g), alpha);
      });
}

// The sum over the batch is one product of matrices with inner size batch * k.
Tensor addbmm(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  PYNN_CHECK(a.dim() == 3 && b.dim() == 3, "addbmm: batch1 and batch2 must be 3D tensors, got ", dims_str(a.sizes()),
             " and ", dims_str(b.sizes()));
  PYNN_CHECK_KIND(Shape, a.size(0) == b.size(0), "addbmm: batch sizes differ, got ", dims_str(a.sizes()), " @ ",
                  dims_str(b.sizes()));
  check_inner("addbmm", a, b, a.size(2), b.size(1));
  const int64_t k = a.size(0) * a.size(2);
  return named("addbmm", addmm(x, reshape(transpose(a, 0, 1), DimVector{a.size(1), k}),
                               reshape(b, DimVector{k, b.size(2)}), beta, alpha));
}

Tensor addmv(const Tensor& x, const Tensor& a, const Tensor& v, Scalar beta, Scalar alpha) {
  PYNN_CHECK(x.dim() <= 1 && a.dim() == 2 && v.dim() == 1, "addmv: vector + matrix @ vector expected, got ",
             dims_str(x.sizes()), ", ", dims_str(a.sizes()), " and ", dims_str(v.sizes()));
  const Tensor column = x.dim() ? unsqueeze(x, 1) : x;
  return named("addmv", reshape(addmm(column, a, unsqueeze(v, 1), beta, alpha), DimVector{a.size(0)}));
}

Tensor addr(const Tensor& x, const Tensor& a, const Tensor& b, Scalar beta, Scalar alpha) {
  PYNN_CHECK(a.dim() == 1 && b.dim() == 1, "addr: vec1 and vec2 must be 1-D, got ", dims_str(a.sizes()), " and ",
             dims_str(b.sizes()));
  Tensor product = outer(a, b);
  if (x.dtype() == DType::Bool && product.dtype() == DType::Bool)  // bool stays bool
    alpha = Scalar(!alpha.equals(0)), beta = Scalar(!beta.equals(0));
  if (!alpha.equals(1)) product = mul(product, alpha);
  check_fits("addr", product, x.sizes());
  return named("addr", beta.equals(0) ? product : add(beta.equals(1) ? x : mul(x, beta), product));
}

// The factors' dims interleaved, then merged: y[.., i * n + j, ..] = a[.., i, ..] b[.., j, ..].
Tensor kron(const Tensor& a, const Tensor& b) {
  const int64_t n = std::max(a.dim(), b.dim());
  DimVector left, right, sizes;
  for (int64_t d = 0; d < n; ++d) {
    const int64_t p = d < n - a.dim() ? 1 : a.size(d - (n - a.dim()));
    const int64_t q = d < n - b.dim() ? 1 : b.size(d - (n - b.dim()));
    left.push_back(p);
    left.push_back(1);
    right.push_back(1);
    right.push_back(q);
    sizes.push_back(p * q);
  }
  return named("unsafe_view", reshape(mul(reshape(a, left), reshape(b, right)), sizes));
}

// Over dims_a of a and dims_b of b, in pairs: both become matrices.
Tensor tensordot(const Tensor& a_in, const Tensor& b_in, Dims dims_a, Dims dims_b) {
  PYNN_CHECK(dims_a.size() == dims_b.size(), "tensordot: both dimension lists should have same length, got ",
             dims_str(dims_a), " and ", dims_str(dims_b));
  Tensor a = a_in, b = b_in;
  DimVector order_a, order_b, sizes;
  int64_t used_a = 0, used_b = 0, k = 1, rows = 1, columns = 1;
  for (size_t i = 0; i < dims_a.size(); ++i) {
    const int64_t da = wrap_dim("tensordot", dims_a[i], a), db = wrap_dim("tensordot", dims_b[i], b);
    PYNN_CHECK(!(used_a >> da & 1) && !(used_b >> db & 1), "tensordot: a dim appears multiple times, got ",
               dims_str(dims_a), " and ", dims_str(dims_b));
    used_a |= int64_t{1} << da;
    used_b |= int64_t{1} << db;
    PYNN_CHECK_KIND(Shape, a.size(da) == b.size(db) || a.size(da) == 1 || b.size(db) == 1,
                    "tensordot: contracted dimensions need to match, but first has size ", a.size(da), " in dim ",
                    dims_a[i], " and second has size ", b.size(db), " in dim ", dims_b[i]);
    // A size of 1 meets the sum of the other's.
    const int64_t only_a[] = {da}, only_b[] = {db};
    if (a.size(da) == 1 && b.size(db) != 1) b = sum(b, Dims(only_b), true, b.dtype());
    if (b.size(db) == 1 && a.size(da) != 1) a = sum(a, Dims(only_a), true, a.dtype());
    k *= a.size(da);
    order_b.push_back(db);
  }
  for (int64_t d = 0; d < a.dim(); ++d) {
    if (used_a >> d & 1) continue;
    order_a.push_back(d);
    rows *= a.size(d);
    sizes.push_back(a.size(d));
  }
  for (int64_t d : dims_a) order_a.push_back(wrap_dim("tensordot", d, a));
  for (int64_t d = 0; d < b.dim(); ++d) {
    if (used_b >> d & 1) continue;
    order_b.push_back(d);
    columns *= b.size(d);
    sizes.push_back(b.size(d));
  }
  return reshape(
      mm(reshape(permute(a, order_a), DimVector{rows, k}), reshape(permute(b, order_b), DimVector{k, columns})), sizes);
}

// y[.., o] = sum_ij a[.., i] w[o, i, j] b[.., j] + bias[o].
Tensor bilinear(const Tensor& a, const Tensor& b, const Tensor& w, const Tensor& bias) {
  PYNN_CHECK(w.dim() == 3, "bilinear: weight must be 3-D, got ", dims_str(w.sizes()));
  PYNN_CHECK_KIND(
      Shape, a.dim() > 0 && a.dim() == b.dim() && same(a.sizes().first(a.dim() - 1), b.sizes().first(b.dim() - 1)),
      "bilinear: the inputs' leading dims must agree, got ", dims_str(a.sizes()), " and ", dims_str(b.sizes()));
  PYNN_CHECK_KIND(Shape, a.size(-1) == w.size(1) && b.size(-1) == w.size(2), "bilinear: inputs of ", w.size(1), " and ",
                  w.size(2), " features are required, got ", dims_str(a.sizes()), " and ", dims_str(b.sizes()));
  PYNN_CHECK_KIND(Shape, !bias.defined() || (bias.dim() == 1 && bias.size(0) == w.size(0)), "bilinear: a bias of ",
                  w.size(0), " is required, got ", bias.defined() ? dims_str(bias.sizes()) : "");
  DimVector sizes(a.sizes());
  sizes.back() = w.size(0);
  int64_t rows = 1;
  for (int64_t s : a.sizes().first(a.dim() - 1)) rows *= s;
  const int64_t order[] = {1, 0, 2};
  const Tensor table = reshape(permute(w, order), DimVector{w.size(1), w.size(0) * w.size(2)});  // [i, o * j]
  const Tensor left =
      reshape(mm(reshape(a, DimVector{rows, a.size(-1)}), table), DimVector{rows, w.size(0), w.size(2)});
  const Tensor y = reshape(bmm(left, reshape(b, DimVector{rows, w.size(2), 1})), sizes);
  return bias.defined() ? add(y, bias) : y;
}

}  // namespace

PYNN_OP(mv, "mv(Tensor input, Tensor vec) -> Tensor", "A matrix times a vector. Same as torch.mv.", kOut);
PYNN_OP(dot, "dot(Tensor input, Tensor tensor) -> Tensor", "The sum of the products of two vectors. Same as torch.dot.",
        kOut);
PYNN_OP(vdot, "vdot(Tensor input, Tensor other) -> Tensor", "dot, for real tensors. Same as torch.vdot.", kOut);
PYNN_OP(inner, "inner(Tensor input, Tensor other) -> Tensor", "dot over the last dims. Same as torch.inner.", kOut);
PYNN_OP(outer, "outer(Tensor input, Tensor vec2) -> Tensor",
        "All products of two vectors, [n, m]. Same as torch.outer.", kOut);
PYNN_OP(outer, "ger(Tensor input, Tensor vec2) -> Tensor", "Alias of outer.", kOut);
PYNN_OP(addmm, "addmm(Tensor input, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
        "beta * input + alpha * mat1 @ mat2. Same as torch.addmm.", kOut | kInplace);
PYNN_OP(baddbmm, "baddbmm(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
        "beta * input + alpha * batch1 @ batch2, for batches of matrices. Same as torch.baddbmm.", kOut | kInplace);
PYNN_OP(addbmm, "addbmm(Tensor input, Tensor batch1, Tensor batch2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
        "beta * input + alpha * the sum of batch1 @ batch2 over the batch. Same as torch.addbmm.", kOut | kInplace);
PYNN_OP(addmv, "addmv(Tensor input, Tensor mat, Tensor vec, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
        "beta * input + alpha * mat @ vec. Same as torch.addmv.", kOut | kInplace);
PYNN_OP(addr, "addr(Tensor input, Tensor vec1, Tensor vec2, *, Scalar beta=1, Scalar alpha=1) -> Tensor",
        "beta * input + alpha * outer(vec1, vec2). Same as torch.addr.", kOut | kInplace);
PYNN_OP(kron, "kron(Tensor input, Tensor other) -> Tensor", "The Kronecker product. Same as torch.kron.", kOut);
PYNN_OP(tensordot, "_tensordot(Tensor input, Tensor other, int[] dims_self, int[] dims_other) -> Tensor",
        "Sums of products over pairs of dims; see tensordot.", kFunctionOnly);
PYNN_OP(bilinear, "_nn.bilinear(Tensor input1, Tensor input2, Tensor weight, Tensor? bias=None) -> Tensor",
        "input1^T weight[o] input2 + bias[o] for each output o. Same as torch.nn.functional.bilinear.");

}  // namespace pynn::ops
