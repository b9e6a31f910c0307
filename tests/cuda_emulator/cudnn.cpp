// cudnn.cpp -- a stand-in for the cuDNN functions that csrc/cuda loads. Recurrent nets are computed by plain loops in
// double, so that tests reach the host code: descriptors, the block of parameters, lengths, gradients. Of convolutions
// it has the descriptors alone and says that it knows no algorithm, so that our own kernels compute them.
//
// As strict as the real one where that matters: a training's forward must come before one backward, which uses its
// reserve space up; and parameters begin at multiples of 4 elements, so that there are holes between them.
#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/half.h"
#include "cuda/cudnn_api.h"
#include "cuda_emulator.h"
#include "libraries.h"

namespace emulator {
namespace {

using pynn::cuda::dnn::Desc;
using pynn::cuda::dnn::Handle;
using pynn::cuda::dnn::Status;
namespace dnn = pynn::cuda::dnn;

constexpr Status kBadParam = 2000, kNotSupported = 3000;

struct Rnn {
  int algo, cell, bias, both, type;
  int64_t input, hidden, out, layers;
  int64_t gates() const { return cell == dnn::kLstm ? 4 : cell == dnn::kGru ? 3 : 1; }
  int64_t directions() const { return both ? 2 : 1; }
  int64_t cells() const { return layers * directions(); }
  int64_t input_of(int64_t c) const { return c < directions() ? input : out * directions(); }
  bool projected() const { return out != hidden; }
};
struct Sequence {
  int type, steps, batch, features;
  std::vector<int> lengths;
  std::vector<int64_t> starts;  // of each step's rows
  int64_t rows = 0;
};

// Parameters of a cell: W_ih and W_hh by gate, W_hr; all cells' biases come after all matrices.
int64_t up4(int64_t n) { return (n + 3) / 4 * 4; }
int64_t matrices_of(const Rnn& r, int64_t c) {
  const int64_t wide = r.gates() * r.hidden;
  return up4(wide * r.input_of(c)) + up4(wide * r.out) + (r.projected() ? up4(r.out * r.hidden) : 0);
}
int64_t matrices_before(const Rnn& r, int64_t cell) {
  int64_t n = 0;
  for (int64_t c = 0; c < cell; ++c) n += matrices_of(r, c);
  return n;
}
int64_t matrix_at(const Rnn& r, int64_t c, int64_t which) {  // -1: there is none
  const int64_t g = r.gates(), at = matrices_before(r, c), first = up4(g * r.hidden * r.input_of(c));
  if (which < g) return at + which * r.hidden * r.input_of(c);
  if (which < 2 * g) return at + first + (which - g) * r.hidden * r.out;
  return r.projected() ? at + first + up4(g * r.hidden * r.out) : -1;
}
int64_t bias_at(const Rnn& r, int64_t c, int64_t which) {
  const int64_t g = r.gates(), each = up4(g * r.hidden);
  if (r.bias == dnn::kNoBias || which >= 2 * g) return -1;
  return matrices_before(r, r.cells()) + (2 * c + which / g) * each + which % g * r.hidden;
}
int64_t weight_count(const Rnn& r) {
  return matrices_before(r, r.cells()) + (r.bias == dnn::kNoBias ? 0 : 2 * r.cells() * up4(r.gates() * r.hidden));
}

// Memory of the device, of any type.
struct Array {
  void* p;
  int type;
  explicit operator bool() const { return p; }
  double operator[](int64_t i) const {
    switch (type) {
      case dnn::kFloat:
        return static_cast<float*>(p)[i];
      case dnn::kDouble:
        return static_cast<double*>(p)[i];
      case dnn::kHalf:
        return static_cast<float>(static_cast<pynn::Half*>(p)[i]);
      default:
        return static_cast<float>(static_cast<pynn::BFloat16*>(p)[i]);
    }
  }
  void set(int64_t i, double v) const {
    switch (type) {
      case dnn::kFloat:
        static_cast<float*>(p)[i] = static_cast<float>(v);
        break;
      case dnn::kDouble:
        static_cast<double*>(p)[i] = v;
        break;
      case dnn::kHalf:
        static_cast<pynn::Half*>(p)[i] = pynn::Half(static_cast<float>(v));
        break;
      default:
        static_cast<pynn::BFloat16*>(p)[i] = pynn::BFloat16(static_cast<float>(v));
    }
  }
};
double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// What forward leaves in the reserve space, in doubles. A record of a cell and a row: LSTM i f g o c h, GRU r z n h_n,
// RNN h, of `hidden` each; then the gradient of h, of `out`. Backward writes the gates' gradients over the gates.
struct Reserve {
  const Rnn& r;
  int64_t rows;
  double* p;
  int64_t record() const { return 6 * r.hidden + r.out; }
  double& state() const { return p[0]; }  // 1: forward has been, 2: backward too
  double* at(int64_t cell, int64_t row) const { return p + 1 + (cell * rows + row) * record(); }
  double* output(int64_t layer, int64_t row) const {
    return p + 1 + r.cells() * rows * record() + (layer * rows + row) * r.directions() * r.out;
  }
  size_t bytes() const {
    return sizeof(double) *
           static_cast<size_t>(1 + r.cells() * rows * record() + r.layers * rows * r.directions() * r.out);
  }
};

struct Net {
  const Rnn& r;
  const Sequence& s;
  Array w;
  Reserve v;
  Array x;
  int64_t in(int64_t cell) const { return r.input_of(cell); }
  double input(int64_t cell, int64_t row, int64_t i) const {
    const int64_t layer = cell / r.directions();
    return layer == 0 ? x[row * r.input + i] : v.output(layer - 1, row)[i];
  }
  // f(step, sequence, row) of all rows, as the cell of that direction meets them.
  template <class F>
  void walk(bool backwards, F f) const {
    for (int k = 0; k < s.steps; ++k) {
      const int t = backwards ? s.steps - 1 - k : k;
      for (int b = 0; b < s.batch; ++b)
        if (s.lengths[static_cast<size_t>(b)] > t) f(t, b, s.starts[static_cast<size_t>(t)] + b);
    }
  }
  // The state that the cell had before that row.
  double before(int64_t cell, int t, int b, int64_t j, const Array& hx) const {
    const bool backwards = cell % r.directions() == 1;
    const int from = backwards ? t + 1 : t - 1;
    if (from < 0 || from >= s.lengths[static_cast<size_t>(b)]) return hx[(cell * s.batch + b) * r.out + j];
    return v.output(cell / r.directions(), s.starts[static_cast<size_t>(from)] + b)[cell % r.directions() * r.out + j];
  }
  double cell_before(int64_t cell, int t, int b, int64_t j, const Array& cx) const {
    const int from = cell % r.directions() == 1 ? t + 1 : t - 1;
    if (from < 0 || from >= s.lengths[static_cast<size_t>(b)]) return cx[(cell * s.batch + b) * r.hidden + j];
    return v.at(cell, s.starts[static_cast<size_t>(from)] + b)[4 * r.hidden + j];
  }
  // Part `which` of the products for unit j.
  double product(int64_t cell, int64_t which, int64_t j, const double* from) const {
    const int64_t n = which < r.gates() ? in(cell) : r.out, m = matrix_at(r, cell, which), b = bias_at(r, cell, which);
    double sum = b < 0 ? 0 : w[b + j];
    for (int64_t i = 0; i < n; ++i) sum += w[m + j * n + i] * from[i];
    return sum;
  }

