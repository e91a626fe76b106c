import os
import pathlib
import signal
import sys

import bucket
import pytest
from absl import flags

from wrp_jax import interrupts
from wrp_jax.cli import command_line
from wrp_jax.cli.command_line import run
from wrp_jax.types import Interrupted, UserError

# ml_collections loads config files by a deprecated call.
pytestmark = pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")

CONFIG = """
from wrp_jax.config import Config
def get_config():
    return Config()
"""


@pytest.fixture
def config(monkeypatch, tmp_path):
    """``config(*arguments) -> (exit code, config)``, with flags of its own."""
    values = flags.FlagValues()
    monkeypatch.setattr(flags, "FLAGS", values)
    monkeypatch.setattr(command_line.app, "define_help_flags", lambda: None)
    define = command_line.config_flags.DEFINE_config_file
    holder = define("config", None, "", flag_values=values)
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    before = signal.getsignal(signal.SIGTERM)

    def call(*arguments, file=path):
        seen = []
        options = [f"--config={file}"] if file else []
        monkeypatch.setattr("sys.argv", ["/somewhere/train.py", *options, *arguments])
        code = run(lambda: seen.append(command_line.read_config(holder)))
        return code, seen[0] if seen else None

    yield call
    signal.signal(signal.SIGTERM, before)


PUBLIC = sorted((pathlib.Path(__file__).parents[2] / "configs").glob("[!_]*.py"))


@pytest.mark.parametrize("file", PUBLIC, ids=lambda path: path.stem)
def test_the_public_configs_are_taken(config, file):
    code, options = config(file=file)
    assert code == 0
    assert options.stages


def test_options_are_set(config):
    code, options = config(
        "--config.seed=3",
        "--config.segmentation.optimiser.learning_rate=1",
        "--config.segmentation.network.learn_void=true",
        "--config.segmentation.sampling.crop=(64,96)",
        "--config.stages=refiner",
    )
    assert code == 0
    assert options.seed == 3
    assert options.segmentation.optimiser.learning_rate == 1.0
    assert options.segmentation.network.learn_void is True
    assert options.segmentation.sampling.crop == (64, 96)
    assert options.stages == ("refiner",)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--config.sed=1", "config has no option 'sed'; did you mean --config.seed?"),
        ("--config.segmentation.stps=1", "did you mean --config.segmentation.optimiser.steps?"),
        (
            "--config.segmentation.steps=300",
            "--config.segmentation.steps is now --config.segmentation.optimiser.steps.",
        ),
        ("--config.segmentation.optimizer=sgd", "is now --config.segmentation.optimiser.name."),
        ("--config.motion_training.steps=1", "is now --config.motion_training.optimiser.steps."),
        ("--config.segmentation.ema_decy=1", "mean --config.segmentation.optimiser.ema_decay?"),
        ("--config.segmentation.optimiser=1", "is a group of options"),
        ("--config.segmentation.optimiser.ema_decay=1", "ema_decay is 1.0: it must be below 1"),
        ("--config.refiner.doubt.frames=1", "doubt.frames is 1: it must be at least 2"),
        ("--config.motion_training.optimiser.smoothness_order=3", "it must be from 1 to 2"),
        ("--config.refiner.name=x", "--config.refiner.name is 'x': use one of chooser, pix2pix"),
        ("--config.motion.zzz=1", "config.motion has no option 'zzz'; it has name, preset"),
        ("--config.seed.x=1", "config.seed has no option 'x'"),
        ("--config.motion=dis", "--config.motion is a group of options"),
        ("--config.seed=one", "invalid literal"),
        (
            "--config.segmentation.sampling.crop=64",
            "crop is (64,): it must be of type tuple[int, int]",
        ),
        ("--config.segmentation.sampling.crop=(64,'a')", "crop is (64, 'a'): it must be of type"),
        ("--config.refiner.batch_size=0", "--config.refiner.batch_size is 0: it must be at least"),
        ("--config.workers=-1", "--config.workers is -1: it must not be negative"),
        ("--config.refiner.steps=-1", "--config.refiner.steps is -1: it must not be negative"),
        ("--config.segmentation.sampling.crop=(0,64)", "crop is (0, 64): it must be at least 1"),
        (
            "--config.segmentation.optimiser.learning_rate=nan",
            "learning_rate is nan: it must be finite",
        ),
        ("--config.refiner.learning_rate=0", "learning_rate is 0.0: it must be above 0"),
        ("--config.propagation.tau=-1", "tau is -1.0: it must not be negative"),
        ("--config.segmentation.sampling.blur=1.5", "blur is 1.5: it must be from 0 to 1"),
        ("--config.segmentation.inference.overlap=1", "overlap is 1.0: it must be from 0 to 0.9"),
        ("--config.segmentation.sampling.scale=(2.0,0.5)", "must have the smaller number first"),
        ("--config.seed=9999999999999999999999", "it must be at most 4294967295"),
        ("--confg=1", "Unknown command line flag 'confg'"),
        ("D", "'D' is not a flag"),
    ],
)
def test_a_wrong_option_is_one_sentence_and_code_2(config, capsys, argument, message):
    assert config(argument) == (2, None)
    error = capsys.readouterr().err
    assert error.startswith("train.py: ")
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("--config.seed=1",)])
def test_a_config_that_does_not_exist(config, capsys, arguments):
    assert config(*arguments, file="configs/nowhere.py") == (2, None)
    error = capsys.readouterr().err
    assert "--config=configs/nowhere.py does not exist" in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {}", "get_config() returns a config.Config, not dict"),
        ("pass", "get_config() returns a config.Config, not NoneType"),
        ("raise ValueError('seven')", "ValueError: seven: correct the file"),
        ("raise OSError('gone')", "load: gone): correct the file"),
    ],
)
def test_a_config_of_another_kind(config, capsys, tmp_path, body, message):
    path = tmp_path / "other.py"
    path.write_text(f"def get_config():\n    {body}\n")
    assert config(file=path)[0] == 2
    assert message in capsys.readouterr().err


