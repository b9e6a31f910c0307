"""autograd.Function, hooks, saved-tensor hooks and modes beside torch: each case is one function of the library."""

import pytest

import pynn

torch = pytest.importorskip("torch", reason="parity tests compare with PyTorch")


def function_of(t, forward, backward, **more):
    body = {"forward": staticmethod(forward), "backward": staticmethod(backward)}
    return type("F", (t.autograd.Function,), body | {k: staticmethod(v) for k, v in more.items()})


def error_of(f):
    try:
        return f()
    except Exception as error:
        # A subclass of what torch raises will do.
        return next(c.__name__ for c in type(error).__mro__ if c.__module__ == "builtins")


def dirty_must_be_returned(t, x):
    def forward(ctx, x):
        ctx.mark_dirty(x)
        return x * 2

    return function_of(t, forward, lambda ctx, g: g).apply(x * 1)


def dirty_of_no_input(t, x):
    def forward(ctx, x):
        y = x.clone()
        ctx.mark_dirty(y)
        return y

    return function_of(t, forward, lambda ctx, g: g * 2).apply(x * 1)


def outputs_of_all_kinds(t, x):
    seen = []
    f = function_of(
        t, lambda ctx, x: (x * 2, x.argmax(), x.long(), 5, None), lambda ctx, *g: (seen.append(g), g[0])[1]
    )
    y = f.apply(x)
    y[0].sum().backward()
    return y, seen, x.grad


def materialized_or_not(t, x):
    seen = []
    for on in (True, False):
        f = function_of(
            t,
            lambda ctx, x, on=on: (ctx.set_materialize_grads(on), x * 2, x * 3)[1:],
            lambda ctx, g, h: (seen.append((g, h)), h * 3)[1],
        )
        f.apply(x)[1].sum().backward()
    return seen, x.grad


def arguments_by_name(t, x):
    seen = []

    def forward(ctx, x, n=1, m=2):
        seen.append((n, m, ctx.needs_input_grad))
        return x * n

    f = function_of(t, forward, lambda ctx, g, *rest: (g * 7, *([None] * (len(ctx.needs_input_grad) - 1))))
    f.apply(x, n=2).sum().backward()
    f.apply(x=x).sum().backward()
    return seen, x.grad


def setup_context(t, x):
    def setup(ctx, inputs, output):
        ctx.n = inputs[1]
        ctx.save_for_backward(inputs[0], output[0])
        ctx.mark_non_differentiable(output[1])

    f = function_of(
        t,
        lambda x, n: (x**n, x * 2),
        lambda ctx, g, h: (g * ctx.n * ctx.saved_tensors[0] ** (ctx.n - 1), None),
        setup_context=setup,
        vmap=lambda *a: 1 / 0,
    )
    a, b = f.apply(x, 3)
    a.sum().backward()
    return a, b, b.requires_grad, x.grad


def once_differentiable(t, x):
    once = t.autograd.function.once_differentiable
    f = function_of(t, lambda ctx, x: x * 2, once(lambda ctx, g: g * 2))
    (g,) = t.autograd.grad(f.apply(x).sum(), x, create_graph=True)
    one = t.ones(2, requires_grad=True)
    (h,) = t.autograd.grad(f.apply(x), x, one, create_graph=True)
    return g.requires_grad, h.requires_grad, error_of(lambda: h.sum().backward())


def double_backward(t, x):
    f = function_of(
        t,
        lambda ctx, x: (ctx.save_for_backward(x), x**3)[1],
        lambda ctx, g: g * 3 * ctx.saved_tensors[0] ** 2,
    )
    (g,) = t.autograd.grad(f.apply(x).sum(), x, create_graph=True)
    (h,) = t.autograd.grad(g.sum(), x, create_graph=True)
    return g, h, t.autograd.grad(h.sum(), x)


def results_of_backward(t, x):
    answers = [
        lambda g: (g,),
        lambda g: (g, None, None, None),
        lambda g: (g, g),
        lambda g: (g, 3),
        lambda g: (None, None),
        lambda g: None,
        lambda g: (g[:1], None),
        lambda g: (g.double(), None),
        lambda g: ("a", None),
    ]
    out = []
    for answer in answers:
        f = function_of(t, lambda ctx, x, n: x * 2, lambda ctx, g, answer=answer: answer(g))
        out.append(error_of(lambda f=f: f.apply(x, 2).sum().backward()))
    return out, x.grad


