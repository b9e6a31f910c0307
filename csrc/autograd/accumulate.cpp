#include "autograd/accumulate.h"

#include "autograd/arith.h"
#include "core/shape.h"
#include "core/thread_state.h"

namespace pynn {
AccumulateGrad::AccumulateGrad(Tensor leaf) : Node("accumulate_grad"), leaf_(std::move(leaf)) { add_output(leaf_); }

AccumulateGrad::~AccumulateGrad() {
  GraphLock lock;
  if (leaf_.impl()->accumulator == this) leaf_.impl()->accumulator = nullptr;
}

Ref<Node> AccumulateGrad::of(const Tensor& leaf) {
  Ref<Node> fresh;
  for (;;) {
    {
      GraphLock lock;
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
  const bool graph = thread_state.grad_enabled;  // create_graph
  const Tensor before = autograd::grad_of(leaf_);
  if (!before.defined()) {
    // The incoming tensor becomes .grad when nobody else holds it and its memory is plain.
    const bool steal = g.ref()->use_count() == 1 && g.storage()->use_count() == 1 && same(g.strides(), leaf_.strides());
    Tensor own = (steal && !g.requires_grad()) || graph ? std::move(g) : autograd::copy_like(g, leaf_);
    autograd::set_grad(leaf_, std::move(own));
  } else if (graph) {
    autograd::set_grad(leaf_, autograd::add_gradients(before, g));
  } else {
    // In place, so that others who hold .grad see the sum, as in PyTorch.
    autograd::add_in_place(before, g);
  }
  return {};
}

}  // namespace pynn
