"""Modules, containers, losses, hooks and autograd's Python side beside torch, one snippet each."""

import pytest
from side_by_side import compare

CONTAINERS = """
list(map(str, nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())[1:]))
repr(nn.Sequential(nn.ReLU(), nn.Tanh())[-1])
nn.Sequential(nn.ReLU())[1]
nn.Sequential(nn.ReLU())["0"]
repr(nn.Sequential(nn.ReLU()) + nn.Sequential(nn.Tanh()))
repr(nn.Sequential(nn.ReLU()) * 3)
repr(nn.Sequential(nn.ReLU(), nn.Tanh()).append(nn.ELU()))
repr(nn.Sequential(nn.ReLU(), nn.Tanh()).insert(1, nn.ELU()))
repr(nn.Sequential(nn.ReLU(), nn.Tanh()).extend([nn.ELU()]))
(lambda s: (repr(s.pop(0)), repr(s)))(nn.Sequential(nn.ReLU(), nn.Tanh()))
repr(nn.Sequential(__import__("collections").OrderedDict(a=nn.ReLU(), b=nn.Tanh())))
nn.Sequential(nn.ReLU(), 3)
nn.Sequential(nn.ReLU()).insert(5, nn.ReLU())
nn.Sequential(nn.ReLU()) + 3
nn.Sequential(nn.ReLU()) * -1
nn.Sequential()(x) is x
repr(nn.ModuleList([nn.ReLU(), nn.Tanh()])[:1])
repr(nn.ModuleList([nn.ReLU()]) + [nn.Tanh()])
repr(nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()]))
(lambda m: (m.insert(0, nn.ELU()), m.append(nn.Tanh()), repr(m))[-1])(nn.ModuleList([nn.ReLU()]))
(lambda m: (m.extend([nn.ELU(), nn.Tanh()]), repr(m), len(m)))(nn.ModuleList([nn.ReLU()]))[1:]
(lambda m: (repr(m.pop(-1)), repr(m)))(nn.ModuleList([nn.ReLU(), nn.Tanh()]))
nn.ModuleList([nn.ReLU()])[2]
nn.ModuleList([3])
nn.ModuleList(nn.ReLU())
nn.ModuleList().extend(3)
nn.ModuleList([nn.ReLU()])(x)
repr(nn.ModuleDict({"a": nn.ReLU(), "b": nn.Tanh()}))
list(nn.ModuleDict([("a", nn.ReLU()), ("b", nn.Tanh())]).keys())
(lambda m: (repr(m.pop("a")), repr(m), "a" in m, len(m)))(nn.ModuleDict({"a": nn.ReLU()}))
(lambda m: (m.update({"c": nn.ELU()}), repr(m)))(nn.ModuleDict({"a": nn.ReLU()}))[1]
(lambda m: (m.clear(), len(m)))(nn.ModuleDict({"a": nn.ReLU()}))[1]
nn.ModuleDict({"a": 3})
nn.ModuleDict({"a.b": nn.ReLU()})
nn.ModuleDict({"": nn.ReLU()})
nn.ModuleDict({"keys": nn.ReLU()})
nn.ModuleDict([("a",)])
nn.ModuleDict(3)
repr(nn.ParameterList([t.ones(2), t.zeros(1)]))
(lambda p: [tuple(i.shape) for i in p])(nn.ParameterList([t.ones(2), t.zeros(1)])[:1])
(lambda p: (p.append(t.ones(3)), p.extend([t.ones(1)]), len(p), repr(p)))(nn.ParameterList())[2:]
(lambda p: (p.__setitem__(0, t.zeros(4)), repr(p)))(nn.ParameterList([t.ones(2)]))[1]
repr(nn.ParameterList([t.ones(2)]) + [t.ones(1)])
nn.ParameterList([t.ones(2)])[3]
nn.ParameterList([t.ones(2)]).pop()
repr(nn.ParameterList([3, "a"]))
repr(nn.ParameterDict({"a": t.ones(2)}))
repr(nn.ParameterDict({"a": t.ones(2)}) | nn.ParameterDict({"b": t.ones(1)}))
repr(nn.ParameterDict({"a": t.ones(2)}) | {"b": t.ones(1)})
repr({"b": t.ones(1)} | nn.ParameterDict({"a": t.ones(2)}))
(lambda p: (p.pop("a"), p.setdefault("z", t.ones(2)), list(p), "z" in p, p.get("q", 5)))(nn.ParameterDict({"a": t.ones(2)}))[2:]
list(nn.ParameterDict.fromkeys(nn.ParameterDict(), ["a", "b"], 1.0))
list(reversed(nn.ParameterDict({"a": t.ones(2), "b": t.ones(1)})))
(lambda p: p.popitem()[0])(nn.ParameterDict({"a": t.ones(2), "b": t.ones(1)}))
list(nn.ParameterDict({"a": t.ones(2)}).copy().keys())
nn.ParameterDict({"a.b": t.ones(1)})
""".strip().splitlines()

