// stream.h -- pools of streams, and graphs of captured work.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

namespace pynn::cuda {

// One of a few streams of the device that all callers share in turn: they live as long as the process.
cudaStream_t stream_from_pool(int device, bool high_priority);

// Work that was captured from the current stream, to be replayed as often as wanted. The memory that it uses is its own
// (allocator.h, begin_pool) until it is destroyed.
class Graph {
 public:
  Graph() = default;
  ~Graph() { reset(); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // `pool`: memory shared with another graph; 0: memory of its own. Throws on the default stream.
  void begin(uint64_t pool, cudaStreamCaptureMode mode);
  void end();
  void replay();
  void reset() noexcept;
  uint64_t pool() const { return pool_; }

 private:
  int device_ = 0;
  cudaStream_t stream_ = nullptr;
  uint64_t pool_ = 0;
  bool capturing_ = false, holds_pool_ = false;
  cudaGraphExec_t executable_ = nullptr;
};
uint64_t new_graph_pool();
bool is_capturing();  // the current stream

}  // namespace pynn::cuda
