"""The old place of pynn.func.functional_call. Names as in torch.nn.utils.stateless."""

from pynn.func.module import functional_call as functional_call

__all__ = ["functional_call"]
