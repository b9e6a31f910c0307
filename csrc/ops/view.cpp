// view.cpp -- other shapes of the same memory. Each view's derivative is the reverse view of the gradient, or puts the
// gradient into zeros of the input's shape.
#include "ops/view.h"

#include <numeric>

#include "autograd/named.h"
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing.h"
#include "ops/reduce.h"

namespace pynn::ops {

Tensor make_view(const Tensor& x, Dims sizes, Dims strides, int64_t offset) {
  return make_view(x, sizes, strides, offset, x.dtype());
}
Tensor make_view(const Tensor& x, Dims sizes, Dims strides, int64_t offset, DType dtype) {
  Tensor v(TensorImpl::make(x.storage(), dtype, sizes, strides, offset));
  v.impl()->inference = x.impl()->inference;
  TensorImpl* p = v.impl();
  p->base = x.impl()->base ? x.impl()->base : x.ref();
  p->view_version = x.version();
  p->made_in_no_grad = !thread_state.grad_enabled;
  return v;
}

namespace {

// The gradient of a part: zeros with g in the part's place.
Tensor embed(const Tensor& g, Dims sizes, Tensor (*part)(const Tensor&, Dims), Dims where) {
  Tensor whole = zeros(sizes, g.dtype(), g.device());
  copy_(part(whole, where), g);
  return whole;
}

DimVector inverse(Dims dims) {
  DimVector out(dims.size(), 0);
  for (size_t i = 0; i < dims.size(); ++i) out[dims[i]] = static_cast<int64_t>(i);
  return out;
}

}  // namespace

Tensor view(const Tensor& x, Dims to) {
  const DimVector sizes = infer_sizes("view", to, x.numel());
  DimVector strides;
  PYNN_CHECK(
      view_strides(x.sizes(), x.strides(), sizes, strides),
      "view: view size is not compatible with input tensor's size and stride (at least one dimension spans across "
      "two contiguous subspaces). Use .reshape(...) instead. Got ",
      dims_str(x.sizes()), " with strides ", dims_str(x.strides()), " as ", dims_str(sizes));
  return record("view", make_view(x, sizes, strides, x.offset()), inputs(x), save(x.sizes()),
                [](const Tensor& g, Dims sizes) { return reshape(g, sizes); });
}

Tensor reshape(const Tensor& x, Dims to) {
  const DimVector sizes = infer_sizes("reshape", to, x.numel());
  DimVector strides;
  if (view_strides(x.sizes(), x.strides(), sizes, strides)) return view(x, sizes);
  return named("unsafe_view", view(clone_contiguous(x), sizes));
}

Tensor permute(const Tensor& x, Dims order) {
  PYNN_CHECK(order.size() == static_cast<size_t>(x.dim()), "permute: one position per dim is required, got ",
             dims_str(order), " for a tensor of shape ", dims_str(x.sizes()));
  DimVector dims(order), sizes(order), strides(order);
  int64_t seen = 0;
  for (size_t i = 0; i < dims.size(); ++i) {
    dims[i] = wrap_dim("permute", order[i], x);
    PYNN_CHECK(!(seen >> dims[i] & 1), "permute: duplicate dims are not allowed, got ", dims_str(order));
    seen |= int64_t{1} << dims[i];
    sizes[i] = x.size(dims[i]);
    strides[i] = x.stride(dims[i]);
  }
  return record("permute", make_view(x, sizes, strides, x.offset()), inputs(x), save(dims),
                [](const Tensor& g, const DimVector& dims) { return permute(g, inverse(dims)); });
}

Tensor transpose(const Tensor& x, int64_t a, int64_t b) {
  a = wrap_dim("transpose", a, x);
  b = wrap_dim("transpose", b, x);
  DimVector sizes(x.sizes()), strides(x.strides());
  if (a != b) {
    std::swap(sizes[a], sizes[b]);
    std::swap(strides[a], strides[b]);
  }
  return record("transpose", make_view(x, sizes, strides, x.offset()), inputs(x), save(a, b),
                [](const Tensor& g, int64_t a, int64_t b) { return transpose(g, a, b); });
}

Tensor reversed(const Tensor& x) {
  DimVector dims(x.dim(), 0);
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = static_cast<int64_t>(dims.size() - 1 - i);
  return permute(x, dims);
}

Tensor expand(const Tensor& x, Dims to) {
  PYNN_CHECK(to.size() >= static_cast<size_t>(x.dim()), "expand: the number of sizes provided (", to.size(),
             ") must be greater or equal to the number of dimensions in the tensor (", x.dim(), ")");
  DimVector sizes(to);
  const size_t shift = to.size() - x.dim();
  for (size_t i = 0; i < to.size(); ++i) {
    if (to[i] != -1) continue;
    PYNN_CHECK(i >= shift,
               "expand: the expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ", i);
    sizes[i] = x.size(static_cast<int64_t>(i - shift));
  }
  for (int64_t s : sizes) PYNN_CHECK(s >= 0, "expand: sizes must not be negative, got ", dims_str(sizes));
  checked_numel(sizes);
  const DimVector strides = broadcast_strides("expand", x.sizes(), x.strides(), sizes);
  // The engine sums the gradient to x's shape.
  return record("expand", make_view(x, sizes, strides, x.offset()), inputs(x), save(),
                [](const Tensor& g) { return g; });
}

Tensor squeeze(const Tensor& x, std::optional<Dims> dims) {
  DimVector sizes, strides;
  int64_t chosen = dims ? 0 : ~int64_t{0};
  if (dims) {
    for (int64_t d : *dims) {
      const int64_t bit = int64_t{1} << wrap_dim("squeeze", d, x);
      PYNN_CHECK(!(chosen & bit), "squeeze: dim ", d, " appears multiple times in the list of dims");
      chosen |= bit;
    }
  }
  for (int64_t i = 0; i < x.dim(); ++i) {
    if (x.size(i) == 1 && (chosen >> i & 1)) continue;
    sizes.push_back(x.size(i));
    strides.push_back(x.stride(i));
  }
  return record(!dims               ? "squeeze"
                : dims->size() == 1 ? "squeeze.1"
                                    : "squeeze.2",
                make_view(x, sizes, strides, x.offset()), inputs(x), save(x.sizes()),
                [](const Tensor& g, Dims sizes) { return reshape(g, sizes); });
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  dim = wrap_dim("unsqueeze", dim, x.dim() + 1);
  DimVector sizes(x.sizes()), strides(x.strides());
  const int64_t step = dim < x.dim() ? sizes[dim] * strides[dim] : 1;
  sizes.insert(dim, 1);
  strides.insert(dim, step);
  return record("unsqueeze", make_view(x, sizes, strides, x.offset()), inputs(x), save(dim),
                [](const Tensor& g, int64_t dim) {
                  const int64_t dims[] = {dim};
                  return squeeze(g, Dims(dims));
                });
}

Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t end, int64_t step) {
  DimVector sizes(x.sizes()), strides(x.strides());
  sizes[dim] = end > start ? (end - start + step - 1) / step : 0;
  strides[dim] *= step;
  const int64_t offset = x.offset() + (sizes[dim] ? start * x.stride(dim) : 0);
  return record(
      "slice", make_view(x, sizes, strides, offset), inputs(x), save(x.sizes(), DimVector{dim, start, end, step}),
      [](const Tensor& g, Dims sizes, const DimVector& where) {
        return embed(g, sizes, [](const Tensor& t, Dims w) { return slice(t, w[0], w[1], w[2], w[3]); }, where);
      });
}

Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  PYNN_CHECK(x.dim() > 0, "narrow: cannot be applied to a 0-dim tensor");
  dim = wrap_dim("narrow", dim, x);
  const int64_t n = x.size(dim);
  PYNN_CHECK_KIND(Index, start >= -n && start <= n, "narrow: start must be in [", -n, ", ", n, "], got ", start);
  if (start < 0) start += n;
  PYNN_CHECK(length >= 0 && length <= n - start, "narrow: start (", start, ") + length (", length,
             ") exceeds dimension size (", n, ")");
  return slice(x, dim, start, start + length, 1);
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  PYNN_CHECK_KIND(Index, x.dim() > 0, "select: cannot be applied to a 0-dim tensor");
  dim = wrap_dim("select", dim, x);
  const int64_t n = x.size(dim);
  PYNN_CHECK_KIND(Index, index >= -n && index < n, "select: index ", index, " is out of bounds for dimension ", dim,
                  " with size ", n);
  if (index < 0) index += n;
  DimVector sizes(x.sizes()), strides(x.strides());
  const int64_t offset = x.offset() + index * strides[dim];
  sizes.erase(dim);
  strides.erase(dim);
  return record("select", make_view(x, sizes, strides, offset), inputs(x), save(x.sizes(), DimVector{dim, index}),
                [](const Tensor& g, Dims sizes, const DimVector& where) {
                  return embed(g, sizes, [](const Tensor& t, Dims w) { return select(t, w[0], w[1]); }, where);
                });
}

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
  dim1 = wrap_dim("diagonal", dim1, x);
  dim2 = wrap_dim("diagonal", dim2, x);
  PYNN_CHECK(x.dim() >= 2 && dim1 != dim2, "diagonal: diagonal dimensions cannot be identical, got ", dim1, " and ",
             dim2);
  int64_t at = x.offset();
  int64_t n;
  if (offset >= 0) {
    n = std::max<int64_t>(std::min(x.size(dim1), x.size(dim2) - offset), 0);
    if (n) at += offset * x.stride(dim2);
  } else {
    n = std::max<int64_t>(std::min(x.size(dim1) + offset, x.size(dim2)), 0);
    if (n) at -= offset * x.stride(dim1);
  }
  DimVector sizes(x.sizes()), strides(x.strides());
  const int64_t step = strides[dim1] + strides[dim2];
  sizes.erase(std::max(dim1, dim2));
  sizes.erase(std::min(dim1, dim2));
  strides.erase(std::max(dim1, dim2));
  strides.erase(std::min(dim1, dim2));
  sizes.push_back(n);
  strides.push_back(step);
  return record("diagonal", make_view(x, sizes, strides, at), inputs(x), save(x.sizes(), DimVector{offset, dim1, dim2}),
                [](const Tensor& g, Dims sizes, const DimVector& where) {
                  return embed(g, sizes, [](const Tensor& t, Dims w) { return diagonal(t, w[0], w[1], w[2]); }, where);
                });
}

