"""Check that a wheel carries what an installed hrlm needs besides its code."""

import sys
import zipfile
from fnmatch import fnmatch

NEEDED = (
    "hrlm/_weights/*.safetensors",
    "hrlm/_weights/*.onnx",
    "hrlm/_weights/*LICENSE*",
    "hrlm/schemes/ibug68.yaml",
    "hrlm/evaluation/maps/*.yaml",
    "hrlm/review/static/index.html",
    "hrlm/review/static/js/main.js",
    "hrlm/review/static/openseadragon/openseadragon.min.js",
    "hrlm/review/static/openseadragon/LICENSE.txt",
    "hrlm-*.dist-info/licenses/LICENSE",
)

with zipfile.ZipFile(sys.argv[1]) as wheel:
    names = wheel.namelist()
missing = [pattern for pattern in NEEDED if not any(fnmatch(name, pattern) for name in names)]
if missing:
    sys.exit(f"{sys.argv[1]} lacks {', '.join(missing)}")
