// small_vector.h -- a vector whose first N elements need no allocation. Only grows.
#pragma once
#include <cstddef>
#include <initializer_list>
#include <memory>
#include <new>
#include <utility>

namespace pynn {

template <class T, size_t N>
class SmallVector {
 public:
  SmallVector() = default;
  explicit SmallVector(size_t n) { resize(n); }
  SmallVector(std::initializer_list<T> items) {
    for (const T& x : items) push_back(x);
  }
  template <class Range>
    requires requires(Range r) { r.begin(), r.end(); }
  explicit SmallVector(Range&& items) {
    for (auto&& x : items) push_back(x);
  }
  SmallVector(const SmallVector& o) {
    for (const T& x : o) push_back(x);
  }
  SmallVector(SmallVector&& o) noexcept { take(o); }
  SmallVector& operator=(SmallVector o) noexcept {
    clear();
    take(o);
    return *this;
  }
  ~SmallVector() { clear(); }

  void push_back(T x) {
    if (n_ == capacity_) grow(2 * capacity_);
    new (data_ + n_++) T(std::move(x));
  }
  void resize(size_t n) {
    if (n > capacity_) grow(n);
    while (n_ < n) new (data_ + n_++) T();
  }
  void clear() {
    std::destroy_n(data_, n_);
    if (data_ != local()) ::operator delete(data_);
    data_ = local();
    n_ = 0;
    capacity_ = N;
  }
  size_t size() const { return n_; }
  bool empty() const { return n_ == 0; }
  T* data() { return data_; }
  const T* data() const { return data_; }
  T* begin() { return data_; }
  T* end() { return data_ + n_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + n_; }
  T& operator[](size_t i) { return data_[i]; }
  const T& operator[](size_t i) const { return data_[i]; }
  T& back() { return data_[n_ - 1]; }

 private:
  T* local() { return reinterpret_cast<T*>(bytes_); }
  void grow(size_t capacity) {
    T* fresh = static_cast<T*>(::operator new(capacity * sizeof(T)));
    std::uninitialized_move_n(data_, n_, fresh);
    const size_t n = n_;
    clear();
    data_ = fresh;
    n_ = n;
    capacity_ = capacity;
  }
  void take(SmallVector& o) {
    if (o.data_ != o.local()) {
      data_ = std::exchange(o.data_, o.local());
      n_ = std::exchange(o.n_, 0);
      capacity_ = std::exchange(o.capacity_, N);
    } else {
      std::uninitialized_move_n(o.data_, o.n_, data_);
      n_ = o.n_;
      o.clear();
    }
  }
  T* data_ = local();
  size_t n_ = 0, capacity_ = N;
  alignas(T) unsigned char bytes_[N * sizeof(T)];
};

}  // namespace pynn
