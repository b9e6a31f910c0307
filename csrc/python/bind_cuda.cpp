// bind_cuda.cpp -- pynn._C._cuda: devices, streams, events, graphs and memory for pynn.cuda. Only in a build with CUDA.
#include <pybind11/pybind11.h>

#include "core/accelerator.h"
#include "core/shape.h"
#include "cuda/allocator.h"
#include "cuda/runtime.h"
#include "cuda/stream.h"
#include "cuda/tools.h"
#include "ops/assign.h"
#include "python/caster.h"
#include "python/dlpack.h"
#include "python/hooks.h"
#include "python/interop.h"

namespace py = pybind11;

namespace pynn::python {
namespace {

using Handle = uintptr_t;  // of a stream; 0 is the default stream
cudaStream_t stream_of(Handle h) { return reinterpret_cast<cudaStream_t>(h); }
using NoGilCall = py::call_guard<py::gil_scoped_release>;

py::dict properties(int device) {
  cudaDeviceProp p{};
  cuda::check(cudaGetDeviceProperties(&p, device), "get_device_properties");
  py::dict d;
  d["name"] = p.name;
  d["major"] = p.major;
  d["minor"] = p.minor;
  d["total_memory"] = p.totalGlobalMem;
  d["multi_processor_count"] = p.multiProcessorCount;
  d["warp_size"] = p.warpSize;
  d["max_threads_per_multi_processor"] = p.maxThreadsPerMultiProcessor;
  d["shared_memory_per_block"] = p.sharedMemPerBlock;
  d["regs_per_multiprocessor"] = p.regsPerMultiprocessor;
  d["L2_cache_size"] = p.l2CacheSize;
  d["is_integrated"] = p.integrated;
  d["is_multi_gpu_board"] = p.isMultiGpuBoard;
  return d;
}

py::dict stats(int device) {
  const cuda::DeviceMemoryStats s = cuda::memory_stats(device);
  py::dict d;
  d["allocated"] = s.allocated;
  d["peak_allocated"] = s.peak_allocated;
  d["reserved"] = s.reserved;
  d["peak_reserved"] = s.peak_reserved;
  d["allocations"] = s.allocations;
  d["retries"] = s.retries;
  d["out_of_memory"] = s.out_of_memory;
  d["segments"] = s.segments;
  return d;
}

class Event {
 public:
  Event(bool timing, bool blocking) : timing_(timing), blocking_(blocking) {}
  ~Event() {
    if (event_) (void)cudaEventDestroy(event_);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  void record(Handle stream, int device) {
    DeviceGuard guard(device);
    if (!event_) {
      const unsigned flags =
          (timing_ ? cudaEventDefault : cudaEventDisableTiming) | (blocking_ ? cudaEventBlockingSync : 0u);
      cuda::check(cudaEventCreateWithFlags(&event_, flags), "Event");
      device_ = device;
    }
    PYNN_CHECK(device == device_, "Event.record: the event belongs to cuda:", device_, ", the stream to cuda:", device);
    cuda::check(cudaEventRecord(event_, stream_of(stream)), "Event.record");
  }
  void wait(Handle stream) const {
    if (event_) cuda::check(cudaStreamWaitEvent(stream_of(stream), event_, 0), "Event.wait");
  }
  bool query() const {
    if (!event_) return true;
    const cudaError_t status = cudaEventQuery(event_);
    if (status == cudaErrorNotReady) return (void)cudaGetLastError(), false;
    cuda::check(status, "Event.query");
    return true;
  }
  void synchronize() const {
    if (!event_) return;
    cuda::check(cudaEventSynchronize(event_), "Event.synchronize");
    DeviceGuard guard(device_);
    cuda::raise_deferred();
  }
  float elapsed_time(const Event& end) const {
    PYNN_CHECK_KIND(Value, timing_ && end.timing_, "Event.elapsed_time: both events need enable_timing=True");
    PYNN_CHECK_KIND(Value, event_ && end.event_, "Event.elapsed_time: both events must be recorded first");
    float ms = 0;
    cuda::check(cudaEventElapsedTime(&ms, event_, end.event_), "Event.elapsed_time");
    return ms;
  }
  Handle handle() const { return reinterpret_cast<Handle>(event_); }
  int device() const { return device_; }

 private:
  bool timing_, blocking_;
  cudaEvent_t event_ = nullptr;  // made when first recorded, on the stream's device
  int device_ = -1;
};

Tensor pinned_copy(const Tensor& x) {
  PYNN_CHECK(x.device().is_cpu(), "pin_memory: a tensor on the CPU is required, got one on ", x.device().str());
  if (x.numel() && accelerator->is_pinned(x.data())) return x;
  const size_t bytes = static_cast<size_t>(x.numel()) * item_size(x.dtype());
  check_available(Device{DeviceType::Cuda});
  void* block = accelerator->allocate_pinned(bytes);
  const auto release = [](void* p) { accelerator->deallocate_pinned(p); };
  const Tensor y(TensorImpl::make(Storage::wrap(block, bytes, {}, release, block), x.dtype(), x.sizes(),
                                  contiguous_strides(x.sizes()), 0));
  ops::copy_data(y, x);
  return y;
}

intptr_t dlpack_current(int device) {
  DeviceGuard guard(device);
  return reinterpret_cast<intptr_t>(cuda::current_stream());
}
void dlpack_lend(intptr_t to, int device, void* data) {
  DeviceGuard guard(device);
  const cudaStream_t stream = reinterpret_cast<cudaStream_t>(to), from = cuda::current_stream();
  if (stream == from) return;
  cudaEvent_t event = nullptr;
  cuda::check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "__dlpack__");
  cudaError_t status = cudaEventRecord(event, from);
  if (status == cudaSuccess) status = cudaStreamWaitEvent(stream, event, 0);
  (void)cudaEventDestroy(event);
  cuda::check(status, "__dlpack__");
  cuda::record_use(data, device, stream);
}
constexpr dlpack::Streams dlpack_streams{dlpack_current, dlpack_lend};

}  // namespace

void init_cuda(PyObject* module) {
  dlpack::streams = &dlpack_streams;
  pin_memory = [](const Tensor& x) {
    Tensor y = pinned_copy(x);
    y.impl()->requires_grad = x.impl()->requires_grad;
    return y;
  };
  auto m = py::reinterpret_borrow<py::module_>(module).def_submodule("_cuda");
  m.def("device_count", [] { return accelerator->device_count(); });
  m.def("why_unavailable", [] { return accelerator->why_unavailable(); });
  m.def("current_device", [] { return accelerator->current_device(); });
  m.def("set_device", [](int d) { accelerator->set_device(d); });
  m.def("synchronize", &cuda::synchronize_device, NoGilCall());
  m.def("properties", properties);
  m.def("runtime_version", [] {
    int v = 0;
    (void)cudaRuntimeGetVersion(&v);
    return v;
  });
  m.def("driver_version", [] {
    int v = 0;
    (void)cudaDriverGetVersion(&v);
    return v;
  });

  m.def("memory_stats", stats);
  m.def("reset_peak_memory_stats", &cuda::reset_peak_memory_stats);
  m.def("empty_cache", &cuda::empty_cache, NoGilCall());
  m.def("set_memory_limit", &cuda::set_memory_limit);
  m.def("mem_get_info", [](int device) {
    DeviceGuard guard(device);
    size_t free = 0, total = 0;
    cuda::check(cudaMemGetInfo(&free, &total), "mem_get_info");
    return std::pair(free, total);
  });
  m.def("pin_memory", [](const Tensor& x) { return pinned_copy(x); });
  m.def("is_pinned", [](const Tensor& x) { return x.device().is_cpu() && accelerator->is_pinned(x.data()); });
  m.def("record_stream", [](const Tensor& x, Handle stream) {
    PYNN_CHECK(x.device().is_cuda(), "record_stream: a CUDA tensor is required, got one on ", x.device().str());
    cuda::record_use(x.storage()->data(), x.device().index, stream_of(stream));
  });

  m.def("stream_from_pool",
        [](int device, bool high) { return reinterpret_cast<Handle>(cuda::stream_from_pool(device, high)); });
  m.def("current_stream", [](int device) {
    DeviceGuard guard(device);
    return reinterpret_cast<Handle>(cuda::current_stream());
  });
  m.def("set_stream", [](Handle h, int device) { cuda::set_current_stream(stream_of(h), device); });
  m.def(
      "stream_synchronize",
      [](Handle h, int device) {
        DeviceGuard guard(device);
        cuda::check(cudaStreamSynchronize(stream_of(h)), "Stream.synchronize");
        cuda::raise_deferred();
      },
      NoGilCall());
  m.def("stream_query", [](Handle h) {
    const cudaError_t status = cudaStreamQuery(stream_of(h));
    if (status == cudaErrorNotReady) return (void)cudaGetLastError(), false;
    cuda::check(status, "Stream.query");
    return true;
  });
  m.def("is_capturing", &cuda::is_capturing);
  py::class_<Event>(m, "Event")
      .def(py::init<bool, bool>())
      .def("record", &Event::record)
      .def("wait", &Event::wait)
      .def("query", &Event::query)
      .def("synchronize", &Event::synchronize, NoGilCall())
      .def("elapsed_time", &Event::elapsed_time)
      .def_property_readonly("handle", &Event::handle)
      .def_property_readonly("device", &Event::device);
  py::class_<cuda::Graph>(m, "Graph")
      .def(py::init<>())
      .def("begin",
           [](cuda::Graph& g, uint64_t pool, int mode) { g.begin(pool, static_cast<cudaStreamCaptureMode>(mode)); })
      .def("end", &cuda::Graph::end)
      .def("replay", &cuda::Graph::replay)
      .def("reset", &cuda::Graph::reset)
      .def_property_readonly("pool", &cuda::Graph::pool);
  m.def("new_graph_pool", &cuda::new_graph_pool);

  m.def("push_range", &cuda::push_range);
  m.def("pop_range", &cuda::pop_range);
  m.def("start_range", &cuda::start_range);
  m.def("end_range", &cuda::end_range);
  m.def("mark", &cuda::mark);
  m.def("profile", &cuda::profile, NoGilCall());
  m.def("raw_allocate", [](size_t bytes, int device, Handle stream) {
    DeviceGuard guard(device);
    return reinterpret_cast<Handle>(cuda::allocate(bytes, device, stream_of(stream)));
  });
  m.def("raw_deallocate", [](Handle block, int device) { cuda::deallocate(reinterpret_cast<void*>(block), device); });
}

}  // namespace pynn::python
