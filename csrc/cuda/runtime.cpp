// runtime.cpp -- devices, current streams, copies between host and device, and errors that kernels leave behind.
#include "cuda/runtime.h"

#include <pthread.h>

#include <array>
#include <atomic>
#include <mutex>

#include "core/error.h"
#include "core/limits.h"
#include "cuda/allocator.h"
#include "cuda/pinned.h"
#include "cuda/stream.h"

namespace pynn::cuda {
namespace {

std::atomic<bool> started{false};  // this process has asked the driver for something
std::atomic<bool> forked{false};   // ... and is a child of one that had

struct DeviceList {
  int count = 0;
  std::string why;
};

DeviceList find_devices() {
  DeviceList found;
  started = true;
  pthread_atfork(nullptr, nullptr, [] { forked = true; });
  const cudaError_t status = cudaGetDeviceCount(&found.count);
  if (status == cudaSuccess) {
    found.count = std::min(found.count, kMaxDevices);
    if (!found.count) found.why = "there is no CUDA device";
    return found;
  }
  (void)cudaGetLastError();
  found.count = 0;
  int driver = 0, runtime = 0;
  (void)cudaDriverGetVersion(&driver);
  (void)cudaRuntimeGetVersion(&runtime);
  found.why = cudaGetErrorString(status);
  if (!driver) {
    found.why = "no NVIDIA driver was found";
  } else if (driver < runtime) {
    found.why = concat("the NVIDIA driver is too old: it supports CUDA ", driver / 1000, '.', driver % 1000 / 10,
                       ", this build needs ", runtime / 1000, '.', runtime % 1000 / 10);
  }
  return found;
}
const DeviceList& devices() {
  static const DeviceList& list = *new DeviceList(find_devices());
  return list;
}

struct PerDevice {
  std::mutex mutex;
  Deferred* host = nullptr;  // pinned; written by kernels
  Deferred* mapped = nullptr;
  int multiprocessors = 0, capability = 0;
};
PerDevice& per_device(int index) {
  static auto& all = *new std::array<PerDevice, kMaxDevices>;
  return all[static_cast<size_t>(index)];
}

thread_local std::array<cudaStream_t, kMaxDevices> streams{};
thread_local int device_of_thread = 0;

class Cuda final : public Accelerator {
 public:
  int device_count() override { return forked ? 0 : devices().count; }
  std::string why_unavailable() override {
    if (forked)
      return "CUDA was started before this process was forked; start it with multiprocessing's 'spawn' method instead";
    return devices().why;
  }
  int current_device() override { return device_of_thread; }
  void set_device(int index) override {
    check(cudaSetDevice(index), "set_device");
    device_of_thread = index;
  }
  void* allocate(size_t bytes, int index) override {
    return cuda::allocate(bytes, index, streams[static_cast<size_t>(index)]);
  }
  void deallocate(void* block, int index) noexcept override { cuda::deallocate(block, index); }
  void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes, bool asynchronous) override;
  void* allocate_pinned(size_t bytes) override { return cuda::allocate_pinned(bytes); }
  void deallocate_pinned(void* block) noexcept override { cuda::deallocate_pinned(block); }
  bool is_pinned(const void* data) override { return cuda::is_pinned(data); }
  bool is_capturing() override { return cuda::is_capturing(); }
  void fill_zero(void* to, int index, size_t bytes) override {
    DeviceGuard guard(index);
    check(cudaMemsetAsync(to, 0, bytes, current_stream()), "fill_zero");
  }
};

void Cuda::copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes, bool asynchronous) {
  DeviceGuard guard(to_device.is_cuda() ? to_device.index : from_device.index);
  if (to_device.is_cuda() && from_device.is_cuda()) {
    if (to_device == from_device) {
      check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, current_stream()), "copy");
      return;
    }
    synchronize_device(from_device.index);
    check(cudaMemcpyPeerAsync(to, to_device.index, from, from_device.index, bytes, current_stream()), "copy");
    synchronize_stream();  // `from` may be freed by now
    return;
  }
  const auto kind = to_device.is_cuda() ? cudaMemcpyHostToDevice : cudaMemcpyDeviceToHost;
  check(cudaMemcpyAsync(to, from, bytes, kind, current_stream()), "copy");
  // Pageable memory is read before the call returns; pinned memory is read and written while it goes on.
  const bool pinned = cuda::is_pinned(to_device.is_cuda() ? from : to);
  if (pinned ? !asynchronous : to_device.is_cpu()) synchronize_stream();
}

Cuda instance;

// After core's constant initialisation, before main.
[[maybe_unused]] const bool registered = (accelerator = &instance, true);

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) [[likely]]
    return;
  (void)cudaGetLastError();
  PYNN_CHECK(!forked, what,
             ": CUDA cannot be used in a forked process that had it started before the fork (start workers with "
             "multiprocessing's 'spawn' method)");
  fail(ErrorKind::Runtime, what, ": CUDA error: ", cudaGetErrorString(status));
}

cudaStream_t current_stream() { return streams[static_cast<size_t>(device_of_thread)]; }
void set_current_stream(cudaStream_t stream, int device) { streams[static_cast<size_t>(device)] = stream; }

int capability() {
  PerDevice& d = per_device(device_of_thread);
  if (!d.capability) {
    int major = 0, minor = 0;
    check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device_of_thread), "capability");
    check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device_of_thread), "capability");
    d.capability = 10 * major + minor;
  }
  return d.capability;
}
int multiprocessors() {
  PerDevice& d = per_device(device_of_thread);
  if (!d.multiprocessors)
    check(cudaDeviceGetAttribute(&d.multiprocessors, cudaDevAttrMultiProcessorCount, device_of_thread),
          "multiprocessors");
  return d.multiprocessors;
}

Deferred* deferred() {
  PerDevice& d = per_device(device_of_thread);
  if (!d.mapped) {
    std::lock_guard lock(d.mutex);
    if (!d.mapped) {
      void* host = nullptr;
      void* mapped = nullptr;
      check(cudaHostAlloc(&host, sizeof(Deferred), cudaHostAllocMapped), "deferred");
      d.host = new (host) Deferred{};
      check(cudaHostGetDevicePointer(&mapped, host, 0), "deferred");
      d.mapped = static_cast<Deferred*>(mapped);
    }
  }
  return d.mapped;
}

void raise_deferred() {
  PerDevice& d = per_device(device_of_thread);
  if (!d.host || !d.host->raised) return;
  const Deferred found = *d.host;
  *d.host = Deferred{};
  fail(ErrorKind::Index, found.op, ": index ", found.index, " is out of bounds for size ", found.size,
       " (found when the device was synchronised)");
}

void synchronize_stream() {
  check(cudaStreamSynchronize(current_stream()), "synchronize");
  raise_deferred();
}

void synchronize_device(int index) {
  DeviceGuard guard(index);
  check(cudaDeviceSynchronize(), "synchronize");
  raise_deferred();
}

// From pageable memory the call returns once the bytes are on their way in a buffer of the driver's.
void upload(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, current_stream()), "upload");
}
void download(void* to, const void* from, size_t bytes) {
  check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, current_stream()), "download");
  synchronize_stream();
}

}  // namespace pynn::cuda
