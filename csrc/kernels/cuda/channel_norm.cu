// channel_norm.cu -- batch, instance and group normalisation, forward and backward.
//
//   h = (x - mean) rstd,  y = h w + b
//   dx = rstd (dy w - mean(dy w) - h mean(dy w h)),  dweight = sum dy h,  dbias = sum dy
//
// The first launch folds pieces of each statistic, the second merges them, every block for itself, and maps. Where a
// block can take a whole statistic there is one launch. x [N, C] (runs of one element) is folded by columns.
#include "kernels/channel_norm.h"

#include "kernels/cuda/reduce.cuh"

namespace pynn::cuda {
namespace {

template <class T>
struct Net {
  using E = Element<T>;
  const T *x, *dy;
  T *y, *dx;
  const E *weight, *bias;
  E *mean, *rstd, *running_mean, *running_var, *dweight, *dbias;
  int64_t stats, chunks, length, stat_step, chunk_step, groups, channels;
  E eps, momentum;
  bool measure;

  explicit Net(const ChannelNormArgs& a)
      : x(static_cast<const T*>(a.x)),
        dy(static_cast<const T*>(a.dy)),
        y(static_cast<T*>(a.y)),
        dx(static_cast<T*>(a.dx)),
        weight(static_cast<const E*>(a.weight)),
        bias(static_cast<const E*>(a.bias)),
        mean(static_cast<E*>(a.mean)),
        rstd(static_cast<E*>(a.rstd)),
        running_mean(static_cast<E*>(a.running_mean)),
        running_var(static_cast<E*>(a.running_var)),
        dweight(static_cast<E*>(a.dweight)),
        dbias(static_cast<E*>(a.dbias)),
        stats(a.stats),
        chunks(a.chunks),
        length(a.length),
        stat_step(a.stat_step),
        chunk_step(a.chunk_step),
        groups(a.groups),
        channels(a.channels),
        eps(static_cast<E>(a.eps)),
        momentum(static_cast<E>(a.momentum)),
        measure(a.measure) {}

  bool columns() const { return length == 1 && stat_step == 1 && !groups; }
  __host__ __device__ int64_t count() const { return chunks * length; }
  __device__ int64_t channel(int64_t s, int64_t m) const { return groups ? s % groups * chunks + m : s; }
  __device__ E weight_of(int64_t c) const { return weight ? weight[c] : E(1); }
  // Element e of statistic s, and its run m.
  __device__ int64_t at(int64_t s, int64_t e, int64_t& m) const {
    if (e < (int64_t{1} << 32) && length < (int64_t{1} << 32))
      m = static_cast<uint32_t>(e) / static_cast<uint32_t>(length);
    else
      m = e / length;
    return s * stat_step + m * chunk_step + (e - m * length);
  }
  __device__ void measured(int64_t s, E m, E squares) const {
    const E n = static_cast<E>(count());
    mean[s] = m;
    rstd[s] = E(1) / sqrt(squares / n + eps);
    if (running_mean) running_mean[s] = (E(1) - momentum) * running_mean[s] + momentum * m;
    if (running_var) running_var[s] = (E(1) - momentum) * running_var[s] + momentum * squares / (n - E(1));
  }
};

template <class T>
struct Measure : Moments<T> {
  using State = typename Moments<T>::State;
  Net<T> p;
  __device__ void finish(const State& s, int64_t at) const { p.measured(at, s.mean, s.squares); }
};

// Sums of dy and of dy (x - mean).
template <class E>
struct Gradient {
  struct State {
    E g, gx;
  };
  __device__ State identity() const { return {E(0), E(0)}; }
  __device__ void merge(State& a, const State& b) const { a = {a.g + b.g, a.gx + b.gx}; }
};

// ---- runs ----

template <class T, int P>
__device__ inline Pack<T, P> pack_at(const T* p, int64_t i) {
  return *reinterpret_cast<const Pack<T, P>*>(p + i);
}

// Elements [begin, end) of statistic s.
template <class T, int P>
__device__ void map_forward(const Net<T>& p, int64_t s, int64_t begin, int64_t end, Element<T> mean, Element<T> rstd) {
  using E = Element<T>;
#pragma unroll 4
  for (int64_t e = begin + static_cast<int64_t>(threadIdx.x) * P; e < end; e += static_cast<int64_t>(blockDim.x) * P) {
    int64_t m;
    const int64_t at = p.at(s, e, m), c = p.channel(s, m);
    const E scale = rstd * p.weight_of(c), shift = p.bias ? p.bias[c] : E(0);
    Pack<T, P> v = pack_at<T, P>(p.x, at);
#pragma unroll
    for (int k = 0; k < P; ++k) v.v[k] = store_as<T>((static_cast<E>(load(v.v[k])) - mean) * scale + shift);
    *reinterpret_cast<Pack<T, P>*>(p.y + at) = v;
  }
}

template <class T, int P>
__device__ typename Moments<T>::State fold_piece(const Net<T>& p, int64_t s, int64_t begin, int64_t end) {
  using E = Element<T>;
  const Moments<T> f;
  auto total = f.identity();
  const int64_t step = static_cast<int64_t>(blockDim.x) * P;
  int64_t e = begin + static_cast<int64_t>(threadIdx.x) * P, m;
  for (; e + (kInFlight - 1) * step < end; e += kInFlight * step) {
    Pack<T, P> v[kInFlight];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) v[j] = pack_at<T, P>(p.x, p.at(s, e + j * step, m));
    E all[kInFlight * P];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j)
#pragma unroll
      for (int k = 0; k < P; ++k) all[j * P + k] = static_cast<E>(load(v[j].v[k]));
    f.take(total, all, 0, 1);
  }
  for (; e < end; e += step) {
    E all[P];
    load_all(pack_at<T, P>(p.x, p.at(s, e, m)).v, all);
    f.take(total, all, 0, 1);
  }
  return merge_group(f, total, static_cast<int>(blockDim.x));
}

