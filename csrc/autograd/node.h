// node.h -- one step of the recorded graph: from gradients of an op's outputs to gradients of its inputs.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "autograd/hooks.h"
#include "core/small_vector.h"
#include "core/tensor.h"
#include "core/thread_state.h"

namespace pynn {

struct Edge {
  Ref<Node> node;  // empty: this input needs no gradient
  uint32_t input_nr = 0;
};

// What the forward output looked like: gradients are brought to this shape, type and device.
struct OutputMeta {
  OutputMeta() = default;
  explicit OutputMeta(const Tensor& t) : sizes(t.sizes()), dtype(t.dtype()), device(t.device()), defined(true) {}
  StoredDims sizes;
  DType dtype = DType::Float32;
  Device device;
  bool defined = false;
};

using Gradients = SmallVector<Tensor, 3>;

// Held while a node runs or frees what it saved: two threads may run backward over one graph. A thread that holds it
// may take it again: the Python of a custom Function, of an unpack hook, may call backward over the graph it is part
// of.
class NodeLock {
 public:
  explicit NodeLock(std::atomic<const void*>& holder) : holder_(holder) {
    const void* nobody = nullptr;
    if (!holder.compare_exchange_strong(nobody, &thread_state, std::memory_order_acquire)) [[unlikely]]
      nested_ = nobody == &thread_state || wait();
  }
  ~NodeLock() {
    if (!nested_) holder_.store(nullptr, std::memory_order_release);
  }
  NodeLock(const NodeLock&) = delete;
  bool nested() const { return nested_; }

 private:
  bool wait();  // until it is ours; false
  std::atomic<const void*>& holder_;
  bool nested_ = false;
};

// Guards what several threads may read and replace without the GIL: a leaf's accumulator and .grad, a view's history.
// One for all tensors, held for a few instructions.
class GraphLock {
 public:
  GraphLock() {
    while (flag.test_and_set(std::memory_order_acquire)) {}
  }
  ~GraphLock() { flag.clear(std::memory_order_release); }

 private:
  static inline constinit std::atomic_flag flag;
};

class Node : public RefCounted {
 public:
  explicit Node(const char* name);
  virtual ~Node();

  // grads: one per output of the forward op, undefined where none arrived. Returns one per edge, undefined where
  // none is needed or the derivative is zero.
  virtual Gradients apply(Gradients& grads) = 0;
  virtual void release_saved() {}
  virtual std::string name() const;           // "MulBackward0"
  virtual Tensor leaf() const { return {}; }  // of AccumulateGrad

  bool needs(size_t i) const { return static_cast<bool>(edges[i].node); }
  uint32_t add_output(const Tensor& t);
  void add_no_output();  // a result that is no tensor: keeps the numbering
  const OutputMeta& output(size_t i) const { return i == 0 ? first_output_ : more_outputs_[i - 1]; }
  size_t num_outputs() const { return num_outputs_; }
  NodeHooks& hooks();
  NodeHooks* hooks_or_null() const { return hooks_.load(std::memory_order_acquire); }

  static void destroy(Node* n);  // without recursion, however long the chain
  static void* operator new(size_t bytes);
  static void operator delete(void* p, size_t bytes);

  SmallVector<Edge, 3> edges;         // one per input of the forward op
  const char* op;                     // "mul", or "sum.1" for the second form of a name
  uint64_t sequence = 0;              // above that of every node the edges lead to: the engine runs from high to low
  std::string made_at;                // the forward traceback, in anomaly mode
  std::atomic<void*> owner{nullptr};  // the backward pass that uses `slot`
  std::atomic<const void*> holder{nullptr};  // see NodeLock
  uint32_t slot = 0;
  void* pyobject = nullptr;  // not counted: the Python wrapper, if one is alive
  const TensorImpl* written =
      nullptr;  // what an in-place op wrote to: an output, although a view's history is its base's

 private:
  uint32_t num_outputs_ = 0;
  OutputMeta first_output_;
  std::vector<OutputMeta> more_outputs_;
  std::atomic<NodeHooks*> hooks_{nullptr};  // owned; set once
};

namespace autograd {

Tensor grad_of(const Tensor& t);           // .grad, undefined without one
void set_grad(const Tensor& t, Tensor g);  // undefined: none
TensorHooks& hooks_of(const Tensor& leaf);

void seal(Node& node);  // numbers the node, once its edges are there

// Where t's gradient goes: its grad_fn, or its AccumulateGrad if it is a leaf that asks for one. For a view whose base
// was written to since, grad_fn is renewed first.
Edge edge_of(const Tensor& t);
Ref<Node> grad_fn(const Tensor& t);
inline bool is_leaf(const Tensor& t) { return !t.requires_grad() || !grad_fn(t); }

inline bool needs_graph(const Tensor& t) { return t.defined() && t.requires_grad(); }

// t becomes output `nr` of node.
void set_history(const Tensor& t, const Ref<Node>& node);
// t was written in place by node (already recorded with t's old history): t, its base and its views follow.
void rebase_history(const Tensor& t, const Ref<Node>& node);

// In-place views (t_, squeeze_): self takes the geometry and history of y, a view of what self_before(self) returned.
Tensor self_before(const Tensor& self);  // another handle of the same tensor, history and base included
void become(const Tensor& self, const Tensor& y);

// Before writing to t in place: leaves that need a gradient, overlapping and inference tensors are refused.
void check_inplace(const char* op, const Tensor& t);
inline void bump_version(const Tensor& t) { t.storage()->bump_version(); }

// Text of the current Python stack, set by the Python layer; nullptr without one.
extern std::string (*capture_traceback)();

}  // namespace autograd
}  // namespace pynn
