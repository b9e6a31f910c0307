// cublaslt_api.h -- the part of cuBLASLt's C interface that cublaslt.cpp uses, so that building needs no header of it.
// Numbers and layouts are those of cuBLASLt 12 and 13.
#pragma once
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

namespace pynn::cuda::lt {

using Handle = void*;
using Desc = void*;  // of a product, a layout or a preference
using Status = int;  // 0: success

enum : int { kReal32F = 0, kReal64F = 1, kReal16F = 2, kReal16BF = 14 };      // cudaDataType
enum : int { kCompute32F = 68, kCompute64F = 70, kCompute32FastTf32 = 77 };   // cublasComputeType_t
enum : int32_t { kOpN = 0, kOpT = 1 };                                        // cublasOperation_t
enum : uint32_t { kEpilogueNone = 1, kEpilogueRelu = 2, kEpilogueBias = 4 };  // Relu | Bias: both
enum : int { kTransA = 3, kTransB = 4, kEpilogue = 7, kBiasPointer = 8 };     // of a product
enum : int { kBatchCount = 5, kBatchStride = 6 };                             // of a layout
enum : int {
  kMaxWorkspace = 1,
  kReductionMask = 3,
  kMinAlignA = 5,
  kMinAlignB = 6,  // of a preference
  kMinAlignC = 7,
  kMinAlignD = 8
};
enum : uint32_t { kReduceInPlace = 1, kReduceComputeType = 2, kReduceAny = 7 };

struct Algo {
  uint64_t data[8];
};
struct Heuristic {
  Algo algo;
  size_t workspace;
  Status state;
  float waves;
  int reserved[4];
};

struct Api {
  Status (*create)(Handle*);
  size_t (*version)();
  Status (*desc_create)(Desc*, int compute, int scale);
  Status (*desc_destroy)(Desc);
  Status (*desc_set)(Desc, int attribute, const void* value, size_t bytes);
  Status (*layout_create)(Desc*, int type, uint64_t rows, uint64_t cols, int64_t ld);
  Status (*layout_destroy)(Desc);
  Status (*layout_set)(Desc, int attribute, const void* value, size_t bytes);
  Status (*preference_create)(Desc*);
  Status (*preference_destroy)(Desc);
  Status (*preference_set)(Desc, int attribute, const void* value, size_t bytes);
  Status (*heuristic)(Handle, Desc, Desc a, Desc b, Desc c, Desc d, Desc preference, int wanted, Heuristic*,
                      int* found);
  Status (*matmul)(Handle, Desc, const void* alpha, const void* a, Desc, const void* b, Desc, const void* beta,
                   const void* c, Desc, void* d, Desc, const Algo*, void* workspace, size_t bytes, cudaStream_t);
};

}  // namespace pynn::cuda::lt
