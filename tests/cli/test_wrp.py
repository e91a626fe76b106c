"""The ``wrp`` command as a user meets it: what it lists, refuses and runs."""

import json
import os
import pathlib
import re
import resource
import subprocess
import sys

import pytest

import wrp_jax
from wrp_jax.cli.main import COMMANDS
from wrp_jax.files.digests import DIGESTS_FILE

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

ROOT = pathlib.Path(__file__).parents[2]
VIDEO = "synthetic:clips=1,frames=3,height=32,width=40"
FLAGS = {
    "train": "config coordinator data keyframes num_processes process_id stills update "
    "update_steps windows workdir",
    "propagate": "choose_tau config data dry_run fail_fast horizon keyframes label limit method "
    "min_quality num_shards output shard_id verify windows workdir",
    "merge": "output",
    "next": "budget csv output",
    "view": "open output port",
    "predict": "config data dry_run fail_fast format limit num_shards output shard_id workdir",
    "flow": "apart config data dry_run fail_fast format limit num_shards output shard_id",
    "calibrate": "config data frames output workdir",
    "build": "data name output pass set",
    "doctor": "limit path",
    "import": "classes frames label output partial source void",
    "export": "below data frames labels min_confidence output to unlabelled",
    "convert": "data output set",
    "convert-weights": "network output weights",
}
REQUIRED = {
    "train": "--config",
    "propagate": "--config",
    "merge": "--output",
    "next": "--output",
    "view": "--output",
    "predict": "--config",
    "flow": "--config",
    "calibrate": "--config",
    "build": "--data",
    "doctor": "--path",
    "import": "--source",
    "export": "--labels",
    "convert": "--set",
    "convert-weights": "--network",
}

CONFIG_KEYS = {
    "--config.key",
    "--config.motion.name",
    "--config.motion.weights",
    "--config.pseudo",
    "--config.test",
    "--config.segmentation.weights",
}
"""Options that examples set."""


def program(*words, cwd=ROOT, **environment):
    return subprocess.run(
        [sys.executable, *map(str, words)], capture_output=True, text=True, cwd=cwd, timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **environment},
    )  # fmt: skip


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_it_lists_the_commands(wrp, capsys, words):
    assert wrp(*words) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = {line.split()[0]: line.split(None, 1)[1] for line in lines if line.startswith("  ")}
    listed.pop("wrp")
    assert tuple(listed) == COMMANDS
    assert all(text.endswith(".") and len(text) > 20 for text in listed.values())


def test_without_arguments_it_says_what_to_do_next(wrp, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def said():
        assert wrp() == 0
        return capsys.readouterr().out.splitlines()[-1]

    assert said().startswith("Next: 'wrp propagate --config=demo'")
    (tmp_path / "D").mkdir()
    (tmp_path / "D" / "classes.json").write_text("{}")
    assert said() == "Next: D has a list of classes; 'wrp doctor D' says whether it can be used."
    (tmp_path / "OUT").mkdir()
    for name in ("run.json", "report.html"):
        (tmp_path / "OUT" / name).write_text("{}")
    assert said() == "Next: OUT holds labels; 'wrp view OUT' shows them."
    monkeypatch.chdir(tmp_path / "OUT")
    assert said() == "Next: this folder holds labels; 'wrp view .' shows them."
    assert wrp("--help") == 0 and "Next:" not in capsys.readouterr().out


def test_every_task_has_a_command_that_exists(wrp, capsys):
    assert wrp("--help") == 0
    lines = capsys.readouterr().out.splitlines()
    examples = [line.split() for line in lines if line.startswith("  wrp ")]
    assert len(examples) >= 8 and {words[1] for words in examples} <= set(COMMANDS)
    for words in examples:
        given = {word[2:].partition("=")[0] for word in words if word.startswith("--")}
        assert given <= set(FLAGS[words[1]].split()), words


def test_every_command_is_a_module_of_the_package():
    names = {
        path.stem.removesuffix("_").replace("_", "-")
        for path in (ROOT / "wrp_jax" / "cli").glob("*.py")
    }
    assert names - set(COMMANDS) == {
        "--init-",
        "main",
        "command-line",
        "compiled",
        "config-files",
        "help-text",
        "memory",
        "imported-data",
        "reference",
        "shard-flags",
        "terminal",
    }
    assert set(COMMANDS) <= names


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_an_example_and_every_flag(wrp, capsys, command):
    assert wrp(command, "--help") == 0
    text = capsys.readouterr().out
    assert re.search(rf"\n  wrp {command} (--|[A-Z]+ )", text)
    head, _, flags = text.partition(f"Flags of wrp {command}:\n")
    named = [line.split()[0] for line in flags.splitlines() if line.startswith("  --")]
    assert named == [f"--{name}" for name in FLAGS[command].split()]
    # What an example gives is known, and every flag says something.
    examples = [line for line in head.splitlines() if line.startswith("  ") and "--" in line]
    given = {word.partition("=")[0].strip("[") for line in examples for word in line.split()}
    assert {word for word in given if word.startswith("--")} <= {*named, *CONFIG_KEYS}
    assert all(len(line.split()) > 1 for line in flags.splitlines() if line.startswith("  --"))
    assert max(map(len, text.splitlines())) <= 100


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_flag_is_one_sentence(wrp, capsys, command):
    assert wrp(command) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"wrp {command}: {REQUIRED[command]} is missing: ")
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "rest"),
    [
        ("predict", "--data --output"),
        ("flow", "--data --output"),
        ("calibrate", "--data --frames --output"),
        ("build", "--data --output"),
        ("convert", "--set=kitti --data --output"),
        ("convert-weights", "--network=sdcnet --weights --output"),
    ],
)
def test_any_missing_flag_is_named(wrp, capsys, command, rest):
    words = [word if "=" in word else f"{word}=x" for word in rest.split()]
    given = ["--config=folder"] * ("config" in FLAGS[command].split())
    for name in (word for word in rest.split() if "=" not in word):
        others = [word for word in words if not word.startswith(f"{name}=")]
        assert wrp(command, *given, *others) == 2
        assert f"wrp {command}: {name} is missing" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trian",), "'trian' is no command; did you mean 'wrp train'?"),
        (("convert_weights",), "did you mean 'wrp convert-weights'?"),
        (("xyzzy",), "'xyzzy' is no command; 'wrp --help' lists them."),
        (("--config=demo",), "'--config=demo' is no command"),
        (("train", "--confg=demo"), "Unknown command line flag 'confg'. Did you mean: config"),
        (("train", "--config=deom"), "does not exist: did you mean --config=demo?"),
        (("predict", "D"), "'D' is not a flag: every argument begins with '--'"),
        (("predict", "--config=demo", "--format=gif"), "--format=gif"),
    ],
)
def test_what_it_does_not_know(wrp, capsys, words, said):
    assert wrp(*words) == 2
    output = capsys.readouterr()
    assert said in output.err and output.err.count("\n") == 1 and not output.out


