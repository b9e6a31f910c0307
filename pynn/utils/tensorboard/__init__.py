"""SummaryWriter, by the package tensorboardX. Names as in torch.utils.tensorboard."""

try:
    from tensorboardX import FileWriter as FileWriter
    from tensorboardX import SummaryWriter as SummaryWriter
except ImportError as e:
    raise ImportError(
        "torch.utils.tensorboard needs the package tensorboardX, which is missing (pip install tensorboardX)"
    ) from e

__all__ = ["FileWriter", "SummaryWriter"]
