// cudnn_api.h -- the part of cuDNN 9's C interface that we use, so that building needs no header of it.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pynn::cuda::dnn {

using Handle = void*;
using Desc = void*;
using Status = int;  // 0: success

enum : int { kFloat = 0, kDouble = 1, kHalf = 2, kBFloat16 = 9 };  // cudnnDataType_t
enum : int { kNchw = 0 };                                          // cudnnTensorFormat_t
enum : int { kCrossCorrelation = 1 };                              // cudnnConvolutionMode_t
enum : int { kDefaultMath = 0, kTensorMath = 1, kFmaMath = 3 };    // cudnnMathType_t
enum : int { kRnnRelu = 0, kRnnTanh = 1, kLstm = 2, kGru = 3 };    // cudnnRNNMode_t
enum : int { kNoBias = 0, kDoubleBias = 2 };                       // cudnnRNNBiasMode_t
enum : int { kStandardAlgo = 0 };                                  // cudnnRNNAlgo_t
enum : int { kLinearInput = 0 };                                   // cudnnRNNInputMode_t
enum : int { kStepsPacked = 1 };                                   // cudnnRNNDataLayout_t
enum : int { kInference = 0, kTraining = 1 };                      // cudnnForwardMode_t
enum : int { kAddGradient = 0 };                                   // cudnnWgradMode_t

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

  Status (*dropout_create)(Desc*);
  Status (*dropout_destroy)(Desc);
  Status (*dropout_set)(Desc, Handle, float p, void* states, size_t bytes, unsigned long long seed);
  Status (*rnn_create)(Desc*);
  Status (*rnn_destroy)(Desc);
  Status (*rnn_set)(Desc, int algo, int cell, int bias, int both_directions, int input_mode, int type, int compute,
                    int math, int32_t input, int32_t hidden, int32_t projected, int32_t layers, Desc dropout,
                    uint32_t flags);
  Status (*sequence_create)(Desc*);
  Status (*sequence_destroy)(Desc);
  Status (*sequence_set)(Desc, int type, int layout, int steps, int batch, int features, const int* lengths,
                         void* fill);
  Status (*rnn_space)(Handle, Desc rnn, int mode, Desc x, size_t* workspace, size_t* reserve);
  Status (*rnn_weight_space)(Handle, Desc rnn, size_t* bytes);
  // Matrix and bias `which` of cell `layer * directions + direction`: input's by gate, state's by gate, projection.
  Status (*rnn_weight)(Handle, Desc rnn, int32_t cell, size_t bytes, const void* weights, int32_t which, Desc matrix,
                       void** matrix_at, Desc bias, void** bias_at);
  Status (*rnn_forward)(Handle, Desc rnn, int mode, const int32_t* lengths, Desc, const void* x, Desc, void* y, Desc,
                        const void* hx, void* hy, Desc, const void* cx, void* cy, size_t, const void* weights, size_t,
                        void* workspace, size_t, void* reserve);
  Status (*rnn_backward)(Handle, Desc rnn, const int32_t* lengths, Desc, const void* y, const void* dy, Desc, void* dx,
                         Desc, const void* hx, const void* dhy, void* dhx, Desc, const void* cx, const void* dcy,
                         void* dcx, size_t, const void* weights, size_t, void* workspace, size_t, void* reserve);
  Status (*rnn_backward_weights)(Handle, Desc rnn, int mode, const int32_t* lengths, Desc, const void* x, Desc,
                                 const void* hx, Desc, const void* y, size_t, void* dweights, size_t, void* workspace,
                                 size_t, void* reserve);
};

}  // namespace pynn::cuda::dnn
