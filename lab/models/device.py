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
        raise ValueError(
            f"device must be cpu, cuda, cuda:1 (a number) or auto, got {brief(str(name))}"
        )
    count = torch.cuda.device_count() if device.type == "cuda" else 1
    if (device.index or 0) >= count:
        there = f"there are {count}" if count else "torch finds no GPU"
        raise ValueError(f"device {device} is not there, {there}; leave device out, or give cpu")
    return device


def device_map(device: str | torch.device | None, default: str | None = None) -> str | None:
    """The device map by which transformers loads for a device; None: onto the CPU.

    auto: shared by accelerate among all GPUs and main memory, where there is a GPU. None: as
    `default`, which is one of these too. ValueError for a device that is not there.
    """
    device = default if device is None else device
    if device is None or device == "cpu":
        return None
    if device == "auto":
        return "auto" if torch.cuda.is_available() else None
    place = known_device(device)
    return None if place == CPU else str(place)


def first_device(place: str | None) -> torch.device:
    """Where a network that is not shared goes under a device map."""
    return torch.device("cuda" if place == "auto" else place or CPU)
