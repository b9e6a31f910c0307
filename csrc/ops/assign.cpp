// assign.cpp -- giving a tensor new content.
#include "ops/assign.h"

#include "autograd/record.h"
#include "core/accelerator.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/device.h"
#include "ops/view.h"

namespace pynn::ops {

void copy_data(const Tensor& to, const Tensor& from, bool asynchronous) {
  const bool number = from.device().is_cpu() && from.dim() == 0;  // which a kernel takes as an argument
  if (to.device() == from.device() || to.device().is_meta() || number)
    return run_unary(Unary::Copy, to, from, to.dtype());
  GradMode off(false);
  if (to.is_contiguous() && from.is_contiguous() && to.dtype() == from.dtype() && same(to.sizes(), from.sizes())) {
    if (to.numel())
      accelerator->copy(to.data(), to.device(), from.data(), from.device(),
                        static_cast<size_t>(to.numel()) * item_size(to.dtype()), asynchronous);
    return;
  }
  // The device casts and broadcasts; what goes to the host is cast before, so that the bytes arrive as they are needed.
  if (to.device().is_cuda()) return copy_data(to, to_device(from, to.device(), asynchronous));
  copy_data(to, to_device(from, to.device()));
}

void check_castable(const char* op, DType from, DType to) {
  const auto rank = [](DType t) { return t == DType::Bool ? 0 : is_integral(t) ? 1 : is_floating(t) ? 2 : 3; };
  PYNN_CHECK(rank(from) <= rank(to), op, ": result type ", dtype_name(from),
             " can't be cast to the desired output type ", dtype_name(to));
}

void check_fits(const char* op, const Tensor& self, Dims sizes) {
  if (same(self.sizes(), sizes)) return;
  const DimVector all = broadcast_sizes(op, self.sizes(), sizes);
  PYNN_CHECK_KIND(Shape, same(all, self.sizes()), op, ": output with shape ", dims_str(self.sizes()),
                  " doesn't match the broadcast shape ", dims_str(all));
}

void check_no_overlap(const char* op, const Tensor& to, const Tensor& from) {
  if (to.storage().get() != from.storage().get() || !share_memory(to, from)) return;
  if (to.data() == from.data() && same(to.sizes(), from.sizes()) && same(to.strides(), from.strides())) return;
  const auto dense = [](const Tensor& t) { return span_elements(t.sizes(), t.strides()) == t.numel(); };
  PYNN_CHECK(!dense(to) || !dense(from), op,
             ": unsupported operation: some elements of the input tensor and the written-to tensor overlap, they refer "
             "to a single memory location. Please clone() the tensor before performing the operation.");
}

Tensor copy_(const Tensor& self, const Tensor& source, bool asynchronous) {
  autograd::check_inplace("copy_", self);
  if (self.same(source)) return self;
  PYNN_CHECK_KIND(NotImplemented, self.device().is_meta() || !source.device().is_meta(),
                  "copy_: Cannot copy out of meta tensor; no data!");
  check_no_overlap("copy_", self, source);
  broadcast_strides("copy_", source.sizes(), source.strides(), self.sizes());
  copy_data(self, source, asynchronous);
  const Device source_device = source.device();
  record_inplace(
      "copy_.s", self, inputs(self, source), save(source_device), [](const Tensor& g, Device) { return mul(g, 0.0); },
      [](const Tensor& g, Device home) { return to_device(g, home); });
  return self;
}

namespace {
// Whether the op made its value where it belongs: see Destination.
bool is_at(const Tensor& value, const Tensor& to) {
  return value.data() == to.data() && value.dtype() == to.dtype() && value.storage().get() == to.storage().get() &&
         same(value.strides(), to.strides());
}
}  // namespace

void check_assign(const char* op, const Tensor& self) { autograd::check_inplace(op, self); }

void assign(const char* op, const Tensor& self, const Tensor& value) {
  autograd::check_inplace(op, self);
  check_castable(op, value.dtype(), self.dtype());
  PYNN_CHECK(self.device() == value.device(), op, ": expected all tensors to be on the same device, got ",
             self.device().str(), " and ", value.device().str());
  PYNN_CHECK_KIND(Shape, same(self.sizes(), value.sizes()), op, ": output with shape ", dims_str(self.sizes()),
                  " doesn't match the broadcast shape ", dims_str(value.sizes()));
  if (!is_at(value, self)) {
    copy_data(self, value);
    autograd::bump_version(self);
  }
  record_written(
      op, self, inputs(self, value), save(), [](const Tensor&) { return Tensor(); }, [](const Tensor& g) { return g; });
}

void write_out(const char* op, const Tensor& out, const Tensor& value) {
  PYNN_CHECK(!thread_state.grad_enabled || (!out.requires_grad() && !value.requires_grad()), op,
             ": functions with out=... arguments don't support automatic differentiation, but one of the arguments "
             "requires grad.");
  check_castable(op, value.dtype(), out.dtype());
  PYNN_CHECK(out.device() == value.device(), op, ": out is on ", out.device().str(), ", the result on ",
             value.device().str());
  if (!same(out.sizes(), value.sizes())) {
    const DimVector strides = contiguous_strides(value.sizes());
    out.storage()->resize(static_cast<size_t>(out.offset() + value.numel()) * item_size(out.dtype()));
    out.impl()->set_geometry(value.sizes(), strides, out.offset());
  }
  PYNN_CHECK(!overlaps_itself(out.sizes(), out.strides()), op,
             ": unsupported operation: more than one element of the written-to tensor refers to a single memory "
             "location. Please clone() the tensor before performing the operation.");
  autograd::check_inplace(op, out);
  if (!is_at(value, out)) copy_data(out, value);
  autograd::bump_version(out);
}

Tensor clone_of(const Tensor& x, MemoryFormat format) {
  Tensor y = empty_like(x, x.dtype(), format);
  copy_data(y, x);
  return record("clone", std::move(y), inputs(x), save(), [](const Tensor& g) { return g; });
}

namespace {
Tensor op_copy_(const Tensor& self, const Tensor& source, bool non_blocking) {
  return copy_(self, source, non_blocking);
}
Tensor op_clone(const Tensor& x, std::optional<MemoryFormat> f) {
  return clone_of(x, f.value_or(MemoryFormat::Preserve));
}
}  // namespace
PYNN_OP(op_copy_, "copy_(Tensor input, Tensor src, bool non_blocking=False) -> Tensor",
        "Takes over the values of src, cast and broadcast. Same as torch.Tensor.copy_.", kMethodOnly + kAnyDevice);
PYNN_OP(op_clone, "clone(Tensor input, *, memory_format? memory_format=None) -> Tensor",
        "A copy with its own memory; gradients flow through. Same as torch.clone.");

}  // namespace pynn::ops
