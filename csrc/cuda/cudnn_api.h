// cudnn_api.h -- the part of cuDNN 9's C interface that cudnn.cpp uses, so that building needs no header of it.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>

namespace pynn::cuda::dnn {

using Handle = void*;
using Desc = void*;
using Status = int;  // 0: success

enum : int { kFloat = 0, kDouble = 1, kHalf = 2, kBFloat16 = 9 };  // cudnnDataType_t
enum : int { kNchw = 0 };                                          // cudnnTensorFormat_t
enum : int { kCrossCorrelation = 1 };                              // cudnnConvolutionMode_t
enum : int { kDefaultMath = 0, kTensorMath = 1, kFmaMath = 3 };    // cudnnMathType_t

// The same for all three directions.
struct Perf {
  int algo;
  Status status;
  float time;
  size_t memory;
  int deterministic;
  int math;
  int reserved[3];
};
constexpr int kMaxAlgos = 12;

struct Api {
  size_t (*version)();
  const char* (*error_string)(Status);
  Status (*create)(Handle*);
  Status (*set_stream)(Handle, cudaStream_t);
  Status (*tensor_create)(Desc*);
  Status (*tensor_destroy)(Desc);
  Status (*tensor_set)(Desc, int type, int dims, const int* sizes, const int* strides);
  Status (*filter_create)(Desc*);
  Status (*filter_destroy)(Desc);
  Status (*filter_set)(Desc, int type, int format, int dims, const int* sizes);
  Status (*conv_create)(Desc*);
  Status (*conv_destroy)(Desc);
  Status (*conv_set)(Desc, int dims, const int* pad, const int* stride, const int* dilation, int mode, int compute);
  Status (*conv_set_math)(Desc, int math);
  Status (*conv_set_groups)(Desc, int groups);
  // Operands are named as in y = conv(x, w).
  Status (*choose_forward)(Handle, Desc x, Desc w, Desc conv, Desc y, int wanted, int* found, Perf*);
  Status (*choose_input)(Handle, Desc w, Desc y, Desc conv, Desc x, int wanted, int* found, Perf*);
  Status (*choose_weight)(Handle, Desc x, Desc y, Desc conv, Desc w, int wanted, int* found, Perf*);
  Status (*time_forward)(Handle, Desc, const void* x, Desc, const void* w, Desc conv, Desc, void* y, int wanted,
                         int* found, Perf*, void* workspace, size_t bytes);
  Status (*time_input)(Handle, Desc, const void* w, Desc, const void* y, Desc conv, Desc, void* x, int wanted,
                       int* found, Perf*, void* workspace, size_t bytes);
  Status (*time_weight)(Handle, Desc, const void* x, Desc, const void* y, Desc conv, Desc, void* w, int wanted,
                        int* found, Perf*, void* workspace, size_t bytes);
  Status (*run_forward)(Handle, const void* alpha, Desc, const void* x, Desc, const void* w, Desc conv, int algo,
                        void* workspace, size_t bytes, const void* beta, Desc, void* y);
  Status (*run_input)(Handle, const void* alpha, Desc, const void* w, Desc, const void* y, Desc conv, int algo,
                      void* workspace, size_t bytes, const void* beta, Desc, void* x);
  Status (*run_weight)(Handle, const void* alpha, Desc, const void* x, Desc, const void* y, Desc conv, int algo,
                       void* workspace, size_t bytes, const void* beta, Desc, void* w);
};

}  // namespace pynn::cuda::dnn
