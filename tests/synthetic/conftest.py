from pathlib import Path

import pytest

from hrlm.synthetic.head import HeadModel, load_head


@pytest.fixture(scope="session")
def head_file(shared: Path) -> Path:
    path = shared / "head3d" / "ict_head.npz"
    if not path.exists():
        pytest.skip("the head model (../shared/data/head3d) is not here")
    return path


@pytest.fixture(scope="session")
def head(head_file: Path) -> HeadModel:
    return load_head(head_file)
