from pathlib import Path

import numpy as np
import pytest

from hrlm.errors import DataError
from hrlm.evaluation.correspondence import correspondences
from hrlm.schemes import load_scheme

SCHEME = load_scheme("ibug68")


def test_the_london_template_gives_fourteen_landmarks() -> None:
    template = np.arange(378.0).reshape(189, 2)
    landmarks = correspondences(SCHEME)[189].to_scheme(template, SCHEME)
    known = np.flatnonzero(~np.isnan(landmarks[:, 0]))
    assert known.tolist() == [8, 33, 36, 39, 42, 45, 48, 50, 51, 52, 54, 57, 62, 66]
    assert landmarks[36].tolist() == template[18].tolist()
    assert landmarks[8].tolist() == template[129].tolist()


def test_a_file_may_name_landmarks_and_comes_before_ours(tmp_path: Path) -> None:
    file = tmp_path / "map.yaml"
    file.write_text("points: 189\nscheme: ibug68\npairs: {0: eye_right_outer, 1: 45}\n")
    assert dict(correspondences(SCHEME, file)[189].pairs) == {0: 36, 1: 45}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("points: 5\nscheme: ibug68\npairs: {0: 36}\n", "lack a landmark"),
        ("points: 5\nscheme: ibug68\npairs: {0: 36, 5: 45}\n", "there is no 5"),
        ("points: 5\nscheme: ibug68\npairs: {0: 36, 1: 68}\n", "there is no 68"),
        ("points: 5\nscheme: ibug68\npairs: {0: 36, 1: 45, 2: 45}\n", "stands twice"),
        ("points: 5\nscheme: ibug68\npairs: {0: nowhere}\n", "whole numbers"),
        ("points: 5\nscheme: ibug86\npairs: {0: 900}\n", "'ibug86' where the model's is 'ibug68'"),
        ("[1", "give a YAML file"),
        ("just text", "needs points"),
    ],
)
def test_a_map_that_cannot_be_used_is_named(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "map.yaml"
    file.write_text(text)
    with pytest.raises(DataError, match=rf"map\.yaml: .*{said}"):
        correspondences(SCHEME, file)
