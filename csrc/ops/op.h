// op.h -- the registry: what every op says of itself, and how it is called by those who do not know its C++ type.
//
//   PYNN_OP(softmax, "softmax(Tensor input, int dim) -> Tensor", R"(Rescales `input` along `dim` ...)");
//
// at namespace scope makes a static OpRegistration, which adds an OpDef to the registry when the extension is loaded.
// That is all there is to it: objects are linked straight into the extension (no archive could drop them), and
// tests/core/test_registry.py holds that every PYNN_OP( in the sources is there. Python bindings, stubs, docs, and
// later the tracer and the executor read the registry; nobody keeps a list of ops.
//
// A schema is written as a Python signature:
//   types     Tensor Tensor? Tensor[] Other int int? int[] int[]? int... float float? bool bool? Scalar Scalar? str
//   str?
//             dtype dtype? device? memory_format memory_format? Generator?
//   Other     a Tensor or a number;  int...  a list or separate arguments;  T?  may be None
//   results   Tensor, (Tensor values, Tensor indices), Tensor[], int, float, bool, None
// A first Tensor parameter makes the op a method too. Names with a dot ("_nn.gelu") go to that namespace only.
// Several ops of one name are overloads, tried in order of registration: keep them in one file.
#pragma once
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "core/memory_format.h"
#include "core/random.h"
#include "core/scalar.h"
#include "core/tensor.h"