namespace {

// Where each element of a strided layout lies, counted from the storage's start: [numel] int64.
Tensor positions(Dims sizes, Dims strides, int64_t offset, Device device) {
  Tensor at = full(DimVector(sizes.size(), 1), Scalar(offset), DType::Int64, device);
  for (size_t i = 0; i < sizes.size(); ++i) {
    DimVector shape(sizes.size(), 1);
    shape[i] = sizes[i];
    at = add(at, reshape(mul(arange(sizes[i], device), Scalar(strides[i])), shape));
  }
  return reshape(at, DimVector{-1});
}

// The storage that the gradient of a strided view is collected in covers both layouts. Elements that several of the
// view's positions read get the sum; elements that the input itself holds several times share it.
Tensor as_strided_backward(const Tensor& g, Dims in_sizes, Dims in_strides, Dims sizes, Dims strides, int64_t shift) {
  const int64_t low = std::min<int64_t>(shift, 0);
  const int64_t in_at = -low, at = shift - low;
  const int64_t span = std::max(in_at + span_elements(in_sizes, in_strides), at + span_elements(sizes, strides));
  Tensor whole = zeros(DimVector{span}, g.dtype(), g.device());
  if (overlaps_itself(sizes, strides)) {
    whole = index_add(whole, 0, positions(sizes, strides, at, g.device()), reshape(g, DimVector{-1}));
  } else {
    copy_(as_strided(whole, sizes, strides, at), g);
  }
  if (overlaps_itself(in_sizes, in_strides)) {
    const Tensor where = positions(in_sizes, in_strides, in_at, g.device());
    const Tensor count =
        index_add(zeros(DimVector{span}, g.dtype(), g.device()), 0, where, ones(where.sizes(), g.dtype(), g.device()));
    whole = div(whole, maximum(count, ones(DimVector{1}, g.dtype(), g.device())));
  }
  return as_strided(whole, in_sizes, in_strides, in_at);
}

}  // namespace

