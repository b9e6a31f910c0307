"""Names as in torch.fx.experimental."""
