// The backward pass: nodes run from the highest sequence number to the lowest, which puts each after all that feed it.
// See docs/notes/autograd.md.
#include "autograd/engine.h"

#include <algorithm>
#include <unordered_map>

#include "autograd/accumulate.h"
#include "autograd/arith.h"
#include "core/shape.h"
#include "core/thread_state.h"

namespace pynn::autograd {

void (*report_anomaly)(const Node& node) = nullptr;
std::atomic<int64_t (*)()> profiler_clock{nullptr};
std::atomic<void (*)(const Node& node, int64_t start)> profiler_node{nullptr};

namespace {

// The engine's side of one node during one pass.
struct Slot {
  explicit Slot(Ref<Node> n) : node(std::move(n)) {}
  Ref<Node> node;
  Gradients grads;     // per output of the forward op
  uint32_t waits = 0;  // edges that still have to deliver
  bool needed = true;
  SmallVector<std::pair<uint32_t, uint32_t>, 1> captures;  // (output, index into `captured`)
};

class Pass {
 public:
  explicit Pass(BackwardOptions options) : options_(options) {}
  ~Pass() {
    for (Slot& s : slots_)
      if (s.node->owner.load(std::memory_order_relaxed) == this)
        s.node->owner.store(nullptr, std::memory_order_release);
  }

  void add_root(const Edge& edge, Tensor g) {
    Slot& s = slots_[slot_of(edge.node)];
    deliver(s, edge.input_nr, std::move(g));
  }
  void capture(const Edge& edge, uint32_t index) {
    const int64_t at = find(edge.node.get());
    if (at >= 0) slots_[at].captures.push_back({edge.input_nr, index});
  }
  void discover();
  // Leaves only the nodes on the way to captures and to `leaves`.
  void restrict_to(const std::vector<Ref<Node>>& leaves);
  void run(std::vector<Tensor>& captured);

 private:
  size_t slot_of(const Ref<Node>& node);
  int64_t find(Node* node) const;
  static void deliver(Slot& s, uint32_t nr, Tensor g) {
    s.grads.resize(s.node->num_outputs());
    Tensor& sum = s.grads[nr];
    sum = sum.defined() ? add_gradients(std::move(sum), g) : std::move(g);
  }
  void run_node(Slot& s, std::vector<Tensor>& captured);
  Gradients call(Slot& s);

