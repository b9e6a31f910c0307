"""What runs compiled code in PyTorch. Names as in torch._dynamo.eval_frame."""


class OptimizedModule:
    """What PyTorch's compiler makes of a module: here nothing is one."""


def is_dynamo_supported() -> bool:
    """False: functions run as they are."""
    return False
