// runtime.cpp -- devices' memory, streams, events and graphs of the emulator. All work is done when it is submitted.
//
// PYNN_EMULATED_CUDA_DEVICES (1) and PYNN_EMULATED_CUDA_MEMORY (bytes of each, 4 GiB) say what there is.
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda_runtime.h"
#include "device_memory.h"

struct CUstream_st {
  int device, priority;
};
struct CUevent_st {
  std::chrono::steady_clock::time_point at;
  bool recorded, timing;
};
struct CUgraph_st {
  std::vector<std::function<void()>> work;
  cudaStream_t stream;
  bool broken;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};

namespace emulator {
namespace {

using Byte = unsigned char;
constexpr size_t kSpacing = size_t(1) << 38;
// Far from where mmap puts things, so that nothing else gets there while the memory is away.
Byte* const kVisible = reinterpret_cast<Byte*>(uintptr_t(0x100000000000));
Byte* const kAway = reinterpret_cast<Byte*>(uintptr_t(0x180000000000));

size_t setting(const char* name, size_t otherwise) {
  const char* text = std::getenv(name);
  return text && *text ? std::strtoull(text, nullptr, 10) : otherwise;
}
int devices() {
  static const int n = static_cast<int>(std::min<size_t>(setting("PYNN_EMULATED_CUDA_DEVICES", 1), kMaxDevices));
  return n;
}
const bool crash_on_touch = setting("PYNN_EMULATED_CUDA_CRASH", 0) != 0;
size_t memory_size() {
  static const size_t n = setting("PYNN_EMULATED_CUDA_MEMORY", size_t(4) << 30);
  return n;
}

std::recursive_mutex mutex;  // one launch or copy at a time
thread_local int device_at_hand = 0;
thread_local cudaError_t last_error = cudaSuccess;

// A device's memory is moved to another address while nobody may touch it: that costs the same for any size, which
// mprotect does not.
struct Memory {
  bool mapped = false;
  int open = 0;
  size_t used = 0;
  std::map<Byte*, size_t> live;
};
Memory memories[kMaxDevices];
std::map<Byte*, size_t>& pinned() {
  static auto* m = new std::map<Byte*, size_t>;
  return *m;
}
Byte* base(int device) { return kVisible + size_t(device) * kSpacing; }
Byte* away(int device) { return kAway + size_t(device) * kSpacing; }
// A whole number of the page tables' largest pieces, which move without being copied.
size_t mapped_size() {
  constexpr size_t piece = size_t(1) << 30;
  return std::max<size_t>((memory_size() + piece - 1) / piece, 1) * piece;
}
int device_of(const void* p) {
  const auto a = reinterpret_cast<uintptr_t>(p), b = reinterpret_cast<uintptr_t>(kVisible);
  if (a < b || a >= b + kMaxDevices * kSpacing) return -1;
  const int d = static_cast<int>((a - b) / kSpacing);
  return (a - b) % kSpacing < mapped_size() ? d : -1;
}

void move(Byte* from, Byte* to) {
  if (mremap(from, mapped_size(), mapped_size(), MREMAP_MAYMOVE | MREMAP_FIXED, to) != to) {
    std::perror("cuda emulator: mremap");
    std::abort();
  }
}

// Host code that touches device memory gets it, so that a test ends with an error and not the whole run; the next call
// of a function that reports errors says so. PYNN_EMULATED_CUDA_CRASH=1: it crashes, where a debugger can see it.
struct sigaction before;
std::atomic<int> touched{-1};  // this device's memory, which lies open since
void on_fault(int, siginfo_t* info, void*) {
  const int d = device_of(info->si_addr);
  if (d >= 0) {
    static const char line[] = "cuda emulator: host code touched device memory\n";
    if (write(2, line, sizeof line - 1) < 0) _exit(139);
    if (memories[d].mapped && !memories[d].open && touched < 0 && !crash_on_touch) {
      touched = d;
      move(away(d), base(d));
      return;
    }
  }
  sigaction(SIGSEGV, &before, nullptr);  // and fault again
}

void map_memory(int device) {
  Memory& m = memories[device];
  if (m.mapped) return;
  void* p = mmap(away(device), mapped_size(), PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  PYNN_CHECK(p == away(device), "cuda emulator: cannot map the devices' memory");
  m.mapped = true;
  shadow_device(device, base(device), mapped_size());
  static bool installed = false;
  if (!installed) {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before);
    installed = true;
  }
}
CUgraph_st* capturing = nullptr;

cudaError_t fault(cudaError_t e) { return last_error = e; }
cudaError_t fault(cudaError_t e, const char* why) {
  std::fprintf(stderr, "cuda emulator: %s\n", why);
  return fault(e);
}
bool touch_to_report = false;
void take_away_touched() {
  const int d = touched.exchange(-1);
  if (d < 0) return;
  move(base(d), away(d));
  touch_to_report = true;
}
bool report_touch() {
  std::lock_guard lock(mutex);
  take_away_touched();
  if (touch_to_report) last_error = cudaErrorIllegalAddress;
  return std::exchange(touch_to_report, false);
}
// What may not be asked for while work is only recorded.
bool breaks_capture() {
  if (report_touch()) return true;
  if (!capturing) return false;
  capturing->broken = true;
  last_error = cudaErrorStreamCaptureUnsupported;
  return true;
}

// Host memory, or within one allocation of a device.
bool valid(const void* p, size_t n) {
  const int d = device_of(p);
  if (d < 0) return true;
  const auto& live = memories[d].live;
  auto it = live.upper_bound(const_cast<Byte*>(static_cast<const Byte*>(p)));
  if (it == live.begin()) return false;
  --it;
  return static_cast<const Byte*>(p) + n <= it->first + it->second;
}
bool kind_fits(const void* p, cudaMemcpyKind kind, bool target) {
  const bool device = target ? kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice
                             : kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
  if (kind == cudaMemcpyDefault) return true;
  return device == (device_of(p) >= 0) || pinned().count(static_cast<Byte*>(const_cast<void*>(p)));
}

}  // namespace

int current_device() { return device_at_hand; }
bool is_pinned(const void* p, size_t n) {
  auto* byte = static_cast<Byte*>(const_cast<void*>(p));
  auto it = pinned().upper_bound(byte);
  return it != pinned().begin() && byte + n <= std::prev(it)->first + std::prev(it)->second;
}

MemoryAccess::MemoryAccess(int device) : device_(device) {
  mutex.lock();
  take_away_touched();
  for (int d = 0; d < kMaxDevices; d++)
    if ((d == device || device < 0) && memories[d].mapped && memories[d].open++ == 0) move(away(d), base(d));
}
MemoryAccess::~MemoryAccess() {
  for (int d = 0; d < kMaxDevices; d++)
    if ((d == device_ || device_ < 0) && memories[d].mapped && --memories[d].open == 0) move(base(d), away(d));
  mutex.unlock();
}

void submit(std::function<void()> work) {
  if (capturing)
    capturing->work.push_back(std::move(work));
  else
    work();
}

}  // namespace emulator

