"""What clinicians and retouchers measure on faces, from landmarks, each with its deviation. See docs/measures.md."""

from hrlm.measures.faces import COLUMNS, Measure, header, measure_face, row

__all__ = ["COLUMNS", "Measure", "header", "measure_face", "row"]
