// random.cpp -- the engine (MT19937, Matsumoto and Nishimura 1998), its state, and everything that is not a normal.
#include "core/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "core/error.h"
#include "core/random_draw.h"

namespace pynn {

void CpuGenerator::manual_seed(uint64_t seed) {
  seed_ = seed;
  state_[0] = static_cast<uint32_t>(seed);
  for (int i = 1; i < kWords; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
  next_ = kWords;
  has_spare_ = false;
  spare_ = 0;
}

uint64_t Generator::seed() {
  std::random_device device;
  const uint64_t high = device();
  manual_seed(high << 32 | device());
  return seed_;
}

void CpuGenerator::refill() {
  constexpr int kShift = 397;
  const auto twist = [](uint32_t high, uint32_t low, uint32_t far) {
    const uint32_t y = (high & 0x80000000u) | (low & 0x7fffffffu);
    return far ^ (y >> 1) ^ (0x9908b0dfu & (0u - (low & 1u)));
  };
  uint32_t* s = state_;
  each_of(0, kWords - kShift, [=](int64_t i) { s[i] = twist(s[i], s[i + 1], s[i + kShift]); });
  each_of(kWords - kShift, kWords - 1, [=](int64_t i) { s[i] = twist(s[i], s[i + 1], s[i + kShift - kWords]); });
  s[kWords - 1] = twist(s[kWords - 1], s[0], s[kShift - 1]);
  temper();
  next_ = 0;
}

void CpuGenerator::temper() {
  for (int i = 0; i < kWords; ++i) {
    uint32_t y = state_[i];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    draws_[i] = y ^ (y >> 18);
  }
}

namespace {
// What get_state writes: the words in the machine's byte order (every supported machine is little-endian).
struct SavedState {
  char magic[8];
  uint64_t seed;
  int32_t next, has_spare;
  double spare;
  uint32_t words[624];
};
constexpr char kMagic[8] = {'p', 'y', 'n', 'n', 'm', 't', '0', '1'};
}  // namespace

std::string CpuGenerator::get_state() const {
  SavedState s{};
  std::memcpy(s.magic, kMagic, sizeof kMagic);
  s.seed = seed_;
  s.next = next_;
  s.has_spare = has_spare_;
  s.spare = spare_;
  std::memcpy(s.words, state_, sizeof state_);
  return std::string(reinterpret_cast<const char*>(&s), sizeof s);
}

void CpuGenerator::set_state(const std::string& bytes) {
  SavedState s;
  PYNN_CHECK(bytes.size() == sizeof s, "set_state: a generator's state has ", sizeof s, " bytes, got ", bytes.size());
  std::memcpy(&s, bytes.data(), sizeof s);
  PYNN_CHECK(std::memcmp(s.magic, kMagic, sizeof kMagic) == 0 && s.next >= 0 && s.next <= kWords &&
                 (s.has_spare == 0 || s.has_spare == 1) && std::isfinite(s.spare),
             "set_state: bytes from get_state expected, got something else");
  seed_ = s.seed;
  next_ = s.next;
  has_spare_ = s.has_spare;
  spare_ = s.spare;
  std::memcpy(state_, s.words, sizeof state_);
  temper();
}

// x * width + low rounded once, as by the fused multiply-add that PyTorch is compiled to, on any CPU.
static inline float scale_unit(uint32_t u, double width, double low) {
  return static_cast<float>(unit_float(u) * width + low);
}

void CpuGenerator::uniform(float* out, int64_t n, double from, double to) {
  const float low = static_cast<float>(from);
  const double width = static_cast<float>(to) - low;  // rounded to float, as PyTorch's
  if (low == 0 && width == 1) return for_each32(n, [=](int64_t i, uint32_t u) { out[i] = unit_float(u); });
  for_each32(n, [=](int64_t i, uint32_t u) { out[i] = scale_unit(u, width, low); });
}

void CpuGenerator::uniform(double* out, int64_t n, double from, double to) {
  const double width = to - from;
  for_each64(n, [=](int64_t i, uint64_t u) { out[i] = unit_double(u) * width + from; });
}

// Float32 numbers, rounded; what rounds up to `to` becomes `from`, so that the interval stays half-open.
template <class T>
void CpuGenerator::uniform_half(T* out, int64_t n, double from, double to) {
  const float low = static_cast<float>(from);
  const double width = static_cast<float>(to) - low;
  const T first(low), end(static_cast<float>(to));
  for_each32(n, [=](int64_t i, uint32_t u) {
    const T x(scale_unit(u, width, low));
    out[i] = float(x) >= float(end) ? first : x;
  });
}

void CpuGenerator::uniform(Half* out, int64_t n, double from, double to) { uniform_half(out, n, from, to); }
void CpuGenerator::uniform(BFloat16* out, int64_t n, double from, double to) { uniform_half(out, n, from, to); }

void CpuGenerator::exponential(double* out, int64_t n, double lambda) {
  for_each64(n, [=](int64_t i, uint64_t u) { out[i] = -std::log1p(-unit_double(u)) / lambda; });
}

void CpuGenerator::random_range(int64_t* out, int64_t n, int64_t low, uint64_t range) {
  const uint64_t base = static_cast<uint64_t>(low);  // unsigned, so that sums wrap
  if (range == 0) {
    for_each64(n, [=](int64_t i, uint64_t u) { out[i] = static_cast<int64_t>(base + u); });
  } else if (range < (uint64_t{1} << 28)) {  // PyTorch's border; beyond it the remainder of 32 bits would be skewed
    const uint32_t small = static_cast<uint32_t>(range);
    for_each32(n, [=](int64_t i, uint32_t u) { out[i] = static_cast<int64_t>(base + u % small); });
  } else {
    for_each64(n, [=](int64_t i, uint64_t u) { out[i] = static_cast<int64_t>(base + u % range); });
  }
}

void CpuGenerator::randint(int64_t* out, int64_t n, int64_t low, int64_t high) {
  PYNN_CHECK(low < high, "randint: low must be less than high, got low=", low, ", high=", high);
  random_range(out, n, low, static_cast<uint64_t>(high) - static_cast<uint64_t>(low));
}

uint64_t Generator::last_random(DType type) {
  PYNN_CHECK_KIND(NotImplemented, !is_complex(type), "random_: a real dtype is required, got ", dtype_name(type));
  // Integers up to the largest value; floating types up to 2^(bits of mantissa), the end of the exact integers.
  constexpr int kBits[] = {1, 8, 7, 15, 31, 63, 11, 8, 24, 53};  // Bool ... Float64
  return (uint64_t{1} << kBits[static_cast<int>(type)]) - !is_floating(type);
}

void CpuGenerator::random(int64_t* out, int64_t n, DType type) {
  const uint64_t last = last_random(type);
  // By type, not by range: int32 takes 32-bit draws here and 64-bit ones in randint(0, 2**31).
  if (type == DType::Int64 || type == DType::Float64) {
    for_each64(n, [=](int64_t i, uint64_t u) { out[i] = static_cast<int64_t>(u % (last + 1)); });
  } else {
    const uint32_t range = static_cast<uint32_t>(last + 1);
    for_each32(n, [=](int64_t i, uint32_t u) { out[i] = u % range; });
  }
}

void CpuGenerator::randperm(int64_t* out, int64_t n) {
  if (n < std::numeric_limits<uint32_t>::max() / 20) {
    for (int64_t i = 0; i < n; ++i) out[i] = i;
    for_each32(std::max<int64_t>(n - 1, 0),
               [=](int64_t i, uint32_t u) { std::swap(out[i], out[i + u % static_cast<uint32_t>(n - i)]); });
  } else {  // 32 bits would be skewed: shuffle inside out with 64
    for_each64(n, [=](int64_t i, uint64_t u) {
      const int64_t j = static_cast<int64_t>(u % static_cast<uint64_t>(i + 1));
      out[i] = i;
      out[i] = out[j];
      out[j] = i;
    });
  }
}

void CpuGenerator::bernoulli(bool* out, int64_t n, double p) {
  for_each64(n, [=](int64_t i, uint64_t u) { out[i] = unit_double(u) < p; });
}

void CpuGenerator::bernoulli(bool* out, int64_t n, const float* p) {
  for_each32(n, [=](int64_t i, uint32_t u) { out[i] = unit_float(u) < p[i]; });
}

void CpuGenerator::bernoulli(bool* out, int64_t n, const double* p) {
  for_each64(n, [=](int64_t i, uint64_t u) { out[i] = unit_double(u) < p[i]; });
}

CpuGenerator& default_generator() {
  static CpuGenerator* generator = [] {  // never destroyed: threads may still draw at exit
    auto* g = new CpuGenerator;
    g->seed();
    return g;
  }();
  return *generator;
}

}  // namespace pynn
