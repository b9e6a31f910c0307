// runtime.h -- streams, temporaries and errors of the CUDA backend. Host code only; kernels/cuda includes launch.cuh.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "core/accelerator.h"

namespace pynn::cuda {

// Throws for anything but cudaSuccess: "<what>: <CUDA's words>".
void check(cudaError_t status, const char* what);

// Of the current device, and of this thread.
cudaStream_t current_stream();
void set_current_stream(cudaStream_t stream, int device);
int multiprocessors();
int capability();  // of the current device: 90 for 9.0

// Waits for the current stream, then raises what kernels found (see Deferred).
void synchronize_stream();
// Waits for the whole device, then raises what kernels found.
void synchronize_device(int index);

// Where a kernel says that an index was out of range: memory that host and device share, read at synchronisation.
struct Deferred {
  unsigned int raised;
  const char* op;  // a literal of the host
  int64_t index, size;
};
Deferred* deferred();   // of the current device, as kernels see it
void raise_deferred();  // throws Error(Index) once if a kernel of the current device found something

// Memory for the time of a scope, in the order of the current stream.
class Scratch {
 public:
  explicit Scratch(size_t bytes)
      : device_(accelerator->current_device()), data_(bytes ? accelerator->allocate(bytes, device_) : nullptr) {}
  ~Scratch() {
    if (data_) accelerator->deallocate(data_, device_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  int device_;
  void* data_;
};

// `count` elements to the device, in the order of the stream; `from` may change as soon as this returns.
void upload(void* to, const void* from, size_t bytes);
// From the device; waits for the stream.
void download(void* to, const void* from, size_t bytes);

}  // namespace pynn::cuda
