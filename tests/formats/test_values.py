import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrlm.errors import FormatError
from hrlm.formats import values
from hrlm.formats.values import json_items, skeleton, writable
from hrlm.schemes import load_scheme

ITEMS = st.lists(st.dictionaries(st.text(max_size=3), st.text(max_size=9) | st.lists(st.integers(), max_size=4)))


@given(items=ITEMS, chunk=st.integers(1, 40), indent=st.sampled_from([None, 2]))
def test_a_list_is_read_item_by_item_wherever_it_is_cut(
    tmp_path_factory: pytest.TempPathFactory, items: list, chunk: int, indent: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "items.json"
    path.write_text(json.dumps(items, indent=indent, ensure_ascii=False), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(values, "CHUNK", chunk)
        assert list(json_items(path, "it")) == items


@pytest.mark.parametrize("text", ["", "{}", "[{}", '[{"a": 1}, {"b"', "[x]"])
def test_what_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(FormatError, match=r"a\.json: is not valid JSON .*: export it from it again"):
        list(json_items(tmp_path / "a.json", "it"))


@given(st.text(st.characters(exclude_categories=())))
def test_any_name_can_be_written(name: str) -> None:
    text = writable(name)
    text.encode("utf-8")
    assert writable(text) == text
    assert all(c in "\t\n\r" or c >= " " for c in text)


def test_the_skeleton_joins_neighbours_and_closes_what_is_closed() -> None:
    pairs = skeleton(load_scheme("ibug68"))
    assert (0, 1) in pairs
    assert (41, 36) in pairs
    assert (16, 0) not in pairs
    assert (16, 17) not in pairs
