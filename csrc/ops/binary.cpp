// binary.cpp -- arithmetic, comparison and logic of two operands.
#include "ops/binary.h"

#include <cmath>

#include "autograd/arith.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/complex.h"
#include "ops/reduce.h"
#include "ops/ternary.h"
#include "ops/unary.h"

namespace pynn::ops {
namespace {

void check_devices(const char* op, Other a, Other b) {
  if (!a.tensor || !b.tensor) return;
  const Device x = a.tensor->device(), y = b.tensor->device();
  PYNN_CHECK(x == y || (x.is_cpu() && a.tensor->dim() == 0) || (y.is_cpu() && b.tensor->dim() == 0), op,
             ": expected all tensors to be on the same device, got ", x.str(), " ", dims_str(a.tensor->sizes()),
             " and ", y.str(), " ", dims_str(b.tensor->sizes()));
}

Tensor new_result(const char* op, Other a, Other b, DType type) {
  if (!b.tensor) return empty_like(*a.tensor, type);
  if (!a.tensor) return empty_like(*b.tensor, type);
  check_devices(op, a, b);
  const Tensor &x = *a.tensor, &y = *b.tensor;
  // A CPU tensor without dims goes along with any device, as a number would.
  const Device device = x.device().is_cpu() ? y.device() : x.device();
  if (!same(x.sizes(), y.sizes())) return empty_for({&x, &y}, broadcast_sizes(op, x.sizes(), y.sizes()), type, device);
  return x.is_contiguous() ? empty(x.sizes(), type, device) : empty_for({&x, &y}, x.sizes(), type, device);
}

// Both contiguous, one type that has a loop, same shape or a number: no plan needed.
bool run_contiguous(Binary op, const Tensor& out, Other a, Other b, const double* params) {
  const DType t = out.dtype();
  if (t != DType::Float32 && t != DType::Float64) return false;
  const auto fits = [&](const Other& o) {
    return !o.tensor || (o.tensor->dtype() == t && o.tensor->is_contiguous() && same(o.tensor->sizes(), out.sizes()));
  };
  if (!fits(a) || !fits(b) || !out.is_contiguous() || !out.device().is_cpu()) return false;
  union Cell {
    float f;
    double d;
  } x, y;
  const auto data = [&](const Other& o, Cell& cell) -> const void* {
    if (o.tensor) return o.tensor->data();
    if (t == DType::Float32) {
      cell.f = static_cast<float>(o.scalar.to_double());
    } else {
      cell.d = o.scalar.to_double();
    }
    return &cell;
  };
  kernels::binary_contiguous(out.device(), op, t, out.data(), data(a, x), a.tensor ? 1 : 0, data(b, y),
                             b.tensor ? 1 : 0, out.numel(), params);
  return true;
}

// In place on the same memory the contiguous loop is right too; other overlaps go through run_binary.
void compute(Binary op, const Tensor& out, Other a, Other b, const double* params = nullptr,
             const int64_t* iparams = nullptr) {
  const auto apart = [&](const Other& o) {
    return !o.tensor || o.tensor->storage().get() != out.storage().get() || o.tensor->data() == out.data();
  };
  if (apart(a) && apart(b) && run_contiguous(op, out, a, b, params)) return;
  run_binary(op, out, a, b, out.dtype(), params, iparams);
}

constexpr double kOne[4] = {1, 0, 0, 0};
constexpr int64_t kOneInt[2] = {1, 0};

struct Alpha {
  explicit Alpha(Scalar s) {
    if (s.is_complex()) {
      d[0] = s.to_complex().re, d[1] = s.to_complex().im;
    } else {
      d[0] = s.to_double(), i[0] = s.to_int();
    }
  }
  double d[4] = {};
  int64_t i[2] = {};
};

DType ordered_type(const char* op, Other a, Other b) { return real_type(op, result_type(a, b)); }

DType float_type(Other a, Other b) {
  const DType t = result_type(a, b);
  return is_integral(t) ? default_dtype() : t;
}

// The logarithm of a base: a complex one where the power is.
Scalar log_of(Scalar s, DType t) {
  if (!pynn::is_complex(t)) return std::log(s.to_double());
  const Complex128 z = s.to_complex();
  return Complex128{std::log(std::hypot(z.re, z.im)), std::atan2(z.im, z.re)};
}

const Tensor& input(const Other& o) { return o.tensor ? *o.tensor : kUndefined; }
// What a derivative saves of an operand: the tensor, or the number.
struct Operand {
  Operand(const Other& o) : tensor(input(o)), scalar(o.scalar) {}
  const Tensor& tensor;
  Scalar scalar;
};
Other other(const Tensor& t, Scalar s) { return t.defined() ? Other(t) : Other(s); }

}  // namespace

Tensor add(Other a, Other b, Scalar alpha) {
  const DType t = result_type(a, b);
  check_alpha("add", alpha, t);
  Tensor y = new_result("add", a, b, t);
  if (t == DType::Bool) {
    compute(Binary::LogicalOr, y, a, alpha.to_bool() ? b : Other(Scalar(false)));
    return y;
  }
  if (alpha.equals(1)) {
    compute(Binary::Add, y, a, b, kOne, kOneInt);
  } else {
    const Alpha p(alpha);
    compute(Binary::Add, y, a, b, p.d, p.i);
  }
  return record(
      "add", std::move(y), inputs(input(a), input(b)), save(alpha), [](const Tensor& g, Scalar) { return g; },
      [](const Tensor& g, Scalar alpha) { return alpha.equals(1) ? g : mul_conj(g, alpha); });
}

Tensor sub(Other a, Other b, Scalar alpha) {
  const DType t = result_type(a, b);
  check_subtraction("sub", a, b);
  check_alpha("sub", alpha, t);
  Tensor y = new_result("sub", a, b, t);
  if (alpha.equals(1)) {
    compute(Binary::Sub, y, a, b, kOne, kOneInt);
  } else {
    const Alpha p(alpha);
    compute(Binary::Sub, y, a, b, p.d, p.i);
  }
  return record(
      a.is_scalar() ? "rsub.1" : "sub", std::move(y), inputs(input(a), input(b)), save(alpha),
      [](const Tensor& g, Scalar) { return g; }, [](const Tensor& g, Scalar alpha) { return mul_conj(g, -alpha); });
}

Tensor mul(Other a, Other b) {
  const DType t = result_type(a, b);
  Tensor y = new_result("mul", a, b, t);
  compute(t == DType::Bool ? Binary::LogicalAnd : Binary::Mul, y, a, b);
  return record(
      "mul", std::move(y), inputs(input(a), input(b)),
      save(needed_by(input(b), input(a)), a.scalar, needed_by(input(a), input(b)), b.scalar),
      [](const Tensor& g, const Tensor&, Scalar, const Tensor& b, Scalar s) { return mul_conj(g, other(b, s)); },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor&, Scalar) { return mul_conj(g, other(a, s)); });
}

