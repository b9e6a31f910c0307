// module.cpp -- the extension module pynn._C.
#include <pybind11/pybind11.h>

#include "core/allocator.h"
#include "core/parallel.h"
#include "core/precision.h"
#include "kernels/isa.h"
#include "ops/binary.h"
#include "python/caster.h"
#include "python/fastcall.h"
#include "python/hooks.h"
#include "python/interop.h"
#include "python/node_type.h"
#include "python/observe.h"
#include "python/overrides.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

py::dict build_info() {
  py::list built, supported;
  for (int i = 0; i < kIsas; ++i) {
    const Isa isa = static_cast<Isa>(i);
    if (!isa_built(isa)) continue;
    built.append(isa_name(isa));
    if (isa_supported(isa)) supported.append(isa_name(isa));
  }
  py::dict d;
  d["version"] = PYNN_VERSION;
  d["build"] = PYNN_BUILD;
  d["compiler"] = PYNN_COMPILER;
  d["isa"] = isa_name(active_isa());
  d["isas_built"] = built;
  d["isas_supported"] = supported;
  d["threads"] = num_threads();
  d["parallel_backend"] = parallel_backend();
#ifdef PYNN_HAVE_CUDA
  d["cuda"] = true;
#else
  d["cuda"] = false;
#endif
  return d;
}

// What tools/gen_stubs.py and the tests read.
py::list op_schemas() {
  py::list out;
  for (const OpDef& def : registry()) {
    const std::string full(def.name());
    const size_t dot = full.rfind('.');
    const bool tensor_first = def.nkinds > 0 && def.kinds[0] == Kind::Tensor;
    const std::string schema(def.schema);
    py::dict d;
    d["name"] = full.substr(dot + 1);
    d["namespace"] = dot == full.npos ? "" : full.substr(0, dot);
    d["schema"] = dot == full.npos ? schema : schema.substr(dot + 1);
    d["doc"] = def.doc;
    d["function"] = !(def.flags & kMethodOnly);
    d["method"] = dot == full.npos && tensor_first && !(def.flags & kFunctionOnly);
    d["inplace"] = (def.flags & (kInplace | kInplaceView)) != 0;
    d["out"] = (def.flags & kOut) != 0;
    out.append(d);
  }
  return out;
}

py::dict memory_stats_dict() {
  const MemoryStats s = memory_stats();
  py::dict d;
  d["allocated"] = s.allocated;
  d["peak_allocated"] = s.peak_allocated;
  d["cached"] = s.cached;
  d["allocations"] = s.allocations;
  d["cache_hits"] = s.cache_hits;
  d["limit"] = s.limit;
  return d;
}

void init_settings(py::module_& m) {
  m.def("_build_info", build_info);
  m.def("_op_schemas", op_schemas);
  m.def("_get_tracing_state", [] { return py::none(); }, "None: nothing is traced.");
  m.def("_log_api_usage_once", [](const py::args&) {}, "Counts nothing; libraries call it as torch._C's.");
  m.def("get_num_threads", num_threads, "How many threads ops may use.");
  m.def(
      "set_num_threads",
      [](int n) {
        PYNN_CHECK(n >= 1, "set_num_threads: expected a positive integer, got ", n);
        set_num_threads(n);
      },
      "Sets how many threads ops may use; results do not depend on it.");
  m.def(
      "_set_float32_parts",
      [](int parts) {
        PYNN_CHECK(parts >= 1 && parts <= 3, "_set_float32_parts: 1, 2 or 3 is required, got ", parts);
        float32_parts = parts;
      },
      "core/precision.h");
  m.def("memory_stats", memory_stats_dict, "Bytes and calls of the allocator, as a dict.");
  m.def("memory_allocated", [] { return memory_stats().allocated; }, "Bytes in use by tensors and the graph.");
  m.def("max_memory_allocated", [] { return memory_stats().peak_allocated; }, "The most bytes in use at one time.");
  m.def("reset_peak_memory_stats", reset_peak_memory_stats, "Starts the peak anew from what is in use.");
  m.def("empty_cache", empty_cache, "Gives unused cached memory back to the system.");
  m.def(
      "set_memory_limit",
      [](std::optional<int64_t> bytes) {
        PYNN_CHECK(!bytes || *bytes > 0, "set_memory_limit: expected a positive number of bytes or None, got ",
                   bytes.value_or(0));
        set_memory_limit(bytes.value_or(0));
      },
      "The most bytes tensors may use, or None.");
  m.def(
      "get_default_dtype", [] { return py::reinterpret_steal<py::object>(wrap(default_dtype())); },
      "The dtype of new float tensors.");
  m.def(
      "set_default_dtype", [](py::object t) { set_default_dtype(dtype_of(t.ptr())); },
      "Sets the dtype of new float tensors.");
  m.def(
      "can_cast",
      [](py::object from, py::object to) {
        const auto rank = [](DType t) { return t == DType::Bool ? 0 : is_integral(t) ? 1 : is_floating(t) ? 2 : 3; };
        return rank(dtype_of(from.ptr())) <= rank(dtype_of(to.ptr()));
      },
      py::arg("from_"), py::arg("to"),
      "Whether in-place results of one dtype may be written to another. Same as torch.can_cast.");
  m.def(
      "result_type",
      [](py::object a, py::object b) {
        Value x, y;
        if (!parse_other(a.ptr(), x) || !parse_other(b.ptr(), y))
          fail(ErrorKind::Type, "result_type: tensors or numbers are required");
        const auto other = [](const Value& v) { return v.given == Kind::Tensor ? Other(*v.tensor) : Other(v.scalar); };
        return py::reinterpret_steal<py::object>(wrap(ops::result_type(other(x), other(y))));
      },
      py::arg("tensor1"), py::arg("tensor2"),
      "The dtype that arithmetic of the two would give. Same as torch.result_type.");
  m.def(
      "promote_types",
      [](py::object a, py::object b) {
        return py::reinterpret_steal<py::object>(wrap(promote(dtype_of(a.ptr()), dtype_of(b.ptr()))));
      },
      "The smallest dtype that holds both. Same as torch.promote_types.");
}

}  // namespace
}  // namespace pynn::python

PYBIND11_MODULE(_C, m) {
  using namespace pynn::python;
  pynn::init_isa();
  init_errors(m.ptr());
  init_types(m.ptr());
  init_tensor_type(m.ptr());
  init_node_type(m.ptr());
  init_autograd(m.ptr());
  init_function(m.ptr());
  init_module_support(m.ptr());
  init_random(m.ptr());
  init_interop(m.ptr());
  init_op_functions(m.ptr());
  init_overrides(m.ptr());
  init_optim(m.ptr());
  init_observe(m.ptr());
  pynn::python::init_settings(m);
#ifdef PYNN_HAVE_CUDA
  init_cuda(m.ptr());
  init_cuda_library(m.ptr());
#endif
}