// A block for a statistic.
template <class T, int P>
__global__ void __launch_bounds__(kMostInRow) forward_whole(Net<T> p) {
  using E = Element<T>;
  for (int64_t s = blockIdx.x; s < p.stats; s += gridDim.x) {
    const auto t = fold_piece<T, P>(p, s, 0, p.count());
    if (threadIdx.x == 0) p.measured(s, t.mean, t.squares);
    map_forward<T, P>(p, s, 0, p.count(), t.mean, E(1) / sqrt(t.squares / static_cast<E>(p.count()) + p.eps));
  }
}

// partial [stats, pieces]
template <class T, int P>
__global__ void __launch_bounds__(kBlock)
    measure_pieces(Net<T> p, int64_t piece, int64_t pieces, typename Moments<T>::State* partial) {
  for (int64_t task = blockIdx.x; task < p.stats * pieces; task += gridDim.x) {
    const int64_t s = task / pieces, begin = (task - s * pieces) * piece;
    const auto t = fold_piece<T, P>(p, s, begin, begin + piece < p.count() ? begin + piece : p.count());
    if (threadIdx.x == 0) partial[task] = t;
  }
}
template <class T, int P>
__global__ void __launch_bounds__(kBlock)
    forward_pieces(Net<T> p, int64_t piece, int64_t pieces, const typename Moments<T>::State* partial) {
  using E = Element<T>;
  const Moments<T> f;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t task = blockIdx.x; task < p.stats * pieces; task += gridDim.x) {
    const int64_t s = task / pieces, begin = (task - s * pieces) * piece;
    E mean, rstd;
    if (partial) {
      auto t = f.identity();
      for (int64_t k = lane; k < pieces; k += kWarp) f.merge(t, partial[s * pieces + k]);
      t = merge_warp(f, t, kWarp);
      mean = t.mean;
      rstd = E(1) / sqrt(t.squares / t.n + p.eps);
      if (begin == 0 && threadIdx.x == 0) p.measured(s, t.mean, t.squares);
    } else {
      mean = p.mean[s];
      rstd = p.rstd[s];
    }
    map_forward<T, P>(p, s, begin, begin + piece < p.count() ? begin + piece : p.count(), mean, rstd);
  }
}

