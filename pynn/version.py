"""The version of PyTorch whose API this is. Names as in torch.version; pynn's own is pynn.__version__."""

__version__ = "2.13.0+pynn"
debug = False
cuda: "str | None" = None
git_version = "unknown"
hip: "str | None" = None
xpu: "str | None" = None
