"""Two-dimensional convolutions: 3x3, 1x1, strided, depthwise, patches; forward, and with gradients."""

from bench.registry import bench

# batch, in, out, size, kernel, stride, groups
SHAPES = (
    (64, 1, 32, 28, 3, 1, 1),
    (16, 64, 64, 56, 3, 1, 1),
    (16, 128, 128, 28, 3, 2, 1),
    (16, 256, 256, 14, 1, 1, 1),
    (16, 512, 512, 7, 3, 1, 1),
    (16, 256, 256, 8, 3, 1, 1),
    (16, 64, 64, 32, 3, 1, 1),
    (1, 3, 64, 224, 7, 2, 1),
    (16, 128, 128, 28, 3, 1, 128),
    (16, 4, 16, 84, 8, 4, 1),  # of an Atari network
    (4, 3, 192, 224, 16, 16, 1),  # patches of a ViT
)


def operands(fw, n, ci, co, size, kernel, groups):
    return fw.randn(n, ci, size, size), fw.randn(co, ci // groups, kernel, kernel), fw.randn(co)


def padding(kernel):
    return kernel // 2 if kernel % 2 else 0


def flops(n, ci, co, size, kernel, stride, groups):
    out = (size + 2 * padding(kernel) - kernel) // stride + 1
    return 2 * n * co * (ci // groups) * kernel**2 * out**2


@bench(params=SHAPES, flops=flops)
def forward(fw, n, ci, co, size, kernel, stride, groups):
    x, w, b = operands(fw, n, ci, co, size, kernel, groups)
    f, pad = fw.nn.functional.conv2d, padding(kernel)
    return lambda: f(x, w, b, stride, pad, 1, groups)


@bench(params=SHAPES, flops=lambda *shape: 3 * flops(*shape))
def forward_backward(fw, n, ci, co, size, kernel, stride, groups):
    leaves = [t.requires_grad_() for t in operands(fw, n, ci, co, size, kernel, groups)]
    f, pad = fw.nn.functional.conv2d, padding(kernel)
    g = fw.randn(*f(*leaves, stride, pad, 1, groups).shape)

    def call():
        f(*leaves, stride, pad, 1, groups).backward(g)
        for t in leaves:
            t.grad = None

    return call
