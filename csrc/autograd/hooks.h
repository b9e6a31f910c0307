// hooks.h -- what users hang on tensors and nodes. Callables arrive from Python as std::function; ids make removable
// handles.
#pragma once
#include <functional>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace pynn {

// Takes a gradient and returns its replacement, or an undefined tensor to keep it.
using TensorHook = std::function<Tensor(const Tensor&)>;
using LeafHook = std::function<void(const Tensor&)>;
// (gradients of the node's inputs, gradients of its outputs) -> replacements of the former, or nothing.
using NodeHook = std::function<std::vector<Tensor>(const std::vector<Tensor>&, const std::vector<Tensor>&)>;
// Gradients of the outputs -> replacements, or nothing.
using NodePreHook = std::function<std::vector<Tensor>(const std::vector<Tensor>&)>;

template <class F>
class HookList {  // a backward pass reads it without the GIL
 public:
  int64_t add(F f) {
    std::lock_guard lock(mutex_);
    items_.emplace_back(next_, std::move(f));
    return next_++;
  }
  void remove(int64_t id) {
    std::lock_guard lock(mutex_);
    std::erase_if(items_, [id](const auto& item) { return item.first == id; });
  }
  bool empty() const {
    std::lock_guard lock(mutex_);
    return items_.empty();
  }
  // A copy: a hook may remove itself or add others while running.
  std::vector<std::pair<int64_t, F>> items() const {
    std::lock_guard lock(mutex_);
    return items_;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<int64_t, F>> items_;
  int64_t next_ = 0;
};

struct TensorHooks {  // of leaves; those of other tensors live in their node
  HookList<TensorHook> pre;
  HookList<LeafHook> post_accumulate;
};

struct NodeHooks {
  // (output number, hook): tensor hooks run in order of registration, retain_grad last.
  HookList<std::pair<uint32_t, TensorHook>> tensor;
  std::mutex retain_mutex;
  std::vector<std::pair<uint32_t, TensorImpl*>> retain;  // not counted; a dying tensor takes itself out
  HookList<NodePreHook> pre;
  HookList<NodeHook> post;
};

// torch.autograd.graph.saved_tensors_hooks: pack turns a tensor into anything, unpack turns that back.
struct SavedHooks {
  struct Packed {
    virtual ~Packed() = default;
    virtual Tensor unpack() = 0;
  };
  virtual ~SavedHooks() = default;
  virtual std::unique_ptr<Packed> pack(const Tensor& t) = 0;
  SavedHooks* outer = nullptr;
};

}  // namespace pynn
