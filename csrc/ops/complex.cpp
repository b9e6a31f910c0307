// complex.cpp -- complex numbers: their parts as views, made from parts, conjugate, sign and angle.
//
// Gradients are PyTorch's: of a real L and z = x + iy, dL/dx + i dL/dy. So a holomorphic f hands on g conj(f'), and
// where a real number went in, the real part is kept (the engine casts).
#include "ops/complex.h"

#include <numbers>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {

Tensor view_as_real(const Tensor& x) {
  PYNN_CHECK(is_complex(x.dtype()), "view_as_real: view_as_real is only supported for complex tensors, got ",
             dtype_name(x.dtype()));
  DimVector sizes(x.sizes()), strides(x.strides());
  for (int64_t& s : strides) s *= 2;
  sizes.push_back(2);
  strides.push_back(1);
  return record("view_as_real", make_view(x, sizes, strides, 2 * x.offset(), real_of(x.dtype())), inputs(x), save(),
                [](const Tensor& g) { return view_as_complex(contiguous(g)); });
}

Tensor view_as_complex(const Tensor& x) {
  PYNN_CHECK(x.dtype() == DType::Float32 || x.dtype() == DType::Float64,
             "view_as_complex: view_as_complex is only supported for float and double tensors, but got a tensor of "
             "scalar type: ",
             dtype_name(x.dtype()));
  PYNN_CHECK(x.dim() > 0, "view_as_complex: Input tensor must have one or more dimensions");
  PYNN_CHECK(x.size(-1) == 2, "view_as_complex: Tensor must have a last dimension of size 2, got ",
             dims_str(x.sizes()));
  PYNN_CHECK(x.stride(-1) == 1, "view_as_complex: Tensor must have a last dimension with stride 1, got ", x.stride(-1));
  PYNN_CHECK(x.offset() % 2 == 0, "view_as_complex: Tensor must have a storage_offset divisible by 2, got ",
             x.offset());
  DimVector sizes(x.sizes().first(x.dim() - 1)), strides(x.strides().first(x.dim() - 1));
  for (int64_t& s : strides) {
    PYNN_CHECK(s % 2 == 0, "view_as_complex: Tensor must have a stride divisible by 2 for all but last dimension, got ",
               dims_str(x.strides()));
    s /= 2;
  }
  return record("view_as_complex", make_view(x, sizes, strides, x.offset() / 2, complex_of(x.dtype())), inputs(x),
                save(), [](const Tensor& g) { return view_as_real(contiguous(g)); });
}

Tensor real(const Tensor& x) { return is_complex(x.dtype()) ? select(view_as_real(x), -1, 0) : x; }
Tensor imag(const Tensor& x) {
  PYNN_CHECK(is_complex(x.dtype()), "imag: imag is not implemented for tensors with non-complex dtypes.");
  return select(view_as_real(x), -1, 1);
}

Tensor conj(const Tensor& x) {
  if (!is_complex(x.dtype())) return x;
  Tensor y = empty_like(x);
  run_unary(Unary::Conj, y, x, x.dtype());
  return record("conj", std::move(y), inputs(x), save(), [](const Tensor& g) { return conj(g); });
}

// ds = (dz - s^2 conj(dz)) / 2 |z|
Tensor sgn(const Tensor& x) {
  if (!is_complex(x.dtype())) return sign(x);
  Tensor y = empty_like(x);
  run_unary(Unary::Sign, y, x, x.dtype());
  return record("sgn", y, inputs(x), save(x, y), [](const Tensor& g, const Tensor& x, const Tensor& y) {
    const Tensor size = abs(x);
    return where(eq(size, 0.0), 0.0, div(sub(g, mul(conj(g), mul(y, y))), mul(size, 2.0)));
  });
}

// Of real numbers 0, or pi of negative ones. d angle = i z / |z|^2, for the real g.
Tensor angle(const Tensor& x) {
  if (is_complex(x.dtype())) {
    Tensor y = empty_like(x, real_of(x.dtype()));
    run_unary(Unary::Angle, y, x, x.dtype());
    return record("angle", std::move(y), inputs(x), save(x), [](const Tensor& g, const Tensor& x) {
      const Tensor size = abs(x);
      return mul(g, where(eq(size, 0.0), 0.0, div(mul(x, Scalar(Complex128{0, 1})), mul(size, size))));
    });
  }
  Tensor y = map_unary(Unary::Angle, x, is_integral(x.dtype()) ? default_dtype() : x.dtype());
  return record("angle", std::move(y), inputs(x), save(), [](const Tensor& g) { return mul(g, 0.0); });
}