def test_its_version(wrp, capsys):
    assert wrp("--version") == 0
    assert capsys.readouterr().out == f"wrp_jax {wrp_jax.__version__}\n"


def test_help_is_at_once():
    """Nothing large is imported for it. CPU time: others may be using the machine."""
    code = "import sys; from wrp_jax.cli.main import main; main(['--help']); "
    code += "print(sorted({'jax', 'numpy', 'absl', 'tensorflow_datasets'} & set(sys.modules)))"
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    result = program("-c", code)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before < 0.3


@pytest.mark.parametrize("command", [c for c in COMMANDS if c != "convert-weights"])
def test_help_of_a_command_needs_no_jax(command):
    """Of ``convert-weights`` too but for its list of networks, which are Flax modules."""
    code = f"import sys; from wrp_jax.cli.main import main; code = main(['{command}', '--help']); "
    result = program("-c", code + "assert 'jax' not in sys.modules; sys.exit(code)")
    assert result.returncode == 0, result.stderr


def test_the_module_is_the_command(tmp_path):
    result = program("-m", "wrp_jax", "--version", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (0, f"wrp_jax {wrp_jax.__version__}\n")
    result = program("-m", "wrp_jax", "flow", "--config=folder", "--data=none", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == (
        "wrp flow: --output is missing: Where the flow files go. --help has examples.\n"
    )


@pytest.mark.parametrize("name", ["train", "propagate"])
def test_the_files_at_the_top_are_the_commands(name, tmp_path):
    ours = program("-m", "wrp_jax", name, "--help", cwd=tmp_path)
    theirs = program(ROOT / f"{name}.py", "--help", cwd=tmp_path)
    assert theirs.returncode == ours.returncode == 0
    assert theirs.stdout == ours.stdout.replace(f"Flags of wrp {name}", f"Flags of {name}.py")
    ours = program("-m", "wrp_jax", name, "--config=demo", "--config.sed=1", cwd=tmp_path)
    theirs = program(ROOT / f"{name}.py", "--config=demo", "--config.sed=1", cwd=tmp_path)
    assert theirs.returncode == ours.returncode == 2
    assert theirs.stderr == ours.stderr.replace(f"wrp {name}:", f"{name}.py:") != ours.stderr


def test_both_ways_write_the_same_files(tmp_path):
    """``propagate.py`` with the path of a config, and ``wrp`` with its name."""
    common = (f"--data={VIDEO}", "--method=static", "--horizon=1")
    ways = {
        "file": (ROOT / "propagate.py", f"--config={ROOT / 'configs' / 'folder.py'}"),
        "name": ("-m", "wrp_jax", "propagate", "--config=folder"),
    }
    found = {}
    for way, words in ways.items():
        out = tmp_path / way
        result = program(*words, *common, f"--output={out}", cwd=tmp_path)
        assert result.returncode == 0, result.stderr
        files = [path for path in sorted(out.rglob("*")) if path.suffix in (".png", ".json")]
        files = [path for path in files if path.name != DIGESTS_FILE]  # a slow machine writes it
        found[way] = {str(path.relative_to(out)): path.read_bytes() for path in files}
    assert len(found["file"]) > 3 and set(found["file"]) == set(found["name"])
    metrics = [json.loads(files.pop("metrics.json")) for files in found.values()]
    assert metrics[0] == metrics[1]
    assert found["file"] == found["name"]
