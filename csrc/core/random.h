// random.h -- streams of random numbers. CPU: MT19937 with PyTorch's transforms: after the same seed, PyTorch's numbers
// (DESIGN section 9).
#pragma once
#include <cstdint>
#include <mutex>
#include <string>

#include "core/device.h"
#include "core/dtype.h"

namespace pynn {

// A stream of random numbers. Not thread-safe by itself: hold `mutex` while drawing.
class Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721;

  virtual ~Generator() = default;
  Device device() const { return device_; }
  uint64_t initial_seed() const { return seed_; }
  uint64_t seed();                          // a fresh seed from the system, set and returned
  static uint64_t last_random(DType type);  // of random_() without bounds: the type's last exact integer
  virtual void manual_seed(uint64_t seed) = 0;
  // The state as bytes, and back; throws Error(Runtime) unless the bytes came from get_state.
  virtual std::string get_state() const = 0;
  virtual void set_state(const std::string& bytes) = 0;

  std::mutex mutex;

 protected:
  explicit Generator(Device device) : device_(device) {}
  uint64_t seed_ = 0;

 private:
  Device device_;
};

class CpuGenerator final : public Generator {
 public:
  explicit CpuGenerator(uint64_t seed = kDefaultSeed) : Generator(Device{}) { CpuGenerator::manual_seed(seed); }
  void manual_seed(uint64_t seed) override;
  std::string get_state() const override;
  void set_state(const std::string& bytes) override;

  uint32_t random32() {
    if (next_ == kWords) refill();
    return draws_[next_++];
  }
  uint64_t random64() {  // first draw in the high half
    const uint64_t high = random32();
    return high << 32 | random32();
  }

  // Fillers of contiguous buffers, in PyTorch's order of draws.

  // [from, to)
  void uniform(float* out, int64_t n, double from, double to);
  void uniform(double* out, int64_t n, double from, double to);
  void uniform(Half* out, int64_t n, double from, double to);
  void uniform(BFloat16* out, int64_t n, double from, double to);

  // Contiguous tensors: runs of 16 from 16 elements on, normal_serial below.
  void normal(float* out, int64_t n, double mean, double std);
  void normal(double* out, int64_t n, double mean, double std);
  void normal(Half* out, int64_t n, double mean, double std);
  void normal(BFloat16* out, int64_t n, double mean, double std);
  // One at a time, the second of a pair kept for the next call: what PyTorch does for fewer than 16 elements, for
  // tensors that are not contiguous (any dtype: draw here, then convert), and for log_normal_.
  void normal_serial(double* out, int64_t n, double mean, double std);

  void exponential(double* out, int64_t n, double lambda);  // float32: draw here, then convert

  void randint(int64_t* out, int64_t n, int64_t low, int64_t high);         // [low, high), low < high
  void random_range(int64_t* out, int64_t n, int64_t low, uint64_t range);  // low + draw % range; 0: all 64 bits
  void random(int64_t* out, int64_t n, DType type);  // random_() without bounds: 0 up to the type's last exact integer
  void randperm(int64_t* out, int64_t n);

  void bernoulli(bool* out, int64_t n, double p);        // one p for all: float64 draws
  void bernoulli(bool* out, int64_t n, const float* p);  // a tensor of p: draws of its type (half types: as float32)
  void bernoulli(bool* out, int64_t n, const double* p);

 private:
  static constexpr int kWords = 624;

  void refill();
  void temper();
  template <class F>
  void for_each32(int64_t n, F f);  // f(i, draw) for i < n
  template <class F>
  void for_each64(int64_t n, F f);
  template <class T>
  void uniform_half(T* out, int64_t n, double from, double to);
  template <class T>
  void normal_half(T* out, int64_t n, double mean, double std);

  uint32_t state_[kWords];
  uint32_t draws_[kWords];  // state_, tempered
  int next_;                // first unused draw; kWords: none left
  bool has_spare_;          // second normal of the last pair of float64 uniforms
  double spare_;
};

CpuGenerator& default_generator();  // seeded by the system until manual_seed, as in PyTorch

// ---- CUDA: Philox4x32-10, whose numbers are a function of a key (the seed) and a counter.

// Where a kernel takes its numbers from: counters from `offset` on.
struct Philox {
  uint64_t seed, offset;
  const uint64_t* replayed;  // device memory or null: added to `offset`; what a replayed graph has drawn already
};

class CudaGenerator final : public Generator {
 public:
  explicit CudaGenerator(int8_t index, uint64_t seed = kDefaultSeed);
  void manual_seed(uint64_t seed) override;
  std::string get_state() const override;  // seed and offset, as in PyTorch
  void set_state(const std::string& bytes) override;

  Philox next(uint64_t counters);  // that many, which nobody else gets
  uint64_t offset() const { return offset_; }
  void set_offset(uint64_t offset) { offset_ = offset; }

  // While a graph is captured, counters start at *replayed, which every replay sets to the offset of then and the
  // generator moves on by what end_capture returned.
  void begin_capture(const uint64_t* replayed);
  uint64_t end_capture();

 private:
  uint64_t offset_ = 0;
  const uint64_t* replayed_ = nullptr;
  uint64_t before_capture_ = 0;
};

CudaGenerator& default_cuda_generator(int index);
// Of every device, also of those whose generator nobody has asked for yet.
void manual_seed_cuda(uint64_t seed);

}  // namespace pynn
