// accumulate.h -- the end of the graph: adds what arrives to a leaf's .grad.
#pragma once
#include "autograd/node.h"

namespace pynn {

class AccumulateGrad final : public Node {
 public:
  explicit AccumulateGrad(Tensor leaf);
  ~AccumulateGrad() override;
  Gradients apply(Gradients& grads) override;
  std::string name() const override { return "AccumulateGrad"; }
  Tensor leaf() const override { return leaf_; }

  // The leaf's own, made at first use.
  static Ref<Node> of(const Tensor& leaf);

 private:
  Tensor leaf_;
};

}  // namespace pynn
