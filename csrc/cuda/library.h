// library.h -- NVIDIA's libraries, loaded when first used, and the switches that say how they are used.
//
// A machine without them gets our own kernels: see loaded() and why().
#pragma once
#include <atomic>
#include <initializer_list>
#include <string>
#include <vector>

namespace pynn::cuda {

class Library {
 public:
  // The first of `names` that the loader finds, by itself, in a wheel of NVIDIA's, or in CUDA's usual folders.
  explicit Library(std::initializer_list<const char*> names);
  bool loaded() const { return handle_ != nullptr; }
  const std::string& name() const { return name_; }  // what was loaded
  const std::string& why() const { return why_; }    // why nothing was
  template <class F>
  void find(F*& function, const char* symbol) {
    function = reinterpret_cast<F*>(address(symbol));
  }
  void refuse(const std::string& why);  // it is of no use

 private:
  void* address(const char* symbol);  // refuses the library if it is missing
  void* handle_ = nullptr;
  std::string name_, why_;
};

// Folders in which wheels are installed (Python's path).
void set_wheel_folders(std::vector<std::string> folders);

// torch.backends' switches, and those by which tests choose what serves other machines: our own product (`cublas`),
// attention without Hopper's instructions (`sm90`, on where the build has those).
struct LibraryFlags {
  std::atomic<bool> matmul_tf32{false}, fp16_reduced{true}, bf16_reduced{true};
  std::atomic<bool> cudnn{true}, cudnn_tf32{true}, benchmark{false}, deterministic{false};
  std::atomic<bool> cublas{true}, sm90{false};
};
extern LibraryFlags library_flags;

// What is loaded, or why nothing is: "13.0.2 (libcublasLt.so.13)".
std::string describe_cublas();
std::string describe_cudnn();
int64_t cudnn_version();  // 91002 for 9.10.2, 0 without cuDNN

}  // namespace pynn::cuda