def hooks_in_order(t, x):
    log = []
    y = x * 2
    y.register_hook(lambda g: log.append(("first", g)))
    y.register_hook(lambda g: g * 2)
    y.register_hook(lambda g: log.append(("third", g)))
    x.register_hook(lambda g: log.append(("leaf", g)))
    x.register_post_accumulate_grad_hook(lambda p: log.append(("after", p.grad)))
    y.retain_grad()
    y.grad_fn.register_hook(lambda i, o: log.append(("node", i, o)))
    y.grad_fn.register_prehook(lambda o: log.append(("before node", o)))
    (y * 3).sum().backward()
    return log, y.grad


def hooks_that_remove(t, x):
    log, handles = [], []
    y = x * 2
    handles.append(y.register_hook(lambda g: (log.append("a"), handles[1].remove())[0]))
    handles.append(y.register_hook(lambda g: log.append("b")))
    y.register_hook(lambda g: (log.append("c"), y.register_hook(lambda g: log.append("new")))[0])
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    return log, x.grad


def bad_hooks(t, x):
    out = []
    for answer in (lambda g: 3, lambda g: g[:1], lambda g: g.double(), lambda g: None):
        y = x * 2
        y.register_hook(answer)
        out.append(error_of(lambda y=y: y.sum().backward()))
    x.register_post_accumulate_grad_hook(lambda p: 5)
    out.append(error_of(lambda: x.sum().backward()))
    y = x.detach().requires_grad_() * 2
    y.grad_fn.register_hook(lambda i, o: "a")
    return [*out, error_of(lambda: y.sum().backward())]


def packed(t, x):
    log = []

    def pack(v):
        log.append((v, v.requires_grad, v is x))
        return v

    with t.autograd.graph.saved_tensors_hooks(pack, lambda v: (log.append(v), v + 1)[1]):
        y = x * x
    y.sum().backward()
    return log, x.grad


def packed_in_place(t, x):
    with t.autograd.graph.saved_tensors_hooks(lambda v: v.mul_(2), lambda v: v):
        return (x * 1).sin()


def saved_on_cpu(t, x):
    with t.autograd.graph.save_on_cpu():
        y = (x * x) * x
    y.sum().backward()
    return x.grad


def generator_under_no_grad(t, x):
    log = []

    @t.no_grad()
    def numbers():
        got = yield t.is_grad_enabled()
        log.append((got, t.is_grad_enabled()))
        try:
            yield x * 2
        except ValueError:
            yield "caught"
        finally:
            log.append(t.is_grad_enabled())

    g = numbers()
    return next(g), g.send(4).requires_grad, g.throw(ValueError("x")), list(g), log, t.is_grad_enabled()


def class_under_no_grad(t, x):
    @t.no_grad()
    class A:
        def __init__(self):
            self.on = t.is_grad_enabled()

    return A().on


def inference(t, x):
    with t.inference_mode():
        y, v = x * 2, x[:1]
        inside = y.requires_grad, y.is_inference(), v.is_inference(), x.is_inference(), t.is_grad_enabled()
    later = y.view(2).is_inference(), y.detach().is_inference(), y.exp().is_inference()
    return (
        inside,
        later,
        error_of(lambda: y.add_(1)),
        error_of(lambda: x * y),
        error_of(lambda: y.requires_grad_()),
    )


def anomaly(t, x):
    with t.autograd.set_detect_anomaly(True, check_nan=False):
        inside = t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()
    return inside, t.is_anomaly_enabled(), t.is_anomaly_check_nan_enabled()


def bad_gradients(t, x):
    return error_of(lambda: (x * 2).backward([1, 1])), error_of(lambda: (x * 2).backward(t.ones(3)))


def rounded_division_has_zero_gradient(t, x):
    t.div(x, 3.0, rounding_mode="floor").sum().backward()
    return x.grad


CASES = [
    f
    for f in list(globals().values())
    if getattr(f, "__code__", None) and f.__code__.co_varnames[:2] == ("t", "x")
]


def plain(value):
    if isinstance(value, (pynn.Tensor, torch.Tensor)):
        return str(value.dtype), value.requires_grad, value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


@pytest.mark.parametrize("case", CASES, ids=lambda f: f.__name__)
def test_same(case):
    mine, theirs = (
        error_of(lambda t=t: plain(case(t, t.tensor([1.0, 2.0], requires_grad=True)))) for t in (pynn, torch)
    )
    assert mine == theirs
