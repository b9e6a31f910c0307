#include "cuda/stream.h"

#include <array>
#include <atomic>
#include <mutex>

#include "core/error.h"
#include "cuda/allocator.h"
#include "cuda/runtime.h"

namespace pynn::cuda {
namespace {

constexpr size_t kPoolSize = 32;
struct StreamPool {
  std::mutex mutex;
  std::array<cudaStream_t, kPoolSize> streams{};
  size_t next = 0;
};

}  // namespace

cudaStream_t stream_from_pool(int device, bool high_priority) {
  static auto& pools = *new std::array<std::array<StreamPool, 2>, kMaxDevices>;
  StreamPool& pool = pools[static_cast<size_t>(device)][high_priority];
  std::lock_guard lock(pool.mutex);
  cudaStream_t& stream = pool.streams[pool.next++ % kPoolSize];
  if (!stream) {
    DeviceGuard guard(device);
    int least = 0, greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "Stream");
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, high_priority ? greatest : least), "Stream");
  }
  return stream;
}

uint64_t new_graph_pool() {
  static std::atomic<uint64_t> next{1};
  return next++;
}

bool is_capturing() {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check(cudaStreamIsCapturing(current_stream(), &status), "is_current_stream_capturing");
  return status != cudaStreamCaptureStatusNone;
}

void Graph::begin(uint64_t pool, cudaStreamCaptureMode mode) {
  PYNN_CHECK(!executable_ && !capturing_, "CUDAGraph: it holds captured work already (call reset() first)");
  PYNN_CHECK(current_stream(),
             "CUDAGraph: work is captured on a stream of its own, not on the default stream "
             "(use torch.cuda.graph, or torch.cuda.stream around capture_begin)");
  device_ = accelerator->current_device();
  stream_ = current_stream();
  pool_ = pool ? pool : new_graph_pool();
  begin_pool(device_, pool_, stream_);
  holds_pool_ = true;
  const cudaError_t status = cudaStreamBeginCapture(stream_, mode);
  capturing_ = status == cudaSuccess;
  if (!capturing_) reset();
  check(status, "CUDAGraph.capture_begin");
}

void Graph::end() {
  PYNN_CHECK(capturing_, "CUDAGraph: capture_end without capture_begin");
  capturing_ = false;
  end_pool(device_, pool_);
  cudaGraph_t graph = nullptr;
  cudaError_t status = cudaStreamEndCapture(stream_, &graph);
  if (status == cudaSuccess) status = cudaGraphInstantiate(&executable_, graph, 0);
  if (graph) (void)cudaGraphDestroy(graph);
  if (status != cudaSuccess) {
    executable_ = nullptr;
    reset();
  }
  check(status, "CUDAGraph.capture_end (work that waits for the device, such as item(), cannot be captured)");
}

void Graph::replay() {
  PYNN_CHECK(executable_, "CUDAGraph: nothing was captured");
  DeviceGuard guard(device_);
  check(cudaGraphLaunch(executable_, current_stream()), "CUDAGraph.replay");
}

void Graph::reset() noexcept {
  if (capturing_) {
    cudaGraph_t graph = nullptr;
    (void)cudaStreamEndCapture(stream_, &graph);
    if (graph) (void)cudaGraphDestroy(graph);
    (void)cudaGetLastError();
    end_pool(device_, pool_);
    capturing_ = false;
  }
  if (executable_) (void)cudaGraphExecDestroy(executable_);
  executable_ = nullptr;
  if (holds_pool_) {
    end_pool(device_, pool_);
    release_pool(device_, pool_);
    holds_pool_ = false;
  }
}

}  // namespace pynn::cuda
