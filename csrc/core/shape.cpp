#include "core/shape.h"

#include <algorithm>
#include <numeric>

namespace pynn {

std::string dims_str(Dims d) {
  std::ostringstream out;
  out << '(';
  for (size_t i = 0; i < d.size(); ++i) out << (i ? ", " : "") << d[i];
  if (d.size() == 1) out << ',';
  out << ')';
  return out.str();
}

DimVector contiguous_strides(Dims sizes) {
  DimVector s(sizes.size(), 1);
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    s[i] = step;
    step *= std::max<int64_t>(sizes[i], 1);
  }
  return s;
}

bool is_contiguous(Dims sizes, Dims strides) {
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] == 0) return true;
    if (sizes[i] != 1 && strides[i] != step) step = -1;
    if (step < 0) break;
    step *= sizes[i];
  }
  if (step >= 0) return true;
  return std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
}

bool is_dense(Dims sizes, Dims strides) {
  DimVector order(sizes.size(), 0);
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return strides[a] < strides[b]; });
  int64_t step = 1;
  for (int64_t d : order) {
    if (sizes[d] == 1) continue;
    if (strides[d] != step) return false;
    step *= sizes[d];
  }
  return true;
}

int64_t checked_numel(Dims sizes) {
  // The product without zeros must fit too: strides are computed from it.
  int64_t n = 1, full = 1;
  for (int64_t s : sizes) {
    PYNN_CHECK(s >= 0, "empty: sizes must not be negative, got ", dims_str(sizes));
    n *= s == 0 ? 0 : 1;
    PYNN_CHECK(!__builtin_mul_overflow(full, std::max<int64_t>(s, 1), &full) && full <= (int64_t{1} << 58),
               "empty: sizes multiply to more elements than memory can hold, got ", dims_str(sizes));
  }
  return n * full;
}

int64_t wrap_dim(const char* op, int64_t dim, int64_t ndim) {
  const int64_t n = std::max<int64_t>(ndim, 1);
  PYNN_CHECK_KIND(Index, dim >= -n && dim < n, op, ": Dimension out of range (expected to be in range of [", -n, ", ",
                  n - 1, "], but got ", dim, ")");
  return dim < 0 ? dim + n : dim;
}

DimVector broadcast_sizes(const char* op, Dims a, Dims b) {
  if (a.size() < b.size()) std::swap(a, b);
  DimVector out(a);
  const size_t shift = a.size() - b.size();
  for (size_t i = 0; i < b.size(); ++i) {
    int64_t& x = out[shift + i];
    if (x == b[i] || b[i] == 1) continue;
    PYNN_CHECK_KIND(Shape, x == 1, op, ": shapes cannot be broadcast together, got ", dims_str(a), " and ", dims_str(b),
                    "; The size of tensor a (", x, ") must match the size of tensor b (", b[i],
                    ") at non-singleton dimension ", shift + i);
    x = b[i];
  }
  return out;
}

DimVector broadcast_strides(const char* op, Dims x_sizes, Dims x_strides, Dims sizes) {
  PYNN_CHECK_KIND(Shape, x_sizes.size() <= sizes.size(), op, ": the result's shape has fewer dims than the input, got ",
                  dims_str(sizes), " for ", dims_str(x_sizes));
  DimVector out(sizes.size(), 0);
  const size_t shift = sizes.size() - x_sizes.size();
  for (size_t i = 0; i < x_sizes.size(); ++i) {
    if (x_sizes[i] == sizes[shift + i]) {
      out[shift + i] = x_sizes[i] == 1 ? 0 : x_strides[i];
    } else {
      PYNN_CHECK_KIND(Shape, x_sizes[i] == 1, op, ": shape ", dims_str(x_sizes), " cannot be broadcast to ",
                      dims_str(sizes));
    }
  }
  return out;
}

DimVector infer_sizes(const char* op, Dims sizes, int64_t numel) {
  DimVector out(sizes);
  int64_t known = 1;
  int hole = -1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == -1) {
      PYNN_CHECK(hole < 0, op, ": only one dimension can be inferred, got ", dims_str(sizes));
      hole = static_cast<int>(i);
    } else {
      PYNN_CHECK(sizes[i] >= 0, op, ": invalid shape dimension ", sizes[i], ", got ", dims_str(sizes));
      PYNN_CHECK(!__builtin_mul_overflow(known, sizes[i], &known), op, ": shape ", dims_str(sizes),
                 " is invalid for input of size ", numel);
    }
  }
  if (hole >= 0) {
    PYNN_CHECK(known != 0, op, ": cannot reshape tensor of ", numel, " elements into shape ", dims_str(sizes),
               " because the unspecified dimension size -1 can be any value and is ambiguous");
    PYNN_CHECK(numel % known == 0, op, ": shape ", dims_str(sizes), " is invalid for input of size ", numel);
    out[hole] = numel / known;
  } else {
    PYNN_CHECK(known == numel, op, ": shape ", dims_str(sizes), " is invalid for input of size ", numel);
  }
  return out;
}

// Groups of dims that lie contiguously behind each other are refilled with the new sizes, from the last to the first.
bool view_strides(Dims sizes, Dims strides, Dims to, DimVector& out) {
  out.assign(contiguous_strides(to));
  const int64_t numel = std::accumulate(sizes.begin(), sizes.end(), int64_t{1}, std::multiplies<>());
  if (numel == 0) return true;
  int64_t j = static_cast<int64_t>(to.size()) - 1;
  int64_t group = 1, taken = 1;  // elements in the old group, and in the new dims that refill it
  int64_t step = sizes.empty() ? 1 : strides.back();
  for (int64_t i = static_cast<int64_t>(sizes.size()) - 1; i >= 0; --i) {
    group *= sizes[i];
    const bool ends = i == 0 || (sizes[i - 1] != 1 && strides[i - 1] != group * step);
    if (!ends) continue;
    for (; j >= 0 && (taken < group || to[j] == 1); --j) {
      out[j] = taken * step;
      taken *= to[j];
    }
    if (taken != group) return false;
    if (i > 0) {
      step = strides[i - 1];
      group = taken = 1;
    }
  }
  if (sizes.empty())
    for (; j >= 0; --j) out[j] = 1;
  return j < 0;
}

bool overlaps_itself(Dims sizes, Dims strides) {
  // Sorted by stride, each must reach past all that smaller ones cover. This calls some interleaved layouts
  // overlapping that are not; nobody writes through those.
  DimVector order;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return false;
    if (sizes[i] > 1) order.push_back(static_cast<int64_t>(i));
  }
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return strides[a] < strides[b]; });
  int64_t reach = 0;
  for (int64_t d : order) {
    if (strides[d] <= reach) return true;
    reach += (sizes[d] - 1) * strides[d];
  }
  return false;
}

int64_t span_elements(Dims sizes, Dims strides) {
  int64_t n = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) return 0;
    n += (sizes[i] - 1) * strides[i];
  }
  return n;
}

bool share_memory(const Tensor& a, const Tensor& b) {
  const auto range = [](const Tensor& t) {
    const char* first = static_cast<const char*>(t.data());
    return std::pair(first, first + span_elements(t.sizes(), t.strides()) * static_cast<int64_t>(item_size(t.dtype())));
  };
  const auto [a0, a1] = range(a);
  const auto [b0, b1] = range(b);
  return a0 < b1 && b0 < a1;
}

}  // namespace pynn