// `subs` pieces of each span of a statistic: of a run where its channels differ, else of the whole. `group` threads for
// each; sums [stats, spans * subs].
template <class T, int P>
__global__ void __launch_bounds__(kBlock) gradient_pieces(Net<T> p, int64_t span, int64_t piece, int64_t subs,
                                                          int group, typename Gradient<Element<T>>::State* sums) {
  using E = Element<T>;
  const Gradient<E> f;
  const int per_block = static_cast<int>(blockDim.x) / group, lane = static_cast<int>(threadIdx.x) % group;
  const int64_t pieces = p.count() / span * subs, tasks = p.stats * pieces;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * per_block; first < tasks;
       first += static_cast<int64_t>(gridDim.x) * per_block) {
    const int64_t task = first + threadIdx.x / group;
    auto total = f.identity();
    if (task < tasks) {
      const int64_t s = task / pieces, k = task - s * pieces, j = k / subs, begin = j * span + (k - j * subs) * piece;
      const int64_t end = begin + piece < (j + 1) * span ? begin + piece : (j + 1) * span;
      const E mean = p.mean[s];
#pragma unroll 4
      for (int64_t i = begin + lane * P; i < end; i += static_cast<int64_t>(group) * P) {
        int64_t m;
        const int64_t at = p.at(s, i, m);
        const Pack<T, P> x = pack_at<T, P>(p.x, at), dy = pack_at<T, P>(p.dy, at);
        auto part = f.identity();
#pragma unroll
        for (int e = 0; e < P; ++e) {
          const E d = static_cast<E>(load(dy.v[e]));
          part.g += d;
          part.gx += d * (static_cast<E>(load(x.v[e])) - mean);
        }
        f.merge(total, part);
      }
    }
    total = merge_group(f, total, group);
    if (lane == 0 && task < tasks) sums[task] = total;
  }
}

// The totals of statistic s, with weights, from its pieces (per_run of each run); all threads of a warp take part.
template <class T>
__device__ typename Gradient<Element<T>>::State weighted_total(const Net<T>& p, int64_t s, int64_t pieces,
                                                               int64_t per_run,
                                                               const typename Gradient<Element<T>>::State* sums) {
  const Gradient<Element<T>> f;
  auto total = f.identity();
  for (int64_t k = static_cast<int64_t>(threadIdx.x) % kWarp; k < pieces; k += kWarp) {
    const auto w = p.groups ? p.weight_of(p.channel(s, k / per_run)) : Element<T>(1);
    const auto t = sums[s * pieces + k];
    f.merge(total, {t.g * w, t.gx * w});
  }
  return merge_warp(f, total, kWarp);
}
template <class T>
__device__ void write_channel(const Net<T>& p, int64_t c, const typename Gradient<Element<T>>::State& t,
                              Element<T> rstd) {
  if (p.dweight) p.dweight[c] = t.gx * rstd;
  if (p.dbias) p.dbias[c] = t.g;
}

