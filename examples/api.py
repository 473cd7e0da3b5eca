"""Landmarks of a photo from Python: python examples/api.py [PHOTO]."""

import sys
from pathlib import Path

from hrlm import Detector

photo = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent / "photos" / "astronaut.png"
detector = Detector()
for face in detector.detect(photo):
    x, y, width, height = face.box
    print(
        f"face of {width:.0f} x {height:.0f} px at {x:.0f}, {y:.0f}, certainty {face.score:.2f} {' '.join(face.flags)}"
    )
    for name in ("eye_right_outer", "eye_left_outer", "nose_tip", "mouth_right", "mouth_left"):
        i = detector.scheme.landmarks.index(name)
        print(f"  {name:16} {face.landmarks[i, 0]:8.2f} {face.landmarks[i, 1]:8.2f}  +- {face.deviation[i]:.2f} px")
