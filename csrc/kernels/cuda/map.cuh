// map.cuh -- runs an elementwise function of one to three operands: see kernels/elementwise.h for what a map is.
//
// Two kernels per function and compute type:
//   packs    operands of one type of 16 or 32 bits whose rows are whole packs of 16 bytes, or one element each: 16-byte
//            loads and stores, the index arithmetic once per pack (not at all where everything is contiguous)
//   any      any strides and dtypes: an element at a time, its index divided by the sizes, its dtype switched on
// A function is a struct Fn<op, C>: built on the host from the parameters, called on the device with values of C.
// kCost says how far loops are unrolled: 0 a few instructions, 1 one transcendental function, 2 long code. A function
// may name another, OfHalf, that is less exact and does for packs of half types.
#pragma once
#include "kernels/cuda/cast.cuh"
#include "kernels/elementwise.h"

namespace pynn::cuda {

// The op's parameters in the loop's type.
template <class C>
C parameter(const MapArgs& args, int k) {
  if constexpr (std::is_same_v<C, int64_t>) return args.iparams[k];
  const double x = args.params[k];
  if constexpr (std::is_same_v<C, int32_t>)  // infinite bounds of a clamp are its limits
    return x >= 0x7fffffff ? 0x7fffffff : x <= -0x7fffffff - 1 ? -0x7fffffff - 1 : static_cast<int32_t>(x);
  return static_cast<C>(x);
}

// What every function derives from: whether it exists for its compute type, its cost, and what it returns.
template <bool exists, int cost, class R>
struct MapFunction {
  static constexpr bool kExists = exists;
  static constexpr int kCost = cost;
  using Result = R;
};
constexpr bool yields_bool(Ternary) { return false; }
template <auto op, class C>
using ResultOf = std::conditional_t<yields_bool(op), bool, C>;
template <class C>
constexpr bool kReal = std::is_floating_point_v<C>;

template <class Fn>
struct OfHalf {
  using type = Fn;
};
template <class Fn>
  requires requires { typename Fn::OfHalf; }
struct OfHalf<Fn> {
  using type = typename Fn::OfHalf;
};

template <int N, class Fn, class C>
__device__ inline typename Fn::Result apply(const Fn& f, const C (&x)[N]) {
  if constexpr (N == 1)
    return f(x[0]);
  else if constexpr (N == 2)
    return f(x[0], x[1]);
  else
    return f(x[0], x[1], x[2]);
}

// ---- packs

enum class Source : uint8_t { Pack, BoolPack, Element, Host };

template <int N>
struct PackArgs {
  void* out;
  const void* data[N];
  float host[N];
  Source source[N];
  bool flat;      // pack p of every operand is at p
  bool bfloat;    // of the 16-bit types
  int per_block;  // packs
  int64_t packs, numel;
  Layout<N + 1> layout;  // of packs, with strides in elements; the result is operand 0
};

__device__ inline float widen(uint16_t bits, bool bfloat) {
  Half h;
  BFloat16 b;
  h.bits = b.bits = bits;
  return bfloat ? load(b) : load(h);
}
__device__ inline uint16_t narrow(float v, bool bfloat) {
  return bfloat ? store_as<BFloat16>(v).bits : store_as<Half>(v).bits;
}

// Whole packs, the type asked for once.
template <class S, int V>
__device__ inline void widen_pack(const Pack<S, V>& from, bool bfloat, float (&to)[V]) {
  if (bfloat) {  // by words: one operation for each
    uint32_t words[V / 2];
    memcpy(words, from.v, sizeof words);
#pragma unroll
    for (int i = 0; i < V / 2; ++i) {
      const uint32_t both[2] = {words[i] << 16, words[i] & 0xffff0000u};
      memcpy(to + 2 * i, both, sizeof both);
    }
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i) to[i] = widen(from.v[i], false);
  }
}
template <class R, class S, int V>
__device__ inline void narrow_pack(const R (&from)[V], bool bfloat, Pack<S, V>& to) {
  if (bfloat) {
#pragma unroll
    for (int i = 0; i < V; ++i) to.v[i] = narrow(from[i], true);
  } else {
#pragma unroll
    for (int i = 0; i < V; ++i) to.v[i] = narrow(from[i], false);
  }
}

