// bind_random.cpp -- Generator objects and the seed.
#include <pybind11/pybind11.h>

#include <cstring>

#include "core/random.h"
#include "python/caster.h"
#include "python/interop.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

PyTypeObject* generator_type;

uint64_t seed_of(const py::int_& seed) {  // negative ones wrap, as in PyTorch
  const int64_t i = PyLong_AsLongLong(seed.ptr());
  if (i == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    const uint64_t u = PyLong_AsUnsignedLongLong(seed.ptr());
    if (u == UINT64_MAX && PyErr_Occurred()) throw py::error_already_set();
    return u;
  }
  return static_cast<uint64_t>(i);
}

Tensor state_tensor(const Generator& g) {
  const std::string bytes = g.get_state();
  Tensor t = empty(DimVector{static_cast<int64_t>(bytes.size())}, DType::UInt8);
  std::memcpy(t.data(), bytes.data(), bytes.size());
  return t;
}
void set_state(Generator& g, const Tensor& t) {
  PYNN_CHECK_KIND(Type, t.dtype() == DType::UInt8 && t.is_contiguous() && t.device().is_cpu(),
                  "set_state: expected a contiguous uint8 tensor on the cpu, got ", dtype_name(t.dtype()), " on ",
                  t.device().str());
  std::lock_guard lock(g.mutex);
  g.set_state(std::string(t.data_as<char>(), static_cast<size_t>(t.numel())));
}

}  // namespace

Generator* generator_of(PyObject* o) {
  if (!PyObject_TypeCheck(o, generator_type)) return nullptr;
  return py::handle(o).cast<Generator*>();
}

void init_random(PyObject* m) {
  auto module = py::reinterpret_borrow<py::module_>(m);
  auto cls = py::class_<Generator>(module, "Generator",
                                   "A stream of random numbers (MT19937; on CUDA Philox). Same as torch.Generator.")
                 .def(py::init([](py::object device) -> std::unique_ptr<Generator> {
                        const Device d = device.is_none() ? Device{} : resolve(device_of(device.ptr()));
                        PYNN_CHECK(!d.is_meta(), "Generator: a cpu or cuda device is required, got ", d.str());
                        if (d.is_cuda()) return std::make_unique<CudaGenerator>(d.index);
                        return std::make_unique<CpuGenerator>();
                      }),
                      py::arg("device") = py::none())
                 .def("manual_seed",
                      [](py::object self, const py::int_& seed) {
                        Generator& g = self.cast<Generator&>();
                        std::lock_guard lock(g.mutex);
                        g.manual_seed(seed_of(seed));
                        return self;
                      })
                 .def("seed",
                      [](Generator& g) {
                        std::lock_guard lock(g.mutex);
                        return g.seed();
                      })
                 .def("initial_seed", &Generator::initial_seed)
                 .def("get_state", state_tensor)
                 .def("set_state", set_state)
                 .def_property_readonly(
                     "device", [](const Generator& g) { return py::reinterpret_steal<py::object>(wrap(g.device())); });
  generator_type = reinterpret_cast<PyTypeObject*>(cls.ptr());
  module.attr("default_generator") =
      py::cast(static_cast<Generator*>(&default_generator()), py::return_value_policy::reference);
  module.def(
      "manual_seed",
      [](const py::int_& seed) {
        Generator& g = default_generator();
        std::lock_guard lock(g.mutex);
        g.manual_seed(seed_of(seed));
        manual_seed_cuda(g.initial_seed());
        return py::cast(&g, py::return_value_policy::reference);
      },
      "Starts the default generators' streams anew, of every device. Same as torch.manual_seed.");
  module.def(
      "_cuda_generator",
      [](int index) -> Generator& {
        PYNN_CHECK_KIND(Value, index >= 0 && index <= INT8_MAX, "cuda: a device index from 0 to ", INT8_MAX,
                        " is required, got ", index);
        return default_cuda_generator(index);
      },
      py::return_value_policy::reference, "The default generator of a CUDA device.");
  module.def(
      "_cuda_manual_seed_all", [](const py::int_& seed) { manual_seed_cuda(seed_of(seed)); },
      "Starts the streams of all CUDA devices' default generators anew.");
  module.def(
      "seed",
      [] {
        std::lock_guard lock(default_generator().mutex);
        const uint64_t seed = default_generator().seed();
        manual_seed_cuda(seed);
        return seed;
      },
      "Seeds the default generators from the system and returns the seed.");
  module.def("initial_seed", [] { return default_generator().initial_seed(); }, "The default generator's seed.");
  module.def(
      "get_rng_state", [] { return state_tensor(default_generator()); },
      "The default generator's state as a uint8 tensor.");
  module.def(
      "set_rng_state", [](const Tensor& t) { set_state(default_generator(), t); },
      "Sets the default generator's state.");
}

}  // namespace pynn::python