Tensor div(Other a, Other b) {
  const DType t = float_type(a, b);
  Tensor y = new_result("div", a, b, t);
  compute(Binary::Div, y, a, b);
  return record(
      "div", std::move(y), inputs(input(a), input(b)),
      save(needed_by(input(b), input(a)), a.scalar, input(b), b.scalar),
      [](const Tensor& g, const Tensor&, Scalar, const Tensor& b, Scalar s) {
        return b.defined() ? div(g, conj(b)) : div(g, s.conj());
      },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor& b, Scalar) {
        return mul_conj(neg(g), div(div(other(a, s), b), b));
      });
}

Tensor floor_divide(Other a, Other b) {
  const DType t = number_type("floor_divide", ordered_type("floor_divide", a, b));
  Tensor y = new_result("floor_divide", a, b, t);
  check_zero_division("floor_divide", y, b);
  compute(Binary::FloorDiv, y, a, b);
  constexpr auto zero = [](const Tensor& g) { return mul(g, 0.0); };
  return record("floor_divide", std::move(y), inputs(input(a), input(b)), save(), zero, zero);
}

Tensor trunc_divide(Other a, Other b) {
  const DType t = number_type("div", ordered_type("div", a, b));
  if (is_integral(t)) {
    // a - fmod(a, b) is a multiple of b, where floor and truncation agree.
    return floor_divide(add(a, fmod(a, b), -1), b);
  }
  return trunc(div(a, b));
}

Tensor remainder(Other a, Other b) {
  const DType t = number_type("remainder", ordered_type("remainder", a, b));
  Tensor y = new_result("remainder", a, b, t);
  check_zero_division("remainder", y, b);
  compute(Binary::Remainder, y, a, b);
  return record(
      b.tensor ? "remainder.1" : "remainder", std::move(y), inputs(input(a), input(b)),
      save(input(a), a.scalar, input(b)), [](const Tensor& g, const Tensor&, Scalar, const Tensor&) { return g; },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor& b) {
        return mul(neg(g), floor_divide(other(a, s), b));
      });
}

