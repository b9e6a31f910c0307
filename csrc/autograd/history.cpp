// How tensors are tied to nodes, in-place writes and views included. See docs/notes/autograd.md.
#include "autograd/accumulate.h"
#include "autograd/arith.h"
#include "autograd/node.h"
#include "core/shape.h"
#include "core/thread_state.h"

namespace pynn {
namespace {

// Note [Writes through a view]
// After v = base.view(...); v.mul_(w), the base's history is: a copy of the old base in which the view's part was
// replaced by mul's result. Its backward hands the part of the gradient that the view covers to mul's node, and the
// rest, with mul's gradient put in place, to the old history of the base. Views are described by their strides, so one
// node serves every kind of view; and each view's own grad_fn becomes "strided view of the new base" when next asked.
class CopySlices final : public Node {
 public:
  CopySlices(const Tensor& base, const Tensor& view, Ref<Node> inner)
      : Node("copy_slices"),
        inner_(std::move(inner)),
        base_sizes_(base.sizes()),
        base_strides_(base.strides()),
        sizes_(view.sizes()),
        strides_(view.strides()),
        dtype_(view.dtype()),
        offset_(view.offset() - in_elements_of(view, base)) {
    edges.push_back(base.requires_grad() ? autograd::edge_of(base) : Edge{});
    // Edge 0 of the inner node led to the view, which needs a gradient just when its base does; the others are ours.
    for (size_t i = 1; i < inner_->edges.size(); ++i) edges.push_back(inner_->edges[i]);
    autograd::seal(*this);
  }
  std::string name() const override { return "CopySlices"; }
  void release_saved() override { inner_->release_saved(); }

  Gradients apply(Gradients& grads) override {
    Gradients out(edges.size());
    if (!grads[0].defined()) return out;
    // A dense tensor laid out as the base, so that the view's strides fit it.
    Tensor whole = autograd::clone_strided(grads[0], base_strides_);
    Tensor part = autograd::as_strided_view(whole, dtype_, sizes_, strides_, offset_);  // whole starts at 0
    Gradients in;
    in.push_back(autograd::copy_gradient(part));
    Gradients inner = inner_->apply(in);
    for (size_t i = 1; i < edges.size(); ++i)
      if (edges[i].node) out[i] = std::move(inner[i]);
    if (edges[0].node) {
      OutputMeta meta{part};
      autograd::copy_into(part, inner.size() && inner[0].defined() ? autograd::fit_gradient(inner[0], meta, this, 0)
                                                                   : autograd::zeros_for(meta));
      out[0] = whole;
    }
    return out;
  }

 private:
  static int64_t in_elements_of(const Tensor& view, const Tensor& base) {
    return base.offset() * static_cast<int64_t>(item_size(base.dtype())) /
           static_cast<int64_t>(item_size(view.dtype()));
  }
  Ref<Node> inner_;
  StoredDims base_sizes_, base_strides_, sizes_, strides_;
  DType dtype_;  // of the view: another one than the base's if it shows complex numbers as real, or the reverse
  int64_t offset_;
};

}  // namespace

namespace autograd {

Ref<Node> grad_fn(const Tensor& t) {
  TensorImpl* p = t.impl();
  if (p->base) {
    const uint32_t now = p->storage->version();
    {
      GraphLock lock;
      if (p->view_version == now || !(p->base->grad_fn || p->base->requires_grad)) return p->grad_fn;
    }
    {
      // The base changed since this view was taken: see Note [Writes through a view].
      GradMode on(true);
      Tensor fresh = as_strided_view(Tensor(p->base), p->dtype, p->sizes, p->strides, p->offset);
      Ref<Node> node = fresh.impl()->grad_fn;
      GraphLock lock;
      if (p->view_version != now) {   // the first thread's node stays: from then on it is read without the lock
        std::swap(p->grad_fn, node);  // the old one goes after the lock
        p->output_nr = fresh.impl()->output_nr;
        p->view_version = now;
      }
      return p->grad_fn;
    }
  }
  return p->grad_fn;
}

Edge edge_of(const Tensor& t) {
  if (Ref<Node> node = grad_fn(t)) return {std::move(node), t.impl()->output_nr};
  if (t.impl()->requires_grad) return {AccumulateGrad::of(t), 0};
  return {};
}

void set_history(const Tensor& t, const Ref<Node>& node) {
  t.impl()->output_nr = node->add_output(t);
  t.impl()->grad_fn = node;
}

void rebase_history(const Tensor& t, const Ref<Node>& node) {
  TensorImpl* p = t.impl();
  if (!p->base) {
    set_history(t, node);
    return;
  }
  node->add_output(t);
  Tensor base(p->base);
  // The base's edge must be what it was before: its version moved, but a base is no view, so its grad_fn stands.
  Ref<Node> slices = make_ref<CopySlices>(base, t, node);
  set_history(base, slices);
  p->grad_fn.reset();
  p->view_version = p->storage->version() - 1;  // renew at the next question
}

Tensor self_before(const Tensor& self) {
  Tensor old = alias(self);
  TensorImpl* p = old.impl();
  p->requires_grad = self.impl()->requires_grad;
  p->grad_fn = grad_fn(self);
  p->output_nr = self.impl()->output_nr;
  p->base = self.impl()->base;
  p->view_version = self.impl()->view_version;
  p->made_in_no_grad = self.impl()->made_in_no_grad;
  return old;
}

void become(const Tensor& self, const Tensor& y) {
  TensorImpl* p = self.impl();
  bump_version(self);
  p->set_geometry(DimVector(y.sizes()), DimVector(y.strides()), y.offset());
  p->accumulator = nullptr;                                        // of the old shape: a new node will do
  p->view_version = self.version() - (y.impl()->grad_fn ? 0 : 1);  // without a new history, asked anew from the base
  if (!y.impl()->grad_fn) return;
  p->grad_fn = y.impl()->grad_fn;
  p->output_nr = y.impl()->output_nr;
}

void check_inplace(const char* op, const Tensor& t) {
  TensorImpl* p = t.impl();
  PYNN_CHECK(t.is_contiguous() || !overlaps_itself(t.sizes(), t.strides()), op,
             ": unsupported operation: more than one element of the written-to tensor refers to a single memory "
             "location. Please clone() the tensor before performing the operation.");
  if (p->inference) {
    PYNN_CHECK(thread_state.inference, op,
               ": Inplace update to inference tensor outside InferenceMode is not allowed.");
  }
  if (!thread_state.grad_enabled || !t.requires_grad()) return;
  if (p->base) {
    PYNN_CHECK(p->base->grad_fn || !p->base->requires_grad, op,
               ": a view of a leaf Variable that requires grad is being used in an in-place operation.");
    PYNN_CHECK(!p->made_in_no_grad, op,
               ": A view was created in no_grad mode and is being modified inplace with grad mode enabled. (take the "
               "view with gradients on, or write to it under no_grad)");
  } else {
    PYNN_CHECK(p->grad_fn || !p->requires_grad, op,
               ": a leaf Variable that requires grad is being used in an in-place operation.");
  }
}

}  // namespace autograd
}  // namespace pynn
