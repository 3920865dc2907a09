"""Real database servers for tests, each with files and a port of its own."""

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

USER, PASSWORD, DATABASE = "sweeper", "pa55-w0rd!of the test", "sweeps"
QUOTED = "pa55-w0rd%21of%20the%20test"


def free_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return taken.getsockname()[1]


@contextlib.contextmanager
def folder_of(user):
    """Make a folder that a server's user may write."""
    folder = Path(tempfile.mkdtemp(prefix="server-"))
    try:
        if os.geteuid() == 0:
            entry = pwd.getpwnam(user)
            os.chown(folder, entry.pw_uid, entry.pw_gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def as_user(user):
    """Return how a command is run as a server's user: neither server runs for root."""
    return {"user": user, "group": user, "extra_groups": []} if os.geteuid() == 0 else {}


@contextlib.contextmanager
def postgresql():
    """Start PostgreSQL; yield an address with its password."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    if not programs:
        pytest.skip("PostgreSQL's server (Debian package postgresql) is not installed")
    bin, port = programs[-1].parent, free_port()
    with folder_of("postgres") as folder:
        own = {**as_user("postgres"), "cwd": folder, "stdout": subprocess.DEVNULL}
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        init = [bin / "initdb", "-D", folder / "data", "-U", USER, "--pwfile", folder / "password", "-N"]
        subprocess.run([*init, "--auth=scram-sha-256", "--encoding=UTF8"], check=True, **own)
        server = subprocess.Popen(
            [bin / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder, "-h", "127.0.0.1"],
            stderr=subprocess.DEVNULL,
            **own,
        )
        try:
            ready = [bin / "pg_isready", "-h", "127.0.0.1", "-p", str(port), "-q"]
            wait(lambda: subprocess.run(ready).returncode == 0)
            make = [bin / "createdb", "-h", "127.0.0.1", "-p", str(port), "-U", USER, DATABASE]
            subprocess.run(make, check=True, env={**os.environ, "PGPASSWORD": PASSWORD}, cwd=folder)
            yield f"postgresql://{USER}:{QUOTED}@127.0.0.1:{port}/{DATABASE}"
        finally:
            stop(server)


@contextlib.contextmanager
def mariadb():
    """Start MariaDB, which speaks as MySQL does; yield an address with its password."""
    server_program = shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server_program is None:
        pytest.skip("MariaDB's server (Debian package mariadb-server) is not installed")
    port = free_port()
    with folder_of("mysql") as folder:
        own = {**as_user("mysql"), "cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        data = f"--datadir={folder / 'data'}"
        subprocess.run(["mariadb-install-db", "--no-defaults", data, "--skip-test-db"], check=True, **own)
        start = folder / "start.sql"
        start.write_text(
            f"CREATE DATABASE {DATABASE}; CREATE USER {USER}@'127.0.0.1' IDENTIFIED BY '{PASSWORD}';"
            f"GRANT ALL ON {DATABASE}.* TO {USER}@'127.0.0.1';\n".replace("; ", ";\n").replace(";G", ";\nG")
        )
        start.chmod(0o644)
        listen = ["--bind-address=127.0.0.1", f"--port={port}", f"--socket={folder / 'socket'}"]
        server = subprocess.Popen(
            [server_program, "--no-defaults", data, f"--init-file={start}", "--skip-name-resolve", *listen],
            **own,
        )
        try:
            wait(lambda: listens(port))
            yield f"mysql://{USER}:{QUOTED}@127.0.0.1:{port}/{DATABASE}"
        finally:
            stop(server)


def listens(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def wait(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the server does not start"
        time.sleep(0.1)


def stop(server):
    # PostgreSQL would wait for its clients on SIGTERM.
    server.send_signal(signal.SIGINT if "postgres" in str(server.args[0]) else signal.SIGTERM)
    try:
        server.wait(10)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()