  BackwardOptions options_;
  std::vector<Slot> slots_;
  // A node belongs to the pass that reached it first; a second pass at the same time (another thread, or a backward
  // within a backward) keeps its slots for such nodes here.
  std::unordered_map<Node*, uint32_t> overflow_;
};

int64_t Pass::find(Node* node) const {
  if (node->owner.load(std::memory_order_acquire) == this) return node->slot;
  const auto it = overflow_.find(node);
  return it == overflow_.end() ? int64_t{-1} : int64_t{it->second};
}

size_t Pass::slot_of(const Ref<Node>& node) {
  void* nobody = nullptr;
  void* owner = node->owner.load(std::memory_order_acquire);
  if (owner == this) return node->slot;
  // What this pass has met while another owned it stays in overflow_, though the other may be gone by now.
  if (!overflow_.empty())
    if (const auto it = overflow_.find(node.get()); it != overflow_.end()) return it->second;
  if (owner == nullptr && node->owner.compare_exchange_strong(nobody, this, std::memory_order_acq_rel)) {
    node->slot = static_cast<uint32_t>(slots_.size());
  } else {
    overflow_.emplace(node.get(), slots_.size());
  }
  slots_.emplace_back(node);
  return slots_.size() - 1;
}

// Reaches every node and counts the edges into it.
void Pass::discover() {
  for (size_t i = 0; i < slots_.size(); ++i) {
    const Ref<Node> node = slots_[i].node;  // slots_ may move
    for (const Edge& e : node->edges)
      if (e.node) ++slots_[slot_of(e.node)].waits;
  }
}

void Pass::restrict_to(const std::vector<Ref<Node>>& leaves) {
  std::vector<uint32_t> order(slots_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  std::sort(order.begin(), order.end(),
            [&](uint32_t a, uint32_t b) { return slots_[a].node->sequence < slots_[b].node->sequence; });
  for (Slot& s : slots_) s.needed = false;
  for (const Ref<Node>& leaf : leaves)
    if (const int64_t at = find(leaf.get()); at >= 0) slots_[at].needed = true;
  // `needed` here: must run. A node must run when one of its edges leads to a node that must run or is captured.
  for (uint32_t i : order) {
    Slot& s = slots_[i];
    for (const Edge& e : s.node->edges) {
      if (!e.node) continue;
      const Slot& next = slots_[find(e.node.get())];
      if (next.needed || !next.captures.empty()) s.needed = true;
    }
  }
}

Gradients Pass::call(Slot& s) {
  Node& node = *s.node;
  NodeHooks* hooks = node.hooks_or_null();
  const auto apply = [&] {
    NodeLock lock(node.holder);
    return node.apply(s.grads);
  };
  if (!hooks || (hooks->pre.empty() && hooks->post.empty())) return apply();
  for (auto& [id, hook] : hooks->pre.items()) {
    std::vector<Tensor> changed = hook(std::vector<Tensor>(s.grads.begin(), s.grads.end()));
    if (!changed.empty()) s.grads = Gradients(std::move(changed));
  }
  std::vector<Tensor> before(s.grads.begin(), s.grads.end());
  Gradients out = apply();
  for (auto& [id, hook] : hooks->post.items()) {
    std::vector<Tensor> changed = hook(std::vector<Tensor>(out.begin(), out.end()), before);
    if (!changed.empty()) out = Gradients(std::move(changed));
  }
  return out;
}

// Tensor hooks see a gradient once it is complete, before it is used, captured or retained.
void run_tensor_hooks(Slot& s) {
  Node& node = *s.node;
  if (NodeHooks* hooks = node.hooks_or_null()) {
    for (auto& [id, item] : hooks->tensor.items()) {
      Tensor& g = s.grads[item.first];
      if (!g.defined()) continue;
      if (Tensor changed = item.second(g); changed.defined()) g = changed;
    }
    std::vector<Ref<TensorImpl>> old;  // goes after the lock
    std::lock_guard lock(hooks->retain_mutex);
    for (auto& [nr, tensor] : hooks->retain) {
      if (!s.grads[nr].defined()) continue;
      old.push_back(s.grads[nr].ref());
      GraphLock graph;
      std::swap(tensor->grad, old.back());
    }
  }
  const Tensor leaf = node.leaf();
  TensorHooks* hooks = leaf.defined() ? leaf.impl()->hooks.load(std::memory_order_acquire) : nullptr;
  if (hooks && s.grads[0].defined()) {
    for (auto& [id, hook] : hooks->pre.items())
      if (Tensor changed = hook(s.grads[0]); changed.defined()) s.grads[0] = changed;
  }
}

// Once .grad has its new value.
void run_leaf_hooks(const Node& node) {
  if (node.sequence != 0) return;
  const Tensor leaf = node.leaf();
  if (TensorHooks* hooks = leaf.impl()->hooks.load(std::memory_order_acquire))
    for (auto& [id, hook] : hooks->post_accumulate.items()) hook(leaf);
}

void Pass::run_node(Slot& s, std::vector<Tensor>& captured) {
  Node& node = *s.node;
  s.grads.resize(node.num_outputs());
  bool any = false;
  for (const Tensor& g : s.grads) any |= g.defined();
  if (any) run_tensor_hooks(s);
  for (const auto& [nr, index] : s.captures) captured[index] = s.grads[nr];
  if (!s.needed) {
    s.grads.clear();
    return;
  }

  Gradients out;
  if (any) {
    try {
      const auto clock = profiler_clock.load(std::memory_order_relaxed);
      const int64_t start = clock ? clock() : 0;
      out = call(s);
      run_leaf_hooks(node);
      if (start) [[unlikely]]
        if (const auto add = profiler_node.load()) add(node, start);
      PYNN_CHECK(out.size() >= node.edges.size() || node.edges.empty(), node.name(),
                 ": returned an incorrect number of gradients (expected ", node.edges.size(), ", got ", out.size(),
                 ")");
      if (thread_state.anomaly && thread_state.anomaly_check_nan) {
        for (size_t i = 0; i < node.edges.size(); ++i)
          PYNN_CHECK(!node.edges[i].node || !out[i].defined() || !has_nan(out[i]), "Function '", node.name(),
                     "' returned nan values in its ", i, "th output.");
      }
    } catch (...) {
      if (thread_state.anomaly && report_anomaly) report_anomaly(node);
      throw;
    }
  }
  if (!options_.keep_graph) {
    NodeLock lock(node.holder);
    if (!lock.nested()) node.release_saved();  // else the run around this one still reads it
  }
  s.grads.clear();
  for (size_t i = 0; i < node.edges.size(); ++i) {
    const Edge& e = node.edges[i];
    if (!e.node) continue;
    Slot& next = slots_[find(e.node.get())];
    if (i < out.size() && out[i].defined()) {
      Tensor g = std::move(out[i]);
      const OutputMeta& meta = e.node->output(e.input_nr);
      if (g.dtype() != meta.dtype || !same(g.sizes(), meta.sizes)) g = fit_gradient(g, meta, &node, i);
      if (next.needed || !next.captures.empty()) deliver(next, e.input_nr, std::move(g));
    }
    // A leaf is served as soon as its gradient is complete, so that post-accumulate hooks can free it early.
    if (--next.waits == 0 && e.node->sequence == 0) run_node(next, captured);
  }
}

void Pass::run(std::vector<Tensor>& captured) {
  std::vector<uint32_t> order(slots_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<uint32_t>(i);
  const auto later_first = [&](uint32_t a, uint32_t b) { return slots_[a].node->sequence > slots_[b].node->sequence; };
  if (!std::is_sorted(order.begin(), order.end(), later_first)) std::sort(order.begin(), order.end(), later_first);
  for (uint32_t i : order) {
    Slot& s = slots_[i];
    const bool leaf = s.node->sequence == 0;
    if (leaf && s.grads.empty()) continue;  // served already
    run_node(s, captured);
  }
}

std::vector<Tensor> run_backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options,
                                 std::span<const Tensor> wanted, bool capture) {
  Pass pass(options);
  for (size_t i = 0; i < roots.size(); ++i) pass.add_root(edge_of(roots[i]), grads[i]);
  pass.discover();
  std::vector<Tensor> captured(capture ? wanted.size() : 0);
  if (!wanted.empty()) {
    std::vector<Ref<Node>> leaves;
    for (size_t i = 0; i < wanted.size(); ++i) {
      const Edge e = edge_of(wanted[i]);
      if (!e.node) continue;
      if (capture) {
        pass.capture(e, static_cast<uint32_t>(i));
      } else {
        leaves.push_back(e.node);
      }
    }
    pass.restrict_to(leaves);
  }
  struct Flags {
    ThreadState before = thread_state;
    ~Flags() {
      thread_state.grad_enabled = before.grad_enabled;
      thread_state.in_backward = before.in_backward;
    }
  } flags;
  thread_state.grad_enabled = options.create_graph;
  thread_state.in_backward = true;
  pass.run(captured);
  return captured;
}

void check_roots(const char* op, std::span<const Tensor> roots, std::span<const Tensor> grads) {
  PYNN_CHECK(roots.size() == grads.size(), op, ": got ", roots.size(), " tensors and ", grads.size(), " gradients");
  for (size_t i = 0; i < roots.size(); ++i) {
    PYNN_CHECK(roots[i].requires_grad(), op, ": element ", i,
               " of tensors does not require grad and does not have a grad_fn");
    PYNN_CHECK(same(roots[i].sizes(), grads[i].sizes()), op, ": Mismatch in shape: grad_output[", i,
               "] has a shape of ", dims_str(grads[i].sizes()), " and output[", i, "] has a shape of ",
               dims_str(roots[i].sizes()), ".");
  }
}

}  // namespace

void backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options,
              std::span<const Tensor> only) {
  check_roots("backward", roots, grads);
  run_backward(roots, grads, options, only, /*capture=*/false);
}

std::vector<Tensor> grad(std::span<const Tensor> roots, std::span<const Tensor> grads, std::span<const Tensor> wanted,
                         BackwardOptions options, bool allow_unused) {
  check_roots("grad", roots, grads);
  for (const Tensor& t : wanted)
    PYNN_CHECK(t.requires_grad() || allow_unused, "grad: One of the differentiated Tensors does not require grad");
  std::vector<Tensor> out = run_backward(roots, grads, options, wanted, /*capture=*/true);
  for (const Tensor& g : out)
    PYNN_CHECK(g.defined() || allow_unused,
               "grad: One of the differentiated Tensors appears to not have been used in the graph. Set "
               "allow_unused=True if this is the desired behavior.");
  return out;
}

}  // namespace pynn::autograd
