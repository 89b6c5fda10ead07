"""Files are whole or not there: after errors, kills, full disks, and where nothing can be written."""

import os
import signal
import stat
import subprocess
import sys
import textwrap

import pytest

import crossent.rows.filesafe as filesafe
from crossent.errors import DataError
from crossent.rows import atomic_write, check_writable


def test_a_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.bin"
    for content in (b"old", b"new content"):
        with atomic_write(path) as file:
            file.write(content)
            assert os.path.dirname(file.name) == str(tmp_path)
        assert path.read_bytes() == content
        assert os.listdir(tmp_path) == ["a.bin"]


def fail_half_way(file, error):
    file.write(b"half")
    raise error("in the body")


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(error), atomic_write(path) as file:
        fail_half_way(file, error)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.bin"]


def test_the_old_file_is_seen_until_the_end(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with atomic_write(path) as file:
        file.write(b"new")
        file.flush()
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new"


def test_an_error_about_another_file_stays_what_it_is(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "a"):
        (tmp_path / "missing").read_bytes()
    assert os.listdir(tmp_path) == []


def test_permissions_follow_the_umask_or_the_old_file(tmp_path):
    old = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "new"):
            pass
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o640
    os.chmod(tmp_path / "new", 0o600)
    with atomic_write(tmp_path / "new"):
        pass
    assert stat.S_IMODE(os.stat(tmp_path / "new").st_mode) == 0o600


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").write_bytes(b"old")
    (tmp_path / "link").symlink_to("real")
    with atomic_write(tmp_path / "link") as file:
        file.write(b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"new"


@pytest.mark.parametrize("attempt", [check_writable, lambda path: atomic_write(path).__enter__()])
def test_places_that_cannot_be_written(tmp_path, attempt):
    (tmp_path / "file").write_bytes(b"")
    for path, reason in [
        (tmp_path / "nowhere" / "a", "the folder does not exist; create it first"),
        (tmp_path / "file" / "a", "not a folder"),
        (tmp_path, "it is a folder; give a file name"),
        (tmp_path / ("x" * 300), "the name is too long"),
    ]:
        with pytest.raises(DataError, match=reason) as caught:
            attempt(path)
        assert str(caught.value).startswith(f"Cannot write {path}: ")
    assert os.listdir(tmp_path) == ["file"]


def test_no_permission(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(filesafe.os, "access", lambda *_: False)
    for attempt in (check_writable, lambda path: atomic_write(path).__enter__()):
        with pytest.raises(DataError, match="permission denied; choose a folder you may write to"):
            attempt(path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(tmp_path):
    os.chmod(tmp_path, 0o500)
    try:
        with pytest.raises(DataError, match="permission denied"):
            check_writable(tmp_path / "a")
    finally:
        os.chmod(tmp_path, 0o700)


def test_check_writable_leaves_no_trace(tmp_path):
    path = tmp_path / "a"
    check_writable(path)
    assert os.listdir(tmp_path) == []
    path.write_bytes(b"old")
    check_writable(path)
    assert path.read_bytes() == b"old"


def test_a_failing_rename_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a"
    path.write_bytes(b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(filesafe.os, "replace", refuse)
    with pytest.raises(DataError, match="the disk is full"), atomic_write(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
def test_devices_are_written_straight_through():
    check_writable("/dev/full")
    with (
        pytest.raises(DataError, match="Cannot write /dev/full: the disk is full"),
        atomic_write("/dev/full") as file,
    ):
        file.write(b"x")
    with atomic_write("/dev/null") as file:
        file.write(b"x")
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)


def run(code, folder, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **options,
    )


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_killed_in_the_middle(tmp_path, sent):
    (tmp_path / "a.parquet").write_bytes(b"old")
    code = """
    import time
    import numpy as np
    from crossent.rows import open_sink
    with open_sink("a.parquet") as sink:
        sink.write({"x": np.zeros(100_000)})
        print("ready", flush=True)
        time.sleep(60)
    """
    with run(code, tmp_path) as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(sent)
        process.communicate(timeout=30)
    assert process.returncode != 0
    assert (tmp_path / "a.parquet").read_bytes() == b"old"
    if sent == signal.SIGINT:
        assert os.listdir(tmp_path) == ["a.parquet"]


@pytest.mark.parametrize("name", ["a.parquet", "a.csv"])
def test_no_more_room(tmp_path, name):
    pytest.importorskip("resource")
    (tmp_path / name).write_bytes(b"old")
    code = f"""
    import resource
    import numpy as np
    from crossent.errors import DataError
    from crossent.rows import open_sink
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    try:
        with open_sink("{name}") as sink:
            for seed in range(10):
                sink.write({{"x": np.random.default_rng(seed).normal(size=100_000)}})
    except DataError as error:
        print(error)
    """
    with run(code, tmp_path) as process:
        said, problems = process.communicate(timeout=60)
    assert said.startswith(f"Cannot write {name}: the file would exceed the size limit; raise the limit or ")
    assert problems == ""
    assert (tmp_path / name).read_bytes() == b"old"
    assert os.listdir(tmp_path) == [name]
