"""Results on disk: whole or not at all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from thgen.errors import OutputError
from thgen.evaluation.groups.store import Store, key_of

ARRAYS = {"LMD %": np.arange(3.0), "code lip": np.ones((2, 5), np.float32)}


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "new")
    store.save("self the true frames", "abc", 7, ARRAYS)
    back = store.load("self the true frames", "abc", 7)
    assert back is not None and list(back) == list(ARRAYS)
    for name, values in ARRAYS.items():
        np.testing.assert_array_equal(back[name], values)
        assert back[name].dtype == values.dtype
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.npz")] == [
        "new/self_the_true_frames-abc/0007.npz"
    ]


@pytest.mark.parametrize("other", [("self", "abc", 8), ("self", "abd", 7), ("speed", "abc", 7)])
def test_other_words_find_nothing(tmp_path: Path, other: tuple[str, str, int]) -> None:
    store = Store(tmp_path)
    store.save("self", "abc", 7, ARRAYS)
    assert store.load(*other) is None


@pytest.mark.parametrize("content", [b"", b"no zip file", None])
def test_a_damaged_file_counts_as_missing(tmp_path: Path, content: bytes | None) -> None:
    store = Store(tmp_path)
    store.save("self", "abc", 7, ARRAYS)
    (path,) = tmp_path.rglob("*.npz")
    path.write_bytes(path.read_bytes()[:-40] if content is None else content)
    assert store.load("self", "abc", 7) is None


def test_an_interruption_leaves_the_old_result_and_no_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    store.save("self", "abc", 7, ARRAYS)

    def stop(file, **arrays) -> None:
        file.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", stop)
    with pytest.raises(KeyboardInterrupt):
        store.save("self", "abc", 7, {"other": np.zeros(1)})
    back = store.load("self", "abc", 7)
    assert back is not None and set(back) == set(ARRAYS)
    assert len(list(tmp_path.rglob("*.*"))) == 1, "the half file is gone"


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="another --out"):
        Store(tmp_path / "file").save("self", "abc", 7, ARRAYS)


def test_any_fact_changes_the_key() -> None:
    facts = {"weights": ["a", "b"], "size": 256}
    assert key_of(facts) == key_of(dict(reversed(facts.items()))), "but not their order"
    assert len({key_of(facts), key_of(facts | {"size": 128}), key_of(facts | {"weights": ["a", "c"]})}) == 3
