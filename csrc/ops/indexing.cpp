// indexing.cpp -- x[indices] and x[indices] = value for tensors of positions and masks. The parts that are views
// (integers, slices, None) are taken before, in python/index.cpp.
#include "ops/indexing.h"

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/assign.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/indexing_plan.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

bool needs_graph(const Tensor& x) { return thread_state.grad_enabled && x.requires_grad(); }

// A mask over all first dims of contiguous memory: the same with those dims as one, so that one position per element
// will do. Undefined when the indices are of another kind.
Tensor joined_dims(const Tensor& x, TensorSpan indices) {
  if (indices.size() != 1 || !indices[0].defined() || indices[0].dim() < 2 || !x.is_contiguous()) return {};
  const Tensor& mask = indices[0];
  if ((mask.dtype() != DType::Bool && mask.dtype() != DType::UInt8) || mask.dim() > x.dim()) return {};
  DimVector sizes{mask.numel()};
  for (int64_t d = 0; d < x.dim(); ++d) {
    if (d >= mask.dim()) {
      sizes.push_back(x.size(d));
    } else if (mask.size(d) != x.size(d)) {
      return {};
    }
  }
  return view(x, sizes);
}

Tensor index_positions(const Tensor& x, TensorSpan where) {
  const IndexPlan plan = plan_index("index", x, where, true, true);
  Tensor y = empty(plan.sizes, x.dtype(), x.device());
  read_rows("index", plan, x, y);
  return record("index", std::move(y), inputs(x), save(x.sizes(), where),
                [](const Tensor& g, Dims sizes, const std::vector<Tensor>& where) {
                  return index_put_(zeros(sizes, g.dtype(), g.device()), where, g, true);
                });
}

}  // namespace

Tensor index(const Tensor& x, TensorSpan indices) {
  if (const Tensor joined = joined_dims(x, indices); joined.defined()) {
    const Tensor flat[] = {reshape(indices[0], DimVector{-1})};
    return index(joined, flat);
  }
  return index_positions(x, expand_indices("index", x, indices));
}

Tensor index_put_(const Tensor& self, TensorSpan indices, const Tensor& value, bool accumulate) {
  autograd::check_inplace("index_put_", self);
  PYNN_CHECK(self.dtype() == value.dtype(),
             "index_put_: Index put requires the source and destination dtypes match, got ", dtype_name(self.dtype()),
             " for the destination and ", dtype_name(value.dtype()), " for the source.");
  PYNN_CHECK(self.device().is_meta() || !value.device().is_meta(), "index_put_: a value for a tensor on ",
             self.device().str(), " is required, got a meta tensor");
  PYNN_CHECK(self.device() == value.device() || self.device().is_meta() || value.dim() == 0,
             "index_put_: expected all tensors to be on the same device, got ", self.device().str(), " and ",
             value.device().str());
  if (!needs_graph(self) && !needs_graph(value)) {
    const bool one = indices.size() == 1 && indices[0].defined() && value.numel() == 1 && !accumulate;
    if (one && indices[0].dtype() == DType::Bool && indices[0].dim() > 0 && same(indices[0].sizes(), self.sizes()) &&
        value.dim() <= self.dim() && self.device() == value.device() && self.device() == indices[0].device() &&
        !self.device().is_meta()) {  // no positions are needed
      run_ternary(Ternary::Where, self, indices[0], reshape(value, Dims()), self, self.dtype());
      autograd::bump_version(self);
      return self;
    }
    if (const Tensor joined = joined_dims(self, indices); joined.defined()) {
      const Tensor flat[] = {reshape(indices[0], DimVector{-1})};
      index_put_(joined, flat, value, accumulate);
      return self;
    }
  }
  const std::vector<Tensor> where = expand_indices("index_put_", self, indices);
  const TensorSpan span(where);
  const IndexPlan plan = plan_index("index_put_", self, span);
  try {
    broadcast_strides("index_put_", value.sizes(), value.strides(), plan.sizes);
  } catch (const Error&) {
    fail(ErrorKind::Shape, "index_put_: shape mismatch: value tensor of shape ", dims_str(value.sizes()),
         " cannot be broadcast to indexing result of shape ", dims_str(plan.sizes));
  }
  write_rows("index_put_", plan, self, value, accumulate ? Write::Add : Write::Assign);
  record_inplace(
      "index_put_", self, inputs(self, value), save(span, accumulate),
      [](const Tensor& g, const std::vector<Tensor>& where, bool accumulate) {
        return accumulate ? g : index_put_(clone_contiguous(g), where, zeros({}, g.dtype(), g.device()));
      },
      [](const Tensor& g, const std::vector<Tensor>& where, bool) { return index(g, where); });
  return self;
}

namespace {

Tensor op_index_put(const Tensor& x, TensorSpan indices, const Tensor& values, bool accumulate) {
  return index_put_(clone_of(x), indices, values, accumulate);
}

}  // namespace

PYNN_OP(
    index_put_, "index_put_(Tensor input, Tensor[] indices, Tensor values, bool accumulate=False) -> Tensor",
    "Writes values to the positions that the index tensors name, or adds them there. Same as torch.Tensor.index_put_.",
    kAnyDevice);
PYNN_OP(op_index_put, "index_put(Tensor input, Tensor[] indices, Tensor values, bool accumulate=False) -> Tensor",
        "index_put_ on a copy. Same as torch.Tensor.index_put.", kAnyDevice);

}  // namespace pynn::ops
