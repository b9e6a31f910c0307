// storage.h -- a block of memory that tensors share, with the version that in-place writes count up.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>

#include "core/device.h"
#include "core/ref.h"

namespace pynn {

// What somebody computed from a storage's memory and keeps with it.
struct Derived {
  virtual ~Derived() = default;
};

class Storage final : public RefCounted {
 public:
  // Fresh memory, not cleared. Small blocks follow the header in the same allocation.
  static Ref<Storage> allocate(size_t nbytes, Device device);
  // Foreign memory; `release(context)` runs when the last user goes.
  static Ref<Storage> wrap(void* data, size_t nbytes, Device device, void (*release)(void*), void* context);
  // The same memory with a version of its own (Tensor.data).
  static Ref<Storage> alias(const Ref<Storage>& other);

  void* data() const { return data_; }
  size_t nbytes() const { return nbytes_; }
  Device device() const { return device_; }
  uint32_t version() const { return version_.load(std::memory_order_relaxed); }
  bool foreign() const { return release_; }  // someone else may look at the memory, whatever use_count() says
  void bump_version() {
    version_.fetch_add(1, std::memory_order_relaxed);
    note_write();
  }

  // Of the memory: writes by this storage and its aliases, and whether those may write whom nobody sees: NumPy's
  // arrays, holders of addresses. Nothing is known of foreign memory.
  uint32_t writes() const { return writes_.load(std::memory_order_relaxed); }
  bool lent() const { return lent_.load(std::memory_order_relaxed) > 0; }
  void lend();
  void give_back();
  // The first one that was attached.
  Derived* derived() const { return derived_.load(std::memory_order_acquire); }
  Derived* attach(std::unique_ptr<Derived> derived);

  // Grows the block, keeping its content. Throws for foreign memory.
  void resize(size_t nbytes);

  static void destroy(Storage* s);

 private:
  void free_data() noexcept;
  Storage* original();  // of aliases
  void note_write() {
    if (release_) [[unlikely]]
      original()->writes_.fetch_add(1, std::memory_order_relaxed);
    else
      writes_.fetch_add(1, std::memory_order_relaxed);
  }
  Storage(void* data, size_t nbytes, Device device) : data_(data), nbytes_(nbytes), device_(device) {}
  uint32_t inline_bytes_ = 0;  // of the data that follows the header
  void* data_;
  size_t nbytes_;
  Device device_;
  bool owned_ = false;  // data_ came from allocate(nbytes_)
  std::atomic<uint32_t> version_{0};
  void (*release_)(void*) = nullptr;  // nullptr: data_ is ours
  void* context_ = nullptr;
  std::atomic<uint32_t> writes_{0};
  std::atomic<int32_t> lent_{0};
  std::atomic<Derived*> derived_{nullptr};  // owned
};

}  // namespace pynn
