"""Gather the shares of a batch from the processes of a training."""

import torch
from torch import Tensor, distributed
from torch.nn.functional import pad


class _Gather(torch.autograd.Function):
    """All-gather whose gradient is the sum of the gradients of all processes.

    The function of ``torch.distributed.nn`` is deprecated, and its successor is newer than our oldest torch.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, share: Tensor) -> Tensor:
        """Return the shares (...) of all processes, (processes, ...)."""
        gathered = share.new_empty(distributed.get_world_size(), *share.shape)
        distributed.all_gather(list(gathered), share.contiguous())
        return gathered

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        """Return the summed gradient of this process's share."""
        gradient = gradient.contiguous()
        distributed.all_reduce(gradient)
        return gradient[distributed.get_rank()]


def gather_batch(share: Tensor, *, even: bool) -> Tensor:
    """Return the batch (B, ...) of all processes from this one's share (b, ...), in the order of the sampler.

    Each process computes the whole loss, so a gradient comes back multiplied by the number of processes. DDP takes the
    mean over the processes, which gives the gradient of a single process.

    Args:
        share: Row i of process p is row i * processes + p of the batch.
        even: Whether all shares have the same size. In the last batch of an evaluation some may have one row less.
    """
    if even:
        return _Gather.apply(share).transpose(0, 1).flatten(0, 1)
    sizes = _Gather.apply(torch.tensor(len(share), device=share.device))
    missing = int(sizes.max()) - len(share)
    padded = pad(share, [0, 0] * (share.dim() - 1) + [0, missing])
    return _Gather.apply(padded).transpose(0, 1).flatten(0, 1)[: int(sizes.sum())]
