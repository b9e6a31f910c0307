// element.h -- one number into the memory of one element, and out of it.
#pragma once
#include "core/scalar.h"
#include "core/tensor.h"
#include "ops/device.h"

namespace pynn::ops {

// RuntimeError when an integer type cannot hold the number (NaN, infinity, out of range); fractions are cut off.
// Unsigned types take negative numbers of their range too: they wrap, as in PyTorch.
void store_element(const char* op, void* to, DType type, Scalar value);
// The number as an element of an integer type holds it, under the same rule; floats stay as they are.
Scalar as_element(const char* op, Scalar value, DType type);
// A 0-d tensor that holds the number.
Tensor element_tensor(const char* op, Scalar value, DType type);
// A 0-d tensor on the device with the value of one there or on the CPU; a number of the CPU costs no transfer.
Tensor element_on(Device device, const Tensor& value);
// The first element of x, which is of type T. Waits for the device that x is on.
template <class T>
T first_element(const Tensor& x) {
  return *on_host(x).data_as<T>();
}

}  // namespace pynn::ops