LAYERS = """
repr(nn.Linear(2, 3))
repr(nn.Linear(2, 3, bias=False, dtype=t.float64))
nn.Linear(2, 3)(t.ones(4, 3))
nn.Linear(2, 3)(t.ones(4, 2, dtype=t.float64))
nn.Linear(2, 3)(t.ones(4, 2, dtype=t.int64))
nn.Linear(2, 3)(t.tensor(1.0))
nn.Linear(0, 3)(t.ones(4, 0))
nn.Linear(2, 0)(t.ones(4, 2))
nn.Linear(2, -1)
nn.Linear(2.5, 1)
nn.Bilinear(2, 3, 4)(t.ones(5, 2), t.ones(5, 3))
nn.Bilinear(2, 3, 4)(t.ones(5, 2), t.ones(4, 3))
nn.Bilinear(0, 3, 4)
nn.Identity(1, a=2)(x) is x
nn.Flatten()(x)
nn.Flatten(0)(x)
nn.Flatten(1, 5)(x)
nn.Unflatten(2, (2, 2))(x)
nn.Unflatten(2, (2, 3))(x)
nn.Unflatten(1, 3)
nn.Dropout(1.5)
nn.Dropout(1.0)(x)
nn.Dropout(0.5).eval()(x) is x
nn.Dropout(0.0)(x)
repr(nn.Dropout(0.3, True))
nn.Embedding(5, 2)(t.tensor([0, 5]))
nn.Embedding(5, 2)(t.tensor([0, -1]))
nn.Embedding(5, 2)(t.tensor([0.0]))
nn.Embedding(5, 2)(t.tensor(3))
nn.Embedding(5, 2, padding_idx=7)
nn.Embedding(5, 2, padding_idx=-6)
nn.Embedding(5, 2, padding_idx=-1).padding_idx
nn.Embedding(5, 2, max_norm=0.1)(t.tensor([0, 1]))
nn.Embedding.from_pretrained(t.ones(3, 2))(t.tensor([1, 2]))
nn.Embedding.from_pretrained(t.ones(3, 2), freeze=False).weight.requires_grad
nn.Embedding.from_pretrained(t.ones(3))
nn.Embedding(2, 3, _weight=t.ones(3, 3))
nn.LayerNorm(4)(x)
nn.LayerNorm((3, 4))(x)
nn.LayerNorm(5)(x)
nn.LayerNorm((3, 4), elementwise_affine=False)(x)
nn.LayerNorm(4, bias=False)(x)
nn.LayerNorm(())(x)
repr(nn.LayerNorm((3, 4), eps=1e-3))
nn.Softmax()(m)
nn.Softmax(5)(m)
nn.GLU()(v)
nn.PReLU(2)(m)
repr(nn.GELU("tanh"))
nn.GELU("x")(m)
""".strip().splitlines()

