// dlpack.h -- the memory layout of DLPack 1.x (https://dmlc.github.io/dlpack/latest/c_api.html), as far as it is used.
#pragma once
#include <cstdint>

namespace pynn::dlpack {

constexpr int32_t kCpu = 1, kCuda = 2, kPinned = 3, kManaged = 13;  // devices
enum Code : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };
constexpr uint64_t kReadOnly = 1, kIsCopied = 2;  // flags

struct DeviceId {
  int32_t type, id;
};
struct DataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct TensorView {
  void* data;
  DeviceId device;
  int32_t ndim;
  DataType dtype;
  int64_t* shape;
  int64_t* strides;  // elements; may be null: row-major
  uint64_t byte_offset;
};
struct Managed {  // capsule "dltensor"
  TensorView view;
  void* context;
  void (*deleter)(Managed*);
};
struct ManagedVersioned {  // capsule "dltensor_versioned"
  uint32_t major, minor;
  void* context;
  void (*deleter)(ManagedVersioned*);
  uint64_t flags;
  TensorView view;
};

// What the two sides need of streams; null in a build without CUDA (bind_cuda.cpp).
struct Streams {
  intptr_t (*current)(int device);
  // Work that is given to `stream` from now on comes after what the device's current stream has by now. The block of
  // `data` is not used again before that work is done.
  void (*lend)(intptr_t stream, int device, void* data);
};
extern const Streams* streams;

}  // namespace pynn::dlpack
