"""Where models are computed: names of devices, checked before anything is loaded."""

import torch

from samplers.signature import brief

CPU = torch.device("cpu")
KINDS = ("cpu", "cuda")  # samplers count in float64, which Apple's GPUs lack


def known_device(name: str | torch.device) -> torch.device:
    """The device of that name: cpu, cuda or cuda:1. ValueError for one that is not there."""
    try:
        device = torch.device(name)
    except (RuntimeError, TypeError):
        device = None
    if device is None or device.type not in KINDS:
        raise ValueError(f"device must be cpu, cuda or cuda:1 (a number), got {brief(str(name))}")
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        there = f"there are {count}" if count else "torch finds no GPU"
        raise ValueError(f"device {device} is not there, {there}; leave device out, or give cpu")
    return device


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda") if torch.cuda.is_available() else CPU
