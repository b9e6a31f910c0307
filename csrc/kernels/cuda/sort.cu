// sort.cu -- stable sort of rows, and the first k of each (topk).
//
// Elements become unsigned keys as in kernels/cpu/sort.cpp; a key and its position together have no ties, so any sort
// of them is stable.
//   n <= 2048           bitonic in shared memory, several short rows to a block
//   k <= 1024           a block per row: radix select narrows the rows' items down to the first k, which are sorted
//   else                one radix sort of all rows together, by row number and key
// The kernels know elements by a runtime dtype: reading one costs little beside the sorting.
#include "kernels/cuda/cub.cuh"
#include "kernels/cuda/elements.cuh"
#include "kernels/indexing.h"

namespace pynn::cuda {
namespace {

constexpr int64_t kShortRow = 2048, kFewFirst = 1024;

template <class F, class Bits>
__device__ inline Bits float_key(F x) {
  constexpr Bits sign = Bits(1) << (8 * sizeof(F) - 1);
  if (x != x) return ~Bits(0);
  x += F(0);  // -0 becomes +0
  Bits b;
  memcpy(&b, &x, sizeof b);
  return b & sign ? ~b : b | sign;
}

// Of element i of x; below 2^32 but for the 8-byte types.
__device__ inline uint64_t key_at(const void* x, DType dtype, int64_t i) {
  switch (dtype) {
    case DType::Float32:
      return float_key<float, uint32_t>(static_cast<const float*>(x)[i]);
    case DType::Float64:
      return float_key<double, uint64_t>(static_cast<const double*>(x)[i]);
    case DType::Float16:
      return float_key<float, uint32_t>(load(static_cast<const Half*>(x)[i]));
    case DType::BFloat16:
      return float_key<float, uint32_t>(load(static_cast<const BFloat16*>(x)[i]));
    case DType::Int64:
      return static_cast<uint64_t>(static_cast<const int64_t*>(x)[i]) ^ uint64_t { 1 } << 63;
    case DType::Int32:
      return static_cast<uint32_t>(static_cast<const int32_t*>(x)[i]) ^ 0x80000000u;
    case DType::Int16:
      return static_cast<uint16_t>(static_cast<const int16_t*>(x)[i] ^ 0x8000);
    case DType::Int8:
      return static_cast<uint8_t>(static_cast<const int8_t*>(x)[i] ^ 0x80);
    default:
      return static_cast<const uint8_t*>(x)[i];
  }
}

__device__ inline void copy_element(const SortArgs& a, int item, int64_t to, int64_t from) {
  switch (item) {
    case 1:
      static_cast<uint8_t*>(a.values)[to] = static_cast<const uint8_t*>(a.x)[from];
      return;
    case 2:
      static_cast<uint16_t*>(a.values)[to] = static_cast<const uint16_t*>(a.x)[from];
      return;
    case 4:
      static_cast<uint32_t*>(a.values)[to] = static_cast<const uint32_t*>(a.x)[from];
      return;
    default:
      static_cast<uint64_t*>(a.values)[to] = static_cast<const uint64_t*>(a.x)[from];
  }
}

// A key with its position: one number where the key has 32 bits.
struct Narrow {
  static constexpr int kDigits = 8;
  uint64_t bits;
  __device__ static Narrow of(uint64_t key, uint32_t position, bool flip) {
    return {(flip ? static_cast<uint32_t>(~key) : static_cast<uint32_t>(key)) * (uint64_t{1} << 32) | position};
  }
  __device__ static Narrow last() { return {~uint64_t{0}}; }
  __device__ uint32_t position() const { return static_cast<uint32_t>(bits); }
  __device__ bool operator<(const Narrow& o) const { return bits < o.bits; }
  __device__ unsigned digit(int d) const { return static_cast<unsigned>(bits >> (56 - 8 * d)) & 255; }
  __device__ void set_digit(int d, unsigned v) { bits |= static_cast<uint64_t>(v) << (56 - 8 * d); }
  __device__ Narrow first_digits(int n) const { return {n ? bits >> (64 - 8 * n) : 0}; }
  __device__ bool operator==(const Narrow& o) const { return bits == o.bits; }
};
struct Wide {
  static constexpr int kDigits = 12;
  uint64_t key;
  uint64_t place;
  __device__ static Wide of(uint64_t key, uint32_t position, bool flip) { return {flip ? ~key : key, position}; }
  __device__ static Wide last() { return {~uint64_t{0}, ~uint64_t{0}}; }
  __device__ uint32_t position() const { return static_cast<uint32_t>(place); }
  __device__ bool operator<(const Wide& o) const { return key < o.key || (key == o.key && place < o.place); }
  __device__ unsigned digit(int d) const {
    return static_cast<unsigned>(d < 8 ? key >> (56 - 8 * d) : place >> (88 - 8 * d)) & 255;
  }
  __device__ void set_digit(int d, unsigned v) {
    if (d < 8)
      key |= static_cast<uint64_t>(v) << (56 - 8 * d);
    else
      place |= static_cast<uint64_t>(v) << (88 - 8 * d);
  }
  __device__ Wide first_digits(int n) const {
    if (n <= 8) return {n ? key >> (64 - 8 * n) : 0, 0};
    return {key, place >> (96 - 8 * n)};
  }
  __device__ bool operator==(const Wide& o) const { return key == o.key && place == o.place; }
};

// Sorts p[0, size) for each group of `threads` threads of the block; `me` is the thread's number in its group. All
// threads of the block take part; size is a power of two.
template <class Item>
__device__ inline void bitonic_sort(Item* p, int size, int me, int threads) {
  for (int run = 2; run <= size; run *= 2)
    for (int step = run / 2; step; step /= 2) {
      __syncthreads();
      for (int t = me; t < size / 2; t += threads) {
        const int i = 2 * t - (t & (step - 1)), j = i + step;
        if ((p[j] < p[i]) == ((i & run) == 0)) {
          const Item x = p[i];
          p[i] = p[j];
          p[j] = x;
        }
      }
    }
  __syncthreads();
}

__device__ inline void put(const SortArgs& a, int item, int64_t row, int64_t j, int64_t position) {
  copy_element(a, item, row * a.k + j, row * a.n + position);
  a.indices[row * a.k + j] = position;
}

template <class Item>
__global__ void __launch_bounds__(kMostThreads) sort_short(SortArgs a, int bytes, int size, int threads) {
  const int group = static_cast<int>(threadIdx.x) / threads, me = static_cast<int>(threadIdx.x) % threads;
  Item* p = dynamic_shared<Item>() + group * size;
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (blockDim.x / threads) + group;
  for (int i = me; i < size; i += threads)
    p[i] = row < a.rows && i < a.n
               ? Item::of(key_at(a.x, a.dtype, row * a.n + i), static_cast<uint32_t>(i), a.descending)
               : Item::last();
  bitonic_sort(p, size, me, threads);
  if (row >= a.rows) return;
  for (int j = me; j < a.k; j += threads) put(a, bytes, row, j, p[j].position());
}

// The first k of a row, k <= kFewFirst: byte by byte from the highest, the value of the k-th item becomes known.
template <class Item>
__global__ void first_of_row(SortArgs a, int bytes, int size) {
  Item* kept = dynamic_shared<Item>();
  __shared__ unsigned count[2][256];
  __shared__ unsigned chosen, wanted, found;
  const int tid = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int64_t row = blockIdx.x;
  const auto item = [&](int64_t i) {
    return Item::of(key_at(a.x, a.dtype, row * a.n + i), static_cast<uint32_t>(i), a.descending);
  };
  Item bound{};
  int digits = 0;  // of `bound` that are known
  if (tid == 0) wanted = static_cast<unsigned>(a.k), found = 0;
  for (bool done = false; !done && digits < Item::kDigits;) {
    if (tid < 256) count[0][tid] = 0;
    __syncthreads();
    const Item prefix = bound.first_digits(digits);
    const int shown = digits;
    for (int64_t i = tid; i - tid < a.n; i += threads) {  // whole warps
      const Item x = i < a.n ? item(i) : Item{};
      const bool counts = i < a.n && x.first_digits(shown) == prefix;
      const unsigned digit = x.digit(shown);
      if (shown == 0) {  // most values share few exponents: those of a warp are counted at once
        const unsigned alike = __match_any_sync(0xffffffffu, counts ? digit : 256u);
        if (counts && tid % kWarp == __ffs(static_cast<int>(alike)) - 1)
          atomicAdd(&count[0][digit], static_cast<unsigned>(__popc(alike)));
      } else if (counts) {
        atomicAdd(&count[0][digit], 1u);
      }
    }
    __syncthreads();
    int at = 0;  // running sums, doubling the distance each time
    for (int d = 1; d < 256; d *= 2, at = 1 - at) {
      if (tid < 256) count[1 - at][tid] = count[at][tid] + (tid >= d ? count[at][tid - d] : 0);
      __syncthreads();
    }
    const unsigned want = wanted;
    if (tid < 256) {
      const unsigned before = tid ? count[at][tid - 1] : 0;
      if (before < want && want <= count[at][tid]) chosen = static_cast<unsigned>(tid);
    }
    __syncthreads();
    const unsigned before = chosen ? count[at][chosen - 1] : 0;
    bound.set_digit(digits++, chosen);
    done = count[at][chosen] - before == want - before;  // all that begin so are wanted
    __syncthreads();
    if (tid == 0) wanted = want - before;
  }
  const Item most = bound.first_digits(digits);
  __syncthreads();
  for (int64_t i = tid; i < a.n; i += threads) {
    const Item x = item(i);
    if (!(most < x.first_digits(digits))) kept[atomicAdd(&found, 1u)] = x;
  }
  __syncthreads();
  for (int i = static_cast<int>(a.k) + tid; i < size; i += threads) kept[i] = Item::last();
  bitonic_sort(kept, size, tid, threads);
  for (int j = tid; j < a.k; j += threads) put(a, bytes, row, j, kept[j].position());
}

// Keys and flat positions of some rows; 32-bit keys have the row's number above them where there are several rows.
template <class Key>
__global__ void make_keys(SortArgs a, Key* keys, uint32_t* positions, bool with_row) {
  PYNN_GRID_LOOP(i, a.rows * a.n) {
    uint64_t key = key_at(a.x, a.dtype, i);
    if (a.descending) key = ~key;
    if (with_row) key = static_cast<uint64_t>(divide(i, a.n)) << 32 | (key & UINT32_MAX);
    keys[i] = static_cast<Key>(key);
    positions[i] = static_cast<uint32_t>(i);
  }
}
__global__ void make_row_keys(int64_t count, int64_t n, const uint32_t* positions, uint32_t* keys) {
  PYNN_GRID_LOOP(i, count) keys[i] = static_cast<uint32_t>(divide(positions[i], n));
}
__global__ void take_sorted(SortArgs a, int bytes, const uint32_t* positions) {
  PYNN_GRID_LOOP(i, a.rows * a.k) {
    const int64_t row = divide(i, a.k), j = i - row * a.k;
    put(a, bytes, row, j, positions[row * a.n + j] - row * a.n);
  }
}

template <class Key>
void sort_long(const SortArgs& a) {
  const int64_t count = a.rows * a.n;
  const int bytes = static_cast<int>(item_size(a.dtype));
  const bool wide = bytes == 8, several = a.rows > 1;
  Scratch keys(2 * static_cast<size_t>(count) * sizeof(Key)),
      positions(2 * static_cast<size_t>(count) * sizeof(uint32_t));
  auto* k = keys.as<Key>();
  auto* p = positions.as<uint32_t>();
  auto* other = p + count;
  launch(make_keys<Key>, grid_for(count), kBlock, a, k, p, several && !wide);
  const int row_bits = several ? bits_of(static_cast<uint64_t>(a.rows - 1)) : 0;
  if (sort_pairs(k, k + count, p, other, count, wide ? 64 : 32 + row_bits)) std::swap(p, other);
  if (several && wide) {  // then by row, which keeps the order of keys
    auto* r = reinterpret_cast<uint32_t*>(k);
    launch(make_row_keys, grid_for(count), kBlock, count, a.n, static_cast<const uint32_t*>(p), r);
    if (sort_pairs(r, r + count, p, other, count, row_bits)) std::swap(p, other);
  }
  launch(take_sorted, grid_for(a.rows * a.k), kBlock, a, bytes, static_cast<const uint32_t*>(p));
}

template <class Item>
void sort_by(const SortArgs& a) {
  const int bytes = static_cast<int>(item_size(a.dtype));
  if (a.n <= kShortRow) {
    int size = 2;
    while (size < a.n) size *= 2;
    const int threads = size / 2, groups = std::max(1, 128 / threads);
    launch_shared(sort_short<Item>, static_cast<unsigned>((a.rows + groups - 1) / groups), threads * groups,
                  static_cast<size_t>(groups * size) * sizeof(Item), a, bytes, size, threads);
    return;
  }
  // One block reads its row again and again: few very long rows are better sorted by the whole device.
  if (a.k <= kFewFirst && a.n <= UINT32_MAX && (a.n <= 1 << 17 || a.rows >= multiprocessors())) {
    int size = 2;
    while (size < a.k) size *= 2;
    launch_shared(first_of_row<Item>, static_cast<unsigned>(a.rows), 512, static_cast<size_t>(size) * sizeof(Item), a,
                  bytes, size);
    return;
  }
  constexpr int64_t kMost = int64_t{1} << 28;  // elements sorted at once
  const int64_t rows = std::max<int64_t>(1, kMost / a.n);
  PYNN_CHECK(a.n < UINT32_MAX, "sort: rows of less than 2^32 - 1 elements are required on CUDA, got ", a.n);
  for (int64_t r = 0; r < a.rows; r += rows) {
    SortArgs part = a;
    part.x = static_cast<const char*>(a.x) + r * a.n * bytes;
    part.values = static_cast<char*>(a.values) + r * a.k * bytes;
    part.indices += r * a.k;
    part.rows = std::min(rows, a.rows - r);
    if (part.rows == 1 && bytes < 8)
      sort_long<uint32_t>(part);
    else
      sort_long<uint64_t>(part);
  }
}

}  // namespace

void sort_rows(const SortArgs& a) {
  if (a.rows == 0 || a.k == 0) return;
  if (is_complex(a.dtype)) no_loop("sort", a.dtype);
  if (item_size(a.dtype) == 8)
    sort_by<Wide>(a);
  else
    sort_by<Narrow>(a);
}
PYNN_CUDA_KERNEL(sort_rows);

}  // namespace pynn::cuda
