"""What several processes of one training hand each other."""

import torch
from torch import Tensor, distributed
from torch.nn.functional import pad


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, own: Tensor) -> Tensor:
        gathered = own.new_empty(distributed.get_world_size(), *own.shape)
        distributed.all_gather(list(gathered), own.contiguous())
        return gathered

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, gradient: Tensor) -> Tensor:
        gradient = gradient.contiguous()
        distributed.all_reduce(gradient)
        return gradient[distributed.get_rank()]


def gather(own: Tensor) -> Tensor:
    """Return the tensors (...) of all processes as one (processes, ...), the same on each of them.

    The gradient is summed over the processes, each of which may go on to compute a loss. (The function of
    ``torch.distributed.nn`` that does this is deprecated, and what replaces it is younger than the oldest torch here.)
    """
    return _Gather.apply(own)


def gather_batch(share: Tensor, *, even: bool) -> Tensor:
    """Return the batch (B, ...) of all processes from this one's share (b, ...), in the order of the sampler.

    Gradients come back summed over the processes. Each computes the whole loss, so they come back as many times too
    large as there are processes, and DDP, which takes the mean over them, makes them those of one process.

    Args:
        share: Row i of process p is row i * processes + p of the batch.
        even: Whether all shares have one size; the last batch of an evaluation may give some processes one row less.
    """
    sizes = None if even else gather(torch.tensor(len(share), device=share.device))
    missing = 0 if sizes is None else int(sizes.max()) - len(share)
    padded = pad(share, [0, 0] * (share.dim() - 1) + [0, missing])
    whole = gather(padded).transpose(0, 1).flatten(0, 1)
    return whole if sizes is None else whole[: int(sizes.sum())]
