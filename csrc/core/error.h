// error.h -- one exception class; the Python layer turns its kind into the class that PyTorch raises.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace pynn {

enum class ErrorKind { Runtime, Value, Type, Index, NotImplemented, Memory, Shape };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& what) : std::runtime_error(what), kind(kind) {}
  ErrorKind kind;
};

template <class... Parts>
std::string concat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

// fail(ErrorKind::Value, "softmax: dim must ..., got ", dim);
template <class... Parts>
[[noreturn]] [[gnu::noinline]] [[gnu::cold]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, concat(parts...));
}
// RuntimeError unless the condition holds. The message is only built on failure.
#define PYNN_CHECK(condition, ...)                           \
  do {                                                       \
    if (!(condition)) [[unlikely]]                           \
      ::pynn::fail(::pynn::ErrorKind::Runtime, __VA_ARGS__); \
  } while (0)
#define PYNN_CHECK_KIND(kind_, condition, ...)             \
  do {                                                     \
    if (!(condition)) [[unlikely]]                         \
      ::pynn::fail(::pynn::ErrorKind::kind_, __VA_ARGS__); \
  } while (0)

}  // namespace pynn
