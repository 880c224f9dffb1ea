"""Sums over scopes, numbers of valid elements, and the reductions of the contract, channels first."""

import torch
from torch import Tensor

SAMPLE = (1, 2, 3)
EVERY = (0, 1, 2, 3)
AXES = {"sample": SAMPLE, "patch": (2, 3), "view": SAMPLE, "batch": EVERY}


def over_scope(tensor: Tensor, scope: str, ids: Tensor | None) -> Tensor:
    """Sum of `tensor` over each scope, kept as axes of 1."""
    return _over_views(tensor.sum(AXES[scope], keepdim=True), ids)


def _over_views(each: Tensor, ids: Tensor | None) -> Tensor:
    """Sum numbers (B, 1, 1, 1) over samples of one id; selected, not multiplied: a NaN stays in its own view."""
    if ids is None:
        return each
    row = each.reshape(1, -1)
    grouped = torch.where(ids[:, None] == ids[None, :], row, torch.zeros_like(row)).sum(1)
    return grouped.reshape(-1, 1, 1, 1)


def count(valid: Tensor | None, like: Tensor, axes: tuple[int, ...]) -> Tensor:
    """Number of valid elements of `like` along `axes`, kept as axes of 1, in int64: exact at any size."""
    if valid is None:
        valid = torch.ones((1, 1, 1, 1), dtype=torch.bool, device=like.device)
    each = valid.sum(axes, keepdim=True)
    for axis in axes:
        if valid.shape[axis] == 1:
            each = each * like.shape[axis]
    return each


def count_in_scope(valid: Tensor | None, like: Tensor, scope: str, ids: Tensor | None) -> Tensor:
    """Number of valid elements in each scope, kept as axes of 1."""
    each = count(valid, like, AXES[scope])
    return each if ids is None else _over_views(each.expand(like.shape[0], 1, 1, 1), ids)


def reduced(elements: Tensor, valid: Tensor | None, reduction: str) -> Tensor:
    """Reduce element losses (B, C, H, W), 0 wherever they are not `valid`, as the contract says."""
    if reduction == "none":
        return elements
    if reduction == "sum":
        return elements.sum()
    if reduction == "sample_sum":
        return elements.sum(SAMPLE).mean()
    axes = EVERY if reduction == "mean" else SAMPLE
    if valid is None:
        return elements.mean(axes)
    shared = count(valid, elements, axes).clamp_min(1)  # nothing valid: 0 / 1
    return (elements.sum(axes, keepdim=True) / shared.to(elements.dtype)).squeeze(axes)
