// How tensors and nodes die: never by recursion, however deep the graph.
#include "autograd/node.h"
#include "core/allocator.h"

namespace pynn {

TensorImpl::TensorImpl() noexcept = default;

TensorImpl::~TensorImpl() {
  if (retains_grad && grad_fn) {
    if (NodeHooks* h = grad_fn->hooks_or_null()) {
      std::lock_guard lock(h->retain_mutex);
      std::erase_if(h->retain, [this](const auto& item) { return item.second == this; });
    }
  }
  delete hooks.load(std::memory_order_relaxed);
  if (pystash) pystash_free(pystash);
}

void TensorImpl::destroy(TensorImpl* t) { delete t; }

namespace {

struct Graveyard {
  bool draining = false;
  Node* pending = nullptr;  // linked by `owner`
};
thread_local constinit Graveyard graveyard;

}  // namespace

// A dying node drops its edges and saved tensors, whose nodes may die too: those wait in a list instead of nesting.
void Node::destroy(Node* n) {
  Graveyard& yard = graveyard;
  if (yard.draining) {
    n->owner.store(yard.pending, std::memory_order_relaxed);
    yard.pending = n;
    return;
  }
  yard.draining = true;
  delete n;
  while (Node* next = yard.pending) {
    yard.pending = static_cast<Node*>(next->owner.load(std::memory_order_relaxed));
    delete next;
  }
  yard.draining = false;
}

void* Node::operator new(size_t bytes) { return allocate(bytes); }
void Node::operator delete(void* p, size_t bytes) { deallocate(p, bytes); }

}  // namespace pynn
