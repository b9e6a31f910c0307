"""Functions of functions: derivatives and maps over a batch. Names as in torch.func."""

from pynn.func.module import functional_call as functional_call
from pynn.func.module import stack_module_state as stack_module_state
from pynn.func.transforms import grad as grad
from pynn.func.transforms import grad_and_value as grad_and_value
from pynn.func.transforms import hessian as hessian
from pynn.func.transforms import jacfwd as jacfwd
from pynn.func.transforms import jacrev as jacrev
from pynn.func.transforms import jvp as jvp
from pynn.func.transforms import vjp as vjp
from pynn.func.vmap import vmap as vmap

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "stack_module_state",
    "vjp",
    "vmap",
]
