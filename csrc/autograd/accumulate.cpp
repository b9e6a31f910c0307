#include "autograd/accumulate.h"

#include <atomic>

#include "autograd/arith.h"
#include "core/shape.h"
#include "core/thread_state.h"

namespace pynn {
namespace {

// Guards every leaf's `accumulator`: held for a few instructions.
class AccumulatorLock {
 public:
  AccumulatorLock() {
    while (flag.test_and_set(std::memory_order_acquire)) {}
  }
  ~AccumulatorLock() { flag.clear(std::memory_order_release); }

 private:
  static inline constinit std::atomic_flag flag;
};

}  // namespace

AccumulateGrad::AccumulateGrad(Tensor leaf) : Node("accumulate_grad"), leaf_(std::move(leaf)) { add_output(leaf_); }

AccumulateGrad::~AccumulateGrad() {
  AccumulatorLock lock;
  if (leaf_.impl()->accumulator == this) leaf_.impl()->accumulator = nullptr;
}

Ref<Node> AccumulateGrad::of(const Tensor& leaf) {
  Ref<Node> fresh;
  for (;;) {
    {
      AccumulatorLock lock;
      Node*& slot = leaf.impl()->accumulator;
      if (slot) {
        if (Ref<Node> alive = Ref<Node>::try_from(slot)) return alive;
      }
      if (fresh) {
        slot = fresh.get();
        return fresh;
      }
    }
    fresh = make_ref<AccumulateGrad>(leaf);  // allocates: not under the lock
  }
}

Gradients AccumulateGrad::apply(Gradients& grads) {
  Tensor g = std::move(grads[0]);
  if (!g.defined()) return {};
  TensorImpl* leaf = leaf_.impl();
  const bool graph = thread_state.grad_enabled;  // create_graph
  if (!leaf->grad) {
    // The incoming tensor becomes .grad when nobody else holds it and its memory is plain.
    const bool steal = g.ref()->use_count() == 1 && g.storage()->use_count() == 1 && same(g.strides(), leaf->strides);
    Tensor own = (steal && !g.requires_grad()) || graph ? std::move(g) : autograd::copy_like(g, leaf_);
    leaf->grad = std::move(own).take();
  } else if (graph) {
    leaf->grad = autograd::add_gradients(Tensor(leaf->grad), g).take();
  } else {
    // In place, so that others who hold .grad see the sum, as in PyTorch.
    autograd::add_in_place(Tensor(leaf->grad), g);
  }
  if (leaf->hooks) {
    for (auto& [id, hook] : leaf->hooks->post_accumulate.items()) hook(leaf_);
  }
  return {};
}

}  // namespace pynn
