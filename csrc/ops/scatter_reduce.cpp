// scatter_reduce.cpp -- elements of `source` that share a position are summed, multiplied, averaged, or the largest
// (smallest) taken, with the input's own element or without it. index_reduce does so with whole slices.
#include <limits>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/indexing_scatter.h"
#include "ops/ternary.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

enum class Way { Sum, Prod, Mean, Amax, Amin };

Way way_of(const char* op, std::string_view name, bool sum_too) {
  if (name == "sum" && sum_too) return Way::Sum;
  if (name == "prod") return Way::Prod;
  if (name == "mean") return Way::Mean;
  if (name == "amax") return Way::Amax;
  if (name == "amin") return Way::Amin;
  fail(ErrorKind::Runtime, op, ": reduce argument must be either ", sum_too ? "sum, " : "",
       "prod, mean, amax or amin, got ", name, ".");
}

// What combines with any element to that element.
Scalar identity(Way way, DType t) {
  const double inf = std::numeric_limits<double>::infinity();
  switch (way) {
    case Way::Prod:
      return Scalar(1);
    case Way::Amax:
    case Way::Amin: {
      const bool low = way == Way::Amax;
      if (is_floating(t)) return Scalar(low ? -inf : inf);
      if (t == DType::Bool) return Scalar(!low);
      const int bits = static_cast<int>(8 * item_size(t)) - (is_signed(t) ? 1 : 0);
      const int64_t high = bits >= 63 ? INT64_MAX : (int64_t{1} << bits) - 1;
      return Scalar(!low ? high : is_signed(t) ? -high - 1 : int64_t{0});
    }
    default:
      return Scalar(0);
  }
}

// How many elements each position takes part in, at least 1.
Tensor counts(const Tensor& like, int64_t dim, const Tensor& index, bool include_self) {
  const Tensor start = full(like.sizes(), Scalar(include_self ? 1 : 0), like.dtype(), like.device());
  const Tensor n = scatter_add(start, dim, index, ones(index.sizes(), like.dtype(), like.device()));
  return where(eq(n, 0), Scalar(1), n);
}

void reduce_values(const char* op, const Tensor& y, int64_t dim, const Tensor& index, const Tensor& source, Way way,
                   bool include_self) {
  GradMode off(false);
  if (!include_self) {
    const Tensor cleared = scatter_fill(y, dim, index, identity(way, y.dtype()));
    copy_data(y, cleared);
  }
  const ScatterMode mode = way == Way::Prod   ? ScatterMode::Multiply
                           : way == Way::Amax ? ScatterMode::Max
                           : way == Way::Amin ? ScatterMode::Min
                                              : ScatterMode::Add;
  run_scatter(op, y, dim, index, source, false, mode);
  if (way != Way::Mean) return;
  const Tensor n = counts(y, dim, index, include_self);
  copy_data(y, is_floating(y.dtype()) ? div(y, n) : floor_divide(y, n));
}

struct Spec {
  int64_t dim;
  Way way;
  bool include_self;
};

Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Way way,
                      bool include_self);

// The factor of g that belongs to x and to source where a product is taken: the product of all others.
Tensor product_for_self(const Tensor& x, const Tensor& index, const Tensor& source, const Spec& s) {
  const Tensor safe = where(eq(x, 0), Scalar(1), x);
  return div(scatter_reduce(safe, s.dim, index, source, Way::Prod, s.include_self), safe);
}
Tensor product_for_source(const Tensor& x, const Tensor& y, const Tensor& index, const Tensor& source, const Spec& s) {
  const Tensor zero = eq(source, 0);
  const Tensor number = gather(
      scatter_add(zeros(x.sizes(), x.dtype(), x.device()), s.dim, index, to_dtype(zero, x.dtype())), s.dim, index);
  const Tensor single = logical_and(zero, eq(number, 1));
  const Tensor filled = where(single, Scalar(1), source);
  const Tensor without = scatter_reduce(x, s.dim, index, filled, Way::Prod, s.include_self);
  return where(single, gather(without, s.dim, index), div(gather(y, s.dim, index), where(zero, Scalar(1), source)));
}

