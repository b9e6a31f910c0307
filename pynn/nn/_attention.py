"""Multi-head attention as a function, for functional.py and MultiheadAttention."""

from __future__ import annotations

import math

import pynn
from pynn import _C, Tensor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_nn = _C._nn


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError("multi_head_attention_forward: " + message)


def additive_mask(mask: Tensor | None, name: str, dtype: Any, other: Any = None, other_name: str = "") -> Any:
    """A bool mask as numbers to add: -inf where it is True. `other` is the mask that should have the same dtype."""
    if mask is None:
        return None
    _require(
        mask.dtype == pynn.bool or mask.is_floating_point(),
        f"only bool and floating types of {name} are supported",
    )
    if other is not None and mask.dtype != other.dtype:
        import warnings

        warnings.warn(
            f"Support for mismatched {name} and {other_name} is deprecated. Use same type for both instead.",
            stacklevel=3,
        )
    if mask.is_floating_point():
        return mask
    return pynn.zeros_like(mask, dtype=dtype).masked_fill_(mask, float("-inf"))


def _check_shapes(query: Tensor, key: Tensor, value: Tensor, padding: Any, mask: Any, num_heads: int) -> bool:
    """Raise unless all have the dims of a batch, or all those of one sequence; return which."""
    if query.dim() not in (2, 3):
        raise AssertionError(
            "multi_head_attention_forward: query should be unbatched 2D or batched 3D tensor but received "
            f"{query.dim()}-D query tensor"
        )
    batched = query.dim() == 3
    kind, dims = ("batched (3-D)", 3) if batched else ("unbatched (2-D)", 2)
    _require(
        key.dim() == dims and value.dim() == dims,
        f"For {kind} `query`, expected `key` and `value` to be {dims}-D but found {key.dim()}-D and "
        f"{value.dim()}-D tensors respectively",
    )
    if padding is not None:
        _require(
            padding.dim() == dims - 1,
            f"For {kind} `query`, expected `key_padding_mask` to be `None` or {dims - 1}-D but found "
            f"{padding.dim()}-D tensor instead",
        )
    if mask is not None:
        _require(
            mask.dim() in (2, 3),
            f"For {kind} `query`, expected `attn_mask` to be `None`, 2-D or 3-D but found {mask.dim()}-D "
            "tensor instead",
        )
        if not batched and mask.dim() == 3:
            expected = (num_heads, query.shape[0], key.shape[0])
            _require(
                tuple(mask.shape) == expected,
                f"Expected `attn_mask` shape to be {expected} but got {mask.shape}",
            )
    return batched


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """F.linear of (L, N, E), without a copy where memory holds (N, L, E): modules with batch_first."""
    if x.dim() == 3 and not x.is_contiguous() and (swapped := x.transpose(0, 1)).is_contiguous():
        return _nn.linear(swapped, weight, bias).transpose(0, 1)
    return _nn.linear(x, weight, bias)


def _project(query: Tensor, key: Tensor, value: Tensor, weight: Tensor, bias: Tensor | None) -> list[Tensor]:
    """The three input projections from one weight; equal inputs share a product."""
    n = query.size(-1)
    if key is value:
        if query is key:
            return list(_linear(query, weight, bias).split(n, -1))
        biases = (None, None) if bias is None else bias.split([n, 2 * n])
        q_weight, kv_weight = weight.split([n, 2 * n])
        k, v = _linear(key, kv_weight, biases[1]).split(n, -1)
        return [_linear(query, q_weight, biases[0]), k, v]
    three = (None, None, None) if bias is None else bias.chunk(3)
    parts = zip((query, key, value), weight.chunk(3), three, strict=True)
    return [_linear(x, w, b) for x, w, b in parts]


def _check_static(given: Tensor, name: str, rows: int, head_dim: int) -> Tensor:
    _require(given.size(0) == rows, f"expecting {name}.size(0) of {rows}, but got {given.size(0)}")
    _require(given.size(2) == head_dim, f"expecting {name}.size(2) of {head_dim}, but got {given.size(2)}")
    return given