namespace pynn {

// A tensor or a number: what arithmetic takes on its right.
struct Other {
  Other(const Tensor& t) : tensor(&t) {}
  Other(Scalar s) : scalar(s) {}
  Other(double s) : scalar(s) {}
  Other(int s) : scalar(s) {}
  bool is_scalar() const { return !tensor; }
  const Tensor* tensor = nullptr;
  Scalar scalar;
};

using TensorSpan = std::span<const Tensor>;

enum class Kind : uint8_t {
  None,
  Tensor,
  OptTensor,
  Tensors,
  Other,
  Int,
  OptInt,
  Ints,
  OptInts,
  Float,
  OptFloat,
  Bool,
  OptBool,
  Number,
  OptNumber,
  Str,
  OptStr,
  Type,
  OptType,
  OptDevice,
  Format,
  OptFormat,
  Rng
};

// One argument on its way in. Everything it points to belongs to the caller's frame.
struct Value {
  Value() {}
  Kind given = Kind::None;  // None: absent
  union {
    const Tensor* tensor;
    int64_t i;
    double f;
    bool b;
    DType type;
    Device device;
    MemoryFormat format;
    Generator* generator;
    Scalar scalar;
    TensorSpan tensors;
    Dims ints;
    std::string_view str;
  };
};

// One result on its way out.
struct Result {
  enum class Tag : uint8_t { None, Tensor, Tuple, List, Int, Float, Bool } tag = Tag::None;
  Tensor tensor;
  std::vector<Tensor> tensors;
  int64_t i = 0;
  double f = 0;
};

inline const Tensor& kUndefined = *new Tensor;  // never destroyed: threads may outlive static objects

// How a C++ parameter type is named in a schema and read from a Value.
template <class T>
struct Param;
#define PYNN_PARAM(T, kind_, expr)                \
  template <>                                     \
  struct Param<T> {                               \
    static constexpr Kind kind = Kind::kind_;     \
    static T get(const Value& v) { return expr; } \
  };
PYNN_PARAM(const Tensor&, Tensor, v.given == Kind::None ? kUndefined : *v.tensor)
PYNN_PARAM(TensorSpan, Tensors, v.tensors)
PYNN_PARAM(Other, Other, v.given == Kind::Tensor ? Other(*v.tensor) : Other(v.scalar))
PYNN_PARAM(int64_t, Int, v.i)
PYNN_PARAM(std::optional<int64_t>, OptInt, v.given == Kind::None ? std::nullopt : std::optional(v.i))
PYNN_PARAM(Dims, Ints, v.ints)
PYNN_PARAM(std::optional<Dims>, OptInts, v.given == Kind::None ? std::nullopt : std::optional(v.ints))
PYNN_PARAM(double, Float, v.f)
PYNN_PARAM(std::optional<double>, OptFloat, v.given == Kind::None ? std::nullopt : std::optional(v.f))
PYNN_PARAM(bool, Bool, v.b)
PYNN_PARAM(std::optional<bool>, OptBool, v.given == Kind::None ? std::nullopt : std::optional(v.b))
PYNN_PARAM(Scalar, Number, v.scalar)
PYNN_PARAM(std::optional<Scalar>, OptNumber, v.given == Kind::None ? std::nullopt : std::optional(v.scalar))
PYNN_PARAM(std::string_view, Str, v.str)
PYNN_PARAM(std::optional<std::string_view>, OptStr, v.given == Kind::None ? std::nullopt : std::optional(v.str))
PYNN_PARAM(DType, Type, v.type)
PYNN_PARAM(std::optional<DType>, OptType, v.given == Kind::None ? std::nullopt : std::optional(v.type))
PYNN_PARAM(std::optional<Device>, OptDevice, v.given == Kind::None ? std::nullopt : std::optional(v.device))
PYNN_PARAM(MemoryFormat, Format, v.format)
PYNN_PARAM(std::optional<MemoryFormat>, OptFormat, v.given == Kind::None ? std::nullopt : std::optional(v.format))
PYNN_PARAM(Generator*, Rng, v.given == Kind::None ? nullptr : v.generator)

inline void give(Result& r, Tensor t) {
  r.tag = Result::Tag::Tensor;
  r.tensor = std::move(t);
}
inline void give(Result& r, std::vector<Tensor> list) {
  r.tag = Result::Tag::List;
  r.tensors = std::move(list);
}
template <class... T>
void give(Result& r, std::tuple<T...> t) {
  r.tag = Result::Tag::Tuple;
  std::apply([&](auto&... x) { (r.tensors.push_back(std::move(x)), ...); }, t);
}
inline void give(Result& r, int64_t i) { r.tag = Result::Tag::Int, r.i = i; }
inline void give(Result& r, double f) { r.tag = Result::Tag::Float, r.f = f; }
inline void give(Result& r, bool b) { r.tag = Result::Tag::Bool, r.i = b; }

enum OpFlags : uint8_t {
  kPlain = 0,
  kInplace = 1,       // also as name_(self, ...): the result replaces self's content
  kOut = 2,           // also with out=
  kFunctionOnly = 4,  // no method, although a Tensor comes first
  kMethodOnly = 8,
  kInplaceView = 16,  // also as name_(self, ...): self takes the result's geometry; the op must return a view
  kAnyDevice = 32,    // its tensors may be on different devices
  kMap = 64,  // one map: the first tensor like its input that it makes is its result, and may be that input's memory
};

struct OpDef {
  std::string_view name() const { return std::string_view(schema).substr(0, std::string_view(schema).find('(')); }
  const char* schema;
  const char* doc;
  uint8_t flags;
  const Kind* kinds;  // of the C++ parameters
  size_t nkinds;
  void (*call)(const Value* args, Result& out);
};

std::vector<OpDef>& registry();

namespace detail {

template <auto fn>
struct Boxed;
template <class R, class... A, R (*fn)(A...)>
struct Boxed<fn> {
  static constexpr Kind kinds[sizeof...(A) + 1] = {Param<A>::kind..., Kind::None};
  static constexpr size_t nkinds = sizeof...(A);
  static void call(const Value* args, Result& out) {
    [&]<size_t... I>(std::index_sequence<I...>) {
      if constexpr (std::is_void_v<R>) {
        fn(Param<A>::get(args[I])...);
      } else {
        give(out, fn(Param<A>::get(args[I])...));
      }
    }(std::index_sequence_for<A...>{});
  }
};

struct OpRegistration {
  OpRegistration(OpDef def) { registry().push_back(def); }
};

}  // namespace detail

#define PYNN_JOIN_(a, b) a##b
#define PYNN_JOIN(a, b) PYNN_JOIN_(a, b)
// PYNN_OP(function, schema, doc [, flags]): a function that is overloaded in C++ is cast or wrapped by the caller.
#define PYNN_OP(fn, schema, doc, ...)                                                                                  \
  static const ::pynn::detail::OpRegistration PYNN_JOIN(pynn_op_, __COUNTER__)(                                        \
      ::pynn::OpDef{schema, doc, static_cast<uint8_t>(0 __VA_OPT__(+(__VA_ARGS__))), ::pynn::detail::Boxed<fn>::kinds, \
                    ::pynn::detail::Boxed<fn>::nkinds, &::pynn::detail::Boxed<fn>::call})

}  // namespace pynn
