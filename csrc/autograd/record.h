// record.h -- how an op becomes part of the graph. An op computes its result, then says in the same function what its
// derivative is:
//
//   return record("mul", y, inputs(a, b), save(a, b),
//                 [](const Tensor& g, const Tensor& a, const Tensor& b) { return mul(g, b); },    // for a
//                 [](const Tensor& g, const Tensor& a, const Tensor& b) { return mul(g, a); });   // for b
//
// One function per input; each runs only if its input needs a gradient. A gradient of a broadcast shape is summed to
// the input's shape by the engine. When one computation yields all gradients, a single function of a Grads does (record
// takes one too):
//
//   record_multi("layer_norm", outputs, inputs(x, w, b), save(x, w, mean, rstd, n),
//                     [](const Grads& g, const Tensor& x, ...) -> Gradients { ... });
//
// Nothing of this costs more than a test of flags when no input needs a gradient: save() only holds references.
// Derivatives are written in differentiable ops, so double backward needs nothing else.
#pragma once
#include <array>
#include <optional>
#include <tuple>
#include <type_traits>

#include "autograd/saved.h"
#include "core/thread_state.h"

namespace pynn {

template <class... T>
std::array<const Tensor*, sizeof...(T)> inputs(const T&... t) {
  return {&t...};
}
inline std::span<const Tensor> inputs(std::span<const Tensor> list) { return list; }

template <class... T>
std::tuple<const T&...> save(const T&... values) {
  return {values...};
}

// What to save of `value` when only the gradient of `input` reads it: nothing if that gets none. Saving more would keep
// memory alive and find in-place writes that do no harm.
inline const Tensor& needed_by(const Tensor& input, const Tensor& value) {
  static const Tensor& none = *new Tensor;  // never destroyed: threads may outlive static objects
  return autograd::needs_graph(input) ? value : none;
}

// The gradients that reach a node's backward.
class Grads {
 public:
  Grads(const Node* node, Gradients& grads) : node_(node), grads_(grads) {}
  const Tensor& operator[](size_t i) const { return grads_[i]; }  // undefined when nothing reached output i
  size_t size() const { return grads_.size(); }
  bool needs(size_t i) const { return node_->needs(i); }  // input i

 private:
  const Node* node_;
  Gradients& grads_;
};

namespace detail {

inline const Tensor& input_at(const Tensor* const& p) { return *p; }
inline const Tensor& input_at(const Tensor& t) { return t; }

template <class Inputs>
bool wants_graph(const Inputs& in) {
  if (!thread_state.grad_enabled) return false;
  for (const auto& p : in) {
    if (autograd::needs_graph(input_at(p))) return true;
  }
  return false;
}

// What a node keeps of one saved value.
template <class T>
struct Kept {
  Kept(const T& v, const Node*) : value(v) {}
  const T& get(const Node*) const { return value; }
  T value;
};
template <>
struct Kept<Tensor> {
  Kept(const Tensor& t, const Node* n) : saved(t, n) {}
  Tensor get(const Node* n) const { return saved.get(n); }
  Saved saved;
};
template <>
struct Kept<Dims> {
  Kept(Dims d, const Node*) : dims(d) {}
  Dims get(const Node*) const { return dims; }
  StoredDims dims;
};
template <>
struct Kept<std::span<const Tensor>> {
  Kept(std::span<const Tensor> list, const Node* n) {
    for (const Tensor& t : list) saved.emplace_back(t, n);
  }
  std::vector<Tensor> get(const Node* n) const {
    std::vector<Tensor> out;
    for (const Saved& s : saved) out.push_back(s.get(n));
    return out;
  }
  std::vector<Saved> saved;
};

[[noreturn]] void released_error(const Node* node);

template <class SavedTuple, class... F>
class RecordedNode;

template <class... S, class... F>
class RecordedNode<std::tuple<const S&...>, F...> final : public Node {
 public:
  explicit RecordedNode(const char* op) : Node(op) {}
  // After the outputs are known, so that saved outputs are recognised.
  void keep(const std::tuple<const S&...>& saved) {
    std::apply([&](const S&... s) { kept_.emplace(Kept<S>(s, this)...); }, saved);
  }
  Gradients apply(Gradients& grads) override {
    if (!kept_) released_error(this);
    return std::apply(
        [&](const auto&... kept) { return run(std::index_sequence_for<F...>{}, grads, kept.get(this)...); }, *kept_);
  }
  void release_saved() override {
    // Numbers alone stay: such a node can run again.
    if constexpr ((std::is_same_v<S, Tensor> || ...) || (std::is_same_v<S, std::span<const Tensor>> || ...))
      kept_.reset();
  }