LOSSES = """
F.mse_loss(m, m + 1)
F.mse_loss(m, m[:2])
F.mse_loss(m, m + 1, reduction="x")
F.l1_loss(m, m + 2, reduction="sum")
F.smooth_l1_loss(m, m + 2, beta=3.0)
F.smooth_l1_loss(m, m + 2, beta=-1.0)
F.smooth_l1_loss(m, m + 2, beta=0)
F.huber_loss(m, m + 2, delta=0.5)
F.huber_loss(m, m + 2, delta=0)
F.cross_entropy(m, t.tensor([0, 1, 3]))
F.cross_entropy(m, t.tensor([0, 1, 4]))
F.cross_entropy(m, t.tensor([0, 1, -1]))
F.cross_entropy(m, t.tensor([0, 1, -100]))
F.cross_entropy(m, t.tensor([-100, -100, -100]))
F.cross_entropy(m, t.tensor([-100, -100, -100]), reduction="sum")
F.cross_entropy(m, t.tensor([0, 1, 3]), label_smoothing=0.2, weight=v[:4])
F.cross_entropy(m, t.tensor([0, 1, 3]), label_smoothing=1.2)
F.cross_entropy(m, t.tensor([0, 1]))
F.cross_entropy(m, t.tensor([0.0, 1.0, 2.0]))
F.cross_entropy(m, m.softmax(1))
F.cross_entropy(m, m.softmax(1), label_smoothing=0.1, weight=v[:4], reduction="none")
F.cross_entropy(m, m.softmax(1), ignore_index=1)
F.cross_entropy(m[0], t.tensor(2))
F.cross_entropy(m[0], m[0].softmax(0))
F.cross_entropy(m, t.tensor([0, 1, 3]), weight=v)
F.cross_entropy(x, t.zeros(2, 4, dtype=t.int64))
F.cross_entropy(x, t.zeros(2, 3, dtype=t.int64))
F.cross_entropy(y, t.ones(2, 4, 5, dtype=t.int64), ignore_index=1, reduction="sum")
F.cross_entropy(t.zeros(0, 3), t.zeros(0, dtype=t.int64))
F.cross_entropy(t.zeros(0, 3), t.zeros(0, dtype=t.int64), reduction="sum")
F.cross_entropy(m, t.tensor([0, 1, 3], dtype=t.int32))
F.nll_loss(m, t.tensor([0, 1, 3]))
F.nll_loss(m, t.tensor([0, 1, 3]), weight=v[:4], ignore_index=1, reduction="none")
F.nll_loss(m, t.tensor([0, 1, 9]))
F.nll_loss(m, t.tensor([[0, 1, 9]]))
F.nll_loss(c, t.tensor(0))
F.binary_cross_entropy(m / 12, m / 24)
F.binary_cross_entropy(m, m / 24)
F.binary_cross_entropy(m / 12, m[:2] / 24)
F.binary_cross_entropy(m / 12, m / 24, weight=v[:4], reduction="sum")
F.binary_cross_entropy_with_logits(m, m / 12, pos_weight=v[:4])
F.binary_cross_entropy_with_logits(m, m / 12, weight=v[:4], reduction="none")
F.binary_cross_entropy_with_logits(m, m[0])
F.kl_div(m, m.softmax(1), reduction="batchmean")
F.kl_div(m, m, log_target=True)
F.kl_div(m, m * 0)
repr(nn.CrossEntropyLoss())
nn.CrossEntropyLoss(weight=v[:4], label_smoothing=0.1)(m, t.tensor([0, 1, 3]))
list(nn.CrossEntropyLoss(weight=v[:4]).state_dict())
nn.BCEWithLogitsLoss(pos_weight=v[:4])(m, m / 12)
nn.MSELoss(reduction="none")(m, m + 1)
nn.MSELoss(size_average=False)(m, m + 1)
""".strip().splitlines()

