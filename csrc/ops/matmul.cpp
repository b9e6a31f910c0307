// matmul.cpp -- mm, bmm, matmul and linear over the one gemm kernel; any strides, no copies.
#include "ops/matmul.h"

#include <utility>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "kernels/gemm.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/prepacked.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {

void check_operands(const char* op, const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dtype() == b.dtype(), op,
             ": expected m1 and m2 to have the same dtype, but got: ", dtype_name(a.dtype()),
             " != ", dtype_name(b.dtype()));
  PYNN_CHECK(a.device() == b.device(), op, ": expected all tensors to be on the same device, got ", a.device().str(),
             " and ", b.device().str());
  PYNN_CHECK_KIND(NotImplemented, a.dtype() != DType::Bool, op, ": not supported for bool tensors");
}

void check_inner(const char* op, const Tensor& a, const Tensor& b, int64_t k, int64_t k2) {
  PYNN_CHECK_KIND(Shape, k == k2, op, ": inner sizes differ, got ", dims_str(a.sizes()), " @ ", dims_str(b.sizes()),
                  "; ", k, " != ", k2, " (mat1 and mat2 shapes cannot be multiplied)");
}

namespace {

// (Ar + i Ai)(Br + i Bi) as four products of the parts, which lie two elements apart.
void complex_gemm(Device device, GemmArgs g) {
  g.dtype = real_of(g.dtype);
  for (int64_t* s : {&g.a_rs, &g.a_cs, &g.b_rs, &g.b_cs, &g.c_rs, &g.c_cs, &g.a_batch, &g.b_batch, &g.c_batch}) *s *= 2;
  const auto part = [&](const void* p, int i) {
    return static_cast<char*>(const_cast<void*>(p)) + i * static_cast<int64_t>(item_size(g.dtype));
  };
  const auto product = [&](int a, int b, double alpha, double beta) {
    GemmArgs p = g;
    p.a = part(g.a, a), p.b = part(g.b, b), p.c = part(g.c, a ^ b);
    p.alpha = alpha, p.beta = beta;
    kernels::gemm(device, p);
  };
  product(0, 0, g.alpha, g.beta);
  product(1, 1, -g.alpha, 1);
  product(0, 1, g.alpha, g.beta);
  product(1, 0, g.alpha, 1);
}

GemmArgs gemm_args(const Tensor& c, const Tensor& a, const Tensor& b) {
  GemmArgs g{};
  g.m = c.size(-2);
  g.n = c.size(-1);
  g.k = a.size(-1);
  g.a = a.data(), g.b = b.data(), g.c = c.data();
  g.a_rs = a.stride(-2), g.a_cs = a.stride(-1);
  g.b_rs = b.stride(-2), g.b_cs = b.stride(-1);
  g.c_rs = c.stride(-2), g.c_cs = c.stride(-1);
  g.dtype = a.dtype();
  g.parts = float32_parts;
  if (c.dim() == 3) {
    g.batch = c.size(0);
    g.a_batch = a.dim() == 3 ? a.stride(0) : 0;
    g.b_batch = b.dim() == 3 ? b.stride(0) : 0;
    g.c_batch = c.stride(0);
  }
  return g;
}

// For inference, B may be a weight that comes again; `stays`: that of a layer does.
void multiply(const Tensor& c, const Tensor& b, GemmArgs g, bool inference, bool stays = false) {
  if (is_complex(c.dtype())) return complex_gemm(c.device(), g);
  Tensor ready;
  if (inference && keeps(b, g)) {
    g.b_stays = stays;
    ready = prepacked(b, g);
    g.b_ready = ready.defined() ? ready.data() : nullptr;
  }
  kernels::gemm(c.device(), g);
}

// c = a w^T + bias
void run_linear(const Tensor& c, const Tensor& a, const Tensor& w, const Tensor& bias, bool relu, bool inference) {
  if (c.numel() == 0 || c.device().is_meta()) return;
  GemmArgs g = gemm_args(c, a, w);
  std::swap(g.b_rs, g.b_cs);
  g.bias = bias.defined() ? bias.data() : nullptr;
  g.epilogue = relu ? Epilogue::Relu : Epilogue::None;
  multiply(c, w, g, inference, true);
}
}  // namespace

void run_gemm(const Tensor& c, const Tensor& a, const Tensor& b, const Tensor& bias, double alpha, double beta,
              int parts) {
  if (c.numel() == 0 || c.device().is_meta()) return;
  GemmArgs g = gemm_args(c, a, b);
  g.alpha = alpha, g.beta = beta, g.parts = parts;
  g.bias = bias.defined() ? bias.data() : nullptr;
  multiply(c, b, g, false);
}

