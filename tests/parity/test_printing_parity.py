"""Printing of tensors beside torch, character for character."""

import pytest
from side_by_side import compare

VALUES = """
t.tensor(1.0)
t.tensor(1)
t.tensor(True)
t.tensor(-0.0)
t.tensor(float("nan"))
t.tensor(1e-8)
t.tensor(123456789.0)
t.tensor([])
t.tensor([], dtype=t.int64)
t.zeros(2, 0)
t.zeros(0, 3, dtype=t.bool)
t.zeros(2, 3)
t.ones(3)
t.tensor([1.0, 2.0, 3.0])
t.tensor([1.0, 2.5, 3.25])
t.tensor([0.1, 0.12345678, 100.5])
t.tensor([1e-5, 1.0])
t.tensor([1e-5, 1e5])
t.tensor([1e10, 1.0])
t.tensor([1e-10, 2e-10])
t.tensor([1e5, 2e5])
t.tensor([1e8, 2e8])
t.tensor([99999.0, 1.0])
t.tensor([1000.0, 0.5])
t.tensor([1001.0, 0.001])
t.tensor([float("inf"), -float("inf"), float("nan")])
t.tensor([float("inf"), 1.0])
t.tensor([float("nan"), 1.5])
t.tensor([float("nan"), 1e-9])
t.tensor([float("inf"), 123456.7])
t.tensor([-1.0, 0.0, 1.0])
t.tensor([-0.0, 0.0])
t.tensor([0.0, 1e-45])
t.tensor([3.4e38, 1.0])
t.tensor([1, 22, 333])
t.tensor([-1, 22, -333])
t.tensor([[1, 2], [300, -4]])
t.tensor([True, False])
t.tensor([[True], [False]])
t.tensor([1, 2], dtype=t.int8)
t.tensor([1, 2], dtype=t.uint8)
t.tensor([1, 2], dtype=t.int16)
t.tensor([1, 2], dtype=t.int32)
t.tensor([2**40, 1])
t.tensor([1.5, 2], dtype=t.float64)
t.tensor([0.1], dtype=t.float64)
t.tensor([1.5, 2], dtype=t.float16)
t.tensor([0.1, 65504.0], dtype=t.float16)
t.tensor([1.5, 3.140625], dtype=t.bfloat16)
t.tensor([1e30], dtype=t.bfloat16)
t.arange(24.0).reshape(2, 3, 4)
t.arange(24).reshape(2, 3, 2, 2)
t.arange(100.0)
t.arange(100.0) / 7
t.arange(1000)
t.arange(1001)
t.arange(1001.0)
t.arange(2000.0).reshape(2, 1000)
t.arange(2000).reshape(1000, 2)
t.arange(1200.0).reshape(3, 4, 100)
t.arange(20000.0).reshape(100, 200)
t.arange(20000.0).reshape(10, 10, 10, 20)
t.zeros(10, 100).bool()
t.arange(60).reshape(2, 30)
t.arange(40.0) * 1000.5
t.arange(40.0) * 1e-3
t.linspace(0, 1, 7)
t.linspace(-1e-3, 1e3, 7)
t.logspace(-5, 5, 11)
t.arange(6.0).reshape(2, 3).t()
t.arange(6.0)[::2]
t.ones(1).expand(3)
t.ones(2, 1, 1, 1, 2)
t.empty(2, 3, device="meta")
t.empty(0, device="meta", dtype=t.int64)
t.tensor(2.0, requires_grad=True)
t.tensor([1.0, 2.0], requires_grad=True)
t.tensor([1.0, 2.0], dtype=t.float64, requires_grad=True)
t.arange(30.0, requires_grad=True)
t.zeros(0, requires_grad=True)
t.nn.Parameter(t.ones(2))
t.nn.Parameter(t.ones(2), requires_grad=False)
t.nn.Parameter(t.arange(6.0).reshape(2, 3).double())
t.nn.ParameterList([t.ones(2), t.ones(3)])
t.Size([1, 2])
t.float32
t.device("cpu")
t.finfo(t.float32)
t.iinfo(t.int8)
t.ones(2, 2).max(0)
t.ones(2, 3).sort()
t.ones(2, 3).topk(2)
t.ones(2, 3).min(1, keepdim=True)
t.ones(2, 3).median(1)
t.arange(4.0).kthvalue(2)
t.aminmax(t.ones(3))
t.ones(2, 2, requires_grad=True).max(0)
""".strip().splitlines()