Tensor as_strided(const Tensor& x, Dims sizes, Dims strides, std::optional<int64_t> offset) {
  PYNN_CHECK(sizes.size() == strides.size(), "as_strided: one stride per size is required, got ", dims_str(sizes),
             " and ", dims_str(strides));
  const int64_t at = offset.value_or(x.offset());
  checked_numel(sizes);
  PYNN_CHECK(at >= 0, "as_strided: storage_offset must not be negative, got ", at);
  int64_t last = at;
  bool none = false;
  for (size_t i = 0; i < sizes.size(); ++i) {
    PYNN_CHECK(strides[i] >= 0, "as_strided: negative strides are not supported, got ", dims_str(strides));
    int64_t reach = 0;
    none |= sizes[i] == 0;
    PYNN_CHECK(!__builtin_mul_overflow(std::max<int64_t>(sizes[i] - 1, 0), strides[i], &reach) &&
                   !__builtin_add_overflow(last, reach, &last),
               "as_strided: strides overflow, got ", dims_str(strides));
  }
  const int64_t have = static_cast<int64_t>(x.storage()->nbytes() / item_size(x.dtype()));
  PYNN_CHECK(none || last < have, "as_strided: setStorage: sizes ", dims_str(sizes), ", strides ", dims_str(strides),
             ", and storage offset ", at, " are out of bounds for storage of ", have, " elements");
  return record(
      "as_strided", make_view(x, sizes, strides, at), inputs(x),
      save(DimVector(x.sizes()), DimVector(x.strides()), DimVector(sizes), DimVector(strides), at - x.offset()),
      [](const Tensor& g, const DimVector& in_sizes, const DimVector& in_strides, const DimVector& sizes,
         const DimVector& strides,
         int64_t shift) { return as_strided_backward(g, in_sizes, in_strides, sizes, strides, shift); });
}