 private:
  template <size_t... I, class... V>
  Gradients run(std::index_sequence<I...>, Gradients& grads, const V&... v) {
    if constexpr (sizeof...(F) == 1 && std::is_invocable_v<F..., const Grads&, const V&...>) {
      return (F{}, ...)(Grads(this, grads), v...);
    } else {
      Gradients out(sizeof...(F));
      if (grads[0].defined()) ((needs(I) ? void(out[I] = F{}(grads[0], v...)) : void()), ...);
      return out;
    }
  }
  std::optional<std::tuple<Kept<S>...>> kept_;
};

template <class Inputs>
void collect_edges(Node& node, const Inputs& in) {
  for (const auto& p : in) {
    const Tensor& t = input_at(p);
    node.edges.push_back(autograd::needs_graph(t) ? autograd::edge_of(t) : Edge{});
  }
  autograd::seal(node);
}

}  // namespace detail

// Derivative functions must not capture: what they need goes through save().
template <class Inputs, class... S, class... F>
Tensor record(const char* op, Tensor y, const Inputs& in, const std::tuple<const S&...>& saved, F... fns) {
  static_assert((std::is_empty_v<F> && ...), "derivatives take what they need through save(), not by capture");
  if (detail::wants_graph(in)) [[unlikely]] {
    auto node = make_ref<detail::RecordedNode<std::tuple<const S&...>, F...>>(op);
    detail::collect_edges(*node, in);
    autograd::set_history(y, node);
    node->keep(saved);
  }
  return y;
}

// Several outputs, a function of Grads.
template <class Inputs, class... S, class F>
void record_multi(const char* op, std::span<const Tensor> outputs, const Inputs& in,
                  const std::tuple<const S&...>& saved, F) {
  static_assert(std::is_empty_v<F>, "derivatives take what they need through save(), not by capture");
  if (detail::wants_graph(in)) [[unlikely]] {
    auto node = make_ref<detail::RecordedNode<std::tuple<const S&...>, F>>(op);
    detail::collect_edges(*node, in);
    for (const Tensor& y : outputs) autograd::set_history(y, node);
    node->keep(saved);
  }
}

// After writing to `self` in place and counting its version up. `in` holds self itself, with its history from before.
template <class Inputs, class... S, class... F>
void record_written(const char* op, const Tensor& self, const Inputs& in, const std::tuple<const S&...>& saved,
                    F... fns) {
  static_assert((std::is_empty_v<F> && ...), "derivatives take what they need through save(), not by capture");
  if (detail::wants_graph(in)) [[unlikely]] {
    auto node = make_ref<detail::RecordedNode<std::tuple<const S&...>, F...>>(op);
    detail::collect_edges(*node, in);
    autograd::rebase_history(self, node);
    node->written = self.impl();
    node->keep(saved);
    node->written = nullptr;  // not counted
  }
}

// After writing to `self` in place.
template <class Inputs, class Saves, class... F>
void record_inplace(const char* op, const Tensor& self, const Inputs& in, const Saves& saved, F... fns) {
  autograd::bump_version(self);
  record_written(op, self, in, saved, fns...);
}

// Says that an op has no derivative, or a zero one; the result starts afresh.
inline Tensor no_gradient(Tensor y) { return y; }

}  // namespace pynn