Tensor mm(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dim() == 2 && b.dim() == 2, "mm: 2-D tensors are required, got ", dims_str(a.sizes()), " and ",
             dims_str(b.sizes()));
  check_operands("mm", a, b);
  check_inner("mm", a, b, a.size(1), b.size(0));
  Tensor c = empty(DimVector{a.size(0), b.size(1)}, a.dtype(), a.device());
  const auto operands = inputs(a, b);
  if (c.numel() && !c.device().is_meta()) multiply(c, b, gemm_args(c, a, b), !detail::wants_graph(operands));
  return record(
      "mm", std::move(c), operands, save(needed_by(b, a), needed_by(a, b)),
      [](const Tensor& g, const Tensor&, const Tensor& b) { return mm(g, conj(transpose(b, 0, 1))); },
      [](const Tensor& g, const Tensor& a, const Tensor&) { return mm(conj(transpose(a, 0, 1)), g); });
}

Tensor bmm(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dim() == 3 && b.dim() == 3, "bmm: batch1 and batch2 must be 3-D tensors (3 dims), got ",
             dims_str(a.sizes()), " and ", dims_str(b.sizes()));
  check_operands("bmm", a, b);
  PYNN_CHECK_KIND(Shape, a.size(0) == b.size(0), "bmm: batch sizes differ, got ", dims_str(a.sizes()), " @ ",
                  dims_str(b.sizes()));
  check_inner("bmm", a, b, a.size(2), b.size(1));
  Tensor c = empty(DimVector{a.size(0), a.size(1), b.size(2)}, a.dtype(), a.device());
  run_gemm(c, a, b, kUndefined);
  return record(
      "bmm", std::move(c), inputs(a, b), save(needed_by(b, a), needed_by(a, b)),
      [](const Tensor& g, const Tensor&, const Tensor& b) { return bmm(g, conj(transpose(b, 1, 2))); },
      [](const Tensor& g, const Tensor& a, const Tensor&) { return bmm(conj(transpose(a, 1, 2)), g); });
}

namespace {
// [..., n] as a matrix of so many rows; -1 would not do where n is 0.
Tensor as_rows(const Tensor& x) {
  int64_t rows = 1;
  for (int64_t s : x.sizes().first(x.dim() - 1)) rows *= s;
  return reshape(x, DimVector{rows, x.size(-1)});
}
}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dim() > 0 && b.dim() > 0, "matmul: both arguments to matmul need to be at least 1D, but they are ",
             a.dim(), "D and ", b.dim(), "D");
  if (a.dim() == 2 && b.dim() == 2) {
    check_inner("matmul", a, b, a.size(1), b.size(0));
    return mm(a, b);
  }
  check_operands("matmul", a, b);
  check_inner("matmul", a, b, a.size(-1), b.size(b.dim() == 1 ? 0 : -2));
  // Vectors are matrices of one row or column, dropped from the result.
  if (a.dim() == 1 || b.dim() == 1) {
    const Tensor x = a.dim() == 1 ? unsqueeze(a, 0) : a;
    const Tensor y = b.dim() == 1 ? unsqueeze(b, 1) : b;
    Tensor c = matmul(x, y);
    const bool both = a.dim() == 1 && b.dim() == 1;
    DimVector sizes(c.sizes());
    if (b.dim() == 1) sizes.erase(sizes.size() - 1);
    if (a.dim() == 1) sizes.erase(sizes.size() - (b.dim() == 1 ? 1 : 2));
    c = reshape(c, sizes);
    return both           ? named("dot", c)
           : a.dim() == 2 ? named("mv", c)
                          : named(b.dim() == 2 ? "squeeze.4" : "unsafe_view", c);
  }
  // One matrix on the right: the batch of the left is more rows of one product.
  if (b.dim() == 2) {
    DimVector sizes(a.sizes());
    sizes.back() = b.size(1);
    return named("unsafe_view", reshape(mm(as_rows(a), b), sizes));
  }
  const DimVector batch = broadcast_sizes("matmul", a.sizes().first(a.dim() - 2), b.sizes().first(b.dim() - 2));
  const auto batched = [&](const Tensor& t) {
    DimVector sizes(batch);
    sizes.push_back(t.size(-2));
    sizes.push_back(t.size(-1));
    int64_t n = 1;
    for (int64_t s : batch) n *= s;
    return reshape(expand(t, sizes), DimVector{n, t.size(-2), t.size(-1)});
  };
  DimVector sizes(batch);
  sizes.push_back(a.size(-2));
  sizes.push_back(b.size(-1));
  return named("unsafe_view", reshape(bmm(batched(a), batched(b)), sizes));
}