def _check_padding(padding: Tensor, batch: int, keys: int) -> None:
    for i, expected in enumerate((batch, keys)):
        _require(
            padding.shape[i] == expected,
            f"Expected key_padded_mask.shape[{i}] to be {expected}, but got {padding.shape[i]}",
        )


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Return attention's output and, if asked for, its weights; the arguments are MultiheadAttention's parts.

    Shape:
        query (L, N, E), key and value (S, N, ...), or without N; output as query; weights (N, L, S), or
        (N, num_heads, L, S) unless averaged.
    """
    batched = _check_shapes(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not batched:
        same_kv, same_qk = key is value, query is key
        query = query.unsqueeze(1)
        key = query if same_qk else key.unsqueeze(1)
        value = key if same_kv else value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed_dim = query.shape
    source = key.shape[0]
    padding = additive_mask(key_padding_mask, "key_padding_mask", query.dtype, attn_mask, "attn_mask")
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module method "
            "`generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and padding is None and not need_weights:
        mask = None  # the hint says all
    else:
        mask = additive_mask(attn_mask, "attn_mask", query.dtype)
        is_causal = False
    _require(
        embed_dim == embed_dim_to_check,
        f"was expecting embedding dimension of {embed_dim_to_check}, but got {embed_dim}",
    )
    head_dim = embed_dim // num_heads
    _require(
        head_dim * num_heads == embed_dim, f"embed_dim {embed_dim} not divisible by num_heads {num_heads}"
    )
    if use_separate_proj_weight:
        _require(
            key.shape[:2] == value.shape[:2],
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}",
        )
        weights: dict[str, Any] = {"q": q_proj_weight, "k": k_proj_weight, "v": v_proj_weight}
        for name, w in weights.items():
            _require(w is not None, f"use_separate_proj_weight is True but {name}_proj_weight is None")
        biases = (None, None, None) if in_proj_bias is None else in_proj_bias.chunk(3)
        parts = zip((query, key, value), weights.values(), biases, strict=True)
        q, k, v = [_linear(x, w, b) for x, w, b in parts]
    else:
        _require(key.shape == value.shape, f"key shape {key.shape} does not match value shape {value.shape}")
        _require(in_proj_weight is not None, "use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _project(query, key, value, in_proj_weight, in_proj_bias)  # type: ignore[arg-type]

    if mask is not None:
        if mask.dim() == 2:
            if tuple(mask.shape) != (length, source):
                raise RuntimeError(
                    f"multi_head_attention_forward: The shape of the 2D attn_mask is {mask.shape}, "
                    f"but should be {(length, source)}."
                )
            mask = mask.unsqueeze(0)
        elif tuple(mask.shape) != (batch * num_heads, length, source):
            raise RuntimeError(
                f"multi_head_attention_forward: The shape of the 3D attn_mask is {mask.shape}, but should be "
                f"{(batch * num_heads, length, source)}."
            )

    added = 0  # columns behind the keys
    if bias_k is not None and bias_v is not None:
        _require(static_k is None, "bias cannot be added to static key.")
        _require(static_v is None, "bias cannot be added to static value.")
        k = pynn.cat([k, bias_k.expand(1, batch, embed_dim)])
        v = pynn.cat([v, bias_v.expand(1, batch, embed_dim)])
        added = 1
    else:
        _require(bias_k is None and bias_v is None, "bias_k and bias_v must be given both or neither")
    if not (need_weights or add_zero_attn or static_k is not None or static_v is not None):
        # Heads are views of the projections, and masks stay as small as they are.
        if padding is not None:
            source = k.size(0)
            _check_padding(padding, batch, source - added)
            padding = pynn.nn.functional.pad(padding, (0, added)).view(batch, 1, 1, source)
        if mask is not None:
            mask = pynn.nn.functional.pad(mask, (0, added)) if added else mask
            mask = mask.view(-1, num_heads if mask.size(0) > 1 else 1, length, mask.size(-1))
            padding = mask if padding is None else mask + padding
        q, k, v = (x.unflatten(2, (num_heads, head_dim)).permute(1, 2, 0, 3) for x in (q, k, v))
        p = dropout_p if training else 0.0
        out = _nn.scaled_dot_product_attention(q, k, v, padding, p, is_causal).permute(2, 0, 1, 3)
        out = _linear(out.flatten(2), out_proj_weight, out_proj_bias)
        return (out if batched else out.squeeze(1)), None
    q = q.reshape(length, batch * num_heads, head_dim).transpose(0, 1)
    if static_k is None:
        k = k.reshape(-1, batch * num_heads, head_dim).transpose(0, 1)
    else:
        k = _check_static(static_k, "static_k", batch * num_heads, head_dim)
    if static_v is None:
        v = v.reshape(-1, batch * num_heads, head_dim).transpose(0, 1)
    else:
        v = _check_static(static_v, "static_v", batch * num_heads, head_dim)
    if add_zero_attn:
        zeros = k.new_zeros((batch * num_heads, 1, head_dim))
        k, v = pynn.cat([k, zeros], 1), pynn.cat([v, zeros], 1)
        added += 1
    source = k.size(1)
    if padding is not None:
        _check_padding(padding, batch, source - added)
    if added:
        mask = None if mask is None else pynn.nn.functional.pad(mask, (0, added))
        padding = None if padding is None else pynn.nn.functional.pad(padding, (0, added))
    if padding is not None:
        by_head = padding.view(batch, 1, 1, source).expand(batch, num_heads, 1, source)
        by_head = by_head.reshape(batch * num_heads, 1, source)
        mask = by_head if mask is None else mask + by_head
    if not training:
        dropout_p = 0.0

    attention = None
    if need_weights:
        scores = (q * math.sqrt(1.0 / head_dim)) @ k.transpose(1, 2)
        attention = _nn.softmax(scores if mask is None else scores + mask, -1)
        if dropout_p > 0.0:
            attention = _nn.dropout(attention, dropout_p, True)
        out = attention @ v
        attention = attention.view(batch, num_heads, length, source)
        if average_attn_weights:
            attention = attention.mean(1)
    else:
        out = _nn.scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)
    out = out.transpose(0, 1).reshape(length, batch, embed_dim)
    out = _nn.linear(out, out_proj_weight, out_proj_bias)
    if not batched:
        out = out.squeeze(1)
        attention = None if attention is None else attention.squeeze(0)
    return out, attention