template <class Fn, class S, int N, int V, int U>
__global__ void __launch_bounds__(kBlock) map_packs(PackArgs<N> a, Fn f) {
  constexpr bool kHalf = sizeof(S) == 2;
  using R = typename Fn::Result;
  constexpr bool kBool = std::is_same_v<R, bool>;
  using Raw = Pack<S, V>;
  Raw raw[U][N];
  Pack<bool, V> flags[U][1];
  int64_t to[U];
  const int64_t base = static_cast<int64_t>(blockIdx.x) * a.per_block + threadIdx.x;
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const int64_t p = base + u * kBlock;
    if (u * kBlock >= a.per_block || p >= a.packs) break;
    int64_t at[N + 1] = {};
    if (a.flat) {
#pragma unroll
      for (int k = 0; k <= N; ++k) at[k] = p * V;
    } else {
      a.layout.locate(static_cast<uint32_t>(p), at);
    }
    to[u] = at[0];
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const S* x = static_cast<const S*>(a.data[k]);
      switch (a.source[k]) {
        case Source::Pack:
          raw[u][k] = *reinterpret_cast<const Raw*>(x + at[k + 1]);
          break;
        case Source::Element:
          raw[u][k].v[0] = x[a.flat ? 0 : at[k + 1]];
          break;
        case Source::BoolPack:
          if (N == 3 && k == 0)
            flags[u][0] = *reinterpret_cast<const Pack<bool, V>*>(static_cast<const bool*>(a.data[k]) + at[k + 1]);
          break;
        default:
          break;
      }
    }
  }
#pragma unroll
  for (int u = 0; u < U; ++u) {
    const int64_t p = base + u * kBlock;
    if (u * kBlock >= a.per_block || p >= a.packs) break;
    float x[N][V];
#pragma unroll
    for (int k = 0; k < N; ++k) {
      const Source source = a.source[k];
      if (source == Source::Pack) {
        if constexpr (kHalf) {
          widen_pack(raw[u][k], a.bfloat, x[k]);
        } else {
#pragma unroll
          for (int i = 0; i < V; ++i) x[k][i] = raw[u][k].v[i];
        }
      } else if (N == 3 && k == 0 && source == Source::BoolPack) {
#pragma unroll
        for (int i = 0; i < V; ++i) x[k][i] = flags[u][0].v[i];
      } else {
        float same = a.host[k];
        if (source == Source::Element) {
          if constexpr (kHalf)
            same = widen(raw[u][k].v[0], a.bfloat);
          else
            same = raw[u][k].v[0];
        }
#pragma unroll
        for (int i = 0; i < V; ++i) x[k][i] = same;
      }
    }
    Pack<std::conditional_t<kBool, bool, S>, V> y;
    R results[V];
#pragma unroll
    for (int i = 0; i < V; ++i) {
      float one[N];
#pragma unroll
      for (int k = 0; k < N; ++k) one[k] = x[k][i];
      results[i] = apply<N>(f, one);
    }
    if constexpr (kHalf && !kBool) {
      narrow_pack(results, a.bfloat, y);
    } else {
#pragma unroll
      for (int i = 0; i < V; ++i) y.v[i] = results[i];
    }
    using To = std::conditional_t<kBool, bool, S>;
    *reinterpret_cast<Pack<To, V>*>(static_cast<To*>(a.out) + to[u]) = y;
  }
  // What is left of a flat run, by the last block.
  if (a.flat && blockIdx.x == gridDim.x - 1 && a.packs * V + threadIdx.x < a.numel) {
    const int64_t i = a.packs * V + threadIdx.x;
    float one[N];
#pragma unroll
    for (int k = 0; k < N; ++k) {
      one[k] = a.host[k];
      if (N == 3 && k == 0 && a.source[k] == Source::BoolPack) {
        one[k] = static_cast<const bool*>(a.data[k])[i];
      } else if (a.source[k] != Source::Host) {
        const S s = static_cast<const S*>(a.data[k])[a.source[k] == Source::Element ? 0 : i];
        if constexpr (kHalf)
          one[k] = widen(s, a.bfloat);
        else
          one[k] = s;
      }
    }
    const R r = apply<N>(f, one);
    if constexpr (kBool)
      static_cast<bool*>(a.out)[i] = r;
    else if constexpr (kHalf)
      static_cast<S*>(a.out)[i] = narrow(r, a.bfloat);
    else
      static_cast<S*>(a.out)[i] = r;
  }
}

