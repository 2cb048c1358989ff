"""The program as a process: what it imports, how it ends."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from children import forked
from click.testing import CliRunner

from autodas_dsl.cli.entry import cli, main

REPOSITORY = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "autodas_dsl"]
LIGHT = ("-h", "ops", "ops KL", "show rho_cnn", "show --list", "check diswot+synflow",
         "fmt --check proxies", "score -h", "evolve -h")  # fmt: skip
HEAVY = ("torch", "sympy", "numpy", "matplotlib", "scipy", "sklearn", "networkx", "rich")


def environment(**more: str) -> dict[str, str]:
    path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]))
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "", **more}


def test_commands_about_the_language_import_nothing_slow() -> None:
    """One after the other in one process; the first that imports something is named."""
    code = (
        "import sys\n"
        "from autodas_dsl.cli.entry import cli\n"
        f"for words in {LIGHT!r}:\n"
        "    try:\n        cli.main(words.split(), prog_name='autodas-dsl')\n"
        "    except SystemExit as end:\n        assert not end.code, end.code\n"
        f"    loaded = [m for m in {HEAVY!r} if m in sys.modules]\n"
        "    assert not loaded, (words, loaded)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY,
        env=environment(), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


@pytest.mark.parametrize(
    ("words", "status"), [(["ops", "KL"], 0), (["show", "snipp"], 1), (["show"], 2)]
)
def test_the_exit_status_reaches_the_shell(words: list[str], status: int) -> None:
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=environment(),
                          check=False)  # fmt: skip
    assert done.returncode == status
    assert "Traceback" not in done.stderr
    assert bool(done.stdout) == (status == 0)


def test_streams_that_the_caller_closed_are_empty() -> None:
    program = shlex.join(PROGRAM)
    line = f"{program} check - params <&-; {program} ops KL >&- 2>&-"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True,
                          env=environment(), check=False)  # fmt: skip
    assert done.returncode == 0
    assert "error[E305]: the document is empty" in done.stdout
    assert "params: ok" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters_prints_tables(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["rank", "digits-resnet", "-p", "params", "--limit", "5"]
    monkeypatch.setattr(sys, "argv", ["autodas-dsl", *words])
    child = forked(main, encoding)
    out, err = child.communicate(timeout=120)
    assert (child.returncode, "Traceback" in err) == (0, False), err[-500:]
    assert out.startswith("digits-resnet, kd, all")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_process_of_few_characters_prints_tables(encoding: str) -> None:
    done = subprocess.run(
        [*PROGRAM, "ops", "KL"], capture_output=True, check=False,
        env=environment(LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING=encoding),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"KL" in done.stdout


def test_a_reader_that_stops_early_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*PROGRAM, "ops"], stdout=writer, stderr=subprocess.PIPE, text=True,
                          env=environment(), check=False)  # fmt: skip
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 141


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_a_full_disk_is_a_diagnostic() -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        done = subprocess.run([*PROGRAM, "ops"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment(), check=False)  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("error[E690]: ")
    assert "Traceback" not in done.stderr


def test_ctrl_c_ends_with_one_line(tmp_path: Path) -> None:
    model = tmp_path / "net.py"
    started = tmp_path / "started"
    model.write_text(
        "import pathlib, time\n"
        f"pathlib.Path({str(started)!r}).touch()\n"
        "time.sleep(60)\n"
    )  # fmt: skip
    process = subprocess.Popen(
        [*PROGRAM, "score", str(model), "-p", "params"], env=environment(), text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        # whoever started the tests in the background may have had it ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not started.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, "")
    assert err == "interrupted\n"


COMPLETE = "_AUTODAS_DSL_COMPLETE"


def asked(words: str) -> dict[str, str]:
    """The variables by which the shell asks what may stand for the last word."""
    count = str(len(words.split()))
    return {COMPLETE: "bash_complete", "COMP_WORDS": f"autodas-dsl {words}", "COMP_CWORD": count}


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("show rho", "plain,rho_cnn"),
        ("rank digits-r", "plain,digits-resnet"),
        ("evolve digits-r", "plain,digits-resnet"),
        ("latex snip --table digits-v", "plain,digits-vit"),
        ("table info digits-v", "plain,digits-vit"),
        ("search nasb", "plain,nasbench201"),
        ("rank x.csv --space cifar", "plain,cifar-resnet"),
        ("distill x.py --loss ic", "plain,ickd"),
        ("rank mine.c", "file,mine.c"),
        ("search mine.p", "file,mine.p"),
    ],
)
def test_completion_offers_names_else_files(words: str, offered: str) -> None:
    done = CliRunner(env=asked(words)).invoke(cli, [], prog_name="autodas-dsl")
    assert offered in done.stdout.split()


def test_the_program_completes() -> None:
    done = subprocess.run(
        PROGRAM, capture_output=True, text=True, check=True, env=environment(**asked("show rho"))
    )
    assert "plain,rho_cnn" in done.stdout.split()


def test_completion_knows_every_space_and_loss_without_importing_them() -> None:
    from autodas_dsl import spaces
    from autodas_dsl.cli import options
    from autodas_dsl.training.losses import LOSSES

    assert tuple(options.SPACE.names()) == spaces.names()
    assert tuple(options.LOSS.names()) == tuple(LOSSES)


def test_the_public_names_load_on_first_use() -> None:
    code = (
        "import sys, autodas_dsl\n"
        "assert 'torch' not in sys.modules\n"
        "autodas_dsl.parse; autodas_dsl.load; autodas_dsl.Proxy\n"
        "assert 'torch' not in sys.modules\n"
        "for name in autodas_dsl.__all__:\n"
        "    value = getattr(autodas_dsl, name)\n"
        "    assert isinstance(value, str) or value.__name__ == name, name\n"
        "    assert name in dir(autodas_dsl)\n"
        "autodas_dsl.score('digits-resnet:depth=1-1-1,width=4-4-4', 'flops')\n"
        "assert 'torch._dynamo' not in sys.modules, 'as long again as torch'\n"
        "import autodas_dsl.evolution.session\n"
        "slow = {'scipy.stats', 'sklearn', 'sympy', 'pandas'} & set(sys.modules)\n"
        "assert not slow, f'{slow}: half as long again as torch'\n"
        "try:\n    autodas_dsl.nothing\n"
        "except AttributeError as error:\n    assert 'nothing' in str(error)\n"
        "else:\n    raise SystemExit('no error')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env=environment(), check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
