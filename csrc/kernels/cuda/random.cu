// random.cu -- fills from distributions, dropout, permutations (kernels/random.h).
#include "kernels/random.h"

#include "kernels/cuda/cast.cuh"
#include "kernels/cuda/math.cuh"
#include "kernels/cuda/philox.cuh"

namespace pynn::cuda {
namespace {

// A distribution of values C makes kPer of them from four 32-bit numbers: d(draws, index of the first, values).

template <class C>
constexpr int kPerDraw = sizeof(C) == 4 ? 4 : 2;

// Calls f(number k, its bits) for as many numbers as four words give of type C.
template <class C, class F>
__device__ inline void each_number(const Draws& d, F f) {
#pragma unroll
  for (int k = 0; k < kPerDraw<C>; ++k) {
    if constexpr (sizeof(C) == 4)
      f(k, d.v[k], 0u);
    else
      f(k, d.v[2 * k], d.v[2 * k + 1]);
  }
}

template <class T>
struct Uniform {
  using Value = T;
  static constexpr int kPer = kPerDraw<T>;
  T from, to;
  __device__ void operator()(const Draws& d, int64_t, T (&v)[kPer]) const {
    each_number<T>(d, [&](int k, uint32_t high, uint32_t low) { v[k] = unit<T>(high, low) * (to - from) + from; });
  }
};

// Pairs by Box and Muller.
template <class T>
struct Normal {
  using Value = T;
  static constexpr int kPer = kPerDraw<T>;
  T mean, deviation;
  bool exponent;  // log-normal
  __device__ void operator()(const Draws& d, int64_t, T (&v)[kPer]) const {
    T u[kPer];
    each_number<T>(d, [&](int k, uint32_t high, uint32_t low) {
      u[k] = k % 2 ? unit<T>(high, low) : unit_above_zero<T>(high, low);
    });
#pragma unroll
    for (int k = 0; k < kPer; k += 2) {
      const T radius = math::sqrt(T(-2) * math::log(u[k])) * deviation;
      T sine, cosine;
      math::sincospi(T(2) * u[k + 1], sine, cosine);
      v[k] = radius * cosine + mean;
      v[k + 1] = radius * sine + mean;
    }
    if (!exponent) return;
#pragma unroll
    for (int k = 0; k < kPer; ++k) v[k] = math::exp(v[k]);
  }
};

template <class T>
struct Exponential {
  using Value = T;
  static constexpr int kPer = kPerDraw<T>;
  T rate;
  __device__ void operator()(const Draws& d, int64_t, T (&v)[kPer]) const {
    constexpr T half = sizeof(T) == 4 ? T(1.0 / (1 << 24)) : T(1.0 / (uint64_t{1} << 53));  // of the rounding near 1
    each_number<T>(d, [&](int k, uint32_t high, uint32_t low) {
      const T u = unit_above_zero<T>(high, low);
      v[k] = (u >= T(1) - half ? half : -math::log(u)) / rate;
    });
  }
};

template <class T>
struct Cauchy {
  using Value = T;
  static constexpr int kPer = kPerDraw<T>;
  T median, scale;
  __device__ void operator()(const Draws& d, int64_t, T (&v)[kPer]) const {
    each_number<T>(d, [&](int k, uint32_t high, uint32_t low) {
      v[k] = median + scale * math::tan(T(3.14159265358979323846) * (unit<T>(high, low) - T(0.5)));
    });
  }
};

struct Geometric {
  using Value = double;
  static constexpr int kPer = 2;
  double scale;  // log(1 - p)
  __device__ void operator()(const Draws& d, int64_t, double (&v)[2]) const {
    each_number<double>(d, [&](int k, uint32_t high, uint32_t low) {
      const double trials = math::ceil(math::log(unit_above_zero<double>(high, low)) / scale);
      v[k] = trials > 1 ? trials : 1;
    });
  }
};

struct Bernoulli {
  using Value = float;
  static constexpr int kPer = 4;
  uint64_t limit;  // p * 2^32
  __device__ void operator()(const Draws& d, int64_t, float (&v)[4]) const {
#pragma unroll
    for (int k = 0; k < 4; ++k) v[k] = d.v[k] < limit ? 1.0f : 0.0f;
  }
};

struct Bernoullis {
  using Value = float;
  static constexpr int kPer = 4;
  const void* p;
  DType dtype;
  int64_t n;
  __device__ void operator()(const Draws& d, int64_t first, float (&v)[4]) const {
#pragma unroll
    for (int k = 0; k < 4; ++k)
      v[k] =
          first + k < n && d.v[k] * (1.0 / (uint64_t{1} << 32)) < load_real<double>(p, first + k, dtype) ? 1.0f : 0.0f;
  }
};

// Of 32 bits each, or 64.
struct SmallRange {
  using Value = int64_t;
  static constexpr int kPer = 4;
  int64_t low;
  uint32_t range;
  __device__ void operator()(const Draws& d, int64_t, int64_t (&v)[4]) const {
#pragma unroll
    for (int k = 0; k < 4; ++k)  // the high word of the product: [0, range), as even as 32 bits allow
      v[k] = math::add(low, static_cast<int64_t>((static_cast<uint64_t>(d.v[k]) * range) >> 32));
  }
};
struct LargeRange {
  using Value = int64_t;
  static constexpr int kPer = 2;
  int64_t low;
  uint64_t range;
  __device__ void operator()(const Draws& d, int64_t, int64_t (&v)[2]) const {
#pragma unroll
    for (int k = 0; k < 2; ++k) {
      const uint64_t u = static_cast<uint64_t>(d.v[2 * k]) << 32 | d.v[2 * k + 1];
      v[k] = math::add(low, static_cast<int64_t>(range ? u % range : u));
    }
  }
};

// What is rounded up to the end of a half-open interval goes to its start.
template <class S, class D>
__device__ inline S stored(const D& d, typename D::Value v) {
  const S y = cast<S>(v);
  if constexpr (std::is_same_v<D, Uniform<Compute<S>>>)
    if (load(y) >= d.to && d.to > d.from) return cast<S>(d.from);
  return y;
}

template <class D, class S>
__global__ void __launch_bounds__(kBlock) fill(S* out, int64_t n, D d, Philox philox) {
  constexpr int kPer = D::kPer;
  const PhiloxStream stream(philox);
  const bool packed = reinterpret_cast<uintptr_t>(out) % (kPer * sizeof(S)) == 0;
  const int64_t groups = (n + kPer - 1) / kPer;
  PYNN_GRID_LOOP(g, groups) {
    typename D::Value v[kPer];
    d(stream.at(static_cast<uint64_t>(g)), g * kPer, v);
    if (packed && (g + 1) * kPer <= n) {
      Pack<S, kPer> y;
#pragma unroll
      for (int k = 0; k < kPer; ++k) y.v[k] = stored<S>(d, v[k]);
      reinterpret_cast<Pack<S, kPer>*>(out)[g] = y;
    } else {
#pragma unroll
      for (int k = 0; k < kPer; ++k)
        if (g * kPer + k < n) out[g * kPer + k] = stored<S>(d, v[k]);
    }
  }
}

template <class S, class D>
void run_fill(const RandomArgs& args, D d) {
  launch(fill<D, S>, grid_for((args.n + D::kPer - 1) / D::kPer), kBlock, static_cast<S*>(args.out), args.n, d,
         args.philox);
}
template <class D>
void run_fill_any(const RandomArgs& args, D d) {
  dispatch_real("random_fill", args.dtype, [&](auto s) { run_fill<decltype(s)>(args, d); });
}

// ---- Counts: any number of draws per element. The methods are those of ops/random_counts.cpp.

class Uniforms {  // an endless stream of one element
 public:
  __device__ Uniforms(const PhiloxStream& stream, int64_t i) : stream_(stream), i_(static_cast<uint64_t>(i)) {}
  __device__ double next() {
    if (have_ == 0) {
      draws_ = stream_.at(i_, ++round_);
      have_ = 2;
    }
    --have_;
    return have_ ? unit<double>(draws_.v[0], draws_.v[1]) : unit<double>(draws_.v[2], draws_.v[3]);
  }