using namespace emulator;

// ---- errors ----

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char* cudaGetErrorString(cudaError_t e) {
  switch (e) {
    case cudaSuccess:
      return "no error";
    case cudaErrorInvalidValue:
      return "invalid argument";
    case cudaErrorIllegalAddress:
      return "an illegal memory access was encountered: host code touched device memory";
    case cudaErrorMemoryAllocation:
      return "out of memory";
    case cudaErrorNoDevice:
      return "no CUDA-capable device is detected";
    case cudaErrorInvalidDevice:
      return "invalid device ordinal";
    case cudaErrorInvalidConfiguration:
      return "invalid configuration argument";
    case cudaErrorInvalidResourceHandle:
      return "invalid resource handle";
    case cudaErrorNotReady:
      return "device not ready";
    case cudaErrorNotSupported:
      return "operation not supported";
    case cudaErrorStreamCaptureUnsupported:
      return "operation not permitted when stream is capturing";
    case cudaErrorStreamCaptureInvalidated:
      return "operation failed due to a previous error during capture";
    default:
      return "unspecified launch failure";
  }
}
const char* cudaGetErrorName(cudaError_t e) { return e == cudaSuccess ? "cudaSuccess" : "cudaError"; }

// ---- devices ----

cudaError_t cudaDriverGetVersion(int* v) { return *v = devices() ? CUDART_VERSION : 0, cudaSuccess; }
cudaError_t cudaRuntimeGetVersion(int* v) { return *v = CUDART_VERSION, cudaSuccess; }
cudaError_t cudaGetDeviceCount(int* n) {
  *n = devices();
  return *n ? cudaSuccess : fault(cudaErrorNoDevice);
}
cudaError_t cudaGetDevice(int* d) {
  *d = device_at_hand;
  return devices() ? cudaSuccess : fault(cudaErrorNoDevice);
}
cudaError_t cudaSetDevice(int d) {
  if (d < 0 || d >= devices()) return fault(devices() ? cudaErrorInvalidDevice : cudaErrorNoDevice);
  device_at_hand = d;
  return cudaSuccess;
}
cudaError_t cudaInitDevice(int d, unsigned, unsigned) {
  return d < 0 || d >= devices() ? fault(cudaErrorInvalidDevice) : cudaSuccess;
}
cudaError_t cudaSetDeviceFlags(unsigned) { return cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* p, int d) {
  if (d < 0 || d >= devices()) return fault(cudaErrorInvalidDevice);
  *p = {};
  std::snprintf(p->name, sizeof p->name, "Emulated CUDA device %d", d);
  p->totalGlobalMem = memory_size();
  p->sharedMemPerBlock = 48 * 1024;
  p->sharedMemPerBlockOptin = 227 * 1024;
  p->sharedMemPerMultiprocessor = 228 * 1024;
  p->totalConstMem = 64 * 1024;
  p->regsPerBlock = p->regsPerMultiprocessor = 65536;
  p->warpSize = 32;
  p->maxThreadsPerBlock = 1024;
  p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
  p->maxGridSize[0] = 0x7fffffff, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
  p->major = 9;
  p->multiProcessorCount = 2;
  p->canMapHostMemory = p->concurrentKernels = p->unifiedAddressing = 1;
  p->memoryBusWidth = 5120;
  p->l2CacheSize = 1 << 20;
  p->maxThreadsPerMultiProcessor = 2048;
  p->maxBlocksPerMultiProcessor = 32;
  return cudaSuccess;
}
cudaError_t cudaDeviceGetAttribute(int* v, cudaDeviceAttr a, int d) {
  cudaDeviceProp p;
  if (cudaGetDeviceProperties(&p, d) != cudaSuccess) return last_error;
  switch (a) {
    case cudaDevAttrMaxThreadsPerBlock:
      return *v = p.maxThreadsPerBlock, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlock:
      return *v = static_cast<int>(p.sharedMemPerBlock), cudaSuccess;
    case cudaDevAttrWarpSize:
      return *v = p.warpSize, cudaSuccess;
    case cudaDevAttrClockRate:
    case cudaDevAttrMemoryClockRate:
      return *v = 1000000, cudaSuccess;
    case cudaDevAttrMultiProcessorCount:
      return *v = p.multiProcessorCount, cudaSuccess;
    case cudaDevAttrGlobalMemoryBusWidth:
      return *v = p.memoryBusWidth, cudaSuccess;
    case cudaDevAttrL2CacheSize:
      return *v = p.l2CacheSize, cudaSuccess;
    case cudaDevAttrMaxThreadsPerMultiProcessor:
      return *v = p.maxThreadsPerMultiProcessor, cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor:
      return *v = p.major, cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor:
      return *v = p.minor, cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
      return *v = static_cast<int>(p.sharedMemPerMultiprocessor), cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
      return *v = static_cast<int>(p.sharedMemPerBlockOptin), cudaSuccess;
    case cudaDevAttrMemoryPoolsSupported:
      return *v = 0, cudaSuccess;
  }
  return fault(cudaErrorInvalidValue);
}
cudaError_t cudaDeviceGetPCIBusId(char* to, int n, int d) {
  std::snprintf(to, static_cast<size_t>(n), "0000:%02x:00.0", d);
  return cudaSuccess;
}
cudaError_t cudaDeviceSynchronize() {
  return breaks_capture() ? last_error : devices() ? cudaSuccess : fault(cudaErrorNoDevice);
}
cudaError_t cudaDeviceReset() { return cudaSuccess; }
cudaError_t cudaDeviceCanAccessPeer(int* can, int, int) { return *can = 0, cudaSuccess; }
cudaError_t cudaDeviceEnablePeerAccess(int, unsigned) { return fault(cudaErrorNotSupported); }

