"""docs/COMMANDS.md is what the commands say of themselves."""

from pathlib import Path

from wrp_jax.cli.reference import commands_page

PAGE = Path(__file__).parents[2] / "docs" / "COMMANDS.md"


def test_the_page_is_up_to_date():
    assert PAGE.read_text(encoding="utf-8") == commands_page(), (
        "write it anew: python -m wrp_jax.cli.reference > docs/COMMANDS.md"
    )
