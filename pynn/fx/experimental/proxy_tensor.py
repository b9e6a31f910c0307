"""Names as in torch.fx.experimental.proxy_tensor."""


def get_proxy_mode() -> None:
    """None: nothing is traced."""
