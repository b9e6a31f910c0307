// map.cpp -- what all elementwise families share: result types, and running a planned map.
#include "core/shape.h"
#include "kernels/elementwise_plan.h"
#include "ops/binary.h"

namespace pynn::ops {
namespace {

int category(DType t) { return t == DType::Bool ? 0 : is_integral(t) ? 1 : is_floating(t) ? 2 : 3; }

}  // namespace

DType number_dtype(Scalar s) {
  if (s.is_complex()) return complex_of(default_dtype());
  return s.is_float() ? default_dtype() : s.kind();
}

DType result_type(Other a, Other b) {
  // The common case first: two tensors of one type.
  if (a.tensor && b.tensor && a.tensor->dtype() == b.tensor->dtype()) return a.tensor->dtype();
  DType type[3] = {DType::Bool, DType::Bool, DType::Bool};  // dimensioned, 0-d, number
  bool any[3] = {};
  for (const Other* o : {&a, &b}) {
    const int rank = !o->tensor ? 2 : o->tensor->dim() > 0 ? 0 : 1;
    DType t = o->tensor ? o->tensor->dtype() : number_dtype(o->scalar);
    type[rank] = any[rank] ? promote(type[rank], t) : t;
    any[rank] = true;
  }
  // A lower rank only counts if it brings a higher category.
  bool have = false;
  DType out = DType::Bool;
  for (int rank = 0; rank < 3; ++rank) {
    if (!any[rank]) continue;
    if (!have) {
      out = type[rank];
    } else if (category(type[rank]) > category(out)) {
      // Of floats that meet a complex number the precision stays.
      out = is_floating(out) ? complex_of(out) : promote(out, type[rank]);
    }
    have = true;
  }
  return out;
}

DType compute_type(DType t) {
  switch (t) {
    case DType::Float64:
      return DType::Float64;
    case DType::Float32:
    case DType::Float16:
    case DType::BFloat16:
      return DType::Float32;
    case DType::Int64:
      return DType::Int64;
    case DType::Complex64:
    case DType::Complex128:
      return t;
    default:
      return DType::Int32;
  }
}

DType number_type(const char* op, DType t) {
  PYNN_CHECK_KIND(NotImplemented, t != DType::Bool, op, ": not implemented for bool");
  return t;
}

DType real_type(const char* op, DType t) {
  PYNN_CHECK_KIND(NotImplemented, !is_complex(t), op, ": not implemented for complex tensors, got ", dtype_name(t));
  return t;
}

namespace {

bool is_narrow(DType t) { return t == DType::UInt8 || t == DType::Int8 || t == DType::Int16; }

// v as the integer type holds it.
int64_t wrapped(int64_t v, DType type) {
  switch (type) {
    case DType::UInt8:
      return static_cast<uint8_t>(v);
    case DType::Int8:
      return static_cast<int8_t>(v);
    case DType::Int16:
      return static_cast<int16_t>(v);
    default:
      return v;
  }
}

// A number as an operand: one element of the loop's type.
struct ScalarCell {
  union {
    float f;
    double d;
    int32_t i;
    int64_t l;
    Complex64 c;
    Complex128 z;
  };
  void set(Scalar s, DType type) {
    switch (compute_type(type)) {
      case DType::Float32:
        f = static_cast<float>(s.to_double());
        break;
      case DType::Float64:
        d = s.to_double();
        break;
      case DType::Int32:
        i = static_cast<int32_t>(wrapped(s.to_int(), type));
        break;
      case DType::Complex64:
        z = s.to_complex();
        c = {static_cast<float>(z.re), static_cast<float>(z.im)};
        break;
      case DType::Complex128:
        z = s.to_complex();
        break;
      default:
        l = s.to_int();
    }
  }
};

struct Planner {
  MapArgs args{};
  ScalarCell cells[4];
  const void* data[4];
  DType types[4];
  bool host[4] = {};
  DimVector strides[4];
  Tensor casts[4];