// ---- memory ----

cudaError_t cudaMalloc(void** p, size_t n) {
  *p = nullptr;
  if (!devices()) return fault(cudaErrorNoDevice);
  std::lock_guard lock(mutex);
  const int d = device_at_hand;
  Memory& m = memories[d];
  map_memory(d);
  if (!n) return cudaSuccess;
  const size_t size = (n + kAlign - 1) / kAlign * kAlign;
  Byte* at = base(d);  // the first gap that is large enough
  for (auto& [start, length] : m.live) {
    if (at + size + kAlign <= start) break;
    at = start + (length + kAlign - 1) / kAlign * kAlign + kAlign;  // a gap, so that running over is noticed
  }
  if (size > memory_size() || at + size > base(d) + memory_size()) return fault(cudaErrorMemoryAllocation);
  MemoryAccess access(d);
  std::memset(at, 0xFF, size);  // NaN for who reads before writing
  m.live[at] = n;
  shadow_block(d, at, n, true);
  m.used += size;
  *p = at;
  return cudaSuccess;
}
cudaError_t cudaFree(void* p) {
  if (!p) return cudaSuccess;
  if (breaks_capture()) return last_error;
  const int d = device_of(p);
  std::lock_guard lock(mutex);
  if (d < 0 || !memories[d].live.count(static_cast<Byte*>(p)))
    return fault(cudaErrorInvalidValue, "cudaFree of what cudaMalloc did not return");
  const size_t size = (memories[d].live[static_cast<Byte*>(p)] + kAlign - 1) / kAlign * kAlign;
  shadow_block(d, p, memories[d].live[static_cast<Byte*>(p)], false);
  memories[d].live.erase(static_cast<Byte*>(p));
  memories[d].used -= size;
  MemoryAccess access(d);
  auto *begin = static_cast<Byte*>(p), *end = begin + size;
  if (size >= size_t(1) << 20) {  // whole pages are given back, which the neighbours' bytes are not part of
    constexpr uintptr_t page = 4096;
    auto* first = begin + (page - reinterpret_cast<uintptr_t>(begin) % page) % page;
    auto* last = end - reinterpret_cast<uintptr_t>(end) % page;
    madvise(first, static_cast<size_t>(last - first), MADV_DONTNEED);
    std::memset(last, 0xFF, static_cast<size_t>(end - last));
    end = first;
  }
  std::memset(begin, 0xFF, static_cast<size_t>(end - begin));
  return cudaSuccess;
}
cudaError_t cudaMallocAsync(void** p, size_t n, cudaStream_t) { return cudaMalloc(p, n); }
cudaError_t cudaFreeAsync(void* p, cudaStream_t) { return cudaFree(p); }
cudaError_t cudaHostAlloc(void** p, size_t n, unsigned) {
  *p = nullptr;
  if (!devices()) return fault(cudaErrorNoDevice);
  std::lock_guard lock(mutex);
  *p = std::aligned_alloc(4096, (n + 4095) / 4096 * 4096 + 4096);
  if (!*p) return fault(cudaErrorMemoryAllocation);
  pinned()[static_cast<Byte*>(*p)] = n;
  return cudaSuccess;
}
cudaError_t cudaMallocHost(void** p, size_t n, unsigned flags) { return cudaHostAlloc(p, n, flags); }
cudaError_t cudaFreeHost(void* p) {
  if (!p) return cudaSuccess;
  std::lock_guard lock(mutex);
  if (!pinned().erase(static_cast<Byte*>(p)))
    return fault(cudaErrorInvalidValue, "cudaFreeHost of what cudaHostAlloc did not return");
  std::free(p);
  return cudaSuccess;
}
cudaError_t cudaHostRegister(void* p, size_t n, unsigned) {
  std::lock_guard lock(mutex);
  pinned()[static_cast<Byte*>(p)] = n;
  return cudaSuccess;
}
cudaError_t cudaHostUnregister(void* p) {
  std::lock_guard lock(mutex);
  return pinned().erase(static_cast<Byte*>(p)) ? cudaSuccess : fault(cudaErrorInvalidValue);
}
cudaError_t cudaHostGetDevicePointer(void** to, void* host, unsigned) { return *to = host, cudaSuccess; }
cudaError_t cudaMemGetInfo(size_t* available, size_t* total) {
  if (!devices()) return fault(cudaErrorNoDevice);
  std::lock_guard lock(mutex);
  *total = memory_size();
  *available = *total - memories[device_at_hand].used;
  return cudaSuccess;
}
cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* a, const void* p) {
  std::lock_guard lock(mutex);
  *a = {cudaMemoryTypeUnregistered, -1, nullptr, const_cast<void*>(p)};
  if (const int d = device_of(p); d >= 0) {
    *a = {cudaMemoryTypeDevice, d, const_cast<void*>(p), nullptr};
  } else if (is_pinned(p, 1)) {
    *a = {cudaMemoryTypeHost, 0, const_cast<void*>(p), const_cast<void*>(p)};
  }
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t n, cudaMemcpyKind kind, cudaStream_t) {
  if (report_touch()) return last_error;
  if (!n) return cudaSuccess;
  if (!kind_fits(to, kind, true) || !kind_fits(from, kind, false))
    return fault(cudaErrorInvalidValue, "cudaMemcpy: the pointers are not where `kind` says");
  if (!valid(to, n) || !valid(from, n))
    return fault(cudaErrorInvalidValue, "cudaMemcpy: not within what cudaMalloc returned");
  submit([=] {
    MemoryAccess access(-1);
    std::memmove(to, from, n);
  });
  return cudaSuccess;
}
cudaError_t cudaMemcpy(void* to, const void* from, size_t n, cudaMemcpyKind kind) {
  return breaks_capture() ? last_error : cudaMemcpyAsync(to, from, n, kind, nullptr);
}
cudaError_t cudaMemcpyPeerAsync(void* to, int, const void* from, int, size_t n, cudaStream_t s) {
  return cudaMemcpyAsync(to, from, n, cudaMemcpyDeviceToDevice, s);
}
cudaError_t cudaMemcpyPeer(void* to, int, const void* from, int, size_t n) {
  return cudaMemcpy(to, from, n, cudaMemcpyDeviceToDevice);
}
cudaError_t cudaMemcpy2DAsync(void* to, size_t to_pitch, const void* from, size_t from_pitch, size_t width,
                              size_t height, cudaMemcpyKind kind, cudaStream_t s) {
  for (size_t i = 0; i < height; i++)
    if (cudaMemcpyAsync(static_cast<Byte*>(to) + i * to_pitch, static_cast<const Byte*>(from) + i * from_pitch, width,
                        kind, s) != cudaSuccess)
      return last_error;
  return cudaSuccess;
}
cudaError_t cudaMemsetAsync(void* p, int value, size_t n, cudaStream_t) {
  if (!n) return cudaSuccess;
  if (device_of(p) < 0 || !valid(p, n))
    return fault(cudaErrorInvalidValue, "cudaMemset: not within what cudaMalloc returned");
  submit([=] {
    MemoryAccess access(device_of(p));
    std::memset(p, value, n);
  });
  return cudaSuccess;
}
cudaError_t cudaMemset(void* p, int value, size_t n) {
  return breaks_capture() ? last_error : cudaMemsetAsync(p, value, n, nullptr);
}

