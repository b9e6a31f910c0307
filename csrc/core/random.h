// random.h -- MT19937 with PyTorch's transforms: after the same seed, PyTorch's numbers (DESIGN section 9).
#pragma once
#include <cstdint>
#include <mutex>
#include <string>

namespace pynn {

// Not thread-safe by itself: hold `mutex` while drawing.
class Generator {
 public:
  static constexpr uint64_t kDefaultSeed = 67280421310721;

  explicit Generator(uint64_t seed = kDefaultSeed) { manual_seed(seed); }
  void manual_seed(uint64_t seed);
  uint64_t initial_seed() const { return seed_; }
  uint64_t seed();  // a fresh seed from the system, set and returned

  uint32_t random32();
  uint64_t random64();  // first draw in the high half

  // The state as bytes, and back; throws Error(Runtime) unless the bytes came from get_state.
  std::string get_state() const;
  void set_state(const std::string& bytes);

  // Fillers of contiguous buffers, in PyTorch's order of draws.
  void uniform(float* out, int64_t n, double from, double to);
  void uniform(double* out, int64_t n, double from, double to);
  void normal(float* out, int64_t n, double mean, double std);
  void normal(double* out, int64_t n, double mean, double std);
  void randint(int64_t* out, int64_t n, int64_t low, int64_t high);  // [low, high)
  void random_full(int64_t* out, int64_t n, uint64_t range);        // out = draw % range; range 0: all 64 bits
  void randperm(int64_t* out, int64_t n);
  void bernoulli(float* out, const double* p, int64_t p_step, int64_t n);  // p_step 0: one p for all

  std::mutex mutex;

 private:
  void refill();
  uint32_t state_[624];
  int next_;
  uint64_t seed_;
  bool has_spare_ = false;  // second normal of the last pair of float64 uniforms
  double spare_ = 0;
};

Generator& default_generator();

}  // namespace pynn
