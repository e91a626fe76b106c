from pathlib import Path

from wrp_jax.files import code_digest as module
from wrp_jax.files.code_digest import code_digest


def test_names_and_contents_count_and_places_do_not(tmp_path, monkeypatch):
    found = []
    for place, files in (
        ("one", {"a.py": "x", "b/c.py": "y"}),
        ("two", {"b/c.py": "y", "a.py": "x", "a.txt": "other"}),
        ("three", {"a.py": "x", "b/c.py": "z"}),
        ("four", {"a.py": "x", "b/d.py": "y"}),
    ):
        for name, text in files.items():
            path = tmp_path / place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        monkeypatch.setattr(module, "_PACKAGE", tmp_path / place)
        code_digest.cache_clear()
        found.append(code_digest())
    code_digest.cache_clear()
    assert found[0] == found[1] and len(set(found)) == 3


def test_it_is_that_of_this_package():
    code_digest.cache_clear()
    assert Path(module.__file__).parents[1] == module._PACKAGE and len(code_digest()) == 64
