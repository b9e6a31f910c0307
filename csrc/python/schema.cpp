// schema.cpp -- reads "softmax(Tensor input, int dim, *, dtype? dtype=None) -> Tensor".
#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "python/fastcall.h"

namespace pynn::python {
namespace {

// Other names of common parameters: NumPy's, and those of methods that differ from their functions'.
const char* alias_of(std::string_view name) {
  static constexpr std::pair<std::string_view, const char*> aliases[] = {
      {"dim", "axis"},   {"keepdim", "keepdims"}, {"input", "self"}, {"split_size_or_sections", "split_size"},
      {"sizes", "size"}, {"shape", "size"},
  };
  for (const auto& [mine, other] : aliases)
    if (name == mine) return other;
  return nullptr;
}

const std::map<std::string_view, Kind>& kinds() {
  static const std::map<std::string_view, Kind> m = {{"Tensor", Kind::Tensor},
                                                     {"Tensor?", Kind::OptTensor},
                                                     {"Tensor[]", Kind::Tensors},
                                                     {"Other", Kind::Other},
                                                     {"int", Kind::Int},
                                                     {"int?", Kind::OptInt},
                                                     {"int[]", Kind::Ints},
                                                     {"int...", Kind::Ints},
                                                     {"Size", Kind::Ints},
                                                     {"int[]?", Kind::OptInts},
                                                     {"float", Kind::Float},
                                                     {"float?", Kind::OptFloat},
                                                     {"bool", Kind::Bool},
                                                     {"bool?", Kind::OptBool},
                                                     {"Scalar", Kind::Number},
                                                     {"Scalar?", Kind::OptNumber},
                                                     {"str", Kind::Str},
                                                     {"str?", Kind::OptStr},
                                                     {"dtype", Kind::Type},
                                                     {"dtype?", Kind::OptType},
                                                     {"device?", Kind::OptDevice},
                                                     {"Generator?", Kind::Rng},
                                                     {"memory_format", Kind::Format},
                                                     {"memory_format?", Kind::OptFormat}};
  return m;
}

std::string_view trim(std::string_view s) {
  while (!s.empty() && s.front() == ' ') s.remove_prefix(1);
  while (!s.empty() && s.back() == ' ') s.remove_suffix(1);
  return s;
}

std::vector<std::string_view> split_commas(std::string_view s) {
  std::vector<std::string_view> out;
  int depth = 0;
  size_t from = 0;
  for (size_t i = 0; i <= s.size(); ++i) {
    if (i == s.size() || (s[i] == ',' && depth == 0)) {
      if (std::string_view part = trim(s.substr(from, i - from)); !part.empty()) out.push_back(part);
      from = i + 1;
    } else if (s[i] == '(' || s[i] == '[') {
      ++depth;
    } else if (s[i] == ')' || s[i] == ']') {
      --depth;
    }
  }
  return out;
}

template <class T>
T number(std::string_view s) {
  T v{};
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), v);
  PYNN_CHECK(error == std::errc() && end == s.data() + s.size(), "bad default ", std::string(s));
  return v;
}

void set_default(ParamSpec& p, std::string_view text) {
  Value& v = p.fallback;
  v.given = p.kind;
  if (text == "None") {
    v.given = Kind::None;
    return;
  }
  switch (p.kind) {
    case Kind::Int:
    case Kind::OptInt:
      v.i = number<int64_t>(text);
      break;
    case Kind::Float:
    case Kind::OptFloat:
      v.f = number<double>(text);
      break;
    case Kind::Bool:
    case Kind::OptBool:
      v.b = text == "True";
      PYNN_CHECK(v.b || text == "False", "bad default ", std::string(text));
      break;
    case Kind::Number:
    case Kind::OptNumber:
    case Kind::Other:
      v.given = Kind::Number;
      v.scalar = text.find_first_of(".e") == text.npos ? Scalar(number<int64_t>(text)) : Scalar(number<double>(text));
      break;
    case Kind::Str:
    case Kind::OptStr:
      p.default_str = text.substr(1, text.size() - 2);
      v.str = p.default_str;
      break;
    case Kind::Format:
      PYNN_CHECK(text == "contiguous_format", "bad default ", std::string(text));
      v.format = MemoryFormat::Contiguous;
      break;
    case Kind::Ints:
    case Kind::OptInts:
      for (std::string_view i : split_commas(text.substr(1, text.size() - 2)))
        p.default_ints.push_back(number<int64_t>(i));
      v.ints = p.default_ints;
      break;
    default:
      fail(ErrorKind::Runtime, "no default of this type");
  }
}

// As PyTorch prints them: a field a line.
PyObject* named_tuple_repr(PyObject* self, PyObject*) {
  Object names(PyObject_GetAttrString(reinterpret_cast<PyObject*>(Py_TYPE(self)), "__match_args__"));
  if (!names) return nullptr;
  Object text(PyUnicode_FromFormat("%s(", Py_TYPE(self)->tp_name));
  for (Py_ssize_t i = 0; text && i < PyTuple_GET_SIZE(names.get()); ++i)
    text = Object(PyUnicode_FromFormat("%U%s%U=%R", text.get(), i ? ",\n" : "\n", PyTuple_GET_ITEM(names.get(), i),
                                       PyTuple_GET_ITEM(self, i)));
  return text ? PyUnicode_FromFormat("%U)", text.get()) : nullptr;
}
PyMethodDef named_tuple_repr_def = {"__repr__", named_tuple_repr, METH_NOARGS, nullptr};

