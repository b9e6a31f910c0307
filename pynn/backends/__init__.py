"""What PyTorch's back ends are asked: whether they are there, and switches. Those of others than CUDA change nothing."""

from pynn.backends import cpu as cpu
from pynn.backends import cuda as cuda
from pynn.backends import cudnn as cudnn
from pynn.backends import mkl as mkl
from pynn.backends import mkldnn as mkldnn
from pynn.backends import mps as mps
from pynn.backends import openmp as openmp
from pynn.backends import opt_einsum as opt_einsum