def test_no_config(config, capsys):
    assert config(file=None)[0] == 2
    assert "--config is missing" in capsys.readouterr().err


@pytest.fixture
def outcome(config, monkeypatch):
    """``outcome(main) -> exit code`` of a program without arguments."""
    monkeypatch.setattr("sys.argv", ["train.py"])
    return run


def test_exit_codes(outcome, capsys):
    def user_error():
        raise UserError("labels/1.png is missing: add it.")

    def interrupted():
        raise Interrupted("stopped by SIGTERM after step 3")

    def keyboard():
        raise KeyboardInterrupt

    def terminated():
        os.kill(os.getpid(), signal.SIGTERM)
        interrupts.check()

    assert outcome(lambda: None) == 0
    assert outcome(lambda: 3) == 3
    assert outcome(user_error) == 2
    assert capsys.readouterr().err == "train.py: labels/1.png is missing: add it.\n"
    for main in (interrupted, keyboard, terminated):
        assert outcome(main) == 4
        assert "run the same command to go on" in capsys.readouterr().err


def no_space():
    raise OSError(28, "No space left on device", "OUT/a.png")


def no_memory():
    raise MemoryError("Unable to allocate 1.00 EiB")


def no_device_memory():
    raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes.\n more")


@pytest.mark.parametrize(
    ("main", "says"),
    [
        (no_space, "the disk takes no more (OUT/a.png: No space left on device): free some space"),
        (no_memory, "too little memory (Unable to allocate 1.00 EiB)"),
        (no_device_memory, "too little memory (RESOURCE_EXHAUSTED: Out of memory"),
    ],
)
def test_a_fault_of_the_machine_is_one_sentence_and_code_5(outcome, capsys, main, says):
    assert outcome(main) == 5
    error = capsys.readouterr().err
    assert error.startswith("train.py: ") and says in error and error.count("\n") == 1


def test_a_bug_keeps_its_traceback(outcome):
    def bug():
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        outcome(bug)


def test_what_a_program_does_when_told_to_stop_ends_with_it(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["program"])
    before, seen = signal.getsignal(signal.SIGTERM), []
    assert run(lambda: seen.append(signal.getsignal(signal.SIGTERM))) == 0
    assert seen != [before] and signal.getsignal(signal.SIGTERM) is before


