// resize.cpp -- giving a tensor another size or another memory. No gradient flows through.
#include "autograd/record.h"
#include "core/shape.h"
#include "ops/op.h"

namespace pynn::ops {
namespace {

Tensor resize_(const Tensor& x, Dims sizes, std::optional<MemoryFormat> format) {
  PYNN_CHECK(!x.requires_grad(), "resize_: cannot resize variables that require grad");
  PYNN_CHECK(format != MemoryFormat::Preserve, "resize_: unsupported memory format Preserve");
  if (same(x.sizes(), sizes) && !format) return x;
  const int64_t n = checked_numel(sizes);
  const DimVector strides = strides_of(format.value_or(MemoryFormat::Contiguous), sizes);
  int64_t end = 0, bytes = 0;
  PYNN_CHECK(!__builtin_add_overflow(x.offset(), n, &end) &&
                 !__builtin_mul_overflow(end, static_cast<int64_t>(item_size(x.dtype())), &bytes),
             "resize_: too many elements, got ", dims_str(sizes));
  if (n > 0) x.storage()->resize(static_cast<size_t>(bytes));
  x.impl()->set_geometry(sizes, strides, x.offset());
  autograd::bump_version(x);
  return x;
}

Tensor resize_as_(const Tensor& x, const Tensor& like, std::optional<MemoryFormat> format) {
  if (format != MemoryFormat::Preserve) return resize_(x, like.sizes(), format);
  return resize_(x, like.sizes(), suggested_format(like));
}

// x gives up its memory and takes part of another's.
Tensor take_memory(const Tensor& x, const Tensor& source, Dims sizes, Dims strides, int64_t offset) {
  autograd::check_inplace("set_", x);
  PYNN_CHECK(!thread_state.grad_enabled || !x.requires_grad(),
             "set_: a tensor on the graph cannot change its memory (detach() it, or call set_ under no_grad)");
  PYNN_CHECK(x.dtype() == source.dtype(), "set_: Could not set tensor of type ", dtype_name(source.dtype()),
             " to a tensor of type ", dtype_name(x.dtype()));
  PYNN_CHECK(x.device() == source.device(), "set_: the source must be on ", x.device().str(), ", got ",
             source.device().str());
  TensorImpl* p = x.impl();
  p->storage = source.storage();
  p->set_geometry(DimVector(sizes), DimVector(strides), offset);
  p->base.reset();
  p->accumulator = nullptr;  // of the old shape: a new node will do
  autograd::bump_version(x);
  return x;
}
Tensor set_(const Tensor& x, const Tensor& source) {
  return take_memory(x, source, source.sizes(), source.strides(), source.offset());
}
Tensor set_part_(const Tensor& x, const Tensor& source, int64_t offset, Dims sizes, std::optional<Dims> strides) {
  const DimVector steps = strides ? DimVector(*strides) : contiguous_strides(sizes);
  PYNN_CHECK(steps.size() == sizes.size(), "set_: one stride per size is required, got ", dims_str(sizes), " and ",
             dims_str(steps));
  PYNN_CHECK(offset >= 0, "set_: Tensor: invalid storage offset ", offset);
  int64_t last = offset;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t reach = 0;
    PYNN_CHECK(steps[i] >= 0 && !__builtin_mul_overflow(std::max<int64_t>(sizes[i] - 1, 0), steps[i], &reach) &&
                   !__builtin_add_overflow(last, reach, &last),
               "set_: strides must be positive and within memory, got ", dims_str(steps));
  }
  const int64_t have = static_cast<int64_t>(source.storage()->nbytes() / item_size(source.dtype()));
  PYNN_CHECK(checked_numel(sizes) == 0 || last < have, "set_: sizes ", dims_str(sizes), ", strides ", dims_str(steps),
             " and storage offset ", offset, " are out of bounds for storage of ", have, " elements");
  return take_memory(x, source, sizes, steps, offset);
}
Tensor set_empty_(const Tensor& x) { return set_(x, empty(DimVector{0}, x.dtype(), x.device())); }

}  // namespace

PYNN_OP(resize_, "resize_(Tensor input, int... size, *, memory_format? memory_format=None) -> Tensor",
        "Takes another size; elements that come along are not cleared. Same as torch.Tensor.resize_.", kMethodOnly);
PYNN_OP(resize_as_, "resize_as_(Tensor input, Tensor the_template, *, memory_format? memory_format=None) -> Tensor",
        "Takes the size of another tensor. Same as torch.Tensor.resize_as_.");
PYNN_OP(set_, "set_(Tensor input, Tensor source) -> Tensor",
        "Shares the memory, size and strides of source from now on. Same as torch.Tensor.set_.", kMethodOnly);
PYNN_OP(set_part_, "set_(Tensor input, Tensor source, int storage_offset, Size size, int[]? stride=None) -> Tensor",
        "A part of source's memory.", kMethodOnly);
PYNN_OP(set_empty_, "set_(Tensor input) -> Tensor", "Memory of no elements.", kMethodOnly);

}  // namespace pynn::ops
