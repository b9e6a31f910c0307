"""What differs from PyTorch in tests/op_samples.py, and why. A line goes when its difference goes; none is added lightly.

Kinds: values (of a dtype), gradient, noncontiguous, out, inplace, method, errors, zero (sizes of 0), strides.
"""

LAPACK = "PyTorch's matrices of LAPACK are column-major, NumPy's row-major"
FFT = "PyTorch leaves the transformed dims innermost"
CHANNELS = "channels_last is followed in other cases"
INDEX = "PyTorch transposes what it found"

OTHER_STRIDES = {
    LAPACK: (
        "cholesky cholesky_inverse cholesky_solve geqrf linalg.cholesky linalg.cholesky_ex linalg.eig linalg.eigh "
        "linalg.householder_product linalg.inv linalg.inv_ex linalg.ldl_factor linalg.ldl_factor_ex linalg.ldl_solve "
        "linalg.lstsq linalg.lu linalg.lu_factor linalg.lu_factor_ex linalg.lu_solve linalg.matrix_power linalg.qr "
        "linalg.solve linalg.solve_ex linalg.solve_triangular linalg.svd linalg.tensorinv lu lu_solve lu_unpack ormqr "
        "pca_lowrank qr svd svd_lowrank triangular_solve"
    ).split(),
    FFT: (
        "fft.fft fft.fft2 fft.fftn fft.hfft fft.hfft2 fft.hfftn fft.ifft fft.ifft2 fft.ifftn fft.ihfft fft.ihfft2 "
        "fft.ihfftn fft.irfft fft.irfft2 fft.irfftn fft.rfft fft.rfft2 fft.rfftn"
    ).split(),
    CHANNELS: "cat nn.functional.max_unpool2d".split(),
    INDEX: "argwhere histogram nanquantile nonzero quantile unique unique_consecutive".split(),
    "the result of a product of strided complex matrices": ["baddbmm"],
    "PyTorch gives an out with gaps another layout": ["nn.functional.linear"],
    "PyTorch copies for a factor of 1": "nn.functional.pixel_shuffle nn.functional.pixel_unshuffle".split(),
}

CASTS = "out= takes any dtype that the result casts to"
OVERLAP = "out= may overlap the inputs"
HALF_COMPLEX = "there is no complex32"
UPPER = "PyTorch's gradient is not Hermitian: of U it counts the other triangle too"
UNREAD = "PyTorch's gradient is not 0 in the triangle that is not read"
MKL = "PyTorch's MKL refuses empty batches"
SMOOTH = "PyTorch's loops are less exact (1e-6 of the value)"
FLAT_OUT = "PyTorch writes to out as if it were contiguous"
SCALAR = "a TypeError as for other arguments of a wrong type"
NO_OUT = "a function of Python's layer; PyTorch documents no out= for it"
DRAWN = "drawn, then copied to out: the order of an out with gaps is not PyTorch's"
CLASS = "a RuntimeError with the sizes, where PyTorch's index check comes first"
PRECISE = "computed in float32: PyTorch's sums in the half type overflow or round at each step"
BY_CPU = (
    "computed in float32, as PyTorch does where oneDNN multiplies the half type on the CPU, but not on others"
)
POSITIONS = "positions among elements of half types are computed in float32"
SEARCH = "half types are binned in float32"