Tensor detach(const Tensor& x) { return no_gradient(alias(x)); }

Tensor flatten(const Tensor& x, int64_t start, int64_t end) {
  if (x.dim() == 0) return reshape(x, DimVector{1});
  start = wrap_dim("flatten", start, x);
  end = wrap_dim("flatten", end, x);
  PYNN_CHECK(start <= end, "flatten: flatten() has invalid args: start_dim cannot come after end_dim");
  if (start == end) return x;
  DimVector sizes;
  int64_t merged = 1;
  for (int64_t i = 0; i < x.dim(); ++i) {
    if (i < start || i > end) {
      sizes.push_back(x.size(i));
      continue;
    }
    merged *= x.size(i);
    if (i == end) sizes.push_back(merged);
  }
  return reshape(x, sizes);
}

namespace {
// The same bytes read as another type; the last dim grows or shrinks with the element.
Tensor op_view_dtype(const Tensor& x, DType t) {
  const auto from = static_cast<int64_t>(item_size(x.dtype())), to = static_cast<int64_t>(item_size(t));
  DimVector sizes(x.sizes()), strides(x.strides());
  int64_t offset = x.offset();
  if (from != to) {
    PYNN_CHECK(x.dim() > 0, "view: self.dim() cannot be 0 to view ", dtype_name(x.dtype()), " as ", dtype_name(t),
               " (different element sizes)");
    PYNN_CHECK(x.stride(-1) == 1, "view: self.stride(-1) must be 1 to view ", dtype_name(x.dtype()), " as ",
               dtype_name(t), " (different element sizes), but got ", x.stride(-1));
    const bool fits = sizes.back() * from % to == 0 && offset * from % to == 0;
    PYNN_CHECK(fits, "view: self.size(-1) and the storage offset must be divisible by ", to, " / ", from, " to view ",
               dtype_name(x.dtype()), " as ", dtype_name(t), ", but got ", sizes.back(), " and ", offset);
    sizes.back() = sizes.back() * from / to;
    offset = offset * from / to;
    for (size_t d = 0; d + 1 < strides.size(); ++d) {
      PYNN_CHECK(strides[d] * from % to == 0, "view: self.stride(", d, ") must be divisible by ", to, " / ", from,
                 ", but got ", strides[d]);
      strides[d] = strides[d] * from / to;
    }
  }
  return no_gradient(Tensor(TensorImpl::make(x.storage(), t, sizes, strides, offset)));
}
Tensor op_squeeze(const Tensor& x) { return squeeze(x); }
Tensor op_squeeze_dims(const Tensor& x, Dims dims) { return squeeze(x, dims); }
Tensor op_t(const Tensor& x) {
  PYNN_CHECK(x.dim() <= 2, "t: t() expects a tensor with <= 2 dimensions, but self is ", x.dim(), "D");
  DimVector sizes(x.sizes()), strides(x.strides());
  std::reverse(sizes.begin(), sizes.end());
  std::reverse(strides.begin(), strides.end());
  return record("t", make_view(x, sizes, strides, x.offset()), inputs(x), save(),
                [](const Tensor& g) { return op_t(g); });
}
Tensor op_expand(const Tensor& x, Dims sizes) { return expand(x, sizes); }
}  // namespace