SNIPPETS = """
lin = nn.Linear(2, 2); lin.weight = t.ones(2, 2)
lin = nn.Linear(2, 2); lin.weight = None; x = list(lin.state_dict())
lin = nn.Linear(2, 2); lin.bias = nn.Parameter(t.ones(3)); x = lin.bias
lin = nn.Linear(2, 2); del lin.bias; x = [n for n, _ in lin.named_parameters()]
lin = nn.Linear(2, 2); lin.extra = t.ones(2); x = list(lin.state_dict()), lin.extra
lin = nn.Linear(2, 2); lin.extra = nn.ReLU(); lin.extra = 3
lin = nn.Linear(2, 2); lin.extra = nn.ReLU(); lin.extra = nn.Tanh(); x = repr(lin)
lin = nn.Linear(2, 2); lin.register_buffer("b", t.ones(2)); lin.b = t.zeros(3); x = lin.state_dict()["b"]
lin = nn.Linear(2, 2); lin.register_buffer("b", t.ones(2)); lin.b = 3
lin = nn.Linear(2, 2); lin.register_buffer("b", t.ones(2), persistent=False); x = list(lin.state_dict())
lin = nn.Linear(2, 2); lin.register_buffer("weight", t.ones(2))
lin = nn.Linear(2, 2); lin.register_parameter("a.b", None)
lin = nn.Linear(2, 2); lin.register_parameter("b2", t.ones(2))
lin = nn.Linear(2, 2); lin.add_module("forward", nn.ReLU())
lin = nn.Linear(2, 2); lin.add_module("", nn.ReLU())
lin = nn.Linear(2, 2); lin.nothing
lin = nn.Linear(2, 2); del lin.nothing
lin = nn.Linear(2, 2); x = lin.get_parameter("weight") is lin.weight, lin.get_submodule("") is lin
lin = nn.Linear(2, 2); lin.get_parameter("nothing")
lin = nn.Linear(2, 2); lin.get_submodule("a.b")
lin = nn.Linear(2, 2); lin.get_buffer("weight")
lin = nn.Linear(2, 2).half(); x = lin.weight.dtype.is_floating_point, str(lin.weight.dtype), lin.weight.requires_grad
lin = nn.Linear(2, 2); w = lin.weight; lin.double(); x = w is lin.weight, str(w.dtype)
lin = nn.Linear(2, 2).to(t.int64)
lin = nn.Linear(2, 2); x = lin.to(t.float64) is lin
lin = nn.Linear(2, 2); lin.register_buffer("n", t.ones(2).long()); lin.to(t.float64); x = str(lin.n.dtype)
lin = nn.Linear(2, 2).requires_grad_(False); x = [p.requires_grad for p in lin.parameters()]
lin = nn.Linear(2, 2); lin(t.ones(1, 2)).sum().backward(); lin.zero_grad(); x = lin.weight.grad
lin = nn.Linear(2, 2); lin(t.ones(1, 2)).sum().backward(); lin.zero_grad(set_to_none=False); x = lin.weight.grad
lin = nn.Linear(2, 2); lin(t.ones(1, 2)).sum().backward(); import copy; x = copy.deepcopy(lin).weight.grad
s = nn.Sequential(nn.Linear(2, 2)); s.append(s[0]); x = [n for n, _ in s.named_parameters()], list(s.state_dict())
s = nn.Sequential(nn.Linear(2, 2)); s.train(False); x = s[0].training, s.train("yes")
s = nn.Sequential(nn.Linear(2, 2)); x = []; s.apply(lambda m: x.append(type(m).__name__)); x = x
s = nn.Sequential(nn.Linear(2, 2)); s.load_state_dict({})
s = nn.Sequential(nn.Linear(2, 2)); s.load_state_dict(3)
s = nn.Sequential(nn.Linear(2, 2)); x = repr(s.load_state_dict({}, strict=False))
s = nn.Linear(2, 2); x = repr(s.load_state_dict(s.state_dict()))
s = nn.Linear(2, 2); d = {"weight": t.ones(2, 2), "bias": t.ones(2)}; s.load_state_dict(d, assign=True); x = s.weight.data_ptr() == d["weight"].data_ptr(), type(s.weight).__name__
s = nn.Linear(2, 2); d = {"weight": t.ones(2, 2).double(), "bias": t.ones(2)}; s.load_state_dict(d); x = str(s.weight.dtype)
s = nn.Linear(2, 2); d = s.state_dict(); x = d["weight"].requires_grad, s.state_dict(keep_vars=True)["weight"] is s.weight
x = nn.Parameter(t.ones(2)).requires_grad, nn.Parameter(t.ones(2)).is_leaf, isinstance(nn.Parameter(t.ones(1)), t.Tensor)
x = nn.Parameter(t.ones(2).long())
x = nn.Parameter(t.ones(2).long(), requires_grad=False)
x = type(nn.Parameter(t.ones(2)) + 1).__name__, type(nn.Parameter(t.ones(2)).data).__name__, type(nn.Parameter(t.ones(2)).clone()).__name__
import copy, pickle; p = nn.Parameter(t.ones(2)); x = type(copy.deepcopy(p)).__name__, type(pickle.loads(pickle.dumps(p))).__name__
x = nn.Module()(x)
x = nn.Module().forward(x)
x = nn.Module().state_dict()
x = nn.Module(3)
x = repr(nn.Module())
n = nn.Linear(2, 2); log = []; h = n.register_forward_hook(lambda m, a, o: log.append(len(a))); n(t.ones(1, 2)); h.remove(); n(t.ones(1, 2)); x = log
n = nn.Linear(2, 2); n.register_forward_hook(lambda m, a, o: o * 0); x = n(t.ones(1, 2))
n = nn.Identity(); n.register_forward_pre_hook(lambda m, a: (a[0] * 2,)); x = n(x)
n = nn.Identity(); n.register_forward_pre_hook(lambda m, a: a[0] * 2); n.register_forward_pre_hook(lambda m, a: a[0] + 1, prepend=True); x = n(x)
n = nn.Identity(); n.register_forward_pre_hook(lambda m, a, k: 3, with_kwargs=True); x = n(x)
n = nn.Identity(); n.register_full_backward_hook(lambda m, gi, go: (gi[0] * 3,)); x = x.requires_grad_(); n(x * 1).sum().backward(); x = x.grad
n = nn.Identity(); n.register_full_backward_pre_hook(lambda m, go: (go[0] * 3,)); x = x.requires_grad_(); n(x * 1).sum().backward(); x = x.grad
n = nn.Identity(); n.register_full_backward_hook(lambda m, gi, go: None); n.register_backward_hook(lambda m, gi, go: None)
x = [p.grad for p in nn.Linear(2, 2).parameters()]
x = nn.utils.clip_grad_norm_([], 1.0)
p = nn.Parameter(t.ones(3)); p.grad = t.ones(3) * 4; x = nn.utils.clip_grad_norm_([p], 1.0), p.grad
p = nn.Parameter(t.ones(3)); p.grad = t.ones(3) * 4; x = nn.utils.clip_grad_norm_(p, 1.0, norm_type=float("inf")), p.grad
p = nn.Parameter(t.ones(3)); p.grad = t.ones(3) * float("nan"); x = nn.utils.clip_grad_norm_([p], 1.0, error_if_nonfinite=True)
p = nn.Parameter(t.ones(3)); p.grad = t.arange(3.0) - 1; nn.utils.clip_grad_value_([p], 0.5); x = p.grad
x = nn.utils.parameters_to_vector(nn.Linear(2, 1).parameters()).shape
f = t.no_grad()(lambda a: (a * 2).requires_grad); x = f(t.ones(1, requires_grad=True))
f = t.enable_grad()(lambda a: (a * 2).requires_grad); x = f(t.ones(1, requires_grad=True))
f = t.inference_mode()(lambda a: a.is_inference()); x = f(t.ones(1) * 1)
g = t.no_grad()((lambda: (yield t.is_grad_enabled()))); x = list(g()), t.is_grad_enabled()
a = t.ones(2, requires_grad=True); h = a.register_hook(lambda g: g * 5); (a * 2).sum().backward(); x = a.grad
a = t.ones(2, requires_grad=True); b = a * 2; b.register_hook(lambda g: None); b.retain_grad(); b.sum().backward(); x = b.grad, a.grad
a = t.ones(2); a.register_hook(lambda g: g)
a = t.ones(2, requires_grad=True); a.backward()
a = t.ones(2); a.sum().backward()
a = t.ones(2, requires_grad=True); b = (a * a).sum(); b.backward(); b.backward()
a = t.ones(2, requires_grad=True); x = t.autograd.grad((a * 3).sum(), a)
a = t.ones(2, requires_grad=True); x = t.autograd.grad((a * 3).sum(), [a, t.ones(1, requires_grad=True)])
a = t.ones(2, requires_grad=True); x = t.autograd.grad((a * 3).sum(), [a, t.ones(1, requires_grad=True)], allow_unused=True)
a = t.ones(2, requires_grad=True); x = t.autograd.grad(a * 3, a, t.ones(3))
""".strip().splitlines()

PRELUDE = "nn = t.nn; F = nn.functional; t.manual_seed(0)\n"


def snippet(code, **options):
    compare(f"{PRELUDE}{code}", rtol=1e-5, atol=1e-6, **options)


@pytest.mark.parametrize("code", CONTAINERS + LAYERS)
def test_modules(code):
    snippet(f"x = {code}")


@pytest.mark.parametrize("code", LOSSES)
def test_losses(code):
    snippet(f"x = {code}")


@pytest.mark.parametrize("code", SNIPPETS)
def test_snippets(code):
    snippet(code)
