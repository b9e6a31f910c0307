// convert.h -- other dtypes and devices.
#pragma once
#include <optional>

#include "python/py.h"

namespace pynn::python {

// x itself when nothing changes and no copy is asked for; recorded. Runs without the GIL when x is large.
Tensor convert(const Tensor& x, std::optional<DType> dtype, std::optional<Device> device, bool copy,
               MemoryFormat format = MemoryFormat::Preserve, bool asynchronous = false);

}  // namespace pynn::python
