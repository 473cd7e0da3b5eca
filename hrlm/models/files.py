"""Where the weight files lie, in a checkout and in an installed package."""

from __future__ import annotations

from pathlib import Path

from hrlm.errors import ModelError


def weights_folder() -> Path:
    """The folder of the shipped weights: `hrlm/_weights` once installed, `weights` beside the package in a checkout.

    Raises:
        ModelError: neither is there.
    """
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "_weights", package.parent / "weights"):
        if folder.is_dir():
            return folder
    raise ModelError(f"{package / '_weights'}: no such folder; install hrlm again, its weights come with it")
