// saved.h -- a tensor kept for backward, which notices when its memory was written to in between.
#pragma once
#include "autograd/node.h"

namespace pynn {

class Saved {
 public:
  Saved() = default;
  // `node` is the node being made: a tensor that is its own output is kept without its history, or they would keep
  // each other alive.
  Saved(const Tensor& t, const Node* node);
  Tensor get(const Node* node) const;

 private:
  std::string origin(const Tensor& t, const Node* node) const;  // ", which is output 0 of MulBackward0,"
  Tensor tensor_;
  std::unique_ptr<SavedHooks::Packed> packed_;
  Edge history_;  // of a packed tensor
  uint32_t version_ = 0;
  uint32_t output_nr_ = 0;
  bool is_output_ = false;
  bool requires_grad_ = false;
};

}  // namespace pynn