Tensor for_self(const Tensor& g, const Tensor& x, const Tensor& y, const Tensor& index, const Tensor& source,
                const Spec& s) {
  Tensor out = g;
  if (s.way == Way::Prod) {
    out = mul_conj(g, product_for_self(x, index, source, s));
  } else if (s.way == Way::Mean) {
    out = div(g, counts(g, s.dim, index, s.include_self));
  } else if (s.way != Way::Sum) {
    const Tensor mine = to_dtype(eq(x, y), g.dtype()),
                 theirs = to_dtype(eq(source, gather(y, s.dim, index)), g.dtype());
    out = mul(mine, div(g, scatter_add(mine, s.dim, index, theirs)));
  }
  return s.include_self ? out : scatter_fill(out, s.dim, index, 0);
}
Tensor for_source(const Tensor& g, const Tensor& x, const Tensor& y, const Tensor& index, const Tensor& source,
                  const Spec& s) {
  switch (s.way) {
    case Way::Sum:
      return gather(g, s.dim, index);
    case Way::Mean:
      return gather(div(g, counts(g, s.dim, index, s.include_self)), s.dim, index);
    case Way::Prod:
      return mul_conj(gather(g, s.dim, index), product_for_source(x, y, index, source, s));
    default: {
      const Tensor mine = to_dtype(eq(x, y), g.dtype());
      const Tensor theirs = to_dtype(eq(source, gather(y, s.dim, index)), g.dtype());
      return mul(theirs, gather(div(g, scatter_add(mine, s.dim, index, theirs)), s.dim, index));
    }
  }
}

Tensor scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, Way way,
                      bool include_self) {
  Tensor y = empty(x.sizes(), x.dtype(), x.device());
  copy_data(y, x);
  reduce_values("scatter_reduce", y, dim, index, source, way, include_self);
  const Spec spec{dim, way, include_self};
  return record(
      "scatter_reduce", y, inputs(x, source), save(x, y, index, source, spec),
      [](const Tensor& g, const Tensor& x, const Tensor& y, const Tensor& index, const Tensor& source,
         const Spec& spec) { return for_self(g, x, y, index, source, spec); },
      [](const Tensor& g, const Tensor& x, const Tensor& y, const Tensor& index, const Tensor& source,
         const Spec& spec) { return for_source(g, x, y, index, source, spec); });
}

Tensor op_scatter_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source,
                         std::string_view reduce, bool include_self) {
  const Way way = way_of("scatter_reduce", reduce, true);
  dim = check_index("scatter_reduce", x, dim, index);
  check_source("scatter_reduce", x, index, source);
  if (index.numel() == 0) return clone_of(x);
  return scatter_reduce(x, dim, index, crop(source, index.sizes()), way, include_self);
}

Tensor op_index_reduce(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& source, std::string_view reduce,
                       bool include_self) {
  const Way way = way_of("index_reduce", reduce, false);
  dim = wrap_dim("index_reduce", dim, x);
  PYNN_CHECK(index.dtype() == DType::Int64 || index.dtype() == DType::Int32,
             "index_reduce: Expected dtype int32/int64 for index, got ", dtype_name(index.dtype()));
  PYNN_CHECK_KIND(Index, index.dim() <= 1, "index_reduce: Index is supposed to be a vector, got shape ",
                  dims_str(index.sizes()));
  PYNN_CHECK(x.dtype() == source.dtype(), "index_reduce: self and source expected to have the same dtype, got ",
             dtype_name(x.dtype()), " and ", dtype_name(source.dtype()));
  const Tensor input = x.dim() ? x : reshape(x, DimVector{1});
  DimVector sizes(input.sizes()), column(input.dim(), 1);
  sizes[dim] = column[dim] = index.numel();
  const DimVector have = source.dim() ? DimVector(source.sizes()) : DimVector{1};
  PYNN_CHECK_KIND(Shape, same(have, sizes), "index_reduce: source must have the shape ", dims_str(sizes), ", got ",
                  dims_str(source.sizes()), "; one slice per index");
  if (source.numel() == 0) return clone_of(x);
  const Tensor where = expand(reshape(to_dtype(index, DType::Int64), column), sizes);
  return reshape(scatter_reduce(input, dim, where, reshape(source, sizes), way, include_self), x.sizes());
}

}  // namespace

PYNN_OP(op_scatter_reduce,
        "scatter_reduce(Tensor input, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> "
        "Tensor",
        "With the sum, prod, mean, amax or amin of the elements of src at each position along dim, and of the input's "
        "own one unless include_self is False. Same as torch.scatter_reduce.",
        kOut | kInplace);
PYNN_OP(op_index_reduce,
        "index_reduce(Tensor input, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> "
        "Tensor",
        "With the prod, mean, amax or amin of the slices of source at each position of a vector. Same as "
        "torch.index_reduce.",
        kOut | kInplace);

}  // namespace pynn::ops
