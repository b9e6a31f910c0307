"""Functions of functions: derivatives and maps over a batch. Names as in torch.func."""

from pynn.func.module import functional_call as functional_call
from pynn.func.module import stack_module_state as stack_module_state
from pynn.func.more import debug_unwrap as debug_unwrap
from pynn.func.more import functionalize as functionalize
from pynn.func.more import linearize as linearize
from pynn.func.more import replace_all_batch_norm_modules_ as replace_all_batch_norm_modules_
from pynn.func.transforms import grad as grad
from pynn.func.transforms import grad_and_value as grad_and_value
from pynn.func.transforms import hessian as hessian
from pynn.func.transforms import jacfwd as jacfwd
from pynn.func.transforms import jacrev as jacrev
from pynn.func.transforms import jvp as jvp
from pynn.func.transforms import vjp as vjp
from pynn.func.vmap import vmap as vmap

__all__ = [
    "debug_unwrap",
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]
