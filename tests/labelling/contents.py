"""What an output holds."""

from wrp_jax.files.digests import DIGESTS_FILE


def contents(folder):
    """The bytes of every file by its path, but for that which holds times and inodes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != DIGESTS_FILE
    }
