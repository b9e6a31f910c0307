// map_copy.cu -- y <- x between any two layouts and dtypes.
//
//   fill       one element everywhere in contiguous memory
//   cast       contiguous to contiguous, a pack of elements per thread
//   transpose  x's memory runs along another dim than y's: tiles through shared memory
//   move       the same dtype: whole units of up to 16 bytes, as large as both layouts allow
//   convert    whatever else: an element per thread
#include <cstring>

#include "kernels/cuda/map.cuh"

namespace pynn::cuda {
namespace {

constexpr int kItems = 4;  // that a thread works on

// ---- fill

struct alignas(16) Bits {
  uint64_t v[2];
};

// 16 bytes per thread; `from`, if not null, has the element of `size` bytes, else `bits` has it repeated.
__global__ void __launch_bounds__(kBlock) fill_packs(char* to, int64_t bytes, Bits bits, const char* from, int size) {
  if (from) {
    char* b = reinterpret_cast<char*>(&bits);
#pragma unroll
    for (int i = 0; i < 16; ++i) b[i] = from[i % size];
  }
  const int64_t packs = bytes / 16;
  const int64_t base = static_cast<int64_t>(blockIdx.x) * (kItems * kBlock) + threadIdx.x;
#pragma unroll
  for (int u = 0; u < kItems; ++u) {
    const int64_t p = base + u * kBlock;
    if (p < packs) reinterpret_cast<Bits*>(to)[p] = bits;
  }
  const int64_t rest = packs * 16 + threadIdx.x;
  if (blockIdx.x == 0 && rest < bytes) to[rest] = reinterpret_cast<const char*>(&bits)[threadIdx.x];
}

// ---- cast

template <class To, class From, int V>
__global__ void __launch_bounds__(kBlock) cast_packs(To* to, const From* from, int64_t n) {
  constexpr int U = 2;
  const int64_t packs = n / V, base = static_cast<int64_t>(blockIdx.x) * (U * kBlock) + threadIdx.x;
  Pack<From, V> x[U];
#pragma unroll
  for (int u = 0; u < U; ++u)
    if (base + u * kBlock < packs) x[u] = reinterpret_cast<const Pack<From, V>*>(from)[base + u * kBlock];
#pragma unroll
  for (int u = 0; u < U; ++u) {
    if (base + u * kBlock >= packs) continue;
    Pack<To, V> y;
#pragma unroll
    for (int i = 0; i < V; ++i) y.v[i] = cast<To>(x[u].v[i]);
    reinterpret_cast<Pack<To, V>*>(to)[base + u * kBlock] = y;
  }
  const int64_t rest = packs * V + threadIdx.x;
  if (blockIdx.x == 0 && rest < n) to[rest] = cast<To>(from[rest]);
}

template <class To, class From>
bool run_cast(void* to, const void* from, int64_t n) {
  constexpr int larger = static_cast<int>(std::max(sizeof(To), sizeof(From)));
  constexpr int V = std::min(16 / larger, 8);
  if (!aligned(to, V * sizeof(To)) || !aligned(from, V * sizeof(From))) return false;
  const int64_t blocks = std::max<int64_t>((n / V + 2 * kBlock - 1) / (2 * kBlock), 1);
  launch(cast_packs<To, From, V>, static_cast<unsigned>(blocks), kBlock, static_cast<To*>(to),
         static_cast<const From*>(from), n);
  return true;
}

// ---- transpose

constexpr int kTile = 32, kTileRows = 8;  // 8 x 32 threads move a tile of 32 x 32

// y[..., r, c] = x[..., r, c] where y's stride along c and x's along r are 1.
struct TransposeArgs {
  void* out;
  const void* in;
  int64_t rows, cols;
  int64_t out_row, in_col;  // strides
  unsigned tiles_r, tiles_c;
  Layout<2> rest;
};

template <class E>
__global__ void __launch_bounds__(kTile* kTileRows) transpose_tiles(TransposeArgs a) {
  __shared__ E tile[kTile][kTile + 1];
  const unsigned per_matrix = a.tiles_r * a.tiles_c;
  const unsigned matrix = blockIdx.x / per_matrix, t = blockIdx.x % per_matrix;
  const int64_t r0 = static_cast<int64_t>(t / a.tiles_c) * kTile, c0 = static_cast<int64_t>(t % a.tiles_c) * kTile;
  int64_t at[2] = {};
  a.rest.locate(matrix, at);
  const E* x = static_cast<const E*>(a.in) + at[1];
  E* y = static_cast<E*>(a.out) + at[0];
#pragma unroll
  for (int k = 0; k < kTile; k += kTileRows) {
    const int64_t r = r0 + threadIdx.x, c = c0 + threadIdx.y + k;
    if (r < a.rows && c < a.cols) tile[threadIdx.y + k][threadIdx.x] = x[r + c * a.in_col];
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < kTile; k += kTileRows) {
    const int64_t r = r0 + threadIdx.y + k, c = c0 + threadIdx.x;
    if (r < a.rows && c < a.cols) y[r * a.out_row + c] = tile[threadIdx.x][threadIdx.y + k];
  }
}

bool run_transpose(const MapArgs& args) {
  constexpr int64_t kLeast = 8;  // shorter sides leave most of a tile empty
  const Operand &out = args.operands[0], &in = args.operands[1];
  const int c = args.ndim - 1;
  if (c < 1 || out.strides[c] != 1 || in.strides[c] == 1 || args.sizes[c] < kLeast) return false;
  int r = -1;
  for (int d = 0; d < c; ++d)
    if (in.strides[d] == 1 && args.sizes[d] >= kLeast) r = d;
  if (r < 0) return false;
  TransposeArgs a;
  a.out = out.data;
  a.in = in.data;
  a.rows = args.sizes[r];
  a.cols = args.sizes[c];
  a.out_row = out.strides[r];
  a.in_col = in.strides[c];
  MapArgs rest = args;
  rest.ndim = 0;
  int64_t matrices = 1;
  for (int d = 0; d < c; ++d) {
    if (d == r) continue;
    rest.sizes[rest.ndim] = args.sizes[d];
    for (int k = 0; k < 2; ++k) rest.operands[k].strides[rest.ndim] = args.operands[k].strides[d];
    ++rest.ndim;
    matrices *= args.sizes[d];
  }
  set_layout(a.rest, rest);
  const int64_t tiles_r = (a.rows + kTile - 1) / kTile, tiles_c = (a.cols + kTile - 1) / kTile;
  if (tiles_r * tiles_c * matrices > 0x7fffffff) return false;
  a.tiles_r = static_cast<unsigned>(tiles_r);
  a.tiles_c = static_cast<unsigned>(tiles_c);
  const dim3 block(kTile, kTileRows);
  const unsigned grid = static_cast<unsigned>(tiles_r * tiles_c * matrices);
  dispatch_size(out.dtype, [&](auto e) { launch(transpose_tiles<decltype(e)>, grid, block, a); });
  return true;
}

// ---- move

struct MoveArgs {
  void* out;
  const void* in;  // null: `bits`
  Bits bits;
  uint32_t numel;  // units
  Layout<2> layout;
};

template <class E>
__global__ void __launch_bounds__(kBlock) move_units(MoveArgs a) {
  const uint32_t base = blockIdx.x * (kItems * kBlock) + threadIdx.x;
  E x[kItems];
  int64_t to[kItems];
#pragma unroll
  for (int u = 0; u < kItems; ++u) {
    const uint32_t i = base + u * kBlock;
    if (i >= a.numel) continue;
    int64_t at[2] = {};
    a.layout.locate(i, at);
    to[u] = at[0];
    if (a.in)
      x[u] = static_cast<const E*>(a.in)[at[1]];
    else
      memcpy(&x[u], &a.bits, sizeof(E));
  }
#pragma unroll
  for (int u = 0; u < kItems; ++u)
    if (base + u * kBlock < a.numel) static_cast<E*>(a.out)[to[u]] = x[u];
}

unsigned item_blocks(int64_t n) { return static_cast<unsigned>((n + kItems * kBlock - 1) / (kItems * kBlock)); }

// The largest unit of 16, 8 ... bytes that both layouts consist of, in elements.
int64_t unit_elements(const MapArgs& args, int64_t size) {
  if (args.ndim == 0) return 1;
  const int last = args.ndim - 1;
  for (int64_t n = 16 / size; n > 1; n /= 2) {
    bool fits = args.sizes[last] % n == 0;
    for (int k = 0; fits && k < 2; ++k) {
      const Operand& o = args.operands[k];
      fits = o.strides[last] == 1 && aligned(o.data, static_cast<size_t>(n * size));
      for (int d = 0; fits && d < last; ++d) fits = o.strides[d] % n == 0;
    }
    if (fits) return n;
  }
  return 1;
}

// The element of a host operand, repeated over 16 bytes.
Bits repeated(const Operand& o) {
  Bits bits{};
  const int64_t size = static_cast<int64_t>(item_size(o.dtype));
  for (int64_t i = 0; i < 16; ++i) reinterpret_cast<char*>(&bits)[i] = static_cast<const char*>(o.data)[i % size];
  return bits;
}

void run_move(const MapArgs& whole) {
  each_part(whole, [](const MapArgs& args) {
    const Operand &out = args.operands[0], &in = args.operands[1];
    const int64_t size = static_cast<int64_t>(item_size(out.dtype));
    const int64_t unit = in.host ? 1 : unit_elements(args, size);
    MoveArgs a;
    a.out = out.data;
    a.in = in.host ? nullptr : in.data;
    a.bits = in.host ? repeated(in) : Bits{};
    a.numel = static_cast<uint32_t>(args.numel / unit);
    set_layout(a.layout, args, unit);
    for (int d = 0; d < a.layout.ndim; ++d)  // in units; the innermost one is 1 already
      for (int k = 0; k < 2; ++k) a.layout.strides[d][k] /= unit;
    const unsigned grid = item_blocks(a.numel);
    switch (unit * size) {
      case 1:
        return launch(move_units<uint8_t>, grid, kBlock, a);
      case 2:
        return launch(move_units<uint16_t>, grid, kBlock, a);
      case 4:
        return launch(move_units<uint32_t>, grid, kBlock, a);
      case 8:
        return launch(move_units<uint64_t>, grid, kBlock, a);
      default:
        // complex128 need not lie on 16 bytes
        if (aligned(out.data, 16) && (in.host || aligned(in.data, 16)))
          return launch(move_units<Bits>, grid, kBlock, a);
        return launch(move_units<Bytes16>, grid, kBlock, a);
    }
  });
}

// ---- convert

struct ConvertArgs {
  void* out;
  const void* in;  // null: zero
  DType to, from;
  uint32_t numel;
  Layout<2> layout;
};

// Middle: double or int64, which hold every value of the source exactly.
template <class Middle>
__global__ void __launch_bounds__(kBlock) convert_elements(ConvertArgs a) {
  const uint32_t base = blockIdx.x * (kItems * kBlock) + threadIdx.x;
#pragma unroll 1
  for (int u = 0; u < kItems; ++u) {
    const uint32_t i = base + u * kBlock;
    if (i >= a.numel) return;
    int64_t at[2] = {};
    a.layout.locate(i, at);
    store_real<Middle>(a.out, at[0], a.to, a.in ? load_real<Middle>(a.in, at[1], a.from) : Middle(0));
  }
}

void run_convert(const MapArgs& whole, bool zero = false) {
  each_part(whole, [zero](const MapArgs& args) {
    const Operand &out = args.operands[0], &in = args.operands[1];
    ConvertArgs a;
    a.out = out.data;
    a.in = zero ? nullptr : in.data;
    a.to = out.dtype;
    a.from = in.dtype;
    a.numel = static_cast<uint32_t>(args.numel);
    set_layout(a.layout, args);
    const unsigned grid = item_blocks(args.numel);
    if (is_floating(a.from))
      launch(convert_elements<double>, grid, kBlock, a);
    else
      launch(convert_elements<int64_t>, grid, kBlock, a);
  });
}

// ---- Complex numbers are pairs: their parts are converted as arrays of twice the strides.

template <class Part>
__global__ void __launch_bounds__(kBlock) complex_is_nonzero(ConvertArgs a) {
  const uint32_t base = blockIdx.x * (kItems * kBlock) + threadIdx.x;
  for (int u = 0; u < kItems; ++u) {
    const uint32_t i = base + u * kBlock;
    if (i >= a.numel) return;
    int64_t at[2] = {};
    a.layout.locate(i, at);
    const Part* x = static_cast<const Part*>(a.in) + 2 * at[1];
    static_cast<bool*>(a.out)[at[0]] = x[0] != Part(0) || x[1] != Part(0);
  }
}

DType part_type(DType t) { return t == DType::Complex64 ? DType::Float32 : DType::Float64; }

void as_parts(Operand& o, int ndim, int part) {
  if (!is_complex(o.dtype)) return;
  o.dtype = part_type(o.dtype);
  o.data = static_cast<char*>(o.data) + part * static_cast<int64_t>(item_size(o.dtype));
  for (int d = 0; d < ndim; ++d) o.strides[d] *= 2;
}

void run_complex(const MapArgs& args) {
  const DType to = args.operands[0].dtype, from = args.operands[1].dtype;
  if (to == DType::Bool) {
    return each_part(args, [](const MapArgs& part) {
      ConvertArgs a;
      a.out = part.operands[0].data;
      a.in = part.operands[1].data;
      a.numel = static_cast<uint32_t>(part.numel);
      set_layout(a.layout, part);
      if (part.operands[1].dtype == DType::Complex64)
        launch(complex_is_nonzero<float>, item_blocks(part.numel), kBlock, a);
      else
        launch(complex_is_nonzero<double>, item_blocks(part.numel), kBlock, a);
    });
  }
  for (int part = 0; part < (is_complex(to) ? 2 : 1); ++part) {
    MapArgs parts = args;
    for (int k = 0; k < 2; ++k) as_parts(parts.operands[k], args.ndim, part);
    run_convert(parts, part == 1 && !is_complex(from));
  }
}

}  // namespace

void map_copy(const MapArgs& args) {
  if (args.numel == 0) return;
  if (args.ndim > kLayoutDims) return each_part(args, map_copy);
  const Operand &out = args.operands[0], &in = args.operands[1];
  const bool contiguous = args.ndim == 0 || (args.ndim == 1 && out.strides[0] == 1);
  const size_t size = item_size(out.dtype);
  if (in.host || in.dtype == out.dtype) {
    if (contiguous && (in.host || (args.ndim == 1 && in.strides[0] == 0)) && aligned(out.data, 16)) {
      const int64_t bytes = args.numel * static_cast<int64_t>(size);
      const int64_t blocks = std::max<int64_t>((bytes / 16 + kItems * kBlock - 1) / (kItems * kBlock), 1);
      return launch(fill_packs, static_cast<unsigned>(blocks), kBlock, static_cast<char*>(out.data), bytes,
                    in.host ? repeated(in) : Bits{}, in.host ? nullptr : static_cast<const char*>(in.data),
                    static_cast<int>(size));
    }
    if (!in.host && contiguous && (args.ndim == 0 || in.strides[0] == 1)) {
      const Device here{DeviceType::Cuda, static_cast<int8_t>(accelerator->current_device())};
      if (out.data == in.data) return;
      return accelerator->copy(out.data, here, in.data, here, static_cast<size_t>(args.numel) * size, true);
    }
    if (!in.host && run_transpose(args)) return;
    return run_move(args);
  }
  if (is_complex(out.dtype) || is_complex(in.dtype)) return run_complex(args);
  if (contiguous && (args.ndim == 0 || in.strides[0] == 1)) {
    bool done = false;
    dispatch_real("map_copy", out.dtype, [&](auto to) {
      dispatch_real("map_copy", in.dtype, [&](auto from) {
        using To = decltype(to);
        using From = decltype(from);
        if constexpr (!std::is_same_v<To, From>) done = run_cast<To, From>(out.data, in.data, args.numel);
      });
    });
    if (done) return;
  }
  run_convert(args);
}
PYNN_CUDA_KERNEL(map_copy);

}  // namespace pynn::cuda
