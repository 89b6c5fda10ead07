"""How commands end: exit status, closed pipes, interrupts, bugs, missing libraries."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from crossent.cli import start
from crossent.errors import OptionError

CROSSENT = [sys.executable, "-m", "crossent"]


def test_the_command_as_a_process(process, predictions):
    ran = process("score", predictions, "--target", "y")
    assert ran.status == 0
    assert ran.out.startswith("Log loss inf")
    assert "\x1b" not in ran.out + ran.err
    assert "target 'y'" in ran.err
    assert process("score", predictions, "--target", "Y").status == 2


def test_output_that_the_terminal_cannot_write_ends_no_command(process, predictions):
    ran = process("score", predictions, "--target", "y", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert ran.status == 0
    assert "Traceback" not in ran.err


def test_a_closed_pipe_is_silent(tmp_path, predictions):
    for words in (["score", "pets.csv", "--target", "y"], ["losses"], ["--help"], ["show-config"]):
        command = subprocess.Popen([*CROSSENT, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert command.stdout is not None
        assert command.stderr is not None
        command.stdout.close()
        told = command.stderr.read().decode()
        command.stderr.close()
        assert command.wait(60) == 0
        assert "Error" not in told
        assert "Broken" not in told
        assert "Exception" not in told


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, as Linux has it")
def test_a_full_disk_behind_stdout(tmp_path):
    with open("/dev/full", "w") as full:
        ran = subprocess.run([*CROSSENT, "losses"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert ran.returncode == 2
    assert ran.stderr.startswith("Error: Cannot write to standard output")
    assert "Traceback" not in ran.stderr


def test_no_stdout_at_all():
    ran = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *CROSSENT, "losses"], capture_output=True, timeout=60)
    assert ran.returncode == 0
    assert ran.stderr == b""


def test_an_interrupt_ends_with_130(tmp_path):
    os.mkfifo(tmp_path / "a.csv")
    command = subprocess.Popen(
        [*CROSSENT, "fit", "a.csv", "--target", "y", "-o", "m"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    pipe = _writer(tmp_path / "a.csv", command)
    for _ in range(10):  # a signal between Python's open and its blocking read would wait for ever
        command.send_signal(signal.SIGINT)
        try:
            command.wait(timeout=3)
            break
        except subprocess.TimeoutExpired:
            continue
    _, told = command.communicate(timeout=10)
    os.close(pipe)
    assert command.returncode == 130
    assert told.strip() == "Interrupted."
    assert os.listdir(tmp_path) == ["a.csv"]


def _writer(pipe: Path, reader: subprocess.Popen[str]) -> int:
    """Opens a named pipe for writing as soon as the other process reads it."""
    for _ in range(6000):
        try:
            return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:  # nobody reads it yet
            assert reader.poll() is None, "the command ended before it read its file"
            time.sleep(0.01)
    reader.kill()
    raise AssertionError("the command did not read its file within a minute")


def test_an_interrupt_leaves_nothing_half_written(crossent, flowers, monkeypatch):
    def interrupted(model, source, sink, **options):
        sink.write({"p": [0.5]})
        raise KeyboardInterrupt

    crossent("fit", flowers, "--target", "kind", "-o", "m.safetensors")
    monkeypatch.setattr("crossent.cli.predict.predict_file", interrupted)
    ran = crossent("predict", "m.safetensors", flowers, "-o", "p.parquet")
    assert (ran.status, ran.err.strip()) == (130, "Interrupted.")
    assert sorted(os.listdir()) == ["flowers.parquet", "m.safetensors"]


def test_a_bug_is_one_line_and_a_log_file(crossent, monkeypatch, tmp_path):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("crossent.cli.losses.CARDS", None)
    ran = crossent("losses")
    assert ran.status == 70
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    assert line.startswith("Error: This is a bug in crossent, not in your data (TypeError:")
    (log,) = re.findall(r"in (\S+\.log);", line)
    text = Path(log).read_text()
    assert "Traceback" in text
    assert "['losses']" in text


def test_memory_that_runs_out_is_no_bug(crossent, monkeypatch):
    def greedy() -> str:
        raise MemoryError("Unable to allocate 1. PiB")

    monkeypatch.setattr("crossent.cli.losses._table", greedy)
    ran = crossent("losses")
    assert (ran.status, ran.out) == (2, "")
    assert "Not enough memory. Unable to allocate 1. PiB" in ran.err


@pytest.mark.parametrize("library", ["click", "rich"])
def test_a_missing_library_is_one_line_with_the_pip_command(library):
    program = f"import sys; sys.modules[{library!r}] = None; from crossent.cli import main; main(['losses'])"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr == (
        f"Error: The command line needs {library}, which is not installed. Run: pip install 'crossent[cli]'\n"
    )


@pytest.mark.parametrize("library", ["matplotlib", "jinja2"])
def test_a_report_without_its_libraries_is_refused_before_reading(crossent, monkeypatch, library):
    monkeypatch.setattr("crossent.cli.options.find_spec", lambda name: None if name == library else True)
    ran = crossent("score", "gone.csv", "--target", "y", "--report", "r.html")
    assert ran.status == 2
    assert ran.err == (
        f"Error: A report needs {library}, which is not installed. Run: pip install 'crossent[report]'\n"
    )


def test_main_ends_with_the_status(capsys):
    for words, status in ((["--version"], 0), (["score"], 2)):
        with pytest.raises(SystemExit) as ended:
            start.main(words)
        assert ended.value.code == status
    assert "crossent " in capsys.readouterr().out


def test_an_option_error_of_the_library_is_a_usage_error(crossent, monkeypatch):
    def refuse() -> str:
        raise OptionError("threads is 0")

    monkeypatch.setattr("crossent.cli.losses._table", refuse)
    ran = crossent("losses")
    assert (ran.status, ran.err) == (2, "Error: threads is 0\n")


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_colour_on_a_terminal_unless_unwanted(no_color, coloured):
    main_end, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "NO_COLOR": no_color}
    environment.pop("FORCE_COLOR", None)
    subprocess.run([*CROSSENT, "score"], stderr=terminal, stdout=terminal, env=environment, timeout=60, check=False)
    os.close(terminal)
    told = os.read(main_end, 10_000).decode()
    os.close(main_end)
    assert "Missing argument 'FILE'" in told
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]m", told)) is coloured


def test_progress_moves_on_a_terminal_only(tmp_path, predictions):
    main_end, terminal = pty.openpty()
    environment = {**os.environ, "TERM": "xterm"}
    words = [*CROSSENT, "score", "pets.csv", "--target", "y"]
    subprocess.run(
        words, stderr=terminal, stdout=subprocess.DEVNULL, cwd=tmp_path, env=environment, timeout=60, check=True
    )
    os.close(terminal)
    told = os.read(main_end, 100_000).decode()
    os.close(main_end)
    assert "scoring" in told


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [("CROSSENT_ISA", "v9", "this machine and build run"), ("CROSSENT_THREADS", "0", "a whole number >= 1 is allowed")],
)
def test_a_wrong_environment_is_one_message(process, name, value, hint):
    ran = process("show-config", **{name: value})
    assert ran.status == 2
    assert ran.out == ""
    assert ran.err.startswith(f"Error: {name} is '{value}'")
    assert hint in ran.err
    assert "Traceback" not in ran.err
