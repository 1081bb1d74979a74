"""What several processes of one training hand each other."""

import torch
from torch import Tensor, distributed


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
