"""pynn: PyTorch's API in a small, fast CPU package.

`import pynn as torch` runs PyTorch programs. Tensors, ops, dtypes and autograd come from the extension `pynn._C`; modules
(`nn`, `optim`, `utils` ...) load when first used.
"""

from __future__ import annotations

# From a source checkout the extension lies in the installed package: look there too.
import sys as _sys
from typing import TYPE_CHECKING, Any

_beside = [
    name for name in __import__("os").listdir(__path__[0]) if name.startswith("_C.") and name != "_C.pyi"
]
if not _beside:
    __path__ += [f"{_p}/pynn" for _p in _sys.path if _p and f"{_p}/pynn" not in __path__]

from pynn import _C, autograd
from pynn._C import *
from pynn._methods import *  # type: ignore[assignment]
from pynn._numeric import *
from pynn._tensor import *  # type: ignore[assignment]
from pynn.autograd.grad_mode import enable_grad, inference_mode, no_grad, set_grad_enabled
from pynn.functional import *  # type: ignore[no-redef]

if TYPE_CHECKING:
    from pynn import cuda, distributions, linalg, nn, optim, random, special, utils, vision
    from pynn.serialization import load, save

__version__: str = _C._build_info()["version"]

pi = 3.141592653589793
e = 2.718281828459045
inf = 1e999  # names such as float are dtypes here
nan = inf - inf
newaxis = None
legacy_contiguous_format = _C.contiguous_format
DeviceObjType = _C.device

_LINALG_NAMES = (
    "chain_matmul cholesky cholesky_inverse cholesky_solve det frobenius_norm geqrf inverse logdet lu lu_solve "
    "lu_unpack matrix_exp matrix_power norm_except_dim nuclear_norm orgqr ormqr pca_lowrank pinverse "
    "qr slogdet svd svd_lowrank triangular_solve"
).split()
# name -> where it is: loaded at first use, so that `import pynn` costs milliseconds. Submodules need no entry.
_LAZY_NAMES = {
    "autocast": "amp",
    "clear_autocast_cache": "amp.autocast_mode",
    "get_autocast_cpu_dtype": "amp.autocast_mode",
    "get_autocast_dtype": "amp.autocast_mode",
    "is_autocast_cache_enabled": "amp.autocast_mode",
    "is_autocast_cpu_enabled": "amp.autocast_mode",
    "is_autocast_enabled": "amp.autocast_mode",
    "set_autocast_dtype": "amp.autocast_mode",
    "set_autocast_enabled": "amp.autocast_mode",
    "GradScaler": "amp",
    "vmap": "func",
    **dict.fromkeys(
        [
            "are_deterministic_algorithms_enabled",
            "compiled_with_cxx11_abi",
            "get_default_device",
            "get_deterministic_debug_mode",
            "get_device_module",
            "get_float32_matmul_precision",
            "get_num_interop_threads",
            "is_deterministic_algorithms_warn_only_enabled",
            "is_warn_always_enabled",
            "set_default_device",
            "set_default_tensor_type",
            "set_deterministic_debug_mode",
            "set_float32_matmul_precision",
            "set_flush_denormal",
            "set_num_interop_threads",
            "set_warn_always",
            "typename",
            "use_deterministic_algorithms",
        ],
        "settings",
    ),
    **dict.fromkeys(
        "bilinear celu celu_ cosine_similarity hardshrink pairwise_distance prelu relu_ rrelu rrelu_ selu selu_ "
        "threshold threshold_".split(),
        "nn.functional",
    ),
    **dict.fromkeys("SymBool SymFloat SymInt compile".split(), "compiler"),
    "Future": "futures",
    "PyTorchFileReader": "_torch_files",
    "ScriptFunction": "jit",
    "ScriptModule": "jit",
    "thread_safe_generator": "random",
    "to_dlpack": "utils.dlpack",
    "segment_reduce": "_segment_reduce",
    **dict.fromkeys(
        "_dirichlet_grad _int_mm _sample_dirichlet _standard_gamma _standard_gamma_grad".split(), "_C"
    ),
    **dict.fromkeys(
        "_assert _check _check_index _check_is_size _check_not_implemented _check_type _check_value _check_with".split(),
        "_checks",
    ),
    "save": "serialization",
    "load": "serialization",
    "set_printoptions": "_tensor_str",
    "get_printoptions": "_tensor_str",
    "printoptions": "_tensor_str",
    "finfo": "type_info",
    "iinfo": "type_info",
    **dict.fromkeys(_LINALG_NAMES, "_linalg.aliases"),
    "conv_tbc": "nn.functional",
    "from_file": "_methods",
    "istft": "_spectral",
    "lobpcg": "_linalg.lobpcg",
    "stft": "_spectral",
    **dict.fromkeys(
        "bartlett_window blackman_window hamming_window hann_window kaiser_window".split(), "_windows"
    ),
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_NAMES:
        import importlib

        value: Any = getattr(importlib.import_module(f"pynn.{_LAZY_NAMES[name]}"), name)
    elif name.startswith("_foreach_"):
        from pynn import _foreach

        value = getattr(_foreach, name)
    elif name in ("_dynamo", "_utils"):  # private, but known to programs
        import importlib

        value = importlib.import_module(f"pynn.{name}")
    else:
        from pynn._lazy import submodule

        value = submodule("pynn", name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    import pkgutil

    modules = [module.name for module in pkgutil.iter_modules(__path__) if module.name[0] != "_"]
    return sorted({*globals(), *modules, *_LAZY_NAMES})