template <class T, int P>
__global__ void __launch_bounds__(kBlock)
    backward_pieces(Net<T> p, int64_t piece, int64_t pieces, int64_t sum_pieces, int64_t per_run,
                    const typename Gradient<Element<T>>::State* sums) {
  using E = Element<T>;
  for (int64_t task = blockIdx.x; task < p.stats * pieces; task += gridDim.x) {
    const int64_t s = task / pieces, begin = (task - s * pieces) * piece;
    const int64_t end = begin + piece < p.count() ? begin + piece : p.count();
    const auto t = weighted_total(p, s, sum_pieces, per_run, sums);
    const E mean = p.mean[s], r = p.rstd[s], n = static_cast<E>(p.count());
    if (!p.groups && begin == 0 && threadIdx.x == 0) write_channel(p, s, t, r);
    if (!p.dx) continue;
    // Of batches the weight is the statistic's, and was left out of the sums.
    const E w = p.groups ? E(1) : p.weight_of(s);
    const E by_x = p.measure ? -r * r * r * w * t.gx / n : E(0), shift = p.measure ? -r * w * t.g / n : E(0);
#pragma unroll 4
    for (int64_t e = begin + static_cast<int64_t>(threadIdx.x) * P; e < end;
         e += static_cast<int64_t>(blockDim.x) * P) {
      int64_t m;
      const int64_t at = p.at(s, e, m);
      const E scale = r * p.weight_of(p.channel(s, m));
      const Pack<T, P> x = pack_at<T, P>(p.x, at);
      Pack<T, P> v = pack_at<T, P>(p.dy, at);
#pragma unroll
      for (int k = 0; k < P; ++k)
        v.v[k] =
            store_as<T>(static_cast<E>(load(v.v[k])) * scale + (static_cast<E>(load(x.v[k])) - mean) * by_x + shift);
      *reinterpret_cast<Pack<T, P>*>(p.dx + at) = v;
    }
  }
}

// dweight and dbias of groups: a warp for a channel.
template <class T>
__global__ void __launch_bounds__(kBlock)
    channel_sums(Net<T> p, int64_t per_run, const typename Gradient<Element<T>>::State* sums) {
  using E = Element<T>;
  const Gradient<E> f;
  const int64_t warps = static_cast<int64_t>(gridDim.x) * (blockDim.x / kWarp);
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int64_t c = static_cast<int64_t>(blockIdx.x) * (blockDim.x / kWarp) + threadIdx.x / kWarp; c < p.channels;
       c += warps) {
    const int64_t g = c / p.chunks, m = c - g * p.chunks, images = p.stats / p.groups;
    auto total = f.identity();
    for (int64_t k = lane; k < images * per_run; k += kWarp) {
      const int64_t n = k / per_run, s = n * p.groups + g;
      const auto t = sums[(s * p.chunks + m) * per_run + (k - n * per_run)];
      f.merge(total, {t.g, t.gx * p.rstd[s]});
    }
    total = merge_warp(f, total, kWarp);
    if (lane == 0) write_channel(p, c, total, E(1));
  }
}

// ---- columns: x [chunks, stats] ----