DIFFERENCES = {
    **{name: {"zero": MKL} for name in OTHER_STRIDES[FFT]},
    "aminmax": {"errors": CASTS},
    "arange": {"errors": CASTS},
    "as_strided_scatter": {
        "gradient": "the derivative; PyTorch swaps the parts of both",
        "noncontiguous": "PyTorch writes to a contiguous copy",
    },
    "cholesky": {"gradient": UPPER, "zero": "PyTorch forgets to check that empty matrices are square"},
    "cholesky_inverse": {"gradient": UNREAD},
    "cholesky_solve": {"gradient": UNREAD},
    "complex": {"values float16": HALF_COMPLEX, "errors": CASTS},
    "fft.ihfftn": {"zero": MKL, "out": "over a single dim PyTorch gives an out without elements"},
    "gather": {"errors": CASTS},
    "histc": {"values bfloat16": SEARCH, "values float16": SEARCH},
    "index_copy": {"zero": CLASS},
    "index_select": {"errors": "an overlapping out of another size is resized"},
    "istft": {"gradient": "the window has a gradient too, where the input is complex"},
    "kthvalue": {"errors": OVERLAP},
    "linalg.cholesky": {"gradient": UPPER},
    "linalg.cholesky_ex": {"gradient": UPPER},
    "linalg.householder_product": {"gradient": "no graph for what has no elements"},
    "linalg.matrix_power": {"gradient": "no graph for the power 0, a constant"},
    "linalg.norm.subgradients_at_zero": {"gradient": "the second derivative at 0 is 0; PyTorch's is NaN"},
    "linspace": {"errors": SCALAR},
    "linspace.tensor_overload": {"errors": SCALAR},
    "logspace": {"errors": SCALAR},
    "logspace.tensor_overload": {"errors": SCALAR},
    "logcumsumexp": {"values complex64": "the imaginary part of a logarithm, up to 2 pi"},
    "masked_select": {"errors": OVERLAP},
    "matrix_exp": {"values bfloat16": PRECISE, "values float16": PRECISE},
    "multinomial": {"errors": CASTS},
    "narrow": {"errors": SCALAR},
    "narrow_copy": {"out": FLAT_OUT, "errors": "an IndexError for a dim out of range, as everywhere"},
    "nn.functional.avg_pool3d": {"out": FLAT_OUT},
    "nn.functional.batch_norm": {"zero": CLASS},
    "nn.functional.conv_transpose3d": {"values float16": BY_CPU, "values bfloat16": BY_CPU},
    "nn.functional.embedding": {"zero": "an IndexError names the row"},
    "nn.functional.embedding_bag": {"zero": CLASS},
    "nn.functional.grid_sample": {"values bfloat16": POSITIONS, "values float16": POSITIONS},
    "nn.functional.instance_norm": {"zero": CLASS},
    "nn.functional.linear_cross_entropy.chunked": {"gradient": "can be differentiated twice"},
    "nn.functional.linear_cross_entropy.chunked_none": {"gradient": "can be differentiated twice"},
    "nn.functional.logsigmoid": {"out": NO_OUT},
    "nn.functional.nll_loss": {"values bfloat16": PRECISE, "values float16": PRECISE},
    "nn.functional.pixel_unshuffle": {"zero": "the shape as for any size; PyTorch gives back the input's"},
    "nn.functional.rms_norm": {"values complex": "real numbers only", "gradient": "real numbers only"},
    "nn.functional.scaled_dot_product_attention": {
        "zero": "batch dims that do not broadcast are an error, without elements too"
    },
    "nn.functional.soft_margin_loss": {"values float16": "finite: a softplus"},
    "norm.inf": {"zero": "the identity of no elements"},
    "normal": {"out": DRAWN},
    "randn": {"out": DRAWN},
    "renorm": {"zero": "nothing to scale"},
    "repeat_interleave": {"zero": "output_size is checked for no repeats too"},
    "special.bessel_j0": {"values float64": SMOOTH, "noncontiguous": SMOOTH, "out": SMOOTH},
    "special.bessel_j1": {"values float64": SMOOTH, "noncontiguous": SMOOTH, "out": SMOOTH},
    "special.bessel_y1": {"values float64": SMOOTH, "noncontiguous": SMOOTH, "out": SMOOTH},
    "stft": {"zero": "PyTorch's reflect padding refuses empty batches"},
    "sum_to_size": {"values": "keeps its dtype; PyTorch's sum of a number of integers becomes int64"},
    "svd_lowrank": {"zero": "q may not exceed the sizes, 0 neither"},
    "take": {"errors": OVERLAP},
    "view_as_complex": {"values float16": HALF_COMPLEX},
}