namespace {

// The parts of the result are written as one map each.
Tensor from_parts(const char* op, const Tensor& re, const Tensor& im) {
  Tensor y = empty(broadcast_sizes(op, re.sizes(), im.sizes()), complex_of(re.dtype()), re.device());
  GradMode off(false);
  copy_data(real(y), expand(re, y.sizes()));
  copy_data(imag(y), expand(im, y.sizes()));
  return y;
}

void check_parts(const char* op, const Tensor& a, const Tensor& b) {
  const auto takes = [](const Tensor& t) { return is_floating(t.dtype()); };
  PYNN_CHECK(takes(a) && takes(b), op, ": Expected both inputs to be Half, Float or Double tensors but got ",
             dtype_name(a.dtype()), " and ", dtype_name(b.dtype()));
  PYNN_CHECK(a.dtype() == b.dtype(), op, ": Expected object of scalar type ", dtype_name(a.dtype()),
             " but got scalar type ", dtype_name(b.dtype()), " for second argument");
}

}  // namespace

Tensor make_complex(const Tensor& re, const Tensor& im) {
  check_parts("complex", re, im);
  return record(
      "complex", from_parts("complex", re, im), inputs(re, im), save(), [](const Tensor& g) { return real(g); },
      [](const Tensor& g) { return imag(g); });
}

namespace {

// abs * e^(i angle)
Tensor polar(const Tensor& size, const Tensor& turn) {
  check_parts("polar", size, turn);
  return named("polar", make_complex(mul(size, cos(turn)), mul(size, sin(turn))));
}

Tensor isreal(const Tensor& x) {
  if (!is_complex(x.dtype())) return full(x.sizes(), Scalar(true), DType::Bool, x.device());
  GradMode off(false);
  return eq(imag(x), 0.0);
}

Tensor itself(const Tensor& x) { return x; }
Tensor conj_physical(const Tensor& x) { return is_complex(x.dtype()) ? named("conj_physical", conj(x)) : clone_of(x); }

Tensor adjoint(const Tensor& x) {
  PYNN_CHECK(x.dim() != 1,
             "adjoint: tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D "
             "tensor.");
  return x.dim() ? conj(transpose(x, -2, -1)) : conj(x);
}

}  // namespace

PYNN_OP(view_as_real, "view_as_real(Tensor input) -> Tensor",
        "A view of complex numbers as pairs of real ones, along a new last dim. Same as torch.view_as_real.",
        kFunctionOnly);
PYNN_OP(view_as_complex, "view_as_complex(Tensor input) -> Tensor",
        "A view of pairs of real numbers, along the last dim, as complex ones. Same as torch.view_as_complex.",
        kFunctionOnly);
PYNN_OP(real, "real(Tensor input) -> Tensor", "The real part, a view: of real tensors itself. Same as torch.real.",
        kFunctionOnly);
PYNN_OP(imag, "imag(Tensor input) -> Tensor", "The imaginary part, a view. Same as torch.imag.", kFunctionOnly);
PYNN_OP(make_complex, "complex(Tensor real, Tensor imag) -> Tensor", "real + i imag. Same as torch.complex.",
        kFunctionOnly | kOut);
PYNN_OP(polar, "polar(Tensor abs, Tensor angle) -> Tensor", "abs e^(i angle). Same as torch.polar.",
        kFunctionOnly | kOut);
PYNN_OP(conj, "conj(Tensor input) -> Tensor",
        "The complex conjugate, computed at once: of real tensors itself. Same as torch.conj.");
PYNN_OP(conj_physical, "conj_physical(Tensor input) -> Tensor", "The complex conjugate. Same as torch.conj_physical.",
        kOut | kInplace);
PYNN_OP(itself, "resolve_conj(Tensor input) -> Tensor", "Itself: no tensor is conjugated lazily.");
PYNN_OP(itself, "resolve_neg(Tensor input) -> Tensor", "Itself: no tensor is negated lazily.");
PYNN_OP(isreal, "isreal(Tensor input) -> Tensor", "True where the imaginary part is 0. Same as torch.isreal.");
PYNN_OP(angle, "angle(Tensor input) -> Tensor",
        "The angle of complex numbers, radians in [-pi, pi]; of real ones 0, or pi of negative ones. Same as "
        "torch.angle.",
        kOut);
PYNN_OP(sgn, "sgn(Tensor input) -> Tensor", "x / |x|, 0 at 0. Same as torch.sgn.", kOut | kInplace | kMap);
PYNN_OP(adjoint, "adjoint(Tensor input) -> Tensor",
        "The last two dims swapped, and conjugated. Same as torch.adjoint.");

}  // namespace pynn::ops
