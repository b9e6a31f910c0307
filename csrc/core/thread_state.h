// thread_state.h -- the switches that every op reads, in one thread-local block.
#pragma once

namespace pynn {

struct SavedHooks;  // autograd/hooks.h
class Tensor;

struct ThreadState {
  bool grad_enabled = true;
  bool inference = false;
  bool anomaly = false;  // note where each node was made, check gradients for NaN
  bool anomaly_check_nan = true;
  bool in_backward = false;
  SavedHooks* saved_hooks = nullptr;    // innermost saved_tensors_hooks
  const Tensor* destination = nullptr;  // whose memory the next tensor like it takes; see Destination in tensor.h
};

// initial-exec: a plain offset from the thread register, where the default would be a call per access. Not beside the
// CUDA runtime: its thread locals, in the same library then, are too large for what the loader keeps for such access.
#if defined(__x86_64__) && defined(__linux__) && !defined(PYNN_WITH_CUDA_RUNTIME)
extern thread_local constinit ThreadState thread_state __attribute__((tls_model("initial-exec")));
#else
extern thread_local constinit ThreadState thread_state;
#endif

class GradMode {  // RAII: gradients on or off for this thread
 public:
  explicit GradMode(bool on) : before_(thread_state.grad_enabled) { thread_state.grad_enabled = on; }
  ~GradMode() { thread_state.grad_enabled = before_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

}  // namespace pynn