template <class T, int P>
__global__ void __launch_bounds__(kBlock) forward_columns(Net<T> p) {
  using E = Element<T>;
  const int64_t width = p.stats / P;
  PYNN_GRID_LOOP(q, p.chunks * width) {
    const int64_t row = q / width, s = (q - row * width) * P, at = row * p.chunk_step + s;
    Pack<T, P> v = pack_at<T, P>(p.x, at);
#pragma unroll
    for (int k = 0; k < P; ++k)
      v.v[k] = store_as<T>((static_cast<E>(load(v.v[k])) - p.mean[s + k]) * (p.rstd[s + k] * p.weight_of(s + k)) +
                           (p.bias ? p.bias[s + k] : E(0)));
    *reinterpret_cast<Pack<T, P>*>(p.y + at) = v;
  }
}
// sums [stats, splits]: 32 columns by 8 rows of threads.
template <class T>
__global__ void __launch_bounds__(kBlock)
    gradient_columns(Net<T> p, int64_t piece, int64_t splits, typename Gradient<Element<T>>::State* sums) {
  using E = Element<T>;
  using S = typename Gradient<E>::State;
  const Gradient<E> f;
  __shared__ E shared[2 * kBlock];
  const int lane = static_cast<int>(threadIdx.x) % kWarp, y = static_cast<int>(threadIdx.x) / kWarp;
  const int height = static_cast<int>(blockDim.x) / kWarp;
  const int64_t blocks = (p.stats + kWarp - 1) / kWarp;
  for (int64_t task = blockIdx.x; task < blocks * splits; task += gridDim.x) {
    const int64_t split = task / blocks, s = (task - split * blocks) * kWarp + lane;
    const int64_t end = (split + 1) * piece < p.chunks ? (split + 1) * piece : p.chunks;
    S total = f.identity();
    if (s < p.stats) {
      const E mean = p.mean[s];
#pragma unroll 4
      for (int64_t r = split * piece + y; r < end; r += height) {
        const E d = static_cast<E>(load(p.dy[r * p.chunk_step + s]));
        f.merge(total, {d, d * (static_cast<E>(load(p.x[r * p.chunk_step + s])) - mean)});
      }
    }
    __syncthreads();
    shared[threadIdx.x] = total.g;
    shared[kBlock + threadIdx.x] = total.gx;
    __syncthreads();
    if (y != 0 || s >= p.stats) continue;
    for (int k = 1; k < height; ++k) f.merge(total, {shared[k * kWarp + lane], shared[kBlock + k * kWarp + lane]});
    sums[s * splits + split] = total;
  }
}
// 32 columns by 8 rows of threads, `piece` rows.
template <class T>
__global__ void __launch_bounds__(kBlock) backward_columns(Net<T> p, int64_t piece, int64_t splits, int64_t sum_splits,
                                                           const typename Gradient<Element<T>>::State* sums) {
  using E = Element<T>;
  const Gradient<E> f;
  const int lane = static_cast<int>(threadIdx.x) % kWarp, y = static_cast<int>(threadIdx.x) / kWarp;
  const int height = static_cast<int>(blockDim.x) / kWarp;
  const int64_t blocks = (p.stats + kWarp - 1) / kWarp;
  for (int64_t task = blockIdx.x; task < blocks * splits; task += gridDim.x) {
    const int64_t split = task / blocks, s = (task - split * blocks) * kWarp + lane;
    if (s >= p.stats) continue;
    auto t = f.identity();
    for (int64_t k = 0; k < sum_splits; ++k) f.merge(t, sums[s * sum_splits + k]);
    const E mean = p.mean[s], r = p.rstd[s], n = static_cast<E>(p.count()), scale = r * p.weight_of(s);
    if (split == 0 && y == 0) write_channel(p, s, t, r);
    if (!p.dx) continue;
    const E by_x = p.measure ? -r * r * scale * t.gx / n : E(0), shift = p.measure ? -scale * t.g / n : E(0);
    const int64_t end = (split + 1) * piece < p.chunks ? (split + 1) * piece : p.chunks;
#pragma unroll 4
    for (int64_t row = split * piece + y; row < end; row += height) {
      const int64_t at = row * p.chunk_step + s;
      p.dx[at] =
          store_as<T>(static_cast<E>(load(p.dy[at])) * scale + (static_cast<E>(load(p.x[at])) - mean) * by_x + shift);
    }
  }
}

// ---- host ----

template <class T, class F>
void with_run_pack(const Net<T>& p, F f) {
  constexpr int P = kPack<T>;
  bool wide = p.length % P == 0;
  for (const void* q : {static_cast<const void*>(p.x), static_cast<const void*>(p.y), static_cast<const void*>(p.dy),
                        static_cast<const void*>(p.dx)})
    wide = wide && aligned(q, 16);
  wide ? f(std::integral_constant<int, P>{}) : f(std::integral_constant<int, 1>{});
}

// Pieces of a statistic: enough blocks to fill the device, none of them small.
int64_t piece_of(int64_t count, int64_t stats, int64_t most) {
  const int64_t wanted = std::clamp<int64_t>(ceil_div(8 * static_cast<int64_t>(multiprocessors()), stats), 1, most);
  return std::max<int64_t>(ceil_div(ceil_div(count, wanted), kBlock * 8) * kBlock * 8, kBlock * 8);
}