// ---- any

template <int N, class C>
struct AnyArgs {
  void* out;
  const void* data[N];  // null: host[k] for all
  C host[N];
  DType to, from[N];
  bool plain;  // every operand is of type C, the result of the function's own
  uint32_t numel;
  Layout<N + 1> layout;
};

template <class Fn, class C, int N, int U>
__global__ void __launch_bounds__(kBlock) map_any(AnyArgs<N, C> a, Fn f) {
  using R = typename Fn::Result;
  const uint32_t base = blockIdx.x * (U * kBlock) + threadIdx.x;
  if (a.plain) {
    C x[U][N];
    int64_t to[U];
#pragma unroll
    for (int u = 0; u < U; ++u) {
      const uint32_t i = base + u * kBlock;
      if (i >= a.numel) break;
      int64_t at[N + 1] = {};
      a.layout.locate(i, at);
      to[u] = at[0];
#pragma unroll
      for (int k = 0; k < N; ++k) x[u][k] = a.data[k] ? static_cast<const C*>(a.data[k])[at[k + 1]] : a.host[k];
    }
#pragma unroll
    for (int u = 0; u < U; ++u) {
      if (base + u * kBlock >= a.numel) break;
      static_cast<R*>(a.out)[to[u]] = apply<N>(f, x[u]);
    }
    return;
  }
#pragma unroll 1
  for (int u = 0; u < U; ++u) {
    const uint32_t i = base + u * kBlock;
    if (i >= a.numel) return;
    int64_t at[N + 1] = {};
    a.layout.locate(i, at);
    C x[N];
#pragma unroll
    for (int k = 0; k < N; ++k) x[k] = a.data[k] ? load_as<C>(a.data[k], at[k + 1], a.from[k]) : a.host[k];
    store_from<R>(a.out, at[0], a.to, apply<N>(f, x));
  }
}

// ---- Host side

// `count` places of dim d from `begin` on.
inline MapArgs slice(const MapArgs& args, int d, int64_t begin, int64_t count) {
  MapArgs part = args;
  part.sizes[d] = count;
  part.numel = args.numel / args.sizes[d] * count;
  for (int k = 0; k < args.noperands; ++k) {
    const Operand& o = args.operands[k];
    if (!o.host)
      part.operands[k].data =
          static_cast<char*>(o.data) + begin * o.strides[d] * static_cast<int64_t>(item_size(o.dtype));
  }
  return part;
}

// Calls run(part) for parts of the map of less than 2^31 elements and no more than kLayoutDims dims each.
template <class F>
void each_part(const MapArgs& args, F run) {
  if (args.ndim > kLayoutDims) {
    for (int64_t i = 0; i < args.sizes[0]; ++i) {
      MapArgs part = slice(args, 0, i, 1);
      --part.ndim;
      std::copy(part.sizes + 1, part.sizes + args.ndim, part.sizes);
      for (int k = 0; k < args.noperands; ++k)
        std::copy(part.operands[k].strides + 1, part.operands[k].strides + args.ndim, part.operands[k].strides);
      each_part(part, run);
    }
  } else if (args.numel < (int64_t{1} << 31)) {
    run(args);
  } else {  // the largest dim in two
    int d = 0;
    for (int i = 1; i < args.ndim; ++i)
      if (args.sizes[i] > args.sizes[d]) d = i;
    const int64_t half = args.sizes[d] / 2;
    each_part(slice(args, d, 0, half), run);
    each_part(slice(args, d, half, args.sizes[d] - half), run);
  }
}

