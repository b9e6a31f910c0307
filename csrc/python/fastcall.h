// fastcall.h -- from a Python call to an op and back: schemas compiled once, arguments parsed into a frame on the
// stack.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/small_vector.h"
#include "ops/op.h"
#include "python/py.h"

namespace pynn::python {

constexpr int kMaxParams = 13, kMaxInts = 5;  // lists of ints among them

// Whether a keyword is this interned name (nullptr: none). Those at a call are interned too, but for what a program
// makes up: f(**{a + b: 1}).
inline bool is_name(PyObject* given, PyObject* name) {
  return given == name || (name && !PyUnicode_CHECK_INTERNED(given) && PyUnicode_Compare(given, name) == 0);
}

struct ParamSpec {
  std::string name;
  PyObject *key, *alias;  // interned: the name, and another one for it or nullptr
  Kind kind;
  bool varargs;   // int...
  bool sequence;  // one int will not do for the list
  bool kwonly;
  bool required;
  Value fallback;  // when absent; lists and strings live in the two below
  std::vector<int64_t> default_ints;
  std::string default_str;
};

// One overload of an op. Throws Error naming the op when schema and C++ signature disagree.
struct Schema {
  explicit Schema(const OpDef& def);
  const OpDef* def;
  std::string name;  // without the namespace
  std::vector<std::unique_ptr<ParamSpec>> params;
  size_t npositional = 0;
  PyTypeObject* result_type = nullptr;  // of named tuples
  bool self_first() const { return !params.empty() && params[0]->kind == Kind::Tensor; }
  bool accepts_layout = false;  // creation ops take layout= (without effect) and pin_memory=
};

// Parsed arguments and what they point to.
struct Frame {
  Value values[kMaxParams];
  SmallVector<int64_t, 8> ints[kMaxInts];
  std::vector<Tensor> tensors[6];
  Tensor made[2];  // tensors made from other objects
  int nints = 0, ntensors = 0, nmade = 0;
};

// Fills the frame; false (quiet) or a Python error (loud) when the arguments do not fit. `skip_out`: the keyword
// out= was taken care of.
bool parse(const Schema& s, Frame& frame, PyObject* const* args, size_t nargs, PyObject* kwnames, bool quiet);
bool knows_keyword(const Schema& s, PyObject* name);
PyObject* wrap_result(const Schema& s, Result& r);
bool parse_value(const ParamSpec& p, PyObject* o, Frame& f, Value& v);  // false: of the wrong type
const char* kind_name(Kind k);
bool parse_other(PyObject* o, Value& v);      // Tensor or number
Scalar scalar_of(PyObject* o);                // a number
int64_t int_of(const char* op, PyObject* o);  // int, NumPy integer, one-element integer tensor

// Calls the op, without the GIL when its tensors are large. inplace: the first tensor will take the result.
void call_op(const OpDef& def, const Value* values, Result& result, bool inplace = false);

// Makes an OpFunction (a function or method) from all overloads of one name.
enum class Form { Function, Method, Inplace, InplaceView };
const Schema* only_schema(PyObject* op_function);  // of an OpFunction without overloads; nullptr for anything else
PyObject* make_op_function(std::string name, std::vector<const Schema*> overloads, Form form);
void init_op_functions(PyObject* module);

}  // namespace pynn::python
