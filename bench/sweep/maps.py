"""Elementwise ops of floats, integers and bools, broadcast operands, casts, and random numbers."""

from collections.abc import Iterator
from typing import Any

SHAPES = [
    (1,),
    (10,),
    (100,),
    (1000,),
    (10000,),
    (33, 77),
    (64, 10),
    (100, 1000),
    (1000, 100),
    (3, 224, 224),
    (16, 64, 14, 14),
    (1000, 1000),
]
BROADCAST = [
    ((64, 100), (100,)),
    ((64, 100), (64, 1)),
    ((100, 1), (1, 100)),
    ((8, 16, 20, 20), (16, 1, 1)),
    ((16, 10, 50), (10, 1)),
    ((1000, 3), (3,)),
    ((3,), (1000, 3)),
    ((100, 100, 3), (3,)),
    ((5, 1, 7), (1, 6, 1)),
]
OF_POSITIVE = """exp tanh sigmoid relu sqrt abs neg square log sin cos rsqrt reciprocal floor round sign erf log1p expm1
    isnan log2 log10 erfc angle""".split()
OF_ANY = """gelu silu elu softplus leaky_relu hardswish hardsigmoid mish selu celu hardtanh relu6 hardshrink softshrink
    logsigmoid softsign tanhshrink dropout""".split()
IN_PLACE = "relu relu6 silu leaky_relu elu selu celu mish hardtanh hardsigmoid hardswish".split()
ARITHMETIC = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: b - a,
    "mul": lambda a, b: a * b,
    "gt": lambda a, b: a > b,
}
FLOATS = ARITHMETIC | {
    "div": lambda a, b: a / b,
    "add number": lambda a, b: a + 1.5,
    "square": lambda a, b: a**2,
    "cube": lambda a, b: a**3,
    "power": lambda a, b: b**2.5,
    "clamp": lambda a, b: a.clamp(-1, 1),
    "remainder": lambda a, b: a % b,
    "floor_divide": lambda a, b: a // b,
    "maximum": lambda a, b: a.maximum(b),
    "atan2": lambda a, b: a.atan2(b),
    "fmod": lambda a, b: a.fmod(b),
    "lerp": lambda a, b: a.lerp(b, 0.3),
    "clone": lambda a, b: a.clone(),
    "to double": lambda a, b: a.double(),
    "to long": lambda a, b: a.long(),
    "to bool": lambda a, b: a.bool(),
}
INTEGERS = ARITHMETIC | {
    "eq": lambda a, b: a == b,
    "and": lambda a, b: a & b,
    "remainder": lambda a, b: a % b,
    "floor_divide": lambda a, b: a // b,
}
BOOLS = {
    "and": lambda a, b: a & b,
    "not": lambda a, b: ~a,
    "any": lambda a, b: a.any(),
    "all": lambda a, b: a.all(),
}


def cases(fw: Any) -> Iterator[tuple[str, Any]]:
    functional = fw.nn.functional
    for shape in SHAPES:
        x, y = fw.randn(*shape), fw.randn(*shape).abs() + 0.1
        size = "x".join(map(str, shape))
        for name in OF_POSITIVE:
            yield f"{name} {size}", lambda f=getattr(fw, name), y=y: f(y)
        for name in OF_ANY:
            yield f"{name} {size}", lambda f=getattr(functional, name), x=x: f(x)
        i, j = (100 * x).long(), (100 * y).long() + 1
        kinds = (
            ("float", FLOATS, x, y),
            ("double", ARITHMETIC, x.double(), y.double()),
            ("long", INTEGERS, i, j),
            ("bool", BOOLS, x > 0, y > 1),
        )
        for kind, table, a, b in kinds:
            for name, f in table.items():
                yield f"{kind} {name} {size}", lambda f=f, a=a, b=b: f(a, b)
        yield f"where {size}", lambda c=x > 0, x=x, y=y: fw.where(c, x, y)
        yield f"masked_fill {size}", lambda c=x > 0, x=x: x.masked_fill(c, 0.0)
        z, w = x.clone(), fw.full((1,), 0.25)
        yield f"add_ {size}", lambda z=z, y=y: z.add_(y, alpha=1e-9)
        yield f"clamp_ {size}", lambda z=z: z.clamp_(-3, 3)
        yield f"prelu {size}", lambda x=x, w=w: functional.prelu(x, w)
        yield f"threshold {size}", lambda x=x: functional.threshold(x, 0.1, 0.0)
        for name in IN_PLACE:
            yield (
                f"{name} in place {size}",
                lambda f=getattr(functional, name), z=x.clone(): f(z, inplace=True),
            )
        for name in ("add", "exp"):
            yield (
                f"{name} out= {size}",
                lambda f=getattr(fw, name), a=(x, y)[: 1 + (name == "add")], z=z: f(*a, out=z),
            )
        yield f"zeros_like {size}", lambda x=x: fw.zeros_like(x)
        for name in ("rand", "randn"):
            yield f"{name} {size}", lambda f=getattr(fw, name), shape=shape: f(shape)
        yield f"randint {size}", lambda shape=shape: fw.randint(0, 10, shape)
        yield f"bernoulli {size}", lambda p=x.sigmoid(): fw.bernoulli(p)
    for left, right in BROADCAST:
        x, y = fw.randn(*left), fw.randn(*right)
        for name, f in ARITHMETIC.items():
            yield f"{name} {left} {right}", lambda f=f, x=x, y=y: f(x, y)
