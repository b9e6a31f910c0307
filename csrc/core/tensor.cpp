#include "core/tensor.h"

#include <algorithm>
#include <cassert>
#include <numeric>

#include "core/allocator.h"
#include "core/shape.h"
#include "core/thread_state.h"

namespace pynn {

thread_local constinit ThreadState thread_state;

void (*TensorImpl::pystash_free)(void*) = nullptr;

void* TensorImpl::operator new(size_t bytes) { return allocate(bytes); }
void TensorImpl::operator delete(void* p) { deallocate(p, sizeof(TensorImpl)); }

void TensorImpl::set_geometry(Dims new_sizes, Dims new_strides, int64_t new_offset) {
  sizes.assign(new_sizes);
  strides.assign(new_strides);
  offset = new_offset;
  numel = 1;
  for (int64_t s : new_sizes) numel *= s;
  contiguous = pynn::is_contiguous(new_sizes, new_strides);
}

Ref<TensorImpl> TensorImpl::make(Ref<Storage> storage, DType dtype, Dims sizes, Dims strides, int64_t offset) {
  Ref<TensorImpl> t(new TensorImpl);
  t->storage = std::move(storage);
  t->dtype = dtype;
  t->set_geometry(sizes, strides, offset);
  t->inference = thread_state.inference;
  return t;
}

Destination::Destination(const Tensor* to) { thread_state.destination = to; }
Destination::~Destination() { thread_state.destination = nullptr; }

namespace {

Tensor make_tensor(Dims sizes, Dims strides, int64_t elements, DType dtype, Device device) {
  if (const Tensor* to = thread_state.destination) [[unlikely]] {
    if (to->dtype() == dtype && to->device() == device && same(to->sizes(), sizes) && same(to->strides(), strides)) {
      thread_state.destination = nullptr;
      to->storage()->bump_version();
      return alias(*to);
    }
  }
  const size_t bytes = static_cast<size_t>(elements) * item_size(dtype);
  return Tensor(TensorImpl::make(Storage::allocate(bytes, device), dtype, sizes, strides, 0));
}

}  // namespace

Tensor empty(Dims sizes, DType dtype, Device device) {
  const int64_t n = checked_numel(sizes);
  return make_tensor(sizes, contiguous_strides(sizes), n, dtype, device);
}

Tensor empty_strided(Dims sizes, Dims strides, DType dtype, Device device) {
  PYNN_CHECK(sizes.size() == strides.size(), "empty_strided: one stride per size needed, got ", dims_str(sizes),
             " and ", dims_str(strides));
  checked_numel(sizes);
  int64_t last = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    int64_t reach;
    PYNN_CHECK(strides[i] >= 0, "empty_strided: strides must not be negative, got ", dims_str(strides));
    PYNN_CHECK(!__builtin_mul_overflow(std::max<int64_t>(sizes[i] - 1, 0), strides[i], &reach) &&
                   !__builtin_add_overflow(last, reach, &last) && last < (int64_t{1} << 58),
               "empty_strided: strides reach past what memory can hold, got ", dims_str(strides));
  }
  return make_tensor(sizes, strides, span_elements(sizes, strides), dtype, device);
}

Tensor empty_like(const Tensor& x) { return empty_like(x, x.dtype()); }

namespace {

// Dims from the innermost outwards.
DimVector memory_order(const Tensor& x) {
  DimVector order(x.dim(), 0);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return x.stride(a) > x.stride(b); });
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

// Dense, with the dims in the same order in memory; x's own strides where it is dense already. An expanded tensor,
// which has no such order, becomes contiguous.
Tensor empty_like(const Tensor& x, DType dtype) {
  if (x.is_contiguous()) return empty(x.sizes(), dtype, x.device());
  DimVector strides(x.dim(), 1);
  int64_t step = 1;
  bool dense = true;
  for (int64_t d : memory_order(x)) {
    if (x.size(d) != 1) {
      if (x.stride(d) == 0) return empty(x.sizes(), dtype, x.device());
      dense &= x.stride(d) == step;
    }
    strides[d] = step;
    step *= x.size(d);
  }
  return empty_strided(x.sizes(), dense ? x.strides() : Dims(strides), dtype, x.device());
}

Tensor empty_for(std::initializer_list<const Tensor*> operands, Dims sizes, DType dtype, Device device) {
  const auto is_plain = [](const Tensor* t) { return !t || t->is_contiguous(); };
  if (std::all_of(operands.begin(), operands.end(), is_plain)) return empty(sizes, dtype, device);
  const auto n = static_cast<int64_t>(sizes.size());
  const auto stride = [&](const Tensor& t, int64_t d) {  // 0: broadcast
    const int64_t own = d - (n - t.dim());
    return own < 0 || (t.size(own) == 1 && sizes[d] != 1) ? 0 : t.stride(own);
  };
  // Positive: a lies outside of b.
  const auto compare = [&](int64_t a, int64_t b) {
    for (const Tensor* t : operands) {
      const int64_t sa = t ? stride(*t, a) : 0, sb = t ? stride(*t, b) : 0;
      if (sa == 0 || sb == 0) continue;
      if (sa != sb) return sa < sb ? -1 : 1;
      if (sizes[a] > sizes[b]) return 1;
    }
    return 0;
  };
  DimVector order;  // from the innermost outwards
  for (int64_t i = 0; i < n; ++i) {
    order.push_back(n - 1 - i);
    for (int64_t at = i, j = i - 1; j >= 0; --j) {
      const int c = compare(order[j], order[at]);
      if (c < 0) break;
      if (c > 0) std::swap(order[j], order[at]), at = j;
    }
  }
  checked_numel(sizes);
  DimVector strides(n, 1);
  int64_t step = 1;
  for (int64_t d : order) strides[d] = step, step *= std::max<int64_t>(sizes[d], 1);
  return empty_strided(sizes, strides, dtype, device);
}

Tensor alias(const Tensor& x, Dims sizes, Dims strides, int64_t offset) {
  Ref<TensorImpl> t = TensorImpl::make(x.storage(), x.dtype(), sizes, strides, offset);
  t->inference = x.impl()->inference;
  return Tensor(std::move(t));
}

namespace {
std::atomic<DType> g_default_dtype{DType::Float32};
}
DType default_dtype() { return g_default_dtype.load(std::memory_order_relaxed); }
void set_default_dtype(DType t) {
  PYNN_CHECK_KIND(Type, is_floating(t),
                  "set_default_dtype: only floating-point types are supported as the default, got ", dtype_name(t));
  g_default_dtype = t;
}

}  // namespace pynn
