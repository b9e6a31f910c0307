// random_philox.cpp -- the generators of CUDA devices: a seed and how many counters were used. The numbers themselves
// are made on the device (kernels/cuda/philox.cuh).
#include <array>
#include <cstring>
#include <optional>

#include "core/error.h"
#include "core/random.h"

namespace pynn {

CudaGenerator::CudaGenerator(int8_t index, uint64_t seed) : Generator(Device{DeviceType::Cuda, index}) {
  CudaGenerator::manual_seed(seed);
}

void CudaGenerator::manual_seed(uint64_t seed) {
  seed_ = seed;
  offset_ = 0;
}

Philox CudaGenerator::next(uint64_t counters) {
  const Philox philox{seed_, offset_, replayed_};
  offset_ += counters;
  return philox;
}

void CudaGenerator::begin_capture(const uint64_t* replayed) {
  before_capture_ = offset_;
  offset_ = 0;
  replayed_ = replayed;
}

uint64_t CudaGenerator::end_capture() {
  const uint64_t used = offset_;
  offset_ = before_capture_;
  replayed_ = nullptr;
  return used;
}

std::string CudaGenerator::get_state() const {
  const uint64_t words[] = {seed_, offset_};
  return std::string(reinterpret_cast<const char*>(words), sizeof words);
}

void CudaGenerator::set_state(const std::string& bytes) {
  uint64_t words[2];
  PYNN_CHECK(bytes.size() == sizeof words, "set_state: the state of a cuda generator has ", sizeof words,
             " bytes, got ", bytes.size());
  std::memcpy(words, bytes.data(), sizeof words);
  seed_ = words[0];
  offset_ = words[1];
}

namespace {

struct Defaults {
  std::mutex mutex;
  std::array<CudaGenerator*, 128> of = {};  // as many devices as an index can name
  std::optional<uint64_t> seed;             // of those to come
};
Defaults& defaults() {
  static Defaults& d = *new Defaults;  // never destroyed: threads may still draw at exit
  return d;
}

}  // namespace

CudaGenerator& default_cuda_generator(int index) {
  Defaults& d = defaults();
  std::lock_guard lock(d.mutex);
  CudaGenerator*& g = d.of.at(static_cast<size_t>(index));
  if (!g) {
    g = new CudaGenerator(static_cast<int8_t>(index));
    d.seed ? g->manual_seed(*d.seed) : static_cast<void>(g->seed());
  }
  return *g;
}

void manual_seed_cuda(uint64_t seed) {
  Defaults& d = defaults();
  std::lock_guard lock(d.mutex);
  d.seed = seed;
  for (CudaGenerator* g : d.of) {
    if (!g) continue;
    std::lock_guard drawing(g->mutex);
    g->manual_seed(seed);
  }
}

}  // namespace pynn
