from pathlib import Path

import pytest

from hrlm.synthetic.head import HeadModel, load_head


@pytest.fixture(scope="session")
def head_file(shared: Path) -> Path:
    return shared / "head3d" / "ict_head.npz"


@pytest.fixture(scope="session")
def head(head_file: Path) -> HeadModel:
    return load_head(head_file)
