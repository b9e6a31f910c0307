// dims.h -- sizes and strides: Dims is a view of them, DimVector owns up to kMaxDims on the stack.
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <utility>

#include "core/error.h"
#include "core/limits.h"

namespace pynn {

using Dims = std::span<const int64_t>;

class DimVector {
 public:
  DimVector() = default;
  DimVector(Dims d) { assign(d); }
  DimVector(std::initializer_list<int64_t> d) { assign(Dims(d.begin(), d.size())); }
  DimVector(size_t n, int64_t value) {
    check(n);
    n_ = n;
    std::fill_n(v_, n, value);
  }
  DimVector(const DimVector& o) : n_(o.n_) { std::copy_n(o.v_, n_, v_); }
  DimVector& operator=(const DimVector& o) {
    n_ = o.n_;
    std::copy_n(o.v_, n_, v_);
    return *this;
  }

  void assign(Dims d) {
    check(d.size());
    n_ = d.size();
    std::copy_n(d.data(), n_, v_);
  }
  void push_back(int64_t x) {
    check(n_ + 1);
    v_[n_++] = x;
  }
  void insert(size_t at, int64_t x) {
    check(n_ + 1);
    std::copy_backward(v_ + at, v_ + n_, v_ + n_ + 1);
    v_[at] = x;
    ++n_;
  }
  void erase(size_t at) {
    std::copy(v_ + at + 1, v_ + n_, v_ + at);
    --n_;
  }
  void resize(size_t n, int64_t value = 0) {
    check(n);
    if (n > n_) std::fill(v_ + n_, v_ + n, value);
    n_ = n;
  }
  size_t size() const { return n_; }
  bool empty() const { return n_ == 0; }
  int64_t* data() { return v_; }
  const int64_t* data() const { return v_; }
  int64_t* begin() { return v_; }
  int64_t* end() { return v_ + n_; }
  const int64_t* begin() const { return v_; }
  const int64_t* end() const { return v_ + n_; }
  int64_t& operator[](size_t i) { return v_[i]; }
  int64_t operator[](size_t i) const { return v_[i]; }
  int64_t& back() { return v_[n_ - 1]; }
  int64_t back() const { return v_[n_ - 1]; }
  operator Dims() const { return {v_, n_}; }

 private:
  static void check(size_t n) { PYNN_CHECK(n <= kMaxDims, "tensors have at most ", kMaxDims, " dimensions, got ", n); }
  size_t n_ = 0;
  int64_t v_[kMaxDims];
};

// Inline up to kInlineDims, then on the heap: what tensors and nodes keep.
class StoredDims {
 public:
  StoredDims() = default;
  explicit StoredDims(Dims d) { assign(d); }
  StoredDims(const StoredDims&) = delete;
  StoredDims& operator=(const StoredDims&) = delete;
  StoredDims(StoredDims&& o) noexcept : n_(o.n_), heap_(std::exchange(o.heap_, nullptr)) {
    std::copy_n(o.inline_, kInlineDims, inline_);
  }
  ~StoredDims() { delete[] heap_; }
  void assign(Dims d) {
    int64_t* old = heap_;  // d may point into it
    int64_t* to = inline_;
    int64_t* fresh = nullptr;
    if (d.size() > kInlineDims) to = fresh = new int64_t[d.size()];
    std::copy(d.begin(), d.end(), to);
    heap_ = fresh;
    n_ = static_cast<uint8_t>(d.size());
    delete[] old;
  }
  const int64_t* data() const { return heap_ ? heap_ : inline_; }
  operator Dims() const { return {data(), n_}; }
  Dims get() const { return *this; }

 private:
  uint8_t n_ = 0;
  int64_t* heap_ = nullptr;
  int64_t inline_[kInlineDims];
};

inline bool same(Dims a, Dims b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }
std::string dims_str(Dims d);  // "(2, 3)", "(2,)", "()"

}  // namespace pynn