PyTypeObject* named_tuple(const std::string& name, std::string_view fields) {
  Object list(checked(PyList_New(0)));
  for (std::string_view f : split_commas(fields)) {
    const std::string_view field = trim(f.substr(f.find(' ') + 1));
    Object s(checked(PyUnicode_FromStringAndSize(field.data(), static_cast<Py_ssize_t>(field.size()))));
    if (PyList_Append(list.get(), s.get()) < 0) throw PythonError();
  }
  // A structseq: needs no import of collections. Lives as long as the process.
  const Py_ssize_t n = PyList_GET_SIZE(list.get());
  auto* members = new PyStructSequence_Field[n + 1]{};
  for (Py_ssize_t i = 0; i < n; ++i) members[i].name = strdup(PyUnicode_AsUTF8(PyList_GET_ITEM(list.get(), i)));
  const std::string full = "torch.return_types." + name;
  PyStructSequence_Desc desc{strdup(full.c_str()), nullptr, members, static_cast<int>(n)};
  PyTypeObject* type = PyStructSequence_NewType(&desc);
  checked(reinterpret_cast<PyObject*>(type));
  Object repr(checked(PyDescr_NewMethod(type, &named_tuple_repr_def)));
  if (PyObject_SetAttrString(reinterpret_cast<PyObject*>(type), "__repr__", repr.get()) < 0) throw PythonError();
  return type;
}

void build(Schema& s) {
  const std::string_view text = s.def->schema;
  const size_t open = text.find('(');
  PYNN_CHECK(open != text.npos, "no parameter list");
  const std::string_view full = text.substr(0, open);
  s.name = full.substr(full.rfind('.') + 1);
  int depth = 0;
  size_t close = open;
  for (; close < text.size(); ++close) {
    depth += text[close] == '(' ? 1 : text[close] == ')' ? -1 : 0;
    if (depth == 0) break;
  }
  bool kwonly = false;
  for (std::string_view part : split_commas(text.substr(open + 1, close - open - 1))) {
    if (part == "*") {
      kwonly = true;
      continue;
    }
    auto p = std::make_unique<ParamSpec>();
    const size_t space = part.find(' ');
    PYNN_CHECK(space != part.npos, "parameter '", std::string(part), "' needs a type and a name");
    const std::string_view type = part.substr(0, space);
    const std::string_view rest = trim(part.substr(space + 1));
    const size_t eq = rest.find('=');
    p->name = trim(rest.substr(0, eq));
    const auto it = kinds().find(type);
    PYNN_CHECK(it != kinds().end(), "unknown type '", std::string(type), "'");
    p->kind = it->second;
    p->varargs = type == "int...";
    p->sequence = p->varargs || type == "Size";
    p->kwonly = kwonly;
    p->required = eq == rest.npos;
    p->key = PyUnicode_InternFromString(p->name.c_str());
    const char* const alias = alias_of(p->name);
    p->alias = alias ? PyUnicode_InternFromString(alias) : nullptr;
    if (!p->required) set_default(*p, trim(rest.substr(eq + 1)));
    if (p->name == "requires_grad") s.accepts_layout = true;
    if (!kwonly) ++s.npositional;
    s.params.push_back(std::move(p));
  }
  PYNN_CHECK(s.params.size() <= kMaxParams, "more than ", kMaxParams, " parameters");
  PYNN_CHECK(std::count_if(s.params.begin(), s.params.end(),
                           [](const auto& p) { return p->kind == Kind::Ints || p->kind == Kind::OptInts; }) <= kMaxInts,
             "more than ", kMaxInts, " lists of ints");
  PYNN_CHECK(s.params.size() == s.def->nkinds, "the schema has ", s.params.size(), " parameters, the function ",
             s.def->nkinds);
  for (size_t i = 0; i < s.params.size(); ++i) {
    Kind have = s.params[i]->kind;
    if (have == Kind::OptTensor) have = Kind::Tensor;  // both are const Tensor& in C++
    PYNN_CHECK(have == s.def->kinds[i], "parameter '", s.params[i]->name, "' has another type in C++");
  }
  const size_t arrow = text.find("->", close);
  PYNN_CHECK(arrow != text.npos, "no result type");
  const std::string_view result = trim(text.substr(arrow + 2));
  if (result.front() == '(' && result.find(' ') != result.npos &&
      split_commas(result.substr(1, result.size() - 2))[0].find(' ') != std::string_view::npos)
    s.result_type = named_tuple(s.name, result.substr(1, result.size() - 2));
}

}  // namespace

Schema::Schema(const OpDef& op) : def(&op) {
  try {
    build(*this);
  } catch (const Error& e) {
    fail(ErrorKind::Runtime, "op schema '", op.schema, "': ", e.what());
  }
}

}  // namespace pynn::python