// y = x w^T + b. Backward: dx = g w, dw = g^T x, db = sum of g's rows.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b, bool relu) {
  PYNN_CHECK(w.dim() <= 2 && x.dim() > 0, "linear: weight must be 1-D or 2-D and the input at least 1-D, got ",
             dims_str(x.sizes()), " and ", dims_str(w.sizes()));
  const auto composed = [&](const Tensor& y) { return relu ? ops::relu(y) : y; };
  if (w.dim() < 2) return composed(b.defined() ? add(matmul(x, w), b) : matmul(x, w));
  check_operands("linear", x, w);
  check_inner("linear", x, w, x.size(-1), w.size(1));
  const int64_t out = w.size(0);
  if (b.defined()) {
    PYNN_CHECK(b.dtype() == x.dtype(), "linear: bias must have the input's dtype, got ", dtype_name(b.dtype()), " and ",
               dtype_name(x.dtype()));
    PYNN_CHECK_KIND(Shape, b.dim() <= 1 && (b.dim() == 0 || b.size(0) == out || b.size(0) == 1),
                    "linear: bias must have ", out, " elements, got ", dims_str(b.sizes()));
    if (is_complex(x.dtype()) || b.dim() != 1 || b.size(0) != out || b.stride(0) != 1)
      return composed(add(linear(x, w, {}), b));
  }
  DimVector sizes(x.sizes());
  sizes.back() = out;
  Tensor y = empty(sizes, x.dtype(), x.device());
  const auto operands = inputs(x, w, b);
  const bool inference = !detail::wants_graph(operands);
  {
    GradMode off(false);
    // Rows of x as a matrix; raw aliases, since the record below is of the whole op.
    const Tensor flat = x.dim() == 2 ? x : as_rows(x);
    const Tensor c = y.dim() == 2 ? y : alias(y, DimVector{flat.size(0), out}, DimVector{out, 1}, 0);
    run_linear(c, flat, w, b, relu && !is_complex(x.dtype()), inference);
  }
  y = record(
      // As PyTorch composes it.
      x.dim() == 2 ? (b.defined() ? "addmm" : "mm") : (b.defined() ? "view" : "unsafe_view"), std::move(y), operands,
      save(needed_by(w, x), needed_by(x, w)),
      [](const Tensor& g, const Tensor&, const Tensor& w) { return matmul(g, conj(w)); },
      [](const Tensor& g, const Tensor& x, const Tensor&) {
        if (g.dim() == 2) return mm(transpose(g, 0, 1), conj(x));
        return mm(transpose(as_rows(g), 0, 1), conj(as_rows(x)));
      },
      [](const Tensor& g, const Tensor&, const Tensor&) { return sum_to(g, DimVector{g.size(-1)}); });
  if (!relu) return y;
  return is_complex(x.dtype()) ? ops::relu(y) : relu_of_result(y);
}

// int32 sums of bytes, for quantised models.
Tensor int_mm(const Tensor& a, const Tensor& b) {
  PYNN_CHECK(a.dim() == 2 && b.dim() == 2, "_int_mm: 2-D tensors are required, got ", dims_str(a.sizes()), " and ",
             dims_str(b.sizes()));
  PYNN_CHECK(a.dtype() == DType::Int8 || a.dtype() == DType::UInt8, "_int_mm: self must be int8 or uint8, got ",
             dtype_name(a.dtype()));
  PYNN_CHECK(b.dtype() == DType::Int8, "_int_mm: mat2 must be int8, got ", dtype_name(b.dtype()));
  PYNN_CHECK(a.device() == b.device(), "_int_mm: expected all tensors to be on the same device, got ", a.device().str(),
             " and ", b.device().str());
  check_inner("_int_mm", a, b, a.size(1), b.size(0));
  Tensor c = empty(DimVector{a.size(0), b.size(1)}, DType::Int32, a.device());
  if (c.numel() && !c.device().is_meta()) kernels::gemm_int8(c.device(), gemm_args(c, a, b));
  return no_gradient(c);
}

PYNN_OP(mm, "mm(Tensor input, Tensor mat2) -> Tensor", "The product of two matrices. Same as torch.mm.", kOut);
PYNN_OP(bmm, "bmm(Tensor input, Tensor mat2) -> Tensor", "Products of batches of matrices. Same as torch.bmm.", kOut);
PYNN_OP(int_mm, "_int_mm(Tensor input, Tensor mat2) -> Tensor",
        "The product of a matrix of int8 or uint8 and one of int8, as int32. Same as torch._int_mm.",
        kOut | kFunctionOnly);
PYNN_OP(matmul, "matmul(Tensor input, Tensor other) -> Tensor",
        "The product of vectors, matrices or broadcast batches of matrices. Same as torch.matmul.", kOut);
PYNN_OP(
    linear, "_nn.linear(Tensor input, Tensor weight, Tensor? bias=None, *, bool relu=False) -> Tensor",
    "input @ weight.T + bias; input [..., in], weight [out, in], bias [out]. Same as torch.nn.functional.linear, and "
    "relu of it in the same pass.",
    kOut);

}  // namespace pynn::ops