  void forward(Array y, Array hx, Array hy, Array cx, Array cy) const {
    const int64_t H = r.hidden, G = r.gates(), D = r.directions();
    for (int64_t cell = 0; cell < r.cells(); ++cell) {
      const int64_t layer = cell / D;
      walk(cell % D == 1, [&](int t, int b, int64_t row) {
        std::vector<double> x_row(static_cast<size_t>(in(cell))), h(static_cast<size_t>(r.out));
        for (int64_t i = 0; i < in(cell); ++i) x_row[static_cast<size_t>(i)] = input(cell, row, i);
        for (int64_t i = 0; i < r.out; ++i) h[static_cast<size_t>(i)] = before(cell, t, b, i, hx);
        double* const record = v.at(cell, row);
        double* const out = v.output(layer, row) + cell % D * r.out;
        for (int64_t j = 0; j < H; ++j) {
          double a[4], c[4];
          for (int64_t g = 0; g < G; ++g) {
            a[g] = product(cell, g, j, x_row.data());
            c[g] = product(cell, G + g, j, h.data());
          }
          double result;
          if (r.cell == dnn::kLstm) {
            const double i = sigmoid(a[0] + c[0]), f = sigmoid(a[1] + c[1]), g = std::tanh(a[2] + c[2]),
                         o = sigmoid(a[3] + c[3]), now = f * cell_before(cell, t, b, j, cx) + i * g;
            const double kept[] = {i, f, g, o, now};
            for (int k = 0; k < 5; ++k) record[k * H + j] = kept[k];
            result = o * std::tanh(now);
            record[5 * H + j] = result;
          } else if (r.cell == dnn::kGru) {
            const double reset = sigmoid(a[0] + c[0]), z = sigmoid(a[1] + c[1]), n = std::tanh(a[2] + reset * c[2]);
            const double kept[] = {reset, z, n, c[2]};
            for (int k = 0; k < 4; ++k) record[k * H + j] = kept[k];
            result = n + z * (h[static_cast<size_t>(j)] - n);
          } else {
            const double u = a[0] + c[0];
            result = record[j] = r.cell == dnn::kRnnRelu ? (u > 0 ? u : 0) : std::tanh(u);
          }
          if (!r.projected()) out[j] = result;
        }
        if (r.projected())
          for (int64_t i = 0; i < r.out; ++i) {
            out[i] = 0;
            for (int64_t j = 0; j < H; ++j) out[i] += w[matrix_at(r, cell, 2 * G) + i * H + j] * record[5 * H + j];
          }
      });
      for (int b = 0; b < s.batch; ++b) {
        const int last = cell % D == 1 ? 0 : s.lengths[static_cast<size_t>(b)] - 1;
        const int64_t row = s.starts[static_cast<size_t>(last)] + b;
        if (hy)
          for (int64_t i = 0; i < r.out; ++i)
            hy.set((cell * s.batch + b) * r.out + i, v.output(layer, row)[cell % D * r.out + i]);
        if (cy && r.cell == dnn::kLstm)
          for (int64_t j = 0; j < H; ++j) cy.set((cell * s.batch + b) * H + j, v.at(cell, row)[4 * H + j]);
      }
    }
    for (int64_t row = 0; row < s.rows; ++row)
      for (int64_t i = 0; i < D * r.out; ++i) y.set(row * D * r.out + i, v.output(r.layers - 1, row)[i]);
    v.state() = 1;
  }

