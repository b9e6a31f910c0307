// gradient.cpp -- what the engine needs of the ops (autograd/arith.h).
#include "autograd/arith.h"
#include "core/shape.h"
#include "core/thread_state.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/complex.h"
#include "ops/creation.h"
#include "ops/device.h"
#include "ops/reduce.h"
#include "ops/unary.h"
#include "ops/view.h"

namespace pynn::autograd {

bool only_here(const Tensor& g) {
  return !thread_state.grad_enabled && g.ref()->use_count() == 1 && g.storage()->use_count() == 1 &&
         !g.storage()->foreign() && g.is_contiguous();
}

Tensor add_gradients(Tensor a, const Tensor& b) {
  if (only_here(a) && same(a.sizes(), b.sizes()) && a.dtype() == b.dtype()) return ops::add_(a, b);
  return ops::add(a, b);
}

Tensor fit_gradient(const Tensor& g, const OutputMeta& meta, const Node* from, size_t index) {
  Tensor out = g;
  if (!same(g.sizes(), meta.sizes)) {
    const Dims want = meta.sizes;
    bool fits = g.dim() >= static_cast<int64_t>(want.size());
    for (size_t i = 0; fits && i < want.size(); ++i)
      fits = want[i] == 1 || want[i] == g.size(static_cast<int64_t>(i) - static_cast<int64_t>(want.size()));
    PYNN_CHECK(fits, "Function ", from->name(), " returned an invalid gradient at index ", index, " - got ",
               dims_str(g.sizes()), " but expected shape compatible with ", dims_str(want));
    out = ops::sum_to(out, want);
  }
  if (out.dtype() != meta.dtype) out = ops::to_dtype(out, meta.dtype);
  // That of a number on the CPU, which went along with tensors on a device.
  if (out.device() != meta.device && out.dim() == 0) out = ops::to_device(out, meta.device);
  return out;
}

Tensor copy_gradient(const Tensor& g) { return ops::clone_contiguous(g); }

Tensor copy_like(const Tensor& g, const Tensor& like) {
  Tensor out = empty_like(like);
  ops::copy_data(out, g);
  return out;
}

Tensor clone_strided(const Tensor& g, Dims strides) {
  // A base that is not dense has no dense copy with its strides: the copy then has the holes too.
  Tensor out = empty_strided(g.sizes(), strides, g.dtype(), g.device());
  return ops::copy_(out, g);
}

Tensor zeros_for(const OutputMeta& meta) { return ops::zeros(meta.sizes, meta.dtype, meta.device); }
Tensor ones_like(const Tensor& t) { return ops::ones(t.sizes(), t.dtype(), t.device()); }

Tensor as_strided_view(const Tensor& x, DType dtype, Dims sizes, Dims strides, int64_t offset) {
  if (dtype == x.dtype()) return ops::as_strided(x, sizes, strides, offset);
  if (is_complex(x.dtype())) return ops::as_strided(ops::view_as_real(x), sizes, strides, offset);
  DimVector pairs(sizes), steps(strides);
  for (int64_t& s : steps) s *= 2;
  pairs.push_back(2);
  steps.push_back(1);
  return ops::view_as_complex(ops::as_strided(x, pairs, steps, 2 * offset));
}

void copy_into(const Tensor& to, const Tensor& from) { ops::copy_(to, from); }

void add_in_place(const Tensor& to, const Tensor& g) {
  GradMode off(false);
  ops::add_(to, g);
}

bool has_nan(const Tensor& t) {
  GradMode off(false);
  return !is_integral(t.dtype()) && ops::any_nonzero(ops::isnan(t));
}

}  // namespace pynn::autograd