Tensor fmod(Other a, Other b) {
  const DType t = number_type("fmod", ordered_type("fmod", a, b));
  Tensor y = new_result("fmod", a, b, t);
  check_zero_division("fmod", y, b);
  compute(Binary::Fmod, y, a, b);
  return record(
      b.tensor ? "fmod.1" : "fmod", std::move(y), inputs(input(a), input(b)), save(input(a), a.scalar, input(b)),
      [](const Tensor& g, const Tensor&, Scalar, const Tensor&) { return g; },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor& b) {
        return mul(neg(g), trunc_divide(other(a, s), b));
      });
}

// d(a^b)/da = b a^(b-1), 0 where b is 0;  d(a^b)/db = a^b log a, 0 where a is 0 and b >= 0.
Tensor pow(Other a, Other b) {
  DType t = result_type(a, b);
  if (b.tensor) t = number_type("pow", t);  // x ** True is x, x ** False is 1
  PYNN_CHECK(!is_integral(t) || b.tensor || b.scalar.to_int() >= 0,
             "pow: Integers to negative integer powers are not allowed.");
  Tensor y = new_result("pow", a, b, t);
  compute(Binary::Pow, y, a, b);
  return record(
      a.is_scalar()   ? "pow.2"
      : b.is_scalar() ? "pow"
                      : "pow.1",
      y, inputs(input(a), input(b)), save(input(a), a.scalar, input(b), b.scalar, needed_by(input(b), y)),
      [](const Tensor& g, const Tensor& a, Scalar, const Tensor& b, Scalar s, const Tensor&) -> Tensor {
        if (!b.defined()) {
          if (s.is_complex()) {
            const Complex128 p = s.to_complex();
            return mul_conj(g, mul(pow(a, Scalar(Complex128{p.re - 1, p.im})), s));
          }
          const double p = s.to_double();
          if (p == 0) return mul(g, 0.0);
          if (!thread_state.grad_enabled && p == 2) return mul_conj(g, mul(a, 2.0));
          return mul_conj(g, mul(pow(a, p - 1), p));
        }
        return mul_conj(g, where(eq(b, 0.0), 0.0, mul(b, pow(a, sub(b, 1.0)))));
      },
      [](const Tensor& g, const Tensor& a, Scalar s, const Tensor& b, Scalar, const Tensor& y) -> Tensor {
        const bool zero_base = !a.defined() && s.equals(0);
        const Tensor no_growth = zero_base || a.defined() ? ge(real(b), 0.0) : Tensor();  // at a base of 0
        if (zero_base) return mul(g, where(no_growth, 0.0, mul(y, std::log(0.0))));
        if (!a.defined()) return mul_conj(g, mul(y, log_of(s, y.dtype())));
        return mul_conj(g, where(logical_and(eq(a, 0.0), no_growth), 0.0, mul(y, log(a))));
      });
}

Tensor atan2(Other a, Other b) {
  Tensor y = new_result("atan2", a, b, real_type("atan2", float_type(a, b)));
  compute(Binary::Atan2, y, a, b);
  return record(
      "atan2", std::move(y), inputs(input(a), input(b)), save(input(a), input(b)),
      [](const Tensor& g, const Tensor& a, const Tensor& b) { return mul(g, div(b, a * a + b * b)); },
      [](const Tensor& g, const Tensor& a, const Tensor& b) { return mul(g, div(neg(a), a * a + b * b)); });
}

namespace {

// The larger (smaller) one gets the gradient; ties share it, as in PyTorch.
template <Binary op, bool larger>
Tensor extremum(const char* name, Other a, Other b) {
  Tensor y = new_result(name, a, b, ordered_type(name, a, b));
  compute(op, y, a, b);
  return record(
      name, std::move(y), inputs(input(a), input(b)), save(input(a), input(b)),
      [](const Tensor& g, const Tensor& a, const Tensor& b) {
        return where(eq(a, b), mul(g, 0.5), where(larger ? gt(a, b) : lt(a, b), g, 0.0));
      },
      [](const Tensor& g, const Tensor& a, const Tensor& b) {
        return where(eq(a, b), mul(g, 0.5), where(larger ? lt(a, b) : gt(a, b), g, 0.0));
      });
}

Tensor bitwise(const char* name, Binary op, Other a, Other b) {
  const DType t = ordered_type(name, a, b);
  PYNN_CHECK_KIND(NotImplemented, is_integral(t), name, ": integer or bool operands are required, got ", dtype_name(t));
  Tensor y = new_result(name, a, b, t);
  compute(op, y, a, b);
  return no_gradient(std::move(y));
}

Tensor shift(const char* name, Binary op, Other a, Other b) {
  number_type(name, ordered_type(name, a, b));
  return bitwise(name, op, a, b);
}

}  // namespace

