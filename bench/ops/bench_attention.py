"""Scaled dot-product attention: causal with its gradient, masked, and one query against a cache of keys."""

from bench.registry import bench

SHAPES = ((12, 4, 64, 32), (4, 6, 256, 64), (1, 8, 2048, 64))  # batch, heads, tokens, size of a head


def attend(fw, **options):
    f = fw.nn.functional.scaled_dot_product_attention
    return lambda q, k, v: f(q, k, v, **options)


def causal_flops(passes):
    return lambda b, h, n, d: passes * 2 * b * h * n * n * d / 2


@bench(params=SHAPES, ratio=0.5, flops=causal_flops(2))
def causal_forward(fw, b, h, n, d):
    q, k, v = (fw.randn(b, h, n, d) for _ in range(3))
    f = attend(fw, is_causal=True)
    return lambda: f(q, k, v)


@bench(params=SHAPES, ratio=0.5, flops=causal_flops(7))
def causal_forward_backward(fw, b, h, n, d):
    q, k, v = (fw.randn(b, h, n, d, requires_grad=True) for _ in range(3))
    g, f = fw.randn(b, h, n, d), attend(fw, is_causal=True)

    def call():
        f(q, k, v).backward(g)
        q.grad = k.grad = v.grad = None

    return call


@bench(params=SHAPES[1:])
def masked_forward_backward(fw, b, h, n, d):
    q, k, v = (fw.randn(b, h, n, d, requires_grad=True) for _ in range(3))
    g, mask = fw.randn(b, h, n, d), fw.rand(b, 1, 1, n) < 0.9
    f = attend(fw, attn_mask=mask)

    def call():
        f(q, k, v).backward(g)
        q.grad = k.grad = v.grad = None

    return call


@bench(params=((8, 8, 512, 64), (1, 12, 1024, 64)))
def decode(fw, b, h, n, d):
    q, k, v = fw.randn(b, h, 1, d), fw.randn(b, h, n, d), fw.randn(b, h, n, d)
    f = attend(fw)
    return lambda: f(q, k, v)
