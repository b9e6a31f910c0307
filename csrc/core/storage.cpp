#include "core/storage.h"

#include <cstring>
#include <new>

#include "core/accelerator.h"
#include "core/allocator.h"
#include "core/error.h"

namespace pynn {
namespace {

constexpr size_t kHeader = 64;  // keeps inline data aligned
constexpr size_t kInlineLimit = 960;
static_assert(sizeof(Storage) <= kHeader);

void drop_original(void* storage) { Ref<Storage>::adopt(static_cast<Storage*>(storage)); }

}  // namespace

Ref<Storage> Storage::allocate(size_t nbytes, Device device) {
  if (device.is_meta()) return wrap(nullptr, nbytes, device, nullptr, nullptr);
  if (device.is_cuda()) {
    device = resolve(device);
    Storage* s = new (pynn::allocate(kHeader)) Storage(nullptr, nbytes, device);
    Ref<Storage> keep(s);  // frees the header if there is no memory
    s->data_ = accelerator->allocate(nbytes, device.index);
    s->owned_ = true;
    return keep;
  }
  device = {};  // "cpu:0" is the CPU
  if (nbytes <= kInlineLimit) {
    char* block = static_cast<char*>(pynn::allocate(kHeader + nbytes));
    Storage* s = new (block) Storage(block + kHeader, nbytes, device);
    s->inline_bytes_ = static_cast<uint32_t>(nbytes);
    return Ref<Storage>(s);
  }
  void* data = pynn::allocate(nbytes);
  void* block = pynn::allocate(kHeader);
  Storage* s = new (block) Storage(data, nbytes, device);
  s->owned_ = true;
  return Ref<Storage>(s);
}

Ref<Storage> Storage::wrap(void* data, size_t nbytes, Device device, void (*release)(void*), void* context) {
  Storage* s = new (pynn::allocate(kHeader)) Storage(data, nbytes, device);
  s->release_ = release;
  s->context_ = context;
  return Ref<Storage>(s);
}

Ref<Storage> Storage::alias(const Ref<Storage>& other) {
  Ref<Storage> keep = other;
  return wrap(other->data_, other->nbytes_, other->device_, drop_original, keep.release());
}

Storage* Storage::original() {
  Storage* s = this;
  while (s->release_ == drop_original) s = static_cast<Storage*>(s->context_);
  return s;
}
void Storage::lend() { original()->lent_.fetch_add(1, std::memory_order_relaxed); }
void Storage::give_back() {
  Storage* s = original();
  s->writes_.fetch_add(1, std::memory_order_relaxed);
  s->lent_.fetch_sub(1, std::memory_order_relaxed);
}

Derived* Storage::attach(std::unique_ptr<Derived> derived) {
  Derived* first = nullptr;
  return derived_.compare_exchange_strong(first, derived.get(), std::memory_order_acq_rel) ? derived.release() : first;
}

void Storage::resize(size_t nbytes) {
  if (nbytes <= nbytes_) return;
  if (device_.is_meta()) {
    nbytes_ = nbytes;
    return;
  }
  PYNN_CHECK(!release_, "resize_: the memory belongs to another object and cannot grow (clone the tensor first)");
  void* data = device_.is_cuda() ? accelerator->allocate(nbytes, device_.index) : pynn::allocate(nbytes);
  if (device_.is_cuda()) {
    accelerator->copy(data, device_, data_, device_, nbytes_, true);
  } else {
    std::memcpy(data, data_, nbytes_);
  }
  free_data();
  data_ = data;
  nbytes_ = nbytes;
  owned_ = true;
}

void Storage::free_data() noexcept {
  if (!owned_) return;
  if (device_.is_cuda()) {
    accelerator->deallocate(data_, device_.index);
  } else {
    pynn::deallocate(data_, nbytes_);
  }
}

void Storage::destroy(Storage* s) {
  delete s->derived();
  if (s->release_) s->release_(s->context_);
  s->free_data();
  size_t inline_bytes = s->inline_bytes_;
  s->~Storage();
  pynn::deallocate(s, kHeader + inline_bytes);
}

}  // namespace pynn