# How a tensor that requires a gradient was made: the name of its node is printed.
MADE = """
a + b
a - b
a * b
a / b
a + 1
2 - a
-a
a ** 2
a ** b
2 ** a
abs(a)
a @ b
a.mm(b)
a.sum()
a.sum(0)
a.mean()
a.mean(1)
a.prod()
a.std()
a.var(0)
a.norm()
a.max()
a.min()
a.max(0)
a.amax(0)
a.exp()
a.log()
a.sqrt()
a.rsqrt()
a.sin()
a.cos()
a.tan()
a.tanh()
a.sigmoid()
a.relu()
a.erf()
a.reciprocal()
a.floor()
a.round()
a.sign()
a.clamp(0, 1)
a.clone()
a.contiguous()
a.t().contiguous()
a.double()
a.view(-1)
a.view(1, 4)
a.reshape(4)
a.t()
a.T
a.mT
a.transpose(0, 1)
a.permute(1, 0)
a.unsqueeze(0)
a.squeeze()
a.squeeze(0)
a.expand(3, 2, 2)
a.flatten()
a[0]
a[0, 1]
a[:1]
a[:, 1]
a[[0, 1]]
a[a > 1]
a[None]
a[..., None]
a.narrow(0, 0, 1)
a.select(0, 1)
a.diagonal()
a.flip(0)
a.tril()
a.triu()
t.cat((a, b))
t.where(a > 1, a, b)
t.maximum(a, b)
t.minimum(a, b)
t.lerp(a, b, 0.5)
t.addcmul(a, a, b)
t.addcdiv(a, a, b)
t.addmm(a, a, b)
t.bmm(a[None], b[None])
a.cumsum(0)
a.cumprod(0)
a.logsumexp(0)
a.softmax(0)
a.log_softmax(0)
a.sort()[0]
a.topk(1)[0]
a.gather(0, t.zeros(1, 2, dtype=t.int64))
a.scatter(0, t.zeros(1, 2, dtype=t.int64), b)
a.scatter_add(0, t.zeros(1, 2, dtype=t.int64), b)
a.index_select(0, t.tensor([0]))
a.index_add(0, t.tensor([0]), b[:1])
a.index_fill(0, t.tensor([0]), 1.0)
a.masked_fill(a > 1, 0.0)
t.outer(a[0], b[0])
a.as_strided((2,), (1,))
a.movedim(0, 1)
a.logical_not()
a.clone().mul_(2)
a.clone().add_(b)
a.clone().fill_(3)
a.clone().copy_(b)
a.detach()
F.relu(a)
F.gelu(a)
F.silu(a)
F.leaky_relu(a)
F.elu(a)
F.softplus(a)
F.dropout(a, 0.0)
F.l1_loss(a, b)
F.kl_div(a, b)
F.embedding(t.tensor([0, 1]), a)
F.one_hot(t.tensor([0, 1]))
""".strip().splitlines()


@pytest.mark.parametrize("code", VALUES)
def test_values(code):
    compare(f"repr({code}), str({code})")


@pytest.mark.parametrize("code", MADE)
def test_names_of_nodes(code):
    code = code.replace("F.", "t.nn.functional.")
    compare(
        "a = t.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)\n"
        "b = t.tensor([[0.5, 1.0], [1.5, 2.0]], requires_grad=True)\n"
        f"x = repr({code}).split('<')[-1] if 'grad_fn' in repr({code}) else type({code}).__name__"
    )


OPTIONS = [
    "precision=2",
    "threshold=5",
    "edgeitems=1, threshold=5",
    "linewidth=40",
    "sci_mode=True",
    "sci_mode=False",
]
OPTIONS += ["profile='full'", "profile='short'", "profile='default'"]


@pytest.mark.parametrize("options", OPTIONS)
def test_print_options(options):
    for values in ("t.arange(30.0) / 3", "t.arange(24).reshape(2, 3, 4)", "t.tensor([1e-7, 1.0])"):
        compare(f"t.set_printoptions({options}); x = repr({values}); t.set_printoptions(profile='default')")
