// assign.h -- giving a tensor new content: copy_, and the generic in-place and out= forms of every op.
#pragma once
#include "core/memory_format.h"

namespace pynn::ops {

// self <- source (cast and broadcast), recorded.
Tensor copy_(const Tensor& self, const Tensor& source, bool asynchronous = false);
// Refuses what cannot be written to.
void check_assign(const char* op, const Tensor& self);
// name_(self, ...): the op's result replaces self's content and history.
void assign(const char* op, const Tensor& self, const Tensor& value);
// op(..., out=out): resizes `out` if needed. No gradient may be involved.
void write_out(const char* op, const Tensor& out, const Tensor& value);
Tensor clone_of(const Tensor& x, MemoryFormat format = MemoryFormat::Preserve);  // recorded

// RuntimeError if writing to `to` would overwrite elements of `from` that another position still needs. Layouts with
// gaps, whose overlap is hard to tell, pass; they are copied before the write.
void check_no_overlap(const char* op, const Tensor& to, const Tensor& from);
// RuntimeError if a result of type `from` may not be written to a tensor of type `to` (float into int ...).
void check_castable(const char* op, DType from, DType to);
// RuntimeError unless `sizes` broadcasts to exactly self's shape.
void check_fits(const char* op, const Tensor& self, Dims sizes);
// Values only: casts, broadcasts, crosses devices, records nothing. `asynchronous` as in to_device.
void copy_data(const Tensor& to, const Tensor& from, bool asynchronous = false);

}  // namespace pynn::ops
