// engine.h -- the backward pass.
#pragma once
#include <span>
#include <vector>

#include <atomic>

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

// Set while a profiler runs: the time now, or 0, before a node runs, and the node afterwards.
extern std::atomic<int64_t (*)()> profiler_clock;
extern std::atomic<void (*)(const Node& node, int64_t start)> profiler_node;

}  // namespace pynn::autograd
