"""hrlm: facial landmarks on very high resolution photographs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["Detector", "Face", "__version__"]

if TYPE_CHECKING:
    from hrlm.detector import Detector
    from hrlm.results import Face


def __getattr__(name: str) -> Any:
    # torch takes seconds to import: the command line's --help must not wait for it
    if name == "Detector":
        from hrlm.detector import Detector

        return Detector
    if name == "Face":
        from hrlm.results import Face

        return Face
    raise AttributeError(f"module 'hrlm' has no attribute {name!r}")