// Sizes innermost first; `pack` elements of the innermost dim count as one.
template <int N>
void set_layout(Layout<N>& layout, const MapArgs& args, int64_t pack = 1) {
  layout.ndim = args.ndim > 0 ? args.ndim : 1;
  if (args.ndim == 0) {
    for (int k = 0; k < N; ++k) layout.strides[0][k] = 0;
    return;
  }
  for (int i = 0; i < args.ndim; ++i) {
    const int d = args.ndim - 1 - i;
    const int64_t each = i == 0 ? pack : 1;
    layout.sizes[i] = FastDivisor(static_cast<uint32_t>(args.sizes[d] / each));
    for (int k = 0; k < N; ++k) layout.strides[i][k] = args.operands[k].strides[d] * each;
  }
}

// Fills `p` if the operands can be read in packs of V elements of S.
template <class S, int V, int N>
bool plan_packs(PackArgs<N>& p, const MapArgs& args, bool bool_result, bool bool_first) {
  constexpr bool kHalf = sizeof(S) == 2;
  const auto is_type = [&](DType t) {
    return kHalf ? t == (p.bfloat ? DType::BFloat16 : DType::Float16) : t == DType::Float32;
  };
  if (args.ndim > kLayoutDims) return false;
  p.bfloat = false;
  for (int k = 0; k <= N; ++k)
    if (!args.operands[k].host && args.operands[k].dtype == DType::BFloat16) p.bfloat = true;
  const Operand& out = args.operands[0];
  if (bool_result ? out.dtype != DType::Bool : !is_type(out.dtype)) return false;
  const int last = args.ndim - 1;
  const int64_t inner = args.ndim ? args.sizes[last] : 1;
  // Contiguous: all operands walk one dim, in steps of 1 or (one element) 0.
  p.flat = args.ndim <= 1;
  const auto packed = [&](const Operand& o, size_t size) {
    if (args.ndim && o.strides[last] != 1) return false;
    if (!aligned(o.data, V * size)) return false;
    for (int d = 0; d < last; ++d)
      if (o.strides[d] % V != 0) return false;
    return true;
  };
  if (!p.flat && inner % V != 0) return false;
  if (!packed(out, bool_result ? 1 : sizeof(S))) return false;
  for (int k = 0; k < N; ++k) {
    const Operand& o = args.operands[k + 1];
    p.data[k] = o.data;
    p.host[k] = 0;
    if (o.host) {
      p.source[k] = Source::Host;
      p.host[k] = *static_cast<const float*>(o.data);
    } else if (bool_first && k == 0 && o.dtype == DType::Bool && packed(o, 1)) {
      p.source[k] = Source::BoolPack;
    } else if (!is_type(o.dtype)) {
      return false;
    } else if (args.ndim == 0 || o.strides[last] == 0) {
      p.source[k] = Source::Element;
    } else if (packed(o, sizeof(S))) {
      p.source[k] = Source::Pack;
    } else {
      return false;
    }
  }
  p.out = out.data;
  p.numel = args.numel;
  p.packs = args.numel / V;
  if (p.flat) {
    p.layout.ndim = 0;
  } else {
    if (args.numel >= (int64_t{1} << 31)) return false;
    set_layout(p.layout, args, V);
  }
  return true;
}

