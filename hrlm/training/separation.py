"""Photos that several sources hold: each goes one way, so that no test or validation photo trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrlm.training.sources import LabelledFace, SourceFaces


def separate(sources: Sequence[SourceFaces]) -> str:
    """Take out of every source what another excludes, and out of its training what another validates on.

    A photo is the same one by its real path, whatever links lead to it.

    Returns:
        a line with the number of photos that were taken out; empty for none.
    """
    every = {f.photo for s in sources for f in (*s.training, *s.validation)} | {p for s in sources for p in s.excluded}
    real = {photo: photo.resolve() for photo in every}
    excluded = {real[p] for s in sources for p in s.excluded}
    held = excluded | {real[f.photo] for s in sources for f in s.validation}
    out: set[Path] = set()

    def kept(faces: list[LabelledFace], barred: set[Path]) -> list[LabelledFace]:
        out.update(real[f.photo] for f in faces if real[f.photo] in barred)
        return [f for f in faces if real[f.photo] not in barred]

    for source in sources:
        source.training, source.validation = kept(source.training, held), kept(source.validation, excluded)
    if not out:
        return ""
    photos, lead = ("photos", "are") if len(out) > 1 else ("photo", "is")
    return f"{len(out)} {photos} that one source excludes or validates on {lead} left out of the others"
