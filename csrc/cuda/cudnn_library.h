// cudnn_library.h -- cuDNN as its users in this folder have it: the loaded functions, a handle, errors.
#pragma once
#include <mutex>

#include "core/dtype.h"
#include "cuda/cudnn_api.h"
#include "cuda/library.h"

namespace pynn::cuda {

struct Cudnn {
  Library library{"libcudnn.so.9"};
  dnn::Api api{};
  Cudnn();
};
Cudnn& cudnn();

void check_dnn(dnn::Status status, const char* op, const char* what);

// The current device's, on its current stream. There is one at a time: a handle serves one thread.
class DnnHandle {
 public:
  DnnHandle();
  operator dnn::Handle() const { return handle_; }

 private:
  std::unique_lock<std::mutex> lock_;
  dnn::Handle handle_;
};

int dnn_type(DType t);

}  // namespace pynn::cuda