  void backward(Array dy, Array dx, Array hx, Array dhy, Array dhx, Array cx, Array dcy, Array dcx) const {
    const int64_t H = r.hidden, G = r.gates(), D = r.directions();
    std::vector<double> above(static_cast<size_t>(s.rows * D * r.out));
    for (size_t i = 0; i < above.size(); ++i) above[i] = dy[static_cast<int64_t>(i)];
    for (int64_t layer = r.layers - 1; layer >= 0; --layer) {
      const int64_t wide = r.input_of(layer * D);
      std::vector<double> below(static_cast<size_t>(s.rows * wide));
      for (int64_t d = 0; d < D; ++d) {
        const int64_t cell = layer * D + d, base = cell * s.batch;
        std::vector<double> dh(static_cast<size_t>(s.batch * r.out)), dc(static_cast<size_t>(s.batch * H));
        for (size_t i = 0; i < dh.size(); ++i) dh[i] = dhy ? dhy[base * r.out + static_cast<int64_t>(i)] : 0;
        for (size_t i = 0; i < dc.size(); ++i) dc[i] = dcy ? dcy[base * H + static_cast<int64_t>(i)] : 0;
        // c keeps its place in the record, so the state before can be read however far the gradients have come.
        walk(d == 0, [&](int t, int b, int64_t row) {
          double* const record = v.at(cell, row);
          double* const g = record + 6 * H;
          for (int64_t i = 0; i < r.out; ++i)
            g[i] = dh[static_cast<size_t>(b * r.out + i)] + above[static_cast<size_t>((row * D + d) * r.out + i)];
          std::vector<double> back(static_cast<size_t>(r.out));
          std::vector<double> to_x(static_cast<size_t>(G * H)), to_h(static_cast<size_t>(G * H));
          for (int64_t j = 0; j < H; ++j) {
            double gj = r.projected() ? 0 : g[j];
            if (r.projected())
              for (int64_t i = 0; i < r.out; ++i) gj += w[matrix_at(r, cell, 2 * G) + i * H + j] * g[i];
            double gates[4] = {}, third = 0;
            if (r.cell == dnn::kLstm) {
              const double i = record[j], f = record[H + j], n = record[2 * H + j], o = record[3 * H + j],
                           th = std::tanh(record[4 * H + j]);
              double& c = dc[static_cast<size_t>(b * H + j)];
              const double now = c + gj * o * (1 - th * th);
              gates[0] = now * n * i * (1 - i), gates[1] = now * cell_before(cell, t, b, j, cx) * f * (1 - f);
              gates[2] = now * i * (1 - n * n), gates[3] = gj * th * o * (1 - o);
              c = now * f;
            } else if (r.cell == dnn::kGru) {
              const double reset = record[j], z = record[H + j], n = record[2 * H + j], hn = record[3 * H + j];
              gates[2] = gj * (1 - z) * (1 - n * n);
              gates[1] = gj * (before(cell, t, b, j, hx) - n) * z * (1 - z);
              gates[0] = gates[2] * hn * reset * (1 - reset);
              third = gates[2] * reset;
              back[static_cast<size_t>(j)] += gj * z;
            } else {
              gates[0] = r.cell == dnn::kRnnRelu ? (record[j] > 0 ? gj : 0) : gj * (1 - record[j] * record[j]);
            }
            for (int64_t k = 0; k < G; ++k) {
              record[k * H + j] = to_x[static_cast<size_t>(k * H + j)] = gates[k];
              to_h[static_cast<size_t>(k * H + j)] = r.cell == dnn::kGru && k == 2 ? third : gates[k];
            }
            if (r.cell == dnn::kGru) record[3 * H + j] = third;
          }
          for (int64_t k = 0; k < G * H; ++k) {
            for (int64_t i = 0; i < wide; ++i)
              below[static_cast<size_t>(row * wide + i)] +=
                  w[matrix_at(r, cell, 0) + k * wide + i] * to_x[static_cast<size_t>(k)];
            for (int64_t i = 0; i < r.out; ++i)
              back[static_cast<size_t>(i)] += w[matrix_at(r, cell, G) + k * r.out + i] * to_h[static_cast<size_t>(k)];
          }
          for (int64_t i = 0; i < r.out; ++i) dh[static_cast<size_t>(b * r.out + i)] = back[static_cast<size_t>(i)];
        });
        for (size_t i = 0; dhx && i < dh.size(); ++i) dhx.set(base * r.out + static_cast<int64_t>(i), dh[i]);
        for (size_t i = 0; dcx && i < dc.size(); ++i) dcx.set(base * H + static_cast<int64_t>(i), dc[i]);
      }
      above = std::move(below);
    }
    for (size_t i = 0; i < above.size(); ++i) dx.set(static_cast<int64_t>(i), above[i]);
    v.state() = 2;
  }

