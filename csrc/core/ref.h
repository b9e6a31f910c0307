// ref.h -- intrusive reference counting: the count lives in the object, a Ref is one pointer.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace pynn {

// T derives from RefCounted and has a static void destroy(T*), called when the last Ref goes.
class RefCounted {
 public:
  int32_t use_count() const { return refs_.load(std::memory_order_relaxed); }

 protected:
  RefCounted() = default;
  ~RefCounted() = default;
  RefCounted(const RefCounted&) = delete;
  RefCounted& operator=(const RefCounted&) = delete;

 private:
  template <class T>
  friend class Ref;
  mutable std::atomic<int32_t> refs_{0};
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) {}
  explicit Ref(T* p) : p_(p) { retain(); }
  Ref(const Ref& other) : p_(other.p_) { retain(); }
  Ref(Ref&& other) noexcept : p_(std::exchange(other.p_, nullptr)) {}
  template <class U>
  Ref(Ref<U> other) : p_(other.release()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(p_, other.p_);
    return *this;
  }
  ~Ref() { reset(); }

  void reset() {
    T* p = std::exchange(p_, nullptr);
    if (p && p->refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) T::destroy(p);
  }
  T* release() { return std::exchange(p_, nullptr); }  // the caller owns the count
  static Ref adopt(T* p) {                             // takes over a released count
    Ref r;
    r.p_ = p;
    return r;
  }

  // From a pointer that may be in destruction: empty then.
  static Ref try_from(T* p) {
    int32_t n = p->refs_.load(std::memory_order_relaxed);
    while (n > 0)
      if (p->refs_.compare_exchange_weak(n, n + 1, std::memory_order_acq_rel)) return adopt(p);
    return {};
  }

  T* get() const { return p_; }
  T* operator->() const { return p_; }
  T& operator*() const { return *p_; }
  explicit operator bool() const { return p_; }
  bool operator==(const Ref&) const = default;

 private:
  void retain() const {
    if (p_) p_->refs_.fetch_add(1, std::memory_order_relaxed);
  }
  T* p_ = nullptr;
};

template <class T, class... A>
Ref<T> make_ref(A&&... a) {
  return Ref<T>(new T(std::forward<A>(a)...));
}

}  // namespace pynn
