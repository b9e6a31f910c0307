// device.h -- values from one device to another, for ops that have to look at them or bring their own.
#pragma once
#include "core/tensor.h"

namespace pynn::ops {

// x there, contiguous; x itself if it is there already. Values only. To the CPU it waits for the device.
Tensor to_device(const Tensor& x, Device device);
inline Tensor to_host(const Tensor& x) { return to_device(x, Device{}); }
// The first element of x, which is of type T. Waits for the device.
template <class T>
T first_element(const Tensor& x) {
  return *to_host(x).data_as<T>();
}

}  // namespace pynn::ops