template <class Fn, class S, int N>
bool run_packs(const MapArgs& args, const Fn& f, bool bool_first) {
  constexpr int V = sizeof(S) == 2 && Fn::kCost < 2 ? 8 : 4;
  constexpr int U = Fn::kCost == 0 ? 2 : 1;
  using R = typename Fn::Result;
  PackArgs<N> p;
  if (!plan_packs<S, V>(p, args, std::is_same_v<R, bool>, bool_first)) return false;
  // Small maps spread over the device first.
  p.per_block = U > 1 && p.packs > static_cast<int64_t>(multiprocessors()) * 8 * kBlock ? U * kBlock : kBlock;
  const int64_t blocks = std::max<int64_t>((p.packs + p.per_block - 1) / p.per_block, 1);
  if (blocks > 0x7fffffff) return false;
  launch(map_packs<Fn, S, N, V, U>, static_cast<unsigned>(blocks), kBlock, p, f);
  return true;
}

template <class Fn, class C, int N>
void run_any(const MapArgs& whole, const Fn& f) {
  constexpr int U = Fn::kCost == 0 ? 4 : 1;
  using R = typename Fn::Result;
  each_part(whole, [&](const MapArgs& args) {
    AnyArgs<N, C> a;
    a.out = args.operands[0].data;
    a.to = args.operands[0].dtype;
    a.plain = a.to == DTypeOf<R>::value;
    a.numel = static_cast<uint32_t>(args.numel);
    for (int k = 0; k < N; ++k) {
      const Operand& o = args.operands[k + 1];
      a.data[k] = o.host ? nullptr : o.data;
      a.host[k] = o.host ? *static_cast<const C*>(o.data) : C{};
      a.from[k] = o.dtype;
      a.plain &= o.host || o.dtype == DTypeOf<C>::value;
    }
    set_layout(a.layout, args);
    const int64_t blocks = (args.numel + U * kBlock - 1) / (U * kBlock);
    launch(map_any<Fn, C, N, U>, static_cast<unsigned>(blocks), kBlock, a, f);
  });
}

// The arguments of unary_contiguous and binary_contiguous.
inline void contiguous_args(MapArgs& args, DType type, int64_t n, const double* params) {
  args.ndim = 1;
  args.sizes[0] = args.numel = n;
  args.compute = type;
  args.params[0] = 1;  // alpha
  for (int k = 0; params && k < 4; ++k) args.params[k] = params[k];
  for (int k = 0; k < 2; ++k) {
    const double f = args.params[k];
    args.iparams[k] = f >= 0x1p63 ? INT64_MAX : f >= -0x1p63 ? static_cast<int64_t>(f) : INT64_MIN;
  }
}
inline void set_contiguous(Operand& o, void* data, DType type, int64_t step) {
  o.data = data;
  o.dtype = type;
  o.strides[0] = step;
}

// Of compute type Complex64 or Complex128 (complex.cu).
void map_complex(Unary op, const MapArgs& args);
void map_complex(Binary op, const MapArgs& args);
void map_complex(Ternary op, const MapArgs& args);

// One op: Fn<op, C> of N operands for the compute types it has.
template <template <auto, class> class Fn, auto op, int N>
void run_map(const char* name, const MapArgs& args, bool bool_first = false) {
  if (args.numel == 0) return;
  const auto any = [&](auto c) {
    using C = decltype(c);
    using F = Fn<op, C>;
    if constexpr (F::kExists)
      run_any<F, C, N>(args, F(args));
    else
      no_loop(name, args.compute);
  };
  switch (args.compute) {
    case DType::Float32:
      if constexpr (Fn<op, float>::kExists) {
        using F = Fn<op, float>;
        using OnHalves = typename OfHalf<F>::type;
        if (run_packs<F, float, N>(args, F(args), bool_first)) return;
        if (run_packs<OnHalves, uint16_t, N>(args, OnHalves(args), bool_first)) return;
      }
      return any(float{});
    case DType::Float64:
      return any(double{});
    case DType::Int32:
      return any(int32_t{});
    case DType::Int64:
      return any(int64_t{});
    default:
      no_loop(name, args.compute);
  }
}

}  // namespace pynn::cuda
