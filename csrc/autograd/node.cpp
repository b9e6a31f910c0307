#include "autograd/node.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "autograd/record.h"
#include "core/thread_state.h"

namespace pynn {

namespace autograd {

Tensor grad_of(const Tensor& t) {
  GraphLock lock;
  return Tensor(t.impl()->grad);
}

void set_grad(const Tensor& t, Tensor g) {
  Ref<TensorImpl> value = std::move(g).take();
  GraphLock lock;
  std::swap(t.impl()->grad, value);  // the old one goes after the lock
}

TensorHooks& hooks_of(const Tensor& leaf) {
  auto& place = leaf.impl()->hooks;
  if (TensorHooks* have = place.load(std::memory_order_acquire)) return *have;
  auto fresh = std::make_unique<TensorHooks>();
  TensorHooks* have = nullptr;
  return place.compare_exchange_strong(have, fresh.get(), std::memory_order_acq_rel) ? *fresh.release() : *have;
}

std::string (*capture_traceback)() = nullptr;

void seal(Node& node) {
  static std::atomic<uint64_t> next{1};
  node.sequence = next.fetch_add(1, std::memory_order_relaxed);
}
}  // namespace autograd

Node::Node(const char* op) : op(op) {
  if (thread_state.anomaly && autograd::capture_traceback) [[unlikely]]
    made_at = autograd::capture_traceback();
}
Node::~Node() { delete hooks_.load(std::memory_order_relaxed); }

bool NodeLock::wait() {
  const void* nobody = nullptr;
  for (int tries = 0; !holder_.compare_exchange_weak(nobody, &thread_state, std::memory_order_acquire); ++tries) {
    nobody = nullptr;
    if (tries < 16) {
      std::this_thread::yield();
    } else {
      std::this_thread::sleep_for(std::chrono::microseconds(50));
    }
  }
  return false;
}

// "softmax" -> "SoftmaxBackward0", "add_" -> "AddBackward0"; PyTorch numbers the overloads: "sum.1" -> "SumBackward1"
std::string Node::name() const {
  std::string out;
  bool upper = true;
  const char* p = op;
  for (; *p && *p != '.'; ++p) {
    if (*p == '_') {
      upper = true;
      continue;
    }
    out += upper ? static_cast<char>(std::toupper(*p)) : *p;
    upper = std::isdigit(*p);  // "log1p": Log1P
  }
  return out + "Backward" + (*p ? p + 1 : "0");
}

uint32_t Node::add_output(const Tensor& t) {
  if (num_outputs_ == 0) {
    first_output_.sizes.assign(t.sizes());
    first_output_.dtype = t.dtype();
    first_output_.device = t.device();
    first_output_.defined = true;
  } else {
    more_outputs_.emplace_back(t);
  }
  return num_outputs_++;
}

void Node::add_no_output() {
  if (num_outputs_++ > 0) more_outputs_.emplace_back();
}

NodeHooks& Node::hooks() {
  if (NodeHooks* have = hooks_or_null()) return *have;
  auto fresh = std::make_unique<NodeHooks>();
  NodeHooks* have = nullptr;
  return hooks_.compare_exchange_strong(have, fresh.get(), std::memory_order_acq_rel) ? *fresh.release() : *have;
}

namespace detail {

void released_error(const Node* node) {
  fail(ErrorKind::Runtime, node->op,
       ": Trying to backward through the graph a second time (or directly access saved tensors after they have already "
       "been freed). Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). "
       "Specify retain_graph=True if you need to backward through the graph a second time or if you need to access "
       "saved tensors after calling backward.");
}

}  // namespace detail

Saved::Saved(const Tensor& t, const Node* node) {
  if (!t.defined()) return;
  PYNN_CHECK(!t.impl()->inference, node->op,
             ": Inference tensors cannot be saved for backward. To work around you can make a clone to get a normal "
             "tensor and use it in autograd.");
  version_ = t.version();
  requires_grad_ = t.requires_grad();
  is_output_ = t.impl()->grad_fn.get() == node || t.impl() == node->written;
  if (is_output_ && t.impl() != node->written) output_nr_ = t.impl()->output_nr;
  if (thread_state.saved_hooks) [[unlikely]] {
    if (requires_grad_ && !is_output_) history_ = autograd::edge_of(t);
    GradMode off(false);
    packed_ = thread_state.saved_hooks->pack(is_output_ ? alias(t) : t);
    PYNN_CHECK(t.version() == version_, node->op,
               ": a saved tensor pack hook must not write to its input in place, got version ", t.version(), " after ",
               version_);
    return;
  }
  tensor_ = is_output_ ? alias(t) : t;
}

namespace {

std::string list_str(Dims d) {  // "[2, 3]"
  std::string s = "[";
  for (size_t i = 0; i < d.size(); ++i) s += (i ? ", " : "") + std::to_string(d[i]);
  return s + "]";
}

}  // namespace

std::string Saved::origin(const Tensor& t, const Node* node) const {
  if (is_output_) return concat(", which is output ", output_nr_, " of ", node->name(), ",");
  if (!t.requires_grad() || !t.impl()->grad_fn) return "";
  return concat(", which is output ", t.impl()->output_nr, " of ", t.impl()->grad_fn->name(), ",");
}

Tensor Saved::get(const Node* node) const {
  Tensor t = tensor_;
  if (packed_) {
    t = packed_->unpack();
    if (requires_grad_) {
      t = alias(t);
      if (is_output_) {
        // falls through to the history below
      } else if (Tensor leaf = history_.node->leaf(); leaf.defined()) {
        t.impl()->requires_grad = true;
        t.impl()->accumulator = nullptr;
        return thread_state.grad_enabled ? leaf : t;
      } else {
        t.impl()->grad_fn = history_.node;
        t.impl()->output_nr = history_.input_nr;
        return t;
      }
    }
  } else if (t.defined()) {
    PYNN_CHECK(t.version() == version_, node->op,
               ": one of the variables needed for gradient computation has been modified by an inplace operation: ",
               "[", dtype_name(t.dtype()), " ", list_str(t.sizes()), "]", origin(t, node), " is at version ",
               t.version(), "; expected version ", version_,
               " instead. Hint: clone it before the in-place write, or enable anomaly detection to find the operation "
               "that failed to compute its gradient, with torch.autograd.set_detect_anomaly(True).");
  }
  if (is_output_ && t.defined() && (thread_state.grad_enabled || packed_)) {
    t = alias(t);
    t.impl()->grad_fn = Ref<Node>(const_cast<Node*>(node));
    t.impl()->output_nr = output_nr_;
  }
  return t;
}

}  // namespace pynn
