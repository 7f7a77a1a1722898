"""A second device in main memory: what lies there meets nothing of the CPU's; waits are counted.

A GPU computes beside the processor until something asks for a value. `Far` tensors stand for that
memory: each holds a CPU tensor and says that it lies on FAR, a device type that this build of torch
knows by name alone. Under `FarDevice()` an operation on them is done on what they hold; it fails
where a tensor of the CPU takes part, as CUDA's own would, and it is noted where a GPU would wait.

    with FarDevice() as far:
        x = far.send(torch.arange(3))
        bool((x > 1).any())
    far.waits  # [Wait("_local_scalar_dense", "tests/...py:12")]
"""

import traceback
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

FAR = torch.device("meta")
CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]
# Their result's shape, or their answer, is a value: a GPU must have finished before they return.
VALUES = {
    "_local_scalar_dense", "nonzero", "nonzero_numpy", "masked_select", "equal", "is_nonzero",
    "unique_dim", "_unique2", "unique_consecutive", "unique_dim_consecutive", "bincount",
}  # fmt: skip


class Wait(NamedTuple):
    """An operation for which a GPU waits, and the line of the project that asked for it."""

    operation: str
    line: str


class Far(Tensor):
    """A tensor on FAR that holds one of the CPU."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, strides=held.stride(), storage_offset=held.storage_offset(),
            dtype=held.dtype, device=FAR,
        )  # fmt: skip

    def __init__(self, held: Tensor):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        raise RuntimeError(f"{func} on the far device, outside of FarDevice()")

    def tolist(self) -> Any:
        """As a GPU's tensors do it: a copy to the CPU first."""
        return self.cpu().tolist()

    def numpy(self, *, force: bool = False) -> Any:
        """As a GPU's tensors answer."""
        raise TypeError(f"a tensor on {FAR} is no numpy array; copy it to the CPU first")

    def __repr__(self, *, tensor_contents=None) -> str:
        return f"Far({self.held!r})"


class FarDevice(TorchDispatchMode):
    """While it is on, FAR works; `waits` are those of all operations so far."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[Wait] = []

    def send(self, x: Any) -> Any:
        """A tensor, or a module with its parameters and buffers, on FAR; no wait is noted."""
        if not isinstance(x, torch.nn.Module):
            return Far(x)
        for module in x.modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    module._parameters[name] = torch.nn.Parameter(Far(parameter.data), False)
            for name, buffer in module._buffers.items():
                module._buffers[name] = buffer if buffer is None else Far(buffer)
        return x

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        leaves = tree_flatten((args, kwargs))[0]
        far = [leaf for leaf in leaves if isinstance(leaf, Far)]
        there = kwargs.get("device")
        there = None if there is None else torch.device(there).type
        if not far and there != FAR.type:
            return func(*args, **kwargs)
        name = func.overloadpacket.__name__
        near = [x for x in leaves if isinstance(x, Tensor) and not isinstance(x, Far)]
        if name in ("_to_copy", "copy_") and (near or there or not far):
            return self._copy(func, name, args, kwargs, there)
        if any(x.dim() for x in near):
            raise RuntimeError(f"{name} of tensors on two devices: one on {FAR}, one on the CPU")
        if self._asks(name, args):
            self.note(name)
        if there == FAR.type:
            kwargs["device"] = CPU
        wrapped = {id(x.held): x for x in far}
        result = func(*_held(args), **_held(kwargs))
        return tree_map(lambda x: wrapped.get(id(x)) if id(x) in wrapped else _far(x), result)

    def _copy(self, func, name, args, kwargs, there):
        """From one device to the other; away from the CPU it may go on by itself."""
        to_far = isinstance(args[0], Far) if name == "copy_" else there == FAR.type
        if to_far and name == "_to_copy" and isinstance(args[0], Far):
            return Far(func(_held(args)[0], **{**kwargs, "device": CPU}))  # within the device
        quick = kwargs.get("non_blocking") or (name == "copy_" and args[2:3] == (True,))
        if not (to_far and quick):
            self.note(f"{name} to {FAR.type if to_far else CPU.type}")
        kwargs.pop("device", None)
        result = func(*_held(args), **kwargs)
        if name == "copy_":
            return args[0]
        return Far(result) if to_far else result

    @staticmethod
    def _asks(name: str, args: Any) -> bool:
        """Whether a value decides: an index by a mask is a search for its True."""
        if name in ("index", "index_put", "index_put_", "_index_put_impl_"):
            return any(x is not None and x.dtype in (torch.bool, torch.uint8) for x in args[1])
        return name in VALUES or (name == "repeat_interleave" and isinstance(args[-1], Far))

    def note(self, operation: str) -> None:
        """Count a wait, with the innermost line of the project that led to it."""
        ours = [
            f"{Path(frame.filename).relative_to(ROOT).as_posix()}:{frame.lineno}"
            for frame in traceback.extract_stack()
            if Path(frame.filename).is_relative_to(ROOT) and frame.filename != __file__
        ]
        self.waits.append(Wait(operation, ours[-1] if ours else ""))


def _held(x: Any) -> Any:
    return tree_map(lambda leaf: leaf.held if isinstance(leaf, Far) else leaf, x)


def _far(x: Any) -> Any:
    return Far(x) if isinstance(x, Tensor) else x