 private:
  const PhiloxStream& stream_;
  uint64_t i_, round_ = 0;
  Draws draws_{};
  int have_ = 0;
};

#define PYNN_COUNTS_FN __device__ inline
#define PYNN_MATH(name) ::name
#include "kernels/random_counts.h"
#undef PYNN_MATH
#undef PYNN_COUNTS_FN

__global__ void __launch_bounds__(kBlock)
    counts(Distribution kind, double* out, const double* p, const double* q, int64_t n, Philox philox) {
  const PhiloxStream stream(philox);
  PYNN_GRID_LOOP(i, n) {
    Uniforms u(stream, i);
    const auto next = [&u] { return u.next(); };
    out[i] = kind == Distribution::Poisson ? poisson_one(p[i], next) : binomial_one(p[i], q[i], next);
  }
}

// ---- Permutation: a Feistel network over the 2^(2 * half) numbers from n on permutes them; who lands outside of
// [0, n) goes through it again.

constexpr int kFeistelRounds = 24;
static_assert(kFeistelRounds <= 4 * kPermutationCounters);

__global__ void __launch_bounds__(kBlock) permutation(int64_t* out, int64_t n, int half, Philox philox) {
  __shared__ uint32_t keys[4 * kPermutationCounters];
  if (threadIdx.x < kPermutationCounters) {
    const Draws d = PhiloxStream(philox).at(threadIdx.x);
    for (int k = 0; k < 4; ++k) keys[threadIdx.x * 4 + k] = d.v[k];
  }
  __syncthreads();
  const uint32_t mask = (1u << half) - 1;
  PYNN_GRID_LOOP(i, n) {
    uint64_t x = static_cast<uint64_t>(i);
    do {
      uint32_t left = static_cast<uint32_t>(x >> half), right = static_cast<uint32_t>(x) & mask;
      for (int r = 0; r < kFeistelRounds; ++r) {
        uint32_t h = right ^ keys[r];  // mixed, so that every bit depends on all
        h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
        h = (h ^ (h >> 13)) * 0xC2B2AE35u + keys[r];
        h ^= h >> 16;
        const uint32_t next = left ^ (h & mask);
        left = right;
        right = next;
      }
      x = static_cast<uint64_t>(left) << half | right;
    } while (x >= static_cast<uint64_t>(n));
    out[i] = static_cast<int64_t>(x);
  }
}

// ---- Dropout

template <class S>
__global__ void __launch_bounds__(kBlock)
    dropout(S* y, const S* x, int64_t n, uint64_t limit, Compute<S> scale, Philox philox) {
  constexpr int kPer = 4;
  const PhiloxStream stream(philox);
  const bool packed = (reinterpret_cast<uintptr_t>(x) | reinterpret_cast<uintptr_t>(y)) % (kPer * sizeof(S)) == 0;
  const int64_t groups = (n + kPer - 1) / kPer;
  const auto kept = [&](const Draws& d, int k, S v) {
    return store_as<S>(load(v) * (d.v[k] < limit ? Compute<S>(0) : scale));
  };
  PYNN_GRID_LOOP(g, groups) {
    if (packed && (g + 1) * kPer <= n) {
      Pack<S, kPer> v = reinterpret_cast<const Pack<S, kPer>*>(x)[g];
      const Draws d = stream.at(static_cast<uint64_t>(g));
#pragma unroll
      for (int k = 0; k < kPer; ++k) v.v[k] = kept(d, k, v.v[k]);
      reinterpret_cast<Pack<S, kPer>*>(y)[g] = v;
    } else {
      const Draws d = stream.at(static_cast<uint64_t>(g));
      for (int k = 0; k < kPer; ++k)
        if (g * kPer + k < n) y[g * kPer + k] = kept(d, k, x[g * kPer + k]);
    }
  }
}

uint64_t limit_of(double p) { return static_cast<uint64_t>(p * 4294967296.0); }

// ---- Positions: the first whose running sum is above a uniform number times the row's sum.

__global__ void __launch_bounds__(kBlock)
    positions(int64_t* out, const double* sums, int64_t rows, int64_t n, int64_t count, Philox philox) {
  const PhiloxStream stream(philox);
  PYNN_GRID_LOOP(i, rows * count) {
    const double* row = sums + i / count * n;
    const Draws d = stream.at(static_cast<uint64_t>(i));
    const double wanted = unit<double>(d.v[0], d.v[1]) * row[n - 1];
    int64_t low = 0, high = n - 1;
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (row[middle] > wanted)
        high = middle;
      else
        low = middle + 1;
    }
    out[i] = low;
  }
}

}  // namespace

