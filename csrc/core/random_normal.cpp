// random_normal.cpp -- Box-Muller as PyTorch draws it.
//
// Runs of 16: x[0..8) gives radii sqrt(-2 ln(1 - x)), x[8..16) angles 2 pi x; the run becomes 8 cosines, then 8 sines.
// When n is no multiple of 16, the last 16 elements are drawn afresh.
#include <cmath>
#include <cstring>

#include "core/random_draw.h"

namespace pynn {
namespace {

constexpr int kRun = 16, kPairs = 8;

// ln u, 0 < u <= 1: with u = 2^e (1 + f), sqrt(1/2) <= 1 + f < sqrt(2), the series of 2 atanh(f / (2 + f)).
inline float log_unit(float u) {
  int32_t bits;
  std::memcpy(&bits, &u, 4);
  constexpr int32_t kSqrtHalf = 0x3f3504f3, kOne = 0x3f800000;
  bits += kOne - kSqrtHalf;
  const float e = static_cast<float>((bits >> 23) - 127);
  bits = (bits & 0x7fffff) + kSqrtHalf;
  float m;
  std::memcpy(&m, &bits, 4);
  const float f = m - 1.0f, s = f / (2.0f + f), z = s * s;
  const float series = 2.0f * s * (1.0f + z * (1.0f / 3 + z * (1.0f / 5 + z * (1.0f / 7 + z * (1.0f / 9)))));
  return e * 0.693147180559945f + series;
}

// Quarter turns, then Taylor on |r| <= pi/4; for 0 <= angle <= 2 pi.
inline void sincos_turn(float angle, float& sine, float& cosine) {
  const int32_t quarter = static_cast<int32_t>(angle * 0.636619772367581f + 0.5f);
  const float q = static_cast<float>(quarter);
  const float r = angle - q * 1.5703125f - q * 4.83826794896619e-4f;  // pi/2 in two parts, the first product exact
  const float z = r * r;
  const float s = r * (1.0f + z * (-1.0f / 6 + z * (1.0f / 120 + z * (-1.0f / 5040 + z * (1.0f / 362880)))));
  const float c = 1.0f + z * (-0.5f + z * (1.0f / 24 + z * (-1.0f / 720 + z * (1.0f / 40320))));
  const bool odd = quarter & 1;
  const float s2 = odd ? c : s, c2 = odd ? s : c;
  sine = quarter & 2 ? -s2 : s2;
  cosine = (quarter + 1) & 2 ? -c2 : c2;
}

void box_muller(float* x, float mean, float std) {
  constexpr float kTurn = 6.28318530717958648f;
  float radius[kPairs], sine[kPairs], cosine[kPairs];
  for (int i = 0; i < kPairs; ++i) radius[i] = std::sqrt(-2.0f * log_unit(1.0f - x[i])) * std;
  for (int i = 0; i < kPairs; ++i) sincos_turn(kTurn * x[i + kPairs], sine[i], cosine[i]);
  for (int i = 0; i < kPairs; ++i) x[i] = radius[i] * cosine[i] + mean;
  for (int i = 0; i < kPairs; ++i) x[i + kPairs] = radius[i] * sine[i] + mean;
}

void box_muller(double* x, double mean, double std) {
  constexpr double kTurn = 6.283185307179586477;
  for (int i = 0; i < kPairs; ++i) {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - x[i])) * std, angle = kTurn * x[i + kPairs];
    x[i] = radius * std::cos(angle) + mean;
    x[i + kPairs] = radius * std::sin(angle) + mean;
  }
}

template <class T>
void normal_runs(CpuGenerator& generator, T* out, int64_t n, double mean, double std) {
  const T m = static_cast<T>(mean), s = static_cast<T>(std);
  generator.uniform(out, n, 0, 1);
  for (int64_t i = 0; i + kRun <= n; i += kRun) box_muller(out + i, m, s);
  if (n % kRun) {
    generator.uniform(out + n - kRun, kRun, 0, 1);
    box_muller(out + n - kRun, m, s);
  }
}

}  // namespace

void CpuGenerator::normal_serial(double* out, int64_t n, double mean, double std) {
  for (int64_t i = 0; i < n; ++i) {
    double z = spare_;
    if (!has_spare_) {
      const double turn = unit_double(random64());
      const double radius = std::sqrt(-2.0 * std::log1p(-unit_double(random64())));
      const double angle = 6.283185307179586477 * turn;
      spare_ = radius * std::sin(angle);
      z = radius * std::cos(angle);
    }
    has_spare_ = !has_spare_;
    out[i] = z * std + mean;
  }
}

void CpuGenerator::normal(float* out, int64_t n, double mean, double std) {
  if (n >= kRun) return normal_runs(*this, out, n, mean, std);
  double z[kRun];
  normal_serial(z, n, mean, std);
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<float>(z[i]);
}

void CpuGenerator::normal(double* out, int64_t n, double mean, double std) {
  if (n >= kRun) return normal_runs(*this, out, n, mean, std);
  normal_serial(out, n, mean, std);
}

// Float32 numbers rounded at the end. Unlike float32, only whole runs are drawn before the last 16.
template <class T>
void CpuGenerator::normal_half(T* out, int64_t n, double mean, double std) {
  float x[kRun];
  const auto round_to = [&](int64_t at, int64_t count) {
    for (int64_t i = 0; i < count; ++i) out[at + i] = T(x[i]);
  };
  if (n < kRun) {
    normal(x, n, mean, std);
    return round_to(0, n);
  }
  for (int64_t i = 0; i + kRun <= n; i += kRun) {
    normal(x, kRun, mean, std);
    round_to(i, kRun);
  }
  if (n % kRun) {
    normal(x, kRun, mean, std);
    round_to(n - kRun, kRun);
  }
}

void CpuGenerator::normal(Half* out, int64_t n, double mean, double std) { normal_half(out, n, mean, std); }
void CpuGenerator::normal(BFloat16* out, int64_t n, double mean, double std) { normal_half(out, n, mean, std); }

}  // namespace pynn
