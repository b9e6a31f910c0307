"""RNN, LSTM, GRU and their cells. The steps run in the extension (csrc/ops/recurrent.cpp)."""

from __future__ import annotations

import math
from typing import Any

import pynn
from pynn import Tensor

from .. import init
from ..parameter import Parameter
from ..utils.rnn import PackedSequence
from .module import Module

__all__ = [
    "GRU",
    "GRUCell",
    "LSTM",
    "LSTMCell",
    "RNN",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
]

_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _reorder(h: Tensor, permutation: Tensor | None) -> Tensor:
    """Rows of the batch (dim 1) in another order."""
    return h if permutation is None else h.index_select(1, permutation)


class RNNBase(Module):
    """Layers of recurrent cells over sequences: what RNN, LSTM and GRU share. Same as torch.nn.RNNBase.

    Args:
        mode: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
        input_size: features of a step.
        hidden_size: features of the state.
        num_layers: layers, each of which reads the outputs of the one before.
        bias: False leaves both biases out.
        batch_first: input and output are (batch, steps, features), not (steps, batch, features).
        dropout: probability of dropout on the outputs of all layers but the last.
        bidirectional: a second cell per layer reads the sequence backwards; outputs stand side by side.
        proj_size: LSTM only: size to which h is projected, 0 for none.

    Shape:
        input (steps, batch, input_size), (steps, input_size), or a PackedSequence;
        states (layers * directions, batch, hidden_size); output (steps, batch, directions * hidden_size).
    """

    __constants__ = [
        "mode",
        "input_size",
        "hidden_size",
        "num_layers",
        "bias",
        "batch_first",
        "dropout",
        "bidirectional",
        "proj_size",
    ]

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        _check_options(self, dropout)
        gate_size = _GATES[mode] * hidden_size
        out_size = proj_size or hidden_size
        directions = 2 if bidirectional else 1
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            layer_in = input_size if layer == 0 else out_size * directions
            for suffix in ("", "_reverse")[:directions]:
                shapes: dict[str, Any] = {
                    "weight_ih": (gate_size, layer_in),
                    "weight_hh": (gate_size, out_size),
                }
                if bias:
                    shapes |= {"bias_ih": gate_size, "bias_hh": gate_size}
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = []
                for name, shape in shapes.items():
                    names.append(f"{name}_l{layer}{suffix}")
                    setattr(self, names[-1], Parameter(pynn.empty(shape, device=device, dtype=dtype)))
                self._all_weights.append(names)
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self.reset_parameters()

    @property
    def _flat_weights(self) -> list[Any]:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Do nothing: the parameters need no common block of memory here."""

    def reset_parameters(self) -> None:
        """Draw all weights from the uniform distribution on +- 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _kind(self) -> str:
        return self.mode.partition("_")[0]  # errors begin with it

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise unless the input's dtype and shape fit."""
        dtype = getattr(self, self._flat_weights_names[0]).dtype
        if input.dtype != dtype and not pynn.is_autocast_enabled(input.device.type):
            raise ValueError(
                f"{self._kind()}: RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        dims = 2 if batch_sizes is not None else 3
        if input.dim() != dims:
            raise RuntimeError(f"{self._kind()}: input must have {dims} dimensions, got {input.dim()}")
        if input.size(-1) != self.input_size:
            raise RuntimeError(
                f"{self._kind()}: input.size(-1) must be equal to input_size. Expected {self.input_size}, "
                f"got {input.size(-1)} (input {tuple(input.shape)})"
            )

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Return the shape that the first state must have."""
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0 if self.batch_first else 1)
        cells = self.num_layers * (2 if self.bidirectional else 1)
        return cells, batch, self.proj_size or self.hidden_size

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """Return the shape that the LSTM's first cell state must have."""
        return (*self.get_expected_hidden_size(input, batch_sizes)[:2], self.hidden_size)

    def check_hidden_size(
        self,
        hx: Tensor,
        expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:
        """Raise unless the state has that shape."""
        if tuple(hx.shape) != tuple(expected_hidden_size):
            raise RuntimeError(f"{self._kind()}: {msg.format(expected_hidden_size, list(hx.size()))}")

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise unless input and states fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Return the states with the batch in another order."""
        return _reorder(hx, permutation)

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        return input.new_zeros(self.get_expected_hidden_size(input, batch_sizes))

    def forward(self, input: Any, hx: Any = None) -> Any:
        kind = _KINDS[self.mode]
        if isinstance(input, PackedSequence):
            data, batch_sizes, order, back = input
            self.check_input(data, batch_sizes)
            hx = self._zeros(data, batch_sizes) if hx is None else self.permute_hidden(hx, order)
            self.check_forward_args(data, hx, batch_sizes)
            output, *state = kind.run(
                data,
                batch_sizes,
                hx,
                self._flat_weights,
                self.bias,
                self.num_layers,
                self.dropout,
                self.training,
                self.bidirectional,
            )
            return PackedSequence(output, batch_sizes, order, back), self.permute_hidden(
                kind.state(state), back
            )
        if input.dim() not in (2, 3):
            raise ValueError(
                f"{kind.name}: Expected input to be 2D or 3D, got {input.dim()}D {kind.what}instead"
            )
        batched = input.dim() == 3
        batch_dim = 0 if self.batch_first else 1
        if hx is not None:
            kind.check_dims(hx, batched)
        if not batched:
            input = input.unsqueeze(batch_dim)
            hx = kind.lift(hx)
        if hx is None:
            hx = self._zeros(input, None)
        self.check_forward_args(input, hx, None)
        output, *state = kind.run(
            input,
            hx,
            self._flat_weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
            self.batch_first,
        )
        if not batched:
            output, state = output.squeeze(batch_dim), [s.squeeze(1) for s in state]
        return output, kind.state(state)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        for name, default in (
            ("proj_size", 0),
            ("num_layers", 1),
            ("bias", True),
            ("batch_first", False),
            ("dropout", 0),
            ("bidirectional", False),
        ):
            if (value := getattr(self, name)) != default:
                text += f", {name}={value}"
        return text


def _check_options(m: Any, dropout: Any) -> None:
    if not isinstance(dropout, (int, float)) or isinstance(dropout, bool) or not 0 <= dropout <= 1:
        raise ValueError(
            "dropout should be a number in range [0, 1] representing the probability of an element being zeroed"
        )
    if dropout > 0 and m.num_layers == 1:
        import warnings

        warnings.warn(
            "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
            f"num_layers greater than 1, but got dropout={dropout} and num_layers={m.num_layers}",
            stacklevel=4,
        )
    for name, kind in (("bias", bool), ("batch_first", bool), ("input_size", int)):
        if not isinstance(getattr(m, name), kind):
            raise TypeError(
                f"{name} should be of type {kind.__name__}, got: {type(getattr(m, name)).__name__}"
            )
    if m.input_size <= 0:
        raise ValueError("input_size must be greater than zero")
    if not isinstance(m.hidden_size, int):
        raise TypeError(f"hidden_size should be of type int, got: {type(m.hidden_size).__name__}")
    if m.hidden_size <= 0:
        raise ValueError("hidden_size must be greater than zero")
    if m.num_layers <= 0:
        raise ValueError("num_layers must be greater than zero")
    if m.proj_size < 0:
        raise ValueError("proj_size should be a positive integer or zero to disable projections")
    if m.proj_size >= m.hidden_size:
        raise ValueError("proj_size has to be smaller than hidden_size")
    if m.mode not in _GATES:
        raise ValueError("Unrecognized RNN mode: " + m.mode)


class _Single:
    """How forward handles a state of one tensor."""

    def __init__(self, name: str, run: Any, what: str = "") -> None:
        self.name, self.run, self.what = name, run, what

    def check_dims(self, hx: Tensor, batched: bool) -> None:
        if hx.dim() != (3 if batched else 2):
            kind, dims = ("batched", 3) if batched else ("unbatched", 2)
            raise RuntimeError(
                f"{self.name}: For {kind} {dims}-D input, hx should also be {dims}-D but got {hx.dim()}-D tensor"
            )

    def lift(self, hx: Tensor | None) -> Any:
        return None if hx is None else hx.unsqueeze(1)

    def state(self, state: list[Tensor]) -> Any:
        return state[0]


class _Pair(_Single):
    """How forward handles the LSTM's (h, c)."""

    def check_dims(self, hx: Any, batched: bool) -> None:
        dims = 3 if batched else 2
        if hx[0].dim() != dims or hx[1].dim() != dims:
            raise RuntimeError(
                f"{self.name}: For {'' if batched else 'un'}batched {dims}-D input, hx and cx should "
                f"also be {dims}-D but got ({hx[0].dim()}-D, {hx[1].dim()}-D) tensors"
            )

    def lift(self, hx: Any) -> Any:
        return None if hx is None else (hx[0].unsqueeze(1), hx[1].unsqueeze(1))

    def state(self, state: list[Tensor]) -> Any:
        return tuple(state)


_KINDS = {
    "LSTM": _Pair("LSTM", pynn.lstm),
    "GRU": _Single("GRU", pynn.gru),
    "RNN_TANH": _Single("RNN", pynn.rnn_tanh, "tensor "),
    "RNN_RELU": _Single("RNN", pynn.rnn_relu, "tensor "),
}


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. Same as torch.nn.RNN.

    Arguments are RNNBase's, with nonlinearity ("tanh" or "relu") after num_layers. Called with (input, h_0=zeros) it
    gives (output, h_n).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self.nonlinearity, args = args[3], args[:3] + args[4:]
        else:
            self.nonlinearity = kwargs.pop("nonlinearity", "tanh")
        if self.nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"Unknown nonlinearity '{self.nonlinearity}'. Select from 'tanh' or 'relu'.")
        super().__init__("RNN_" + self.nonlinearity.upper(), *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory, Hochreiter and Schmidhuber 1997. Same as torch.nn.LSTM.

    i, f, g, o are parts of W_ih x + b_ih + W_hh h + b_hh, through sigmoid, sigmoid, tanh, sigmoid;
    c' = f c + i g and h' = o tanh(c'), projected by W_hr if proj_size is given. Arguments are RNNBase's. Called with
    (input, (h_0, c_0)=zeros) it gives (output, (h_n, c_n)).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def check_forward_args(self, input: Tensor, hidden: Any, batch_sizes: Tensor | None) -> None:
        """Raise unless input and states fit."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(
            hidden[0],
            self.get_expected_hidden_size(input, batch_sizes),
            "Expected hidden[0] size {}, got {}",
        )
        self.check_hidden_size(
            hidden[1], self.get_expected_cell_size(input, batch_sizes), "Expected hidden[1] size {}, got {}"
        )

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """Return the states with the batch in another order."""
        return hx if permutation is None else (_reorder(hx[0], permutation), _reorder(hx[1], permutation))

    def _zeros(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        return (
            input.new_zeros(self.get_expected_hidden_size(input, batch_sizes)),
            input.new_zeros(self.get_expected_cell_size(input, batch_sizes)),
        )


class GRU(RNNBase):
    """Gated recurrent units, Cho et al. 2014. Same as torch.nn.GRU.

    With x_k and h_k parts of W_ih x + b_ih and W_hh h + b_hh: r = sigmoid(x_r + h_r), z = sigmoid(x_z + h_z),
    n = tanh(x_n + r h_n), h' = (1 - z) n + z h. Arguments are RNNBase's. Called with (input, h_0=zeros) it gives
    (output, h_n).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


class RNNCellBase(Module):
    """One step: what the cells share. Same as torch.nn.RNNCellBase."""

    __constants__ = ["input_size", "hidden_size", "bias"]
    weight_ih: Parameter
    weight_hh: Parameter
    bias_ih: Parameter | None
    bias_hh: Parameter | None

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(pynn.empty((rows, input_size), device=device, dtype=dtype))
        self.weight_hh = Parameter(pynn.empty((rows, hidden_size), device=device, dtype=dtype))
        for name in ("bias_ih", "bias_hh"):
            if bias:
                setattr(self, name, Parameter(pynn.empty(rows, device=device, dtype=dtype)))
            else:
                self.register_parameter(name, None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights from the uniform distribution on +- 1 / sqrt(hidden_size)."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _check_input(self, input: Tensor) -> bool:
        name = type(self).__name__
        if input.dim() not in (1, 2):
            raise ValueError(f"{name}: Expected input to be 1D or 2D, got {input.dim()}D instead")
        return input.dim() == 2

    def _weights(self) -> tuple[Any, ...]:
        return self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh

    def _step(self, run: Any, input: Tensor, hx: Tensor | None) -> Tensor:
        """One step of a cell whose state is one tensor."""
        batched = self._check_input(input)
        if hx is not None and hx.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected hidden to be 1D or 2D, got {hx.dim()}D instead"
            )
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            hx = input.new_zeros((input.size(0), self.hidden_size))
        elif not batched:
            hx = hx.unsqueeze(0)
        out = run(input, hx, *self._weights())
        return out if batched else out.squeeze(0)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if getattr(self, "nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu of it. Same as torch.nn.RNNCell."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(
            pynn.rnn_tanh_cell if self.nonlinearity == "tanh" else pynn.rnn_relu_cell, input, hx
        )


class LSTMCell(RNNCellBase):
    """One step of an LSTM: (input, (h, c)=zeros) -> (h', c'). Same as torch.nn.LSTMCell."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        batched = self._check_input(input)
        for i, state in enumerate(hx or ()):
            if state.dim() not in (1, 2):
                raise ValueError(f"LSTMCell: Expected hx[{i}] to be 1D or 2D, got {state.dim()}D instead")
        if not batched:
            input = input.unsqueeze(0)
        if hx is None:
            zeros = input.new_zeros((input.size(0), self.hidden_size))
            hx = (zeros, zeros)
        elif not batched:
            hx = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        h, c = pynn.lstm_cell(input, hx, *self._weights())
        return (h, c) if batched else (h.squeeze(0), c.squeeze(0))


class GRUCell(RNNCellBase):
    """One step of a GRU: (input, h=zeros) -> h'. Same as torch.nn.GRUCell."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self._step(pynn.gru_cell, input, hx)