HOME = [
    ("--output=~/OUT", "--output=/home/me/OUT"),
    ("--output=~", "--output=/home/me"),
    ("~/OUT", "/home/me/OUT"),  # --output ~/OUT of no shell
    ("--stills=~/D:~/list.txt", "--stills=/home/me/D:/home/me/list.txt"),
    ("--data=tfds:x/y:train[:50%]@~/sets", "--data=tfds:x/y:train[:50%]@/home/me/sets"),
    ("--config.motion_training.mix=('9 ~/a',)", "--config.motion_training.mix=('9 /home/me/a',)"),
    ("--config=~/c.py:variant", "--config=/home/me/c.py:variant"),
    ("--output=a~/b", "--output=a~/b"),
    ("--output=./~/b", "--output=./~/b"),
    ("--output=~nobody-here/b", "--output=~nobody-here/b"),
    ("--keyframes=list~", "--keyframes=list~"),
]


@pytest.mark.parametrize(("given", "expected"), HOME)
def test_home_folders_are_expanded(monkeypatch, given, expected):
    monkeypatch.setenv("HOME", "/home/me")
    assert command_line.expand_home([given]) == [expected]


def test_home_folders_wherever_options_come_from(config, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "flags.txt").write_text("--config.motion.folder=~/flow\n")
    (tmp_path / "own.py").write_text(
        "from wrp_jax.config import Config\n"
        "def get_config():\n"
        "    config = Config(data='tfds:x/y:z@~/sets')\n"
        "    config.motion_training.sampling.mix = ('9 ~/a',)\n"
        "    return config\n"
    )
    code, options = config(
        "--config=~/own.py", "--flagfile=~/flags.txt", "--config.segmentation.weights=~/w.npz",
        file=None,
    )  # fmt: skip
    assert code == 0
    assert options.motion.folder == f"{tmp_path}/flow"
    assert options.segmentation.weights == f"{tmp_path}/w.npz"
    assert options.data == f"tfds:x/y:z@{tmp_path}/sets"
    assert options.motion_training.sampling.mix == (f"9 {tmp_path}/a",)


@pytest.mark.parametrize(
    "tau", [["--config.propagation.tau=auto"], ["--config.propagation.tau", "auto"]]
)
def test_a_tau_that_is_to_be_chosen_becomes_a_flag(monkeypatch, tau):
    given = ["--config=folder", *tau, "--data=D"]
    found = command_line._with_config_file(given)
    assert found[1:] == given[1:]  # no flag of this command stands for it
    values = flags.FlagValues()
    flags.DEFINE_boolean("choose_tau", False, "", flag_values=values)
    monkeypatch.setattr(flags, "FLAGS", values)
    assert command_line._with_config_file(given)[1:] == ["--choose_tau", "--data=D"]
    other = ["--config.propagation.tau", "0.3", "auto"]
    assert command_line._with_config_file(other) == other


@pytest.mark.parametrize(
    "arguments",
    [
        ["--config.motion.weights=https://b/raft.pth"],
        ["--config.motion.weights", "https://b/raft.pth"],
    ],
)
def test_an_address_that_cannot_be_read_is_a_users_mistake(config, capsys, arguments):
    code, _ = config(*arguments)
    assert code == 2
    error = capsys.readouterr().err
    assert error.startswith("train.py: --config.motion.weights=https://b/raft.pth is an address (")
    assert len(error.splitlines()) == 1


def test_addresses_in_a_config_file_and_in_flags_are_copied(config, tmp_path, monkeypatch):
    gs = bucket.stand_in(monkeypatch, tmp_path / "copies")
    gs("gs").pipe_file("gs://b/videos/classes.json", b"{}")
    gs("gs").pipe_file("gs://b/raft.pth", b"weights")
    gs.writes.clear()
    file = tmp_path / "remote.py"
    file.write_text(CONFIG.replace("Config()", "Config(data='gs://b/videos')"))
    code, options = config("--config.motion.weights=gs://b/raft.pth", file=file)
    assert code == 0
    assert pathlib.Path(options.data, "classes.json").read_text() == "{}"
    assert pathlib.Path(options.motion.weights).read_text() == "weights"
    assert gs.writes == []  # inputs are not sent back
