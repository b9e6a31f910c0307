// tensor.h -- Tensor: a counted handle to a strided view of a storage, plus its place in the autograd graph.
#pragma once
#include <atomic>
#include <cstdint>
#include <initializer_list>

#include "core/dims.h"
#include "core/dtype.h"
#include "core/ref.h"
#include "core/storage.h"

namespace pynn {

class Node;
class Tensor;
struct TensorHooks;  // autograd/hooks.h

// What a tensor is. Autograd fields are kept here, and not in a separate object, so that a tensor costs one
// allocation; only autograd/ writes them.
class TensorImpl final : public RefCounted {
 public:
  static Ref<TensorImpl> make(Ref<Storage> storage, DType dtype, Dims sizes, Dims strides, int64_t offset);
  static void destroy(TensorImpl* t);
  static void* operator new(size_t bytes);
  static void operator delete(void* p);

  void set_geometry(Dims sizes, Dims strides, int64_t offset);

  Ref<Storage> storage;
  int64_t offset = 0;  // elements
  int64_t numel = 0;
  StoredDims sizes, strides;
  DType dtype;
  bool contiguous = false;
  bool requires_grad = false;  // asked for by the user, on a leaf
  bool inference = false;      // made in inference_mode
  bool retains_grad = false;
  bool made_in_no_grad = false;  // a view taken while gradients were off
  uint32_t output_nr = 0;        // which output of grad_fn this is
  uint32_t view_version = 0;     // the storage's version when grad_fn of this view was right
  Ref<Node> grad_fn;             // empty on leaves; read it with autograd::grad_fn, which renews that of views
  Node* accumulator = nullptr;   // not counted: the leaf's AccumulateGrad clears it when it goes
  Ref<TensorImpl> base;          // of a view
  Ref<TensorImpl> grad;
  std::atomic<TensorHooks*> hooks{nullptr};  // owned; set once
  void* pyobject = nullptr;                  // not counted: the Python wrapper, which holds a Ref to this
  void* pystash = nullptr;  // what a wrapper that went left behind (python/tensor_type.cpp); freed by pystash_free
  static void (*pystash_free)(void*);

 private:
  TensorImpl() noexcept;  // both in autograd/lifetime.cpp, where nodes and hooks are known
  ~TensorImpl();
};

class Tensor {
 public:
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  bool defined() const { return static_cast<bool>(impl_); }
  TensorImpl* impl() const { return impl_.get(); }
  const Ref<TensorImpl>& ref() const { return impl_; }
  Ref<TensorImpl> take() && { return std::move(impl_); }
  bool same(const Tensor& o) const { return impl_.get() == o.impl_.get(); }

  int64_t dim() const { return static_cast<int64_t>(sizes().size()); }
  Dims sizes() const { return impl_->sizes; }
  Dims strides() const { return impl_->strides; }
  int64_t size(int64_t d) const { return impl_->sizes.data()[d < 0 ? d + dim() : d]; }      // unchecked
  int64_t stride(int64_t d) const { return impl_->strides.data()[d < 0 ? d + dim() : d]; }  // unchecked
  int64_t offset() const { return impl_->offset; }
  int64_t numel() const { return impl_->numel; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->storage->device(); }
  bool is_contiguous() const { return impl_->contiguous; }
  const Ref<Storage>& storage() const { return impl_->storage; }
  uint32_t version() const { return impl_->storage->version(); }

  void* data() const {
    return static_cast<char*>(impl_->storage->data()) + impl_->offset * static_cast<int64_t>(item_size(impl_->dtype));
  }
  template <class T>
  T* data_as() const {
    return static_cast<T*>(data());
  }

  // On the graph: asked for, computed from such a tensor, or a view of one. The base comes first: another thread may
  // renew the grad_fn of a view whose base was written to.
  bool requires_grad() const {
    const TensorImpl* t = impl_.get();
    return t->requires_grad || (t->base && (t->base->requires_grad || t->base->grad_fn)) || t->grad_fn;
  }

 private:
  Ref<TensorImpl> impl_;
};

// The raw makers: no gradient, no record. Throw for negative or overflowing sizes.
Tensor empty(Dims sizes, DType dtype, Device device = {});
// RAII, for in-place forms and out=: the first tensor made in its scope that is what `to` is gets to's own memory. That
// is the op's result, or something on the way to it: unless the op is a map, nothing may read `to`.
class Destination {
 public:
  explicit Destination(const Tensor* to);  // nullptr: none
  ~Destination();
  Destination(const Destination&) = delete;
  Destination& operator=(const Destination&) = delete;
};
Tensor empty_strided(Dims sizes, Dims strides, DType dtype, Device device = {});
Tensor empty_like(const Tensor& x);  // contiguous, or in x's own dense order
Tensor empty_like(const Tensor& x, DType dtype);
// For a map's result of these sizes: its dims lie in memory as those of the operands (nullptr: none), of which the
// first that has an order decides.
Tensor empty_for(std::initializer_list<const Tensor*> operands, Dims sizes, DType dtype, Device device);
// Shares x's storage; offset in elements from the storage's start. No view relation is noted (see autograd/view.h).
Tensor alias(const Tensor& x, Dims sizes, Dims strides, int64_t offset);
inline Tensor alias(const Tensor& x) { return alias(x, x.sizes(), x.strides(), x.offset()); }

DType default_dtype();
void set_default_dtype(DType t);

}  // namespace pynn