Tensor maximum(Other a, Other b) { return extremum<Binary::Maximum, true>("maximum", a, b); }
Tensor minimum(Other a, Other b) { return extremum<Binary::Minimum, false>("minimum", a, b); }
Tensor compare(const char* name, Binary op, Other a, Other b, DType result) {
  const DType t = result_type(a, b);
  if (op >= Binary::Lt && op <= Binary::Ge) real_type(name, t);
  Tensor y = new_result(name, a, b, result);
  run_binary(op, y, a, b, t);
  return no_gradient(std::move(y));
}
Tensor eq(Other a, Other b) { return compare("eq", Binary::Eq, a, b); }
Tensor ne(Other a, Other b) { return compare("ne", Binary::Ne, a, b); }
Tensor lt(Other a, Other b) { return compare("lt", Binary::Lt, a, b); }
Tensor le(Other a, Other b) { return compare("le", Binary::Le, a, b); }
Tensor gt(Other a, Other b) { return compare("gt", Binary::Gt, a, b); }
Tensor ge(Other a, Other b) { return compare("ge", Binary::Ge, a, b); }
Tensor logical_and(Other a, Other b) { return compare("logical_and", Binary::LogicalAnd, a, b); }
Tensor logical_or(Other a, Other b) { return compare("logical_or", Binary::LogicalOr, a, b); }
Tensor logical_xor(Other a, Other b) { return compare("logical_xor", Binary::LogicalXor, a, b); }
Tensor bitwise_and(Other a, Other b) { return bitwise("bitwise_and", Binary::BitAnd, a, b); }
Tensor bitwise_or(Other a, Other b) { return bitwise("bitwise_or", Binary::BitOr, a, b); }
Tensor bitwise_xor(Other a, Other b) { return bitwise("bitwise_xor", Binary::BitXor, a, b); }
Tensor bitwise_left_shift(Other a, Other b) { return shift("bitwise_left_shift", Binary::ShiftLeft, a, b); }
Tensor bitwise_right_shift(Other a, Other b) { return shift("bitwise_right_shift", Binary::ShiftRight, a, b); }

Tensor mul_conj(const Tensor& g, Other factor) {
  if (!factor.tensor) return mul(g, factor.scalar.conj());
  return is_complex(factor.tensor->dtype()) ? mul(g, conj(*factor.tensor)) : mul(g, factor);
}

Tensor map_backward(Binary op, const Tensor& g, const Tensor& saved, double p0, double p1, double p2) {
  const double params[4] = {p0, p1, p2, 0};
  Tensor out = new_result("map_backward", g, saved, g.dtype());
  compute(op, out, g, saved, params);
  return out;
}

Tensor map_backward_over(Binary op, const Tensor& g, const Tensor& saved, double p0, double p1, double p2) {
  if (!g.device().is_cpu() || !autograd::only_here(g) || g.dtype() != saved.dtype() || !same(g.sizes(), saved.sizes()))
    return map_backward(op, g, saved, p0, p1, p2);
  const double params[4] = {p0, p1, p2, 0};
  compute(op, g, g, saved, params);
  return g;
}

void check_subtraction(const char* op, Other a, Other b) {
  const auto is_bool = [](const Other& o) { return o.tensor ? o.tensor->dtype() == DType::Bool : o.scalar.is_bool(); };
  PYNN_CHECK(!is_bool(a) && !is_bool(b), op,
             ": Subtraction, the `-` operator, with a bool operand is not supported (use the `^`, `~`, `logical_xor()` "
             "or `logical_not()` operator)");
}

void check_alpha(const char* op, Scalar alpha, DType t) {
  PYNN_CHECK(!alpha.is_bool() || t == DType::Bool, op, ": Boolean alpha only supported for Boolean results.");
  PYNN_CHECK(!alpha.is_float() || !is_integral(t), op,
             ": For integral input tensors, argument alpha must not be a floating point number.");
  PYNN_CHECK(!alpha.is_complex() || is_complex(t), op,
             ": For non-complex input tensors, argument alpha must not be a complex number.");
}

void check_zero_division(const char* op, const Tensor& y, Other b) {
  if (!is_integral(y.dtype()) || y.numel() == 0) return;
  if (b.tensor && b.tensor->device().is_cuda()) return;  // the result is 0 there: to look would be to wait
  const bool zero = b.tensor ? any_zero(*b.tensor) : b.scalar.to_int() == 0;
  PYNN_CHECK(!zero, op, ": ZeroDivisionError: integer division by zero");
}

}  // namespace pynn::ops