  void result(const Tensor& out) {
    data[0] = out.data();
    types[0] = out.dtype();
    strides[0].assign(out.strides());
  }
  // `loop`: the type of the map's loop, which operands on the host must be of.
  void operand(int i, const Tensor& out, Other o, DType type, DType loop) {
    if (o.tensor && !out.device().is_cpu() && o.tensor->device().is_cpu() && o.tensor->dim() == 0) {
      Tensor cell = *o.tensor;
      if (cell.dtype() != loop) run_unary(Unary::Copy, cell = empty({}, loop), *o.tensor, loop);
      data[i] = cell.data();
      casts[i] = std::move(cell);
      types[i] = loop;
      host[i] = true;
      strides[i] = DimVector(out.dim(), 0);
    } else if (o.tensor) {
      PYNN_CHECK(o.tensor->device() == out.device(), "expected all tensors to be on the same device, got ",
                 out.device().str(), " and ", o.tensor->device().str());
      data[i] = o.tensor->data();
      types[i] = o.tensor->dtype();
      strides[i] = broadcast_strides("map", o.tensor->sizes(), o.tensor->strides(), out.sizes());
    } else {
      cells[i].set(o.scalar, type);
      data[i] = &cells[i];
      types[i] = loop;
      host[i] = !out.device().is_cpu();
      strides[i] = DimVector(out.dim(), 0);
    }
  }
  // An operand of several, which is cast to their common type; only a 0-d tensor may be wider than that.
  void common_operand(int i, const Tensor& out, Other o, DType type) {
    if (o.tensor && o.tensor->dim() == 0 && is_narrow(type) && o.tensor->dtype() != type) {
      casts[i] = empty({}, type, o.tensor->device());
      run_unary(Unary::Copy, casts[i], *o.tensor, type);
      o.tensor = &casts[i];
    }
    operand(i, out, o, type, compute_type(type));
  }
  const MapArgs& plan(const Tensor& out, int n, DType compute, const double* params, const int64_t* iparams) {
    const int64_t* s[4];
    for (int i = 0; i < n; ++i) s[i] = strides[i].data();
    pynn::plan(args, static_cast<int>(out.dim()), out.sizes().data(), n, s);
    for (int i = 0; i < n; ++i) {
      args.operands[i].data = const_cast<void*>(data[i]);
      args.operands[i].dtype = types[i];
      args.operands[i].host = host[i];
    }
    args.compute = compute;
    if (params) std::copy_n(params, 4, args.params);
    if (iparams) std::copy_n(iparams, 2, args.iparams);
    return args;
  }
};

// An operand that the result would overwrite while it is still read (same memory, another layout) is copied first.
Tensor unaliased(const Tensor& out, const Tensor& x) {
  if (x.storage().get() != out.storage().get() || !share_memory(out, x)) return {};
  const bool same_place = x.offset() == out.offset() && same(x.sizes(), out.sizes()) &&
                          same(x.strides(), out.strides()) && x.dtype() == out.dtype();
  if (same_place) return {};
  Tensor copy = empty(x.sizes(), x.dtype(), x.device());
  run_unary(Unary::Copy, copy, x, x.dtype());
  return copy;
}
#define PYNN_UNALIASED(o) \
  Tensor copy_##o;        \
  if (o.tensor && (copy_##o = unaliased(out, *o.tensor)).defined()) o.tensor = &copy_##o;

}  // namespace

void run_unary(Unary op, const Tensor& out, const Tensor& in, DType type, const double* params,
               const int64_t* iparams) {
  if (out.numel() == 0 || out.device().is_meta()) return;
  Other x(in);
  PYNN_UNALIASED(x);
  Planner p;
  p.result(out);
  const DType loop = op == Unary::Copy ? type : compute_type(type);
  p.operand(1, out, x, type, op == Unary::Copy ? out.dtype() : loop);
  p.plan(out, 2, loop, params, iparams);
  if (op == Unary::Copy) {
    kernels::map_copy(out.device(), p.args);
  } else {
    kernels::map_unary(out.device(), op, p.args);
  }
}

void run_binary(Binary op, const Tensor& out, Other a, Other b, DType type, const double* params,
                const int64_t* iparams) {
  if (out.numel() == 0 || out.device().is_meta()) return;
  PYNN_UNALIASED(a);
  PYNN_UNALIASED(b);
  Planner p;
  p.result(out);
  p.common_operand(1, out, a, type);
  p.common_operand(2, out, b, type);
  p.plan(out, 3, compute_type(type), params, iparams);
  kernels::map_binary(out.device(), op, p.args);
}

void run_ternary(Ternary op, const Tensor& out, Other a, Other b, Other c, DType type, const double* params) {
  if (out.numel() == 0 || out.device().is_meta()) return;
  PYNN_UNALIASED(a);
  PYNN_UNALIASED(b);
  PYNN_UNALIASED(c);
  Planner p;
  p.result(out);
  p.common_operand(1, out, a, type);
  p.common_operand(2, out, b, type);
  p.common_operand(3, out, c, type);
  const int64_t iparams[2] = {params ? static_cast<int64_t>(params[0]) : 0, 0};
  p.plan(out, 4, compute_type(type), params, iparams);
  kernels::map_ternary(out.device(), op, p.args);
}

}  // namespace pynn::ops
