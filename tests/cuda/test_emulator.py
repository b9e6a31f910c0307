"""The emulator itself: what it must notice. Compiles tests/cuda_emulator with a few kernels; needs g++ and the sources."""

import platform
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
EMULATOR = ROOT / "tests" / "cuda_emulator"

pytestmark = [
    pytest.mark.no_device,
    pytest.mark.slow,
    pytest.mark.skipif(
        not shutil.which("g++") or platform.machine() != "x86_64" or not (ROOT / "csrc").is_dir(),
        reason="needs g++ on x86-64, and the sources",
    ),
]

PROGRAM = r"""
#include <cstdio>
#include <string>
#include "core/error.h"
#include "cuda_runtime.h"

template <class F>
void expect(const char* name, const char* words, dim3 block, F f, size_t shared = 0) {
  std::string message = "no error";
  try {
    emulator::run(2, block, shared, f);
  } catch (const pynn::Error& e) {
    message = e.what();
  }
  if (message.find(words) == std::string::npos) std::printf("%s: %s\n", name, message.c_str());
}

int main() {
  constexpr auto kAll = 0xffffffffu;
  float *a, *b, *pinned, *heap = new float[100];
  cudaMalloc(&a, 1000);
  cudaMalloc(&b, 1000);
  cudaMallocHost(&pinned, 64);
  int* out;
  cudaMalloc(&out, 1024 * sizeof(int));

  expect("barrier after some ended", "no error", 64, [] { if (threadIdx.x < 33) __syncthreads(); });
  expect("barrier and warp", "deadlock", 64, [] { if (threadIdx.x < 33) __syncthreads(); else __syncwarp(); });
  expect("lanes that do not come", "deadlock", 32, [] {
    if (threadIdx.x < 16) __shfl_sync(kAll, 1, 0); else __syncthreads();
  });
  expect("not in the mask", "without itself", 32, [] { __shfl_sync(1u, 1, 0); });
  expect("different operations", "different operations", 32, [] {
    if (threadIdx.x < 16) __syncwarp(); else __shfl_sync(kAll, 1, 0);
  });
  expect("trap", "__trap", 32, [] { __trap(); });
  expect("too many threads", "invalid configuration", 2048, [] {});
  expect("host memory", "host memory", 32, [=] { heap[3] = 1; });
  expect("device memory", "no error", 32, [=] { a[249] = 1; });
  expect("beyond a block", "not allocated", 32, [=] { a[250] = 1; });
  expect("before a block", "not allocated", 32, [=] { b[-1] = 1; });
  expect("pinned memory", "no error", 32, [=] { pinned[15] = 1; });
  expect("beyond pinned memory", "host memory", 32, [=] { pinned[16] = 1; });
  expect("beyond shared memory", "shared memory", 32,
         [=] { static_cast<float*>(emulator::dynamic_shared_memory())[threadIdx.x] = 1; }, 124);
  cudaFree(b);
  expect("freed memory", "not allocated", 32, [=] { b[0] = 1; });

  // What is computed. 96 threads: three warps; the last of which is cut in the second launch.
  emulator::run(1, 96, 0, [=] {
    const int t = static_cast<int>(threadIdx.x);
    int v = t;
    for (int l = 16; l; l /= 2) v += __shfl_xor_sync(kAll, v, l);
    __shared__ int part[3];
    if (t % 32 == 0) part[t / 32] = v;
    __syncthreads();
    const int count = __syncthreads_count(t % 3 == 0);
    const unsigned votes = __ballot_sync(kAll, t & 1), same = __match_any_sync(kAll, t % 32 / 10);
    out[t] = part[0] + part[1] + part[2] + count + (votes == 0xaaaaaaaau) + (same >> (t % 32) & 1) +
             __shfl_down_sync(kAll, t, 1, 8) - __shfl_up_sync(kAll, t, 1, 8);
  });
  int host[96];
  cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
  for (int t = 0; t < 96; t++) {
    const int step = t % 8 == 0 || t % 8 == 7 ? 1 : 2;
    if (host[t] != 96 * 95 / 2 + 32 + 1 + 1 + step) std::printf("thread %d: %d\n", t, host[t]);
  }
  emulator::run(1, 80, 0, [=] {
    if (threadIdx.x >= 72) return;  // ended lanes are not waited for; what they would give is undefined
    out[threadIdx.x] = static_cast<int>(__ballot_sync(kAll, 1));
  });
  cudaMemcpy(host, out, sizeof host, cudaMemcpyDeviceToHost);
  if (host[0] != -1 || host[71] != 0xff) std::printf("ballot of a cut warp: %x %x\n", host[0], host[71]);

  // Host code that touches device memory is found out by the next call that reports errors.
  volatile float got = a[0];
  (void)got;
  if (cudaDeviceSynchronize() != cudaErrorIllegalAddress) std::printf("the host may touch device memory\n");
  if (cudaDeviceSynchronize() != cudaSuccess) std::printf("an error is reported twice\n");
  cudaFree(a);
  if (cudaMemcpy(host, a, 4, cudaMemcpyDeviceToHost) == cudaSuccess) std::printf("freed memory is copied\n");

  // What is captured runs when it is replayed, and only then.
  cudaStream_t stream;
  cudaGraph_t graph;
  cudaGraphExec_t replay;
  cudaStreamCreate(&stream);
  cudaMemset(out, 0, 4);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  emulator::run(1, 1, 0, [=] { out[0] += 1; });
  cudaStreamEndCapture(stream, &graph);
  cudaGraphInstantiate(&replay, graph, 0);
  for (int i = 0; i < 3; i++) cudaGraphLaunch(replay, stream);
  cudaMemcpy(host, out, 4, cudaMemcpyDeviceToHost);
  if (host[0] != 3) std::printf("the graph ran %d times\n", host[0]);
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  if (cudaStreamSynchronize(stream) == cudaSuccess) std::printf("waiting can be captured\n");
  if (cudaStreamEndCapture(stream, &graph) == cudaSuccess) std::printf("a broken capture is a graph\n");
  std::puts("done");
}
"""


def test_what_the_emulator_notices(tmp_path):
    source, program = tmp_path / "program.cpp", tmp_path / "program"
    source.write_text(PROGRAM)
    flags = ["g++", "-std=c++20", "-O1", f"-I{EMULATOR}", f"-I{ROOT / 'csrc'}"]
    checks = ["-fsanitize=kernel-address", "--param=asan-instrumentation-with-call-threshold=0"]
    checks += ["--param=asan-stack=0", "--param=asan-globals=0"]
    subprocess.run([*flags, *checks, "-c", source, "-o", tmp_path / "program.o"], check=True)
    files = sorted(map(str, EMULATOR.glob("*.cpp")))
    subprocess.run([*flags, tmp_path / "program.o", *files, "-o", program], check=True)
    run = subprocess.run([program], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout) == (0, "done\n"), run.stdout + run.stderr
