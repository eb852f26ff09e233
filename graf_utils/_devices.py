"""Which device PyTorch computes on, checked before anything lies there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["usable_device"]


def usable_device(device: Any) -> torch.device:
    """Return a device of PyTorch that can compute here.

    Parameters
    ----------
    device : str, int or torch.device
        Such as ``"cpu"`` or ``"cuda:0"``.

    Returns
    -------
    torch.device

    Raises
    ------
    ValueError
        It is no device, or this machine or this PyTorch has none of the kind, or it keeps no values
        (``"meta"``).
    """
    import torch

    try:
        named = torch.device(device)
    except (RuntimeError, TypeError):
        raise ValueError(
            f"device={device!r} is no device of PyTorch on this machine. Write device='cpu', or "
            "'cuda' for a GPU."
        ) from None
    try:
        torch.zeros(1, device=named).cpu()
    except Exception as error:  # each kind of device fails in its own way
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(
            f"device={device!r} cannot be computed on here: it must be one that this machine and "
            f"this PyTorch have ({reason[0]:.100}). Write device='cpu'{_others()}."
        ) from None
    return named


def _others() -> str:
    """Devices that there are beside the CPU, for a message."""
    import torch

    cuda = ["cuda"] if torch.cuda.is_available() else []
    mps = ["mps"] if torch.backends.mps.is_available() else []
    return "".join(f", or {name!r}" for name in cuda + mps)