// ---- streams and events ----

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* s, unsigned, int priority) {
  return *s = new CUstream_st{device_at_hand, priority}, cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* s, unsigned f) { return cudaStreamCreateWithPriority(s, f, 0); }
cudaError_t cudaStreamCreate(cudaStream_t* s) { return cudaStreamCreateWithPriority(s, 0, 0); }
cudaError_t cudaDeviceGetStreamPriorityRange(int* least, int* greatest) {
  return *least = 0, *greatest = -5, cudaSuccess;
}
cudaError_t cudaStreamGetPriority(cudaStream_t s, int* priority) {
  return *priority = reinterpret_cast<uintptr_t>(s) > 2 ? s->priority : 0, cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t s) { return delete s, cudaSuccess; }
cudaError_t cudaStreamSynchronize(cudaStream_t) { return breaks_capture() ? last_error : cudaSuccess; }
cudaError_t cudaStreamQuery(cudaStream_t) { return breaks_capture() ? last_error : cudaSuccess; }
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned) { return cudaSuccess; }
cudaError_t cudaLaunchHostFunc(cudaStream_t, cudaHostFn_t f, void* data) {
  submit([=] { f(data); });
  return cudaSuccess;
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* e, unsigned flags) {
  return *e = new CUevent_st{{}, false, !(flags & cudaEventDisableTiming)}, cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* e) { return cudaEventCreateWithFlags(e, 0); }
