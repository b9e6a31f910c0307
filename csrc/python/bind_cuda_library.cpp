// bind_cuda_library.cpp -- the part of pynn._C._cuda for pynn.backends: switches of cuBLASLt and cuDNN, and what is
// known of the two libraries.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "core/error.h"
#include "cuda/library.h"
#include "python/hooks.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

std::atomic<bool>& flag_of(const std::string& name) {
  cuda::LibraryFlags& f = cuda::library_flags;
  if (name == "matmul_tf32") return f.matmul_tf32;
  if (name == "fp16_reduced") return f.fp16_reduced;
  if (name == "bf16_reduced") return f.bf16_reduced;
  if (name == "cudnn") return f.cudnn;
  if (name == "cudnn_tf32") return f.cudnn_tf32;
  if (name == "benchmark") return f.benchmark;
  if (name == "deterministic") return f.deterministic;
  if (name == "cublas") return f.cublas;
  if (name == "sm90") return f.sm90;
  fail(ErrorKind::Value, "flag: unknown name ", name);
}

}  // namespace

void init_cuda_library(PyObject* module) {
  auto m = py::reinterpret_borrow<py::module_>(module).def_submodule("_cuda");
  m.def("flag", [](const std::string& name) { return flag_of(name).load(); });
  m.def("set_flag", [](const std::string& name, bool value) { flag_of(name) = value; });
  m.def("libraries", [] {
    py::dict d;
    d["cuBLASLt"] = cuda::describe_cublas();
    d["cuDNN"] = cuda::describe_cudnn();
    return d;
  });
  m.def("cudnn_version", cuda::cudnn_version);
  // Wheels lie where Python looks for packages.
  std::vector<std::string> folders;
  for (py::handle folder : py::module_::import("sys").attr("path"))
    if (py::isinstance<py::str>(folder)) folders.push_back(folder.cast<std::string>());
  cuda::set_wheel_folders(std::move(folders));
}

}  // namespace pynn::python
