// cub.cu -- CUB behind plain functions.
#include "kernels/cuda/cub.cuh"

#include "kernels/cuda/launch.cuh"
#ifdef PYNN_CUDA_EMULATED
#include <numeric>
#include <vector>
#else
#include <cub/device/device_radix_sort.cuh>
#endif

namespace pynn::cuda {
namespace {

template <class Key>
bool sort(Key* keys, Key* other_keys, uint32_t* values, uint32_t* other_values, int64_t n, int bits) {
#ifdef PYNN_CUDA_EMULATED
  const auto count = static_cast<size_t>(n);
  const Key mask = bits < static_cast<int>(8 * sizeof(Key)) ? (Key(1) << bits) - 1 : ~Key(0);
  std::vector<Key> k(count), sorted_keys(count);
  std::vector<uint32_t> v(count), sorted_values(count);
  download(k.data(), keys, count * sizeof(Key));
  download(v.data(), values, count * sizeof(uint32_t));
  std::vector<size_t> order(count);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return (k[a] & mask) < (k[b] & mask); });
  for (size_t i = 0; i < count; ++i) sorted_keys[i] = k[order[i]], sorted_values[i] = v[order[i]];
  upload(other_keys, sorted_keys.data(), count * sizeof(Key));
  upload(other_values, sorted_values.data(), count * sizeof(uint32_t));
  return true;
#else
  cub::DoubleBuffer<Key> k(keys, other_keys);
  cub::DoubleBuffer<uint32_t> v(values, other_values);
  size_t bytes = 0;
  const auto run = [&](void* room) {
    check(cub::DeviceRadixSort::SortPairs(room, bytes, k, v, n, 0, bits, current_stream()), "sort");
  };
  run(nullptr);
  Scratch room(bytes);
  run(room.as<void>());
  return k.Current() == other_keys;
#endif
}

}  // namespace

bool sort_pairs(uint32_t* k, uint32_t* ok, uint32_t* v, uint32_t* ov, int64_t n, int bits) {
  return sort(k, ok, v, ov, n, bits);
}
bool sort_pairs(uint64_t* k, uint64_t* ok, uint32_t* v, uint32_t* ov, int64_t n, int bits) {
  return sort(k, ok, v, ov, n, bits);
}

}  // namespace pynn::cuda