void random_fill(const RandomArgs& args) {
  const auto floating = [&](auto f) {
    dispatch_floating("random_fill", args.dtype, [&](auto s) {
      using S = decltype(s);
      run_fill<S>(args, f(Compute<S>{}));
    });
  };
  switch (args.kind) {
    case Distribution::Uniform:
      return floating([&](auto c) {
        using C = decltype(c);
        return Uniform<C>{static_cast<C>(args.a), static_cast<C>(args.b)};
      });
    case Distribution::Normal:
    case Distribution::LogNormal:
      return floating([&](auto c) {
        using C = decltype(c);
        return Normal<C>{static_cast<C>(args.a), static_cast<C>(args.b), args.kind == Distribution::LogNormal};
      });
    case Distribution::Exponential:
      return floating([&](auto c) {
        using C = decltype(c);
        return Exponential<C>{static_cast<C>(args.a)};
      });
    case Distribution::Cauchy:
      return floating([&](auto c) {
        using C = decltype(c);
        return Cauchy<C>{static_cast<C>(args.a), static_cast<C>(args.b)};
      });
    case Distribution::Geometric:
      return run_fill_any(args, Geometric{std::log1p(-args.a)});
    case Distribution::Bernoulli:
      return run_fill_any(args, Bernoulli{limit_of(args.a)});
    case Distribution::Bernoullis:
      return run_fill_any(args, Bernoullis{args.p, args.p_dtype, args.n});
    case Distribution::Range:
      if (args.range - 1 < UINT32_MAX)
        return run_fill_any(args, SmallRange{args.low, static_cast<uint32_t>(args.range)});
      return run_fill_any(args, LargeRange{args.low, args.range});
    case Distribution::Poisson:
    case Distribution::Binomial:
      launch(counts, grid_for(args.n), kBlock, args.kind, static_cast<double*>(args.out),
             static_cast<const double*>(args.p), static_cast<const double*>(args.q), args.n, args.philox);
  }
}
PYNN_CUDA_KERNEL(random_fill);

void random_permutation(int64_t* out, int64_t n, Philox philox) {
  int half = 4;  // in smaller domains the network is too simple
  while ((int64_t{1} << (2 * half)) < n) ++half;
  launch(permutation, grid_for(n), kBlock, out, n, half, philox);
}
PYNN_CUDA_KERNEL(random_permutation);

void random_dropout(const DropoutArgs& args) {
  dispatch_floating("dropout", args.dtype, [&](auto s) {
    using S = decltype(s);
    launch(dropout<S>, grid_for((args.n + 3) / 4), kBlock, static_cast<S*>(args.y), static_cast<const S*>(args.x),
           args.n, limit_of(args.p), static_cast<Compute<S>>(args.scale), args.philox);
  });
}
PYNN_CUDA_KERNEL(random_dropout);

void random_positions(int64_t* out, const double* sums, int64_t rows, int64_t n, int64_t count, Philox philox) {
  launch(positions, grid_for(rows * count), kBlock, out, sums, rows, n, count, philox);
}
PYNN_CUDA_KERNEL(random_positions);

}  // namespace pynn::cuda
