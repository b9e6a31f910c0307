// accelerator.h -- what the layers above need of a CUDA device's runtime. csrc/cuda implements it; in a build without
// CUDA there is none.
#pragma once
#include <cstddef>
#include <string>

#include "core/device.h"

namespace pynn {

class Accelerator {
 public:
  // 0 where there is no device, or none that can be used; never throws and starts nothing that a fork could break.
  virtual int device_count() = 0;
  virtual std::string why_unavailable() = 0;  // empty when there is a device
  virtual int current_device() = 0;           // of this thread
  virtual void set_device(int index) = 0;
  // On the current stream of the device. Never nullptr: throws Error(Memory).
  virtual void* allocate(size_t bytes, int index) = 0;
  virtual void deallocate(void* block, int index) noexcept = 0;
  // In the order of the current stream of the device at hand. On return `to` is filled if it is host memory, and `from`
  // may change if it is; but not so if `asynchronous` and the host memory is pinned.
  virtual void copy(void* to, Device to_device, const void* from, Device from_device, size_t bytes,
                    bool asynchronous) = 0;
  virtual void fill_zero(void* to, int index, size_t bytes) = 0;
  virtual bool is_capturing() = 0;  // whether work of the current stream is recorded into a graph
  // Host memory that devices copy from and to at full speed, and asynchronously.
  virtual void* allocate_pinned(size_t bytes) = 0;
  virtual void deallocate_pinned(void* block) noexcept = 0;
  virtual bool is_pinned(const void* data) = 0;

 protected:
  ~Accelerator() = default;
};

// Null in a build without CUDA. Set before main by csrc/cuda/runtime.cpp, constant-initialised here.
extern Accelerator* accelerator;

// Makes `index` the current device for a scope.
class DeviceGuard {
 public:
  explicit DeviceGuard(int index) : before_(accelerator->current_device()), changed_(index >= 0 && index != before_) {
    if (changed_) accelerator->set_device(index);
  }
  ~DeviceGuard() {
    if (changed_) accelerator->set_device(before_);
  }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_;
  bool changed_;
};

}  // namespace pynn
