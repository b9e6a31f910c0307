// einsum.cpp -- sums of products named by subscripts: "bij,bjk->bik".
//
// Every operand becomes a tensor with one label per dim: repeated ones are replaced by their diagonal, "..." by labels
// counted from the right, dims of size 1 that others spread over are dropped. Operands are then contracted from the
// left, two at a time: labels of both that are needed later are the batch of a matrix product, those of both that are
// not are summed by it, the rest are its rows and columns.
#include <algorithm>

#include "autograd/record.h"
#include "core/shape.h"
#include "ops/binary.h"
#include "ops/creation.h"
#include "ops/matmul.h"
#include "ops/reduce.h"
#include "ops/view.h"

namespace pynn::ops {
namespace {

// 'A' .. 'Z' are 0 .. 25, 'a' .. 'z' 26 .. 51, the dims of "..." 52 on, the last dim first.
using Labels = std::vector<int>;
constexpr int kLetters = 52, kLabels = kLetters + kMaxDims;

bool has(const Labels& l, int label) { return std::find(l.begin(), l.end(), label) != l.end(); }
int64_t place(const Labels& l, int label) { return std::find(l.begin(), l.end(), label) - l.begin(); }

std::string label_str(int label) {
  if (label >= kLetters) return "...";
  return std::string(1, static_cast<char>(label < 26 ? 'A' + label : 'a' + label - 26));
}

// One operand's subscripts, or the result's; kEllipsis stands for "...".
constexpr int kEllipsis = -1;

Labels parse_part(std::string_view part, size_t at) {
  Labels out;
  for (size_t i = 0; i < part.size(); ++i) {
    const char c = part[i];
    if (c == ' ') continue;
    if (c >= 'A' && c <= 'Z') {
      out.push_back(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      out.push_back(c - 'a' + 26);
    } else {
      PYNN_CHECK(part.substr(i, 3) == "...", "einsum: invalid subscript given at index ", at + i,
                 " in the equation string, subscripts must be in [a-zA-Z]");
      PYNN_CHECK(!has(out, kEllipsis), "einsum: found a second ellipsis in the subscripts '", part, "'");
      out.push_back(kEllipsis);
      i += 2;
    }
  }
  return out;
}

struct Equation {
  std::vector<Labels> operands;
  std::optional<Labels> result;
};

Equation parse(std::string_view text) {
  Equation e;
  const size_t arrow = text.find("->");
  const std::string_view left = text.substr(0, arrow);
  for (size_t from = 0;;) {
    const size_t comma = left.find(',', from);
    e.operands.push_back(parse_part(left.substr(from, comma - from), from));
    if (comma == left.npos) break;
    from = comma + 1;
  }
  if (arrow != text.npos) e.result = parse_part(text.substr(arrow + 2), arrow + 2);
  return e;
}

// `dims` labels in place of the ellipsis.
Labels spelled_out(const Labels& l, int64_t dims) {
  Labels out;
  for (int label : l) {
    if (label != kEllipsis) {
      out.push_back(label);
      continue;
    }
    for (int64_t d = dims; d-- > 0;) out.push_back(kLetters + static_cast<int>(d));
  }
  return out;
}

struct Term {
  Tensor t;
  Labels labels;  // one per dim, all different
};

// Repeated labels become diagonals, which stand at the first place.
Term distinct(const Tensor& t, const Labels& given, size_t operand) {
  Term out{t, given};
  for (size_t i = 0; i < out.labels.size(); ++i)
    for (size_t j = i + 1; j < out.labels.size();) {
      if (out.labels[j] != out.labels[i]) {
        ++j;
        continue;
      }
      const int64_t di = static_cast<int64_t>(i), dj = static_cast<int64_t>(j), n = out.t.size(di);
      PYNN_CHECK_KIND(Shape, out.t.size(dj) == n, "einsum: subscript ", label_str(given[i]),
                      " is repeated for operand ", operand, " but the sizes don't match, ", out.t.size(dj), " != ", n);
      DimVector order;
      const Tensor diag = diagonal(out.t, 0, di, dj);  // the diagonal comes last
      for (int64_t d = 0; d < diag.dim() - 1; ++d) order.push_back(d);
      order.insert(i, diag.dim() - 1);
      out.t = permute(diag, order);
      out.labels.erase(out.labels.begin() + dj);
    }
  return out;
}

// Without these labels: squeezed if `may_squeeze` and all sizes are 1, else summed (integers to int64, as by sum).
Term without(const Term& a, const Labels& gone, bool may_squeeze = true) {
  DimVector dims;
  Term out{a.t, {}};
  bool spread = !may_squeeze;
  for (size_t i = 0; i < a.labels.size(); ++i) {
    if (has(gone, a.labels[i])) {
      dims.push_back(static_cast<int64_t>(i));
      spread |= a.t.size(dims.back()) != 1;
    } else {
      out.labels.push_back(a.labels[i]);
    }
  }
  if (!dims.empty()) out.t = spread ? sum(a.t, Dims(dims)) : squeeze(a.t, Dims(dims));
  return out;
}

Tensor arranged(const Term& a, std::initializer_list<const Labels*> groups) {
  DimVector order;
  for (const Labels* group : groups)
    for (int label : *group) order.push_back(place(a.labels, label));
  return permute(a.t, order);
}

int64_t count(const Term& a, const Labels& group) {
  int64_t n = 1;
  for (int label : group) n *= a.t.size(place(a.labels, label));
  return n;
}

// needed: bits of the labels that later operands or the result have.
Term contract(Term a, Term b, const std::vector<bool>& needed) {
  Labels batch, rows, columns, summed, gone;
  for (int label : a.labels)
    if (!has(b.labels, label) && !needed[label]) gone.push_back(label);
  const DType type_a = a.t.dtype(), type_b = b.t.dtype();
  a = without(a, gone);
  gone.clear();
  for (int label : b.labels)
    if (!has(a.labels, label) && !needed[label]) gone.push_back(label);
  b = without(b, gone);
  for (int label : a.labels) (!has(b.labels, label) ? rows : needed[label] ? batch : summed).push_back(label);
  for (int label : b.labels)
    if (!has(a.labels, label)) columns.push_back(label);

  Term out{{}, batch};
  out.labels.insert(out.labels.end(), rows.begin(), rows.end());
  out.labels.insert(out.labels.end(), columns.begin(), columns.end());
  const Tensor left = arranged(a, {&batch, &rows, &summed}), right = arranged(b, {&batch, &summed, &columns});
  if (summed.empty()) {
    Tensor spread = right;
    for (size_t i = 0; i < rows.size(); ++i) spread = unsqueeze(spread, static_cast<int64_t>(batch.size()));
    Tensor l = left;
    for (size_t i = 0; i < columns.size(); ++i) l = unsqueeze(l, l.dim());
    out.t = mul(l, spread);
    return out;
  }
  DimVector sizes;
  for (int label : out.labels) {
    const Term& from = has(a.labels, label) ? a : b;
    sizes.push_back(from.t.size(place(from.labels, label)));
  }
  const int64_t n = count(a, batch), p = count(a, rows), q = count(b, columns), k = count(a, summed);
  // Where a sum made int64 of one, the other follows (PyTorch's product fails there).
  const bool widened = a.t.dtype() != type_a || b.t.dtype() != type_b;
  const auto factor = [&](const Tensor& t, Dims shape) {
    return reshape(widened && is_integral(t.dtype()) ? to_dtype(t, DType::Int64) : t, shape);
  };
  // Many short dots: a product and its sum take less than a call of gemm for each. Half types round but once there.
  constexpr int64_t kShortDot = 256;
  const DType type = a.t.dtype();
  if (!batch.empty() && p == 1 && q == 1 && k <= kShortDot && type == b.t.dtype() && item_size(type) >= 4 &&
      !is_integral(type)) {
    const int64_t last[] = {1};
    out.t = reshape(sum(mul(factor(left, DimVector{n, k}), factor(right, DimVector{n, k})), Dims(last)), sizes);
    return out;
  }
  out.t = batch.empty() ? mm(factor(left, DimVector{p, k}), factor(right, DimVector{k, q}))
                        : bmm(factor(left, DimVector{n, p, k}), factor(right, DimVector{n, k, q}));
  out.t = reshape(out.t, sizes);
  return out;
}

Labels result_labels(const Equation& e, const std::vector<Labels>& given, int64_t dots) {
  int uses[kLabels] = {};
  for (const Labels& l : given)
    for (int label : l) ++uses[label];
  if (!e.result) {  // the ellipsis, then the letters that appear once, in order
    Labels out = spelled_out({kEllipsis}, dots);
    for (int label = 0; label < kLetters; ++label)
      if (uses[label] == 1) out.push_back(label);
    return out;
  }
  const Labels out = spelled_out(*e.result, dots);
  for (size_t i = 0; i < out.size(); ++i) {
    PYNN_CHECK(uses[out[i]] > 0, "einsum: output subscript ", label_str(out[i]),
               " does not appear in the equation for any input operand");
    PYNN_CHECK(place(out, out[i]) == static_cast<int64_t>(i), "einsum: output subscript ", label_str(out[i]),
               " appears more than once in the output");
  }
  return out;
}

Tensor einsum(std::string_view text, TensorSpan operands) {
  const Equation e = parse(text);
  PYNN_CHECK(!operands.empty(), "einsum: must provide at least one operand");
  PYNN_CHECK(e.operands.size() == operands.size(), "einsum: ", e.operands.size() < operands.size() ? "more" : "fewer",
             " operands were provided than specified in the equation, got ", operands.size(), " for '", text, "'");
  std::vector<Labels> given;
  int64_t dots = 0;  // the most dims that an ellipsis stands for
  for (size_t i = 0; i < operands.size(); ++i) {
    const Labels& l = e.operands[i];
    const bool open = has(l, kEllipsis);
    const int64_t named = static_cast<int64_t>(l.size()) - open, dims = operands[i].dim();
    PYNN_CHECK(open ? named <= dims : named == dims, "einsum: the number of subscripts in the equation (", named,
               open ? ") is more than the number of dimensions (" : ") does not match the number of dimensions (", dims,
               ") for operand ", i, open ? "" : " and no ellipsis was given");
    given.push_back(spelled_out(l, dims - named));
    if (open) dots = std::max(dots, dims - named);
  }
  std::vector<Term> terms;
  std::vector<int64_t> size(kLabels, -1);
  for (size_t i = 0; i < operands.size(); ++i) {
    terms.push_back(distinct(operands[i], given[i], i));
    for (size_t d = 0; d < terms[i].labels.size(); ++d) {
      const int64_t n = terms[i].t.size(static_cast<int64_t>(d));
      int64_t& all = size[terms[i].labels[d]];
      PYNN_CHECK_KIND(Shape, n == all || n == 1 || all == -1 || all == 1,
                      "einsum: operands do not broadcast with remapped shapes: subscript ",
                      label_str(terms[i].labels[d]), " has size ", all, " and, for operand ", i, ", ", n);
      if (n != 1 || all == -1) all = n;
    }
  }
  for (Term& t : terms) {
    Labels spread;
    for (size_t d = 0; d < t.labels.size(); ++d)
      if (t.t.size(static_cast<int64_t>(d)) != size[t.labels[d]]) spread.push_back(t.labels[d]);
    t = without(t, spread);
  }
  const Labels result = result_labels(e, given, dots);
  Term all = terms[0];
  for (size_t i = 1; i < terms.size(); ++i) {
    std::vector<bool> needed(kLabels, false);
    for (int label : result) needed[label] = true;
    for (size_t j = i + 1; j < terms.size(); ++j)
      for (int label : terms[j].labels) needed[label] = true;
    all = contract(std::move(all), terms[i], needed);
  }
  Labels gone;
  for (int label : all.labels)
    if (!has(result, label)) gone.push_back(label);
  return arranged(without(all, gone, false), {&result});
}

}  // namespace

PYNN_OP(einsum, "_einsum(str equation, Tensor[] operands) -> Tensor",
        "Sums of products of the operands' elements, by subscripts; see einsum.", kFunctionOnly);

}  // namespace pynn::ops
