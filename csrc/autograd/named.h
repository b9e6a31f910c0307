// named.h -- ops made of other ops show their own name in grad_fn and in errors of the backward pass, as in PyTorch.
#pragma once
#include <vector>

#include "autograd/node.h"

namespace pynn {

// y is the fresh result of the last step of `op`; the node of that step takes the op's name.
inline Tensor named(const char* op, Tensor y) {
  if (Node* node = y.impl()->grad_fn.get()) node->op = op;
  return y;
}
inline std::vector<Tensor> named(const char* op, std::vector<Tensor> list) {
  for (Tensor& y : list) y = named(op, std::move(y));
  return list;
}

}  // namespace pynn
