// library.cpp -- where NVIDIA's libraries are looked for.
#include "cuda/library.h"

#include <mutex>
#ifdef PYNN_CUDA_EMULATED
#include "libraries.h"
#elif !defined(_WIN32)
#include <dlfcn.h>
#endif
#include <cstdlib>

namespace pynn::cuda {
namespace {

std::mutex mutex;
std::vector<std::string>& wheel_folders() {
  static auto& folders = *new std::vector<std::string>;
  return folders;
}

#ifdef PYNN_CUDA_EMULATED
void* open(const std::string& name) { return emulator::open_library(name.c_str()); }
void* look_up(void*, const char* symbol) { return emulator::symbol(symbol); }
std::string last_error() { return "the emulator does not have this library"; }
#elif defined(_WIN32)
void* open(const std::string&) { return nullptr; }
void* look_up(void*, const char*) { return nullptr; }
std::string last_error() { return "not supported on Windows yet"; }
#else
void* open(const std::string& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }
void* look_up(void* handle, const char* symbol) { return dlsym(handle, symbol); }
std::string last_error() {
  const char* e = dlerror();
  return e ? e : "not found";
}
#endif

std::vector<std::string> search_folders() {
  std::vector<std::string> out;
  {
    const std::lock_guard lock(mutex);
    for (const std::string& f : wheel_folders())
      for (const char* part : {"cu13/lib", "cublas/lib", "cudnn/lib"}) out.push_back(f + "/nvidia/" + part);
  }
  for (const char* variable : {"CUDA_HOME", "CUDA_PATH"})
    if (const char* home = std::getenv(variable)) out.push_back(std::string(home) + "/lib64");
  for (const char* usual : {"/usr/local/cuda/lib64", "/usr/local/cuda-13/lib64", "/opt/cuda/lib64"})
    out.push_back(usual);
  return out;
}

}  // namespace

LibraryFlags library_flags;

void set_wheel_folders(std::vector<std::string> folders) {
  const std::lock_guard lock(mutex);
  wheel_folders() = std::move(folders);
}

Library::Library(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    if ((handle_ = open(name))) {
      name_ = name;
      return;
    }
    if (why_.empty()) why_ = last_error();
    for (const std::string& folder : search_folders())
      if ((handle_ = open(folder + "/" + name))) {
        name_ = folder + "/" + name;
        return;
      }
  }
}

void Library::refuse(const std::string& why) {
  handle_ = nullptr;
  why_ = why;
}

void* Library::address(const char* symbol) {
  void* found = handle_ ? look_up(handle_, symbol) : nullptr;
  if (handle_ && !found) refuse(name_ + " has no " + symbol);
  return found;
}

}  // namespace pynn::cuda