PYNN_OP(view, "view(Tensor input, int... shape) -> Tensor",
        "The same memory with another shape; an error where only a copy could have it. Same as torch.Tensor.view.",
        kMethodOnly);
PYNN_OP(op_view_dtype, "view(Tensor input, dtype dtype) -> Tensor", "The same bytes as another dtype.", kMethodOnly);
PYNN_OP(reshape, "reshape(Tensor input, int... shape) -> Tensor",
        "Another shape of the same elements: a view if possible, else a copy. Same as torch.reshape.");
PYNN_OP(permute, "permute(Tensor input, int... dims) -> Tensor", "The dims in another order. Same as torch.permute.");
PYNN_OP(transpose, "transpose(Tensor input, int dim0, int dim1) -> Tensor",
        "Two dims swapped. Same as torch.transpose.", kInplaceView);
PYNN_OP(transpose, "swapaxes(Tensor input, int axis0, int axis1) -> Tensor", "Alias of transpose.", kInplaceView);
PYNN_OP(transpose, "swapdims(Tensor input, int dim0, int dim1) -> Tensor", "Alias of transpose.", kInplaceView);
PYNN_OP(op_t, "t(Tensor input) -> Tensor", "The transpose of a matrix. Same as torch.t.", kInplaceView);
PYNN_OP(op_expand, "expand(Tensor input, int... sizes) -> Tensor",
        "Dims of size 1 repeated without copying; -1 keeps a size. Same as torch.Tensor.expand.", kMethodOnly);
PYNN_OP(op_squeeze, "squeeze(Tensor input) -> Tensor", "Without the dims of size 1. Same as torch.squeeze.",
        kInplaceView);
PYNN_OP(op_squeeze_dims, "squeeze(Tensor input, int[] dim) -> Tensor",
        "Without those of the given dims that have size 1.", kInplaceView);
PYNN_OP(unsqueeze, "unsqueeze(Tensor input, int dim) -> Tensor",
        "With a dim of size 1 put in. Same as torch.unsqueeze.", kInplaceView);
PYNN_OP(narrow, "narrow(Tensor input, int dim, int start, int length) -> Tensor",
        "`length` positions of a dim from `start`. Same as torch.narrow.");
PYNN_OP(select, "select(Tensor input, int dim, int index) -> Tensor", "One position of a dim. Same as torch.select.");
PYNN_OP(diagonal, "diagonal(Tensor input, int offset=0, int dim1=0, int dim2=1) -> Tensor",
        "The diagonal of two dims, as the last dim. Same as torch.diagonal.");
PYNN_OP(as_strided, "as_strided(Tensor input, Size size, Size stride, int? storage_offset=None) -> Tensor",
        "Any layout inside the storage. Same as torch.as_strided.", kInplaceView);
PYNN_OP(detach, "detach(Tensor input) -> Tensor",
        "The same memory, outside of the graph. Same as torch.Tensor.detach.");
PYNN_OP(flatten, "flatten(Tensor input, int start_dim=0, int end_dim=-1) -> Tensor",
        "Several dims merged into one. Same as torch.flatten.");

}  // namespace pynn::ops
