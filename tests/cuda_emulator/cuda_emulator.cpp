// cuda_emulator.cpp -- fibers, barriers and warps.
#include "cuda_emulator.h"

#include <sys/mman.h>

#include <exception>
#include <memory>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "cuda_runtime.h"
#include "device_memory.h"
#ifndef __x86_64__
#include <ucontext.h>
#endif

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {

KernelState kernel_state;

namespace {

constexpr unsigned kMaxThreads = 1024, kWarpSize = 32, kMaxShared = 227 * 1024;
constexpr size_t kStack = 64 * 1024, kGuard = 4096;

// ---- fibers ----

struct Fiber {
  unsigned char* stack = nullptr;
#ifdef __x86_64__
  void* sp = nullptr;
#else
  ucontext_t context;
#endif
  bool started = false;
};

void fiber_main();

#ifdef __x86_64__
extern "C" void pynn_emulator_switch(void** save, void* to);
// What the ABI lets a function keep, on the stack it leaves.
asm(R"(
.text
.type pynn_emulator_switch, @function
pynn_emulator_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size pynn_emulator_switch, .-pynn_emulator_switch
)");
#endif

class Fibers {
 public:
  Fiber* take() {
    if (free_.empty()) {
      all_.push_back(std::make_unique<Fiber>());
      Fiber* f = all_.back().get();
      void* p = mmap(nullptr, kStack + kGuard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      PYNN_CHECK(p != MAP_FAILED && mprotect(p, kGuard, PROT_NONE) == 0, "cuda emulator: no memory for a stack");
      f->stack = static_cast<unsigned char*>(p) + kGuard;
      return f;
    }
    Fiber* f = free_.back();
    free_.pop_back();
    return f;
  }
  void give(Fiber* f) { free_.push_back(f); }
  // After a launch that failed, whatever still waits is forgotten.
  void reset() {
    free_.clear();
    for (auto& f : all_) {
      f->started = false;
      free_.push_back(f.get());
    }
  }
  void go(Fiber* from, Fiber* to) {
    kernel_state.stack = reinterpret_cast<uintptr_t>(to->stack);
    kernel_state.stack_size = to->stack ? kStack : 0;
#ifdef __x86_64__
    if (!to->started && to != &main) {
      to->started = true;
      // Different offsets, so that equal frames do not meet in the same cache sets.
      const size_t colour = reinterpret_cast<uintptr_t>(to) / 64 % 32 * 128;
      void** top = reinterpret_cast<void**>(to->stack + kStack - 64 - colour);
      *--top = nullptr;  // where fiber_main would return to
      *--top = reinterpret_cast<void*>(&fiber_main);
      for (int i = 0; i < 6; i++) *--top = nullptr;
      to->sp = top;
    }
    pynn_emulator_switch(&from->sp, to->sp);
#else
    if (!to->started && to != &main) {
      to->started = true;
      getcontext(&to->context);
      to->context.uc_stack.ss_sp = to->stack;
      to->context.uc_stack.ss_size = kStack;
      to->context.uc_link = nullptr;
      makecontext(&to->context, fiber_main, 0);
    }
    swapcontext(&from->context, &to->context);
#endif
  }
  Fiber main;

 private:
  std::vector<std::unique_ptr<Fiber>> all_;
  std::vector<Fiber*> free_;
};
Fibers& fibers() {
  static auto* f = new Fibers;  // never destroyed
  return *f;
}

// ---- the block that runs ----

enum class State : uint8_t { New, Ready, Barrier, Warp, Done };

struct Exchange {  // what a lane waits with
  WarpOp op;
  unsigned mask;
  int source;
  size_t size;
  alignas(16) unsigned char in[16], out[16];
};

struct Block {
  const Body* body;
  unsigned threads, alive, at_barrier, current;
  int votes[3], result[3];  // by Vote
  std::exception_ptr error;
  unsigned warp_waiting[kMaxThreads / kWarpSize], warp_ended[kMaxThreads / kWarpSize];  // bits of lanes
  State state[kMaxThreads];
  Fiber* fiber[kMaxThreads];
  Exchange exchange[kMaxThreads];
};
Block block;
alignas(1024) unsigned char dynamic_shared[kMaxShared];

void enter(unsigned t) {
  block.current = t;
  if (blockDim.y == 1 && blockDim.z == 1)
    threadIdx = {t, 0, 0};
  else
    threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

// The next thread that can go on, in turn, or -1.
int next_thread() {
  for (unsigned k = 1, t = block.current; k <= block.threads; k++) {
    if (++t == block.threads) t = 0;
    if (block.state[t] <= State::Ready) return static_cast<int>(t);
  }
  return -1;
}

std::string where() {
  return pynn::concat(" (block ", blockIdx.x, ",", blockIdx.y, ",", blockIdx.z, " of ", gridDim.x, ",", gridDim.y, ",",
                      gridDim.z, ", thread ", threadIdx.x, ",", threadIdx.y, ",", threadIdx.z, " of ", blockDim.x, ",",
                      blockDim.y, ",", blockDim.z, ")");
}

std::string describe_deadlock() {
  kernel_state.over = true;
  unsigned warp = 0;
  for (unsigned t = 0; t < block.threads; t++) warp += block.state[t] == State::Warp;
  return pynn::concat("cuda emulator: deadlock: of ", block.threads, " threads ", block.at_barrier,
                      " wait at __syncthreads, ", warp, " for lanes of their warp that do not come, ",
                      block.threads - block.alive, " have ended", where());
}

// To another thread, or to run() when all have ended or nobody can go on. `here`: the fiber that is left.
void leave(Fiber* here, bool ended) {
  const int next = block.error ? -1 : next_thread();
  if (next < 0) {
    if (block.alive && !block.error)
      block.error = std::make_exception_ptr(pynn::Error(pynn::ErrorKind::Runtime, describe_deadlock()));
    if (ended) fibers().give(here);
    fibers().go(here, &fibers().main);
    return;
  }
  const unsigned t = static_cast<unsigned>(next);
  const bool fresh = block.state[t] == State::New;
  enter(t);
  block.state[t] = State::Ready;
  if (fresh && ended) {
    block.fiber[t] = here;
    return;  // goes on in fiber_main's loop
  }
  Fiber* to = fresh ? fibers().take() : block.fiber[t];
  block.fiber[t] = to;
  if (ended) fibers().give(here);
  if (to != here) fibers().go(here, to);
}

void release_barrier() {
  std::memcpy(block.result, block.votes, sizeof block.votes);
  block.votes[0] = 0, block.votes[1] = 1, block.votes[2] = 0;
  block.at_barrier = 0;
  for (unsigned t = 0; t < block.threads; t++)
    if (block.state[t] == State::Barrier) block.state[t] = State::Ready;
}

// Lets the lanes of `mask` in the warp of thread `first` go on if all of them that have not ended are there.
void try_exchange(unsigned first, unsigned mask) {
  const unsigned present = mask & ~block.warp_ended[first / kWarpSize];
  if (present & ~block.warp_waiting[first / kWarpSize] || !present) return;
  const Exchange* model = &block.exchange[first + static_cast<unsigned>(__builtin_ctz(present))];
  for (unsigned l = 0; l < kWarpSize; l++) {
    if (!(present >> l & 1)) continue;
    const Exchange& x = block.exchange[first + l];
    if (x.mask != mask || x.op != model->op || x.size != model->size)
      trap("lanes of a warp meet in different operations, or with different masks");
  }
  unsigned ballot = 0;
  for (unsigned l = 0; l < kWarpSize; l++)
    if (present >> l & 1 && model->op == WarpOp::Ballot && block.exchange[first + l].in[0]) ballot |= 1u << l;
  for (unsigned l = 0; l < kWarpSize; l++) {
    if (!(present >> l & 1)) continue;
    Exchange& x = block.exchange[first + l];
    if (x.op == WarpOp::Shuffle) {
      const unsigned s = static_cast<unsigned>(x.source);
      if (present >> s & 1)
        std::memcpy(x.out, block.exchange[first + s].in, x.size);
      else
        std::memset(x.out, 0xFF, sizeof x.out);
    } else if (x.op == WarpOp::Ballot) {
      std::memcpy(x.out, &ballot, sizeof ballot);
    } else if (x.op == WarpOp::Match) {
      unsigned same = 0;
      for (unsigned k = 0; k < kWarpSize; k++)
        if (present >> k & 1 && !std::memcmp(block.exchange[first + k].in, x.in, x.size)) same |= 1u << k;
      std::memcpy(x.out, &same, sizeof same);
    }
    block.state[first + l] = State::Ready;
  }
  block.warp_waiting[first / kWarpSize] &= ~present;
}

void thread_ended() {
  const unsigned t = block.current, first = t / kWarpSize * kWarpSize;
  block.state[t] = State::Done;
  block.warp_ended[t / kWarpSize] |= 1u << t % kWarpSize;
  block.alive--;
  if (block.at_barrier && block.at_barrier == block.alive) release_barrier();
  if (!block.warp_waiting[t / kWarpSize]) return;
  for (unsigned l = first; l < first + kWarpSize && l < block.threads; l++)
    if (block.state[l] == State::Warp && block.exchange[l].mask >> (t - first) & 1)
      try_exchange(first, block.exchange[l].mask);
}

void fiber_main() {
  for (;;) {
    Fiber* here = block.fiber[block.current];
    try {
      (*block.body)();
      thread_ended();
    } catch (...) {
      block.error = std::current_exception();
    }
    leave(here, true);
  }
}

void run_block() {
  block.alive = block.threads;
  block.at_barrier = 0;
  block.votes[0] = 0, block.votes[1] = 1, block.votes[2] = 0;
  std::memset(block.state, static_cast<int>(State::New), block.threads);
  std::memset(block.warp_waiting, 0, sizeof block.warp_waiting);
  std::memset(block.warp_ended, 0, sizeof block.warp_ended);
  if (block.threads % kWarpSize) block.warp_ended[block.threads / kWarpSize] = ~0u << block.threads % kWarpSize;
  Fiber* first = fibers().take();
  enter(0);
  block.state[0] = State::Ready;
  block.fiber[0] = first;
  fibers().go(&fibers().main, first);
  if (block.error) {
    fibers().reset();
    std::rethrow_exception(std::exchange(block.error, nullptr));
  }
}

bool in_kernel = false;

void run_grid(dim3 grid, dim3 size, size_t shared, const Body& body) {
  MemoryAccess access(current_device());
  PYNN_CHECK(!in_kernel, "cuda emulator: a kernel launches a kernel");
  struct Running {
    Running() { in_kernel = true; }
    ~Running() { in_kernel = false; }
  } running;
  shadow_activate(current_device());
  kernel_state.over = false;
  kernel_state.parameters = reinterpret_cast<uintptr_t>(body.parameters());
  kernel_state.parameters_size = body.size();
  kernel_state.shared = reinterpret_cast<uintptr_t>(dynamic_shared);
  kernel_state.shared_size = shared;
  kernel_state.shared_capacity = sizeof dynamic_shared;
  gridDim = grid;
  blockDim = size;
  block.body = &body;
  block.threads = size.x * size.y * size.z;
  for (unsigned z = 0; z < grid.z; z++)
    for (unsigned y = 0; y < grid.y; y++)
      for (unsigned x = 0; x < grid.x; x++) {
        blockIdx = {x, y, z};
        std::memset(dynamic_shared, 0xFF, shared);  // a NaN for who reads before writing
        run_block();
      }
}

}  // namespace

void run(dim3 grid, dim3 size, size_t shared, Body body) {
  PYNN_CHECK(grid.x && grid.y && grid.z && size.x && size.y && size.z && grid.x <= 0x7fffffffu && grid.y <= 65535 &&
                 grid.z <= 65535 && size.z <= 64 && uint64_t(size.x) * size.y * size.z <= kMaxThreads,
             "launch: invalid configuration argument: grid ", grid.x, ",", grid.y, ",", grid.z, ", block ", size.x, ",",
             size.y, ",", size.z);
  PYNN_CHECK(shared <= kMaxShared, "launch: invalid argument: ", shared, " bytes of shared memory");
  submit([=, body = std::move(body)] { run_grid(grid, size, shared, body); });
}

void* dynamic_shared_memory() { return dynamic_shared; }
int lane() { return static_cast<int>(block.current % kWarpSize); }
void trap(const char* what) {
  kernel_state.over = true;
  pynn::fail(pynn::ErrorKind::Runtime, "cuda emulator: ", what, where());
}

void abandon(const std::string& why) {
  block.error =
      std::make_exception_ptr(pynn::Error(pynn::ErrorKind::Runtime, pynn::concat("cuda emulator: ", why, where())));
  fibers().go(block.fiber[block.current], &fibers().main);
  std::abort();  // nobody comes back
}

int block_barrier(int predicate, Vote vote) {
  block.votes[0] += predicate != 0;
  block.votes[1] &= predicate != 0;
  block.votes[2] |= predicate != 0;
  const unsigned t = block.current;
  block.state[t] = State::Barrier;
  if (++block.at_barrier == block.alive) {
    release_barrier();
    // Everybody starts anew from the first thread: an order that does not depend on who came last.
    block.current = block.threads - 1;
  }
  leave(block.fiber[t], false);
  return block.result[static_cast<int>(vote)];
}

void warp_exchange(WarpOp op, unsigned mask, int source, const void* in, void* out, size_t size) {
  const unsigned t = block.current, l = t % kWarpSize;
  if (!(mask >> l & 1)) trap("a thread calls a warp operation with a mask without itself");
  Exchange& x = block.exchange[t];
  x.op = op, x.mask = mask, x.source = source, x.size = size;
  if (in) std::memcpy(x.in, in, size);
  block.state[t] = State::Warp;
  block.warp_waiting[t / kWarpSize] |= 1u << l;
  try_exchange(t - l, mask);
  if (block.state[t] == State::Warp) leave(block.fiber[t], false);
  if (out) std::memcpy(out, x.out, op == WarpOp::Shuffle ? size : sizeof(unsigned));
}

}  // namespace emulator