template <class T>
void forward(const Net<T>& p) {
  using S = typename Moments<T>::State;
  if (p.columns()) {
    if (p.measure) launch_reduce<T>(Measure<T>{{}, p}, p.x, 1, p.chunks, p.stats);
    constexpr int P = kPack<T>;
    const int64_t all = p.chunks * p.stats;
    if (p.stats % P == 0 && p.chunk_step % P == 0 && aligned(p.x, 16) && aligned(p.y, 16))
      return launch(forward_columns<T, P>, grid_for(all / P), kBlock, p);
    return launch(forward_columns<T, 1>, grid_for(all), kBlock, p);
  }
  with_run_pack(p, [&](auto pack) {
    constexpr int P = decltype(pack)::value;
    const int64_t count = p.count(), piece = piece_of(count, p.stats, 64), pieces = ceil_div(count, piece);
    if (p.measure && (pieces == 1 || (p.stats >= multiprocessors() && count <= 1 << 15))) {
      const int block = power_of_two(std::max<int64_t>(count / P / 4, kWarp), kMostInRow);
      return launch(forward_whole<T, P>, blocks_for(p.stats), block, p);
    }
    const unsigned grid = blocks_for(p.stats * pieces);
    const Scratch partial(p.measure ? static_cast<size_t>(p.stats * pieces) * sizeof(S) : 0);
    if (p.measure) launch(measure_pieces<T, P>, grid, kBlock, p, piece, pieces, partial.as<S>());
    launch(forward_pieces<T, P>, grid, kBlock, p, piece, pieces, static_cast<const S*>(partial.as<S>()));
  });
}

template <class T>
void backward(const Net<T>& p) {
  using S = typename Gradient<Element<T>>::State;
  const int64_t sm = multiprocessors();
  if (p.columns()) {
    const int64_t blocks = ceil_div(p.stats, kWarp);
    const int64_t piece = std::max<int64_t>(ceil_div(p.chunks, std::clamp<int64_t>(8 * sm / blocks, 1, 64)), 32);
    const int64_t splits = ceil_div(p.chunks, piece);
    const unsigned grid = blocks_for(blocks * splits);
    const Scratch sums(static_cast<size_t>(p.stats * splits) * sizeof(S));
    launch(gradient_columns<T>, grid, kBlock, p, piece, splits, sums.as<S>());
    return launch(backward_columns<T>, grid, kBlock, p, piece, splits, splits, static_cast<const S*>(sums.as<S>()));
  }
  with_run_pack(p, [&](auto pack) {
    constexpr int P = decltype(pack)::value;
    const int64_t span = p.groups ? p.length : p.count(), spans = p.count() / span;
    const int64_t part =
        p.stats * spans >= 2 * sm && span <= 1 << 15 ? span : std::min(piece_of(span, p.stats * spans, 64), span);
    const int64_t subs = ceil_div(span, part), sum_pieces = spans * subs;
    const int group = power_of_two(ceil_div(part, P * 4), kBlock);
    const Scratch sums(static_cast<size_t>(p.stats * sum_pieces) * sizeof(S));
    launch(gradient_pieces<T, P>, blocks_for(ceil_div(p.stats * sum_pieces * group, kBlock)), kBlock, p, span, part,
           subs, group, sums.as<S>());
    const S* totals = sums.as<S>();
    const int64_t piece = piece_of(p.count(), p.stats, 64), pieces = ceil_div(p.count(), piece);
    if (p.dx || !p.groups)
      launch(backward_pieces<T, P>, blocks_for(p.stats * (p.dx ? pieces : 1)), kBlock, p, p.dx ? piece : p.count(),
             p.dx ? pieces : 1, sum_pieces, subs, totals);
    if (p.groups && (p.dweight || p.dbias))
      launch(channel_sums<T>, blocks_for(ceil_div(p.channels * kWarp, kBlock)), kBlock, p, subs, totals);
  });
}

}  // namespace

void channel_norm_forward(const ChannelNormArgs& a) {
  dispatch_floating("channel_norm", a.x_dtype, [&](auto t) { forward(Net<decltype(t)>(a)); });
}
void channel_norm_backward(const ChannelNormArgs& a) {
  dispatch_floating("channel_norm", a.x_dtype, [&](auto t) { backward(Net<decltype(t)>(a)); });
}
PYNN_CUDA_KERNEL(channel_norm_forward);
PYNN_CUDA_KERNEL(channel_norm_backward);

}  // namespace pynn::cuda