  void backward_weights(Array hx, Array dw) const {
    const int64_t H = r.hidden, G = r.gates(), D = r.directions();
    const auto add = [&](int64_t i, double g) { dw.set(i, dw[i] + g); };
    std::vector<double> sums(static_cast<size_t>(weight_count(r)));
    const auto sum = [&](int64_t i) -> double& { return sums[static_cast<size_t>(i)]; };
    for (int64_t cell = 0; cell < r.cells(); ++cell)
      walk(cell % D == 1, [&](int t, int b, int64_t row) {
        const double* const record = v.at(cell, row);
        for (int64_t k = 0; k < G * H; ++k) {
          const double to_x = record[k], to_h = r.cell == dnn::kGru && k >= 2 * H ? record[k + H] : to_x;
          for (int64_t i = 0; i < in(cell); ++i)
            sum(matrix_at(r, cell, 0) + k * in(cell) + i) += to_x * input(cell, row, i);
          for (int64_t i = 0; i < r.out; ++i)
            sum(matrix_at(r, cell, G) + k * r.out + i) += to_h * before(cell, t, b, i, hx);
          if (r.bias != dnn::kNoBias) sum(bias_at(r, cell, 0) + k) += to_x, sum(bias_at(r, cell, G) + k) += to_h;
        }
        if (r.projected())
          for (int64_t i = 0; i < r.out; ++i)
            for (int64_t j = 0; j < H; ++j)
              sum(matrix_at(r, cell, 2 * G) + i * H + j) += record[6 * H + i] * record[5 * H + j];
      });
    for (size_t i = 0; i < sums.size(); ++i) add(static_cast<int64_t>(i), sums[i]);
  }
};

// ---- the interface

template <class T>
Status make(Desc* out) {
  *out = new T{};
  return 0;
}
template <class T>
Status destroy(Desc d) {
  delete static_cast<T*>(d);
  return 0;
}
struct Plain {
  int sizes[8];
};
size_t version() { return 90000; }
const char* error_string(Status s) {
  return s == kBadParam ? "CUDNN_STATUS_BAD_PARAM" : s == kNotSupported ? "CUDNN_STATUS_NOT_SUPPORTED" : "?";
}
Status create(Handle* out) {
  *out = new int;
  return 0;
}
template <class... A>
Status succeed(A...) {
  return 0;
}
template <class... A>
Status refuse(A...) {
  return kNotSupported;
}
template <class... A>
void* accept(Status (*)(A...)) {
  return reinterpret_cast<void*>(&succeed<A...>);
}
template <class... A>
void* reject(Status (*)(A...)) {
  return reinterpret_cast<void*>(&refuse<A...>);
}

Status rnn_set(Desc d, int algo, int cell, int bias, int both, int input_mode, int type, int compute, int,
               int32_t input, int32_t hidden, int32_t out, int32_t layers, Desc dropout, uint32_t flags) {
  if (!dropout || flags || input_mode || input < 1 || hidden < 1 || out < 1 || out > hidden || layers < 1)
    return kBadParam;
  if (out != hidden && cell != dnn::kLstm) return kNotSupported;
  if (compute != (type == dnn::kDouble ? dnn::kDouble : dnn::kFloat)) return kNotSupported;
  *static_cast<Rnn*>(d) = {algo, cell, bias, both, type, input, hidden, out, layers};
  return 0;
}
Status sequence_set(Desc d, int type, int layout, int steps, int batch, int features, const int* lengths, void*) {
  if (layout != dnn::kStepsPacked) return kNotSupported;
  Sequence s{type, steps, batch, features, {lengths, lengths + batch}, {}, 0};
  for (int b = 0; b < batch; ++b)
    if (lengths[b] < 1 || lengths[b] > steps || (b && lengths[b] > lengths[b - 1])) return kBadParam;
  for (int t = 0; t < steps; ++t) {
    s.starts.push_back(s.rows);
    for (int b = 0; b < batch; ++b) s.rows += lengths[b] > t;
  }
  *static_cast<Sequence*>(d) = std::move(s);
  return 0;
}
Status rnn_space(Handle, Desc rnn, int mode, Desc x, size_t* workspace, size_t* reserve) {
  const size_t bytes = Reserve{*static_cast<Rnn*>(rnn), static_cast<Sequence*>(x)->rows, nullptr}.bytes();
  *workspace = mode == dnn::kInference ? bytes : 64;
  *reserve = mode == dnn::kInference ? 0 : bytes;
  return 0;
}
size_t item(int type) { return type == dnn::kDouble ? 8 : type == dnn::kFloat ? 4 : 2; }
Status rnn_weight_space(Handle, Desc rnn, size_t* bytes) {
  const Rnn& r = *static_cast<Rnn*>(rnn);
  *bytes = static_cast<size_t>(weight_count(r)) * item(r.type);
  return 0;
}
Status rnn_weight(Handle, Desc rnn, int32_t cell, size_t, const void* weights, int32_t which, Desc, void** matrix, Desc,
                  void** bias) {
  const Rnn& r = *static_cast<Rnn*>(rnn);
  if (cell < 0 || cell >= r.cells() || which < 0 || which > 2 * r.gates()) return kBadParam;
  const auto place = [&](int64_t i) {
    return i < 0 ? nullptr : static_cast<char*>(const_cast<void*>(weights)) + static_cast<size_t>(i) * item(r.type);
  };
  *matrix = place(matrix_at(r, cell, which));
  *bias = place(bias_at(r, cell, which));
  return 0;
}
void* mutable_(const void* p) { return const_cast<void*>(p); }

Status rnn_forward(Handle, Desc rnn, int mode, const int32_t*, Desc xd, const void* x, Desc yd, void* y, Desc,
                   const void* hx, void* hy, Desc, const void* cx, void* cy, size_t bytes, const void* weights,
                   size_t work_bytes, void* workspace, size_t reserve_bytes, void* reserve) {
  const Rnn r = *static_cast<Rnn*>(rnn);
  const Sequence s = *static_cast<Sequence*>(xd);
  const bool train = mode == dnn::kTraining;
  const size_t need = Reserve{r, s.rows, nullptr}.bytes();
  if (bytes != static_cast<size_t>(weight_count(r)) * item(r.type) || (train ? reserve_bytes : work_bytes) < need ||
      s.features != r.input || static_cast<Sequence*>(yd)->features != r.out * r.directions())
    return kBadParam;
  run(dim3(1), dim3(1), 0, [=] {
    const Net net{r,
                  s,
                  {mutable_(weights), r.type},
                  {r, s.rows, static_cast<double*>(train ? reserve : workspace)},
                  {mutable_(x), r.type}};
    net.forward({y, r.type}, {mutable_(hx), r.type}, {hy, r.type}, {mutable_(cx), r.type}, {cy, r.type});
  });
  return 0;
}
Status rnn_backward(Handle, Desc rnn, const int32_t*, Desc, const void*, const void* dy, Desc xd, void* dx, Desc,
                    const void* hx, const void* dhy, void* dhx, Desc, const void* cx, const void* dcy, void* dcx,
                    size_t, const void* weights, size_t, void*, size_t reserve_bytes, void* reserve) {
  const Rnn r = *static_cast<Rnn*>(rnn);
  const Sequence s = *static_cast<Sequence*>(xd);
  if (!dy || !dx || reserve_bytes < Reserve{r, s.rows, nullptr}.bytes()) return kBadParam;
  run(dim3(1), dim3(1), 0, [=] {
    const Net net{r, s, {mutable_(weights), r.type}, {r, s.rows, static_cast<double*>(reserve)}, {nullptr, r.type}};
    if (net.v.state() != 1) trap("cuDNN: backward without a training's forward, or a second one");
    net.backward({mutable_(dy), r.type}, {dx, r.type}, {mutable_(hx), r.type}, {mutable_(dhy), r.type}, {dhx, r.type},
                 {mutable_(cx), r.type}, {mutable_(dcy), r.type}, {dcx, r.type});
  });
  return 0;
}
Status rnn_backward_weights(Handle, Desc rnn, int mode, const int32_t*, Desc xd, const void* x, Desc, const void* hx,
                            Desc, const void*, size_t bytes, void* dweights, size_t, void*, size_t, void* reserve) {
  const Rnn r = *static_cast<Rnn*>(rnn);
  const Sequence s = *static_cast<Sequence*>(xd);
  if (mode != dnn::kAddGradient || bytes != static_cast<size_t>(weight_count(r)) * item(r.type)) return kBadParam;
  run(dim3(1), dim3(1), 0, [=] {
    const Net net{r, s, {nullptr, r.type}, {r, s.rows, static_cast<double*>(reserve)}, {mutable_(x), r.type}};
    if (net.v.state() != 2) trap("cuDNN: gradients of weights before those of data");
    net.backward_weights({mutable_(hx), r.type}, {dweights, r.type});
  });
  return 0;
}

template <class F>
void* address(F* f) {
  return reinterpret_cast<void*>(f);
}

const std::unordered_map<std::string, void*>& symbols() {
  const dnn::Api a{};  // for the types alone
  static const std::unordered_map<std::string, void*> all{
      {"cudnnGetVersion", address(version)},
      {"cudnnGetErrorString", address(error_string)},
      {"cudnnCreate", address(create)},
      {"cudnnSetStream", accept(a.set_stream)},
      {"cudnnCreateTensorDescriptor", address(make<Plain>)},
      {"cudnnDestroyTensorDescriptor", address(destroy<Plain>)},
      {"cudnnSetTensorNdDescriptor", accept(a.tensor_set)},
      {"cudnnCreateFilterDescriptor", address(make<Plain>)},
      {"cudnnDestroyFilterDescriptor", address(destroy<Plain>)},
      {"cudnnSetFilterNdDescriptor", accept(a.filter_set)},
      {"cudnnCreateConvolutionDescriptor", address(make<Plain>)},
      {"cudnnDestroyConvolutionDescriptor", address(destroy<Plain>)},
      {"cudnnSetConvolutionNdDescriptor", accept(a.conv_set)},
      {"cudnnSetConvolutionMathType", accept(a.conv_set_math)},
      {"cudnnSetConvolutionGroupCount", accept(a.conv_set_groups)},
      {"cudnnGetConvolutionForwardAlgorithm_v7", reject(a.choose_forward)},
      {"cudnnGetConvolutionBackwardDataAlgorithm_v7", reject(a.choose_input)},
      {"cudnnGetConvolutionBackwardFilterAlgorithm_v7", reject(a.choose_weight)},
      {"cudnnFindConvolutionForwardAlgorithmEx", reject(a.time_forward)},
      {"cudnnFindConvolutionBackwardDataAlgorithmEx", reject(a.time_input)},
      {"cudnnFindConvolutionBackwardFilterAlgorithmEx", reject(a.time_weight)},
      {"cudnnConvolutionForward", reject(a.run_forward)},
      {"cudnnConvolutionBackwardData", reject(a.run_input)},
      {"cudnnConvolutionBackwardFilter", reject(a.run_weight)},
      {"cudnnCreateDropoutDescriptor", address(make<Plain>)},
      {"cudnnDestroyDropoutDescriptor", address(destroy<Plain>)},
      {"cudnnSetDropoutDescriptor", accept(a.dropout_set)},
      {"cudnnCreateRNNDescriptor", address(make<Rnn>)},
      {"cudnnDestroyRNNDescriptor", address(destroy<Rnn>)},
      {"cudnnSetRNNDescriptor_v8", address(rnn_set)},
      {"cudnnCreateRNNDataDescriptor", address(make<Sequence>)},
      {"cudnnDestroyRNNDataDescriptor", address(destroy<Sequence>)},
      {"cudnnSetRNNDataDescriptor", address(sequence_set)},
      {"cudnnGetRNNTempSpaceSizes", address(rnn_space)},
      {"cudnnGetRNNWeightSpaceSize", address(rnn_weight_space)},
      {"cudnnGetRNNWeightParams", address(rnn_weight)},
      {"cudnnRNNForward", address(rnn_forward)},
      {"cudnnRNNBackwardData_v8", address(rnn_backward)},
      {"cudnnRNNBackwardWeights_v8", address(rnn_backward_weights)},
  };
  return all;
}

}  // namespace

void* open_library(const char* name) {
  static int handle;
  return std::strcmp(name, "libcudnn.so.9") == 0 ? &handle : nullptr;
}
void* symbol(const char* name) {
  const auto it = symbols().find(name);
  return it == symbols().end() ? nullptr : it->second;
}

}  // namespace emulator