cudaError_t cudaEventDestroy(cudaEvent_t e) { return delete e, cudaSuccess; }
cudaError_t cudaEventRecord(cudaEvent_t e, cudaStream_t) {
  e->at = std::chrono::steady_clock::now();
  e->recorded = true;
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t e, cudaStream_t s, unsigned) { return cudaEventRecord(e, s); }
cudaError_t cudaEventQuery(cudaEvent_t) { return breaks_capture() ? last_error : cudaSuccess; }
cudaError_t cudaEventSynchronize(cudaEvent_t) { return breaks_capture() ? last_error : cudaSuccess; }
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t a, cudaEvent_t b) {
  if (!a->recorded || !b->recorded || !a->timing || !b->timing) return fault(cudaErrorInvalidResourceHandle);
  *ms = std::chrono::duration<float, std::milli>(b->at - a->at).count();
  return cudaSuccess;
}

// ---- graphs: what is submitted meanwhile, whatever its stream ----

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode) {
  if (capturing || !s) return fault(cudaErrorStreamCaptureUnsupported);
  capturing = new CUgraph_st{{}, s, false};
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t* g) {
  *g = nullptr;
  if (!capturing || capturing->stream != s) return fault(cudaErrorStreamCaptureUnmatched);
  CUgraph_st* captured = std::exchange(capturing, nullptr);
  if (captured->broken) {
    delete captured;
    return fault(cudaErrorStreamCaptureInvalidated);
  }
  return *g = captured, cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus* status) {
  const bool active = capturing && capturing->stream == s;
  return *status = active ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone, cudaSuccess;
}
cudaError_t cudaStreamGetCaptureInfo(cudaStream_t s, cudaStreamCaptureStatus* status, unsigned long long* id,
                                     cudaGraph_t* g) {
  if (id) *id = 1;
  if (g) *g = capturing;
  return cudaStreamIsCapturing(s, status);
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* e, cudaGraph_t g, unsigned long long) {
  return *e = new CUgraphExec_st{g->work}, cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t g, cudaGraphNode_t*, size_t* n) { return *n = g->work.size(), cudaSuccess; }
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t e, cudaStream_t) {
  for (auto& work : e->work) submit(work);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t g) { return delete g, cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t e) { return delete e, cudaSuccess; }

// ---- kernels ----

cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute a, int value) {
  return a == cudaFuncAttributeMaxDynamicSharedMemorySize && value > 227 * 1024 ? fault(cudaErrorInvalidValue)
                                                                                : cudaSuccess;
}
cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* a, const void*) {
  return *a = {0, 0, 0, 1024, 32, 227 * 1024}, cudaSuccess;
}
cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* n, const void*, int block, size_t shared) {
  *n = static_cast<int>(
      std::min<size_t>(2048 / static_cast<size_t>(std::max(block, 1)), shared ? 227 * 1024 / shared : size_t(32)));
  return cudaSuccess;
}
