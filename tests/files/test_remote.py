from pathlib import Path

import pytest

from wrp_jax.files.lock import sole_writer
from wrp_jax.files.remote import refuse_address
from wrp_jax.types import UserError


@pytest.mark.parametrize(
    "value", ["gs://bucket/run", "S3://b/x", "tfds:camvid:train@gs://b/d", "('a', 'https://b/c')"]
)
def test_an_address_is_refused(value):
    with pytest.raises(UserError, match=r"^--data=.*is an address .*mount the bucket.*POD\.md"):
        refuse_address(value, "--data")


@pytest.mark.parametrize(
    "value",
    ["runs/a", "C:/runs", "tfds:camvid/x:train@/data", "synthetic:clips=2", "root:/list", "~/x"],
)
def test_paths_are_taken(value):
    refuse_address(value, "--data")
    refuse_address(Path("C:/runs/a"), "--workdir")


def test_a_path_of_pathlib_is_seen_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with (
        pytest.raises(UserError, match="--workdir=gs:/bucket/run is an address"),
        sole_writer(Path("gs://bucket/run"), "--workdir"),
    ):
        pass
    assert not list(tmp_path.iterdir())
