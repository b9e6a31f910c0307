// engine.h -- the backward pass.
#pragma once
#include <span>
#include <vector>

#include "autograd/node.h"

namespace pynn::autograd {

struct BackwardOptions {
  bool keep_graph = false;    // do not free saved tensors
  bool create_graph = false;  // record the backward pass itself
};

// backward(): adds gradients to the leaves' .grad; only to those of `only`, unless it is empty.
void backward(std::span<const Tensor> roots, std::span<const Tensor> grads, BackwardOptions options,
              std::span<const Tensor> only = {});
// grad(): returns gradients of `wanted`, undefined where nothing arrives (an error unless allow_unused).
std::vector<Tensor> grad(std::span<const Tensor> roots, std::span<const Tensor> grads, std::span<const Tensor> wanted,
                         BackwardOptions options, bool allow_unused);

// Set by the Python layer: tells the user, in anomaly mode, where the failing node's forward ran.
extern void (*report_anomaly)(const Node& node);

}  // namespace pynn::autograd
