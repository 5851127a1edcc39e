"""The process: what a start makes, what it says, how it ends, and who may own a data directory."""

from __future__ import annotations

import fcntl
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2

from processes import Gateway, end, environment, gateway, started, until


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_first_start_makes_a_private_directory_with_private_files(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        assert mode(running.data) == 0o700
        files = [path for path in running.data.iterdir() if path.is_file() or path.is_socket()]
        assert {path.name for path in files} >= {"master.key", "wakeline.db", "wakeline.sock"}
        assert {path.name: oct(mode(path)) for path in files} == {path.name: oct(0o600) for path in files}
        assert httpx2.get(f"{running.address}/readyz", trust_env=False, timeout=60).status_code == 200


def test_sigterm_ends_with_0_and_takes_the_socket_away(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        assert running.process is not None
        assert running.stop() == 0
        assert running.process.stdout is not None
        assert not (running.data / "wakeline.sock").exists()
    assert [line["event"] for line in running.events("service.drained")] == ["service.drained"]


def test_serving_is_said_in_one_line_on_stderr_and_nothing_on_stdout(tmp_path: Path) -> None:
    running = Gateway(tmp_path)
    with (tmp_path / "out").open("wb") as out, (tmp_path / "err").open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "wakeline", "serve", "--config", str(running.config)],
            env=environment({"WAKELINE_LOGS__LEVEL": "error"}),
            stdout=out,
            stderr=err,
        )
        try:
            until(lambda: (tmp_path / "err").read_text() or None, "it says something")
        finally:
            code = end(process)
    assert code == 0
    assert (tmp_path / "out").read_bytes() == b""
    (line,) = (tmp_path / "err").read_text().splitlines()
    assert line.startswith("Wakeline serves on http://127.0.0.1:")


def test_a_second_gateway_on_the_same_data_is_refused_with_exit_code_5(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        done = running.cli("serve")
    assert done.returncode == 5
    assert "Another process" in done.stderr or "owns" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_address_in_use_is_exit_code_5_with_its_fix(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        running = Gateway(tmp_path)
        running.config.write_text(running.config.read_text().replace("127.0.0.1:0", address))
        done = running.cli("serve")
    assert done.returncode == 5
    assert address in done.stderr
    assert "[server] listen" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_of_a_newer_release_is_refused_and_not_touched(tmp_path: Path) -> None:
    running = Gateway(tmp_path)
    assert running.cli("db", "migrate").returncode == 0
    database = running.data / "wakeline.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version")
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        (table,) = [name for name in tables if "migration" in name]
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        row = dict(zip(columns, connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone(), strict=True))  # noqa: S608
        row[columns[0]] = 9999
        marks = ", ".join("?" for _ in columns)
        connection.execute(f"INSERT INTO {table} VALUES ({marks})", list(row.values()))  # noqa: S608 - names from the schema
    connection.close()
    done = running.cli("serve")
    assert done.returncode == 4
    assert "newer" in done.stderr
    assert "Traceback" not in done.stderr


def test_sighup_swaps_settings_and_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    with gateway(tmp_path) as running:
        assert running.process is not None
        right = running.config.read_text()
        running.config.write_text(right + "[queue]\nmax_pending = 7\n")
        running.process.send_signal(signal.SIGHUP)
        until(lambda: running.events("settings.reloaded") or None, "the reload is logged")
        assert running.json("queue", "show")["max_pending"] == 7
        running.config.write_text("[queue]\nmax_pending = 'many'\n")
        running.process.send_signal(signal.SIGHUP)
        (refused,) = until(lambda: running.events("settings.refused") or None, "the refusal is logged")
        assert "queue.max_pending" in refused["detail"]
        assert httpx2.get(f"{running.address}/readyz", trust_env=False, timeout=60).status_code == 200
        running.config.write_text(right)
        assert running.json("queue", "show")["max_pending"] == 7


def test_systemd_is_told_of_every_step(tmp_path: Path) -> None:
    address = tmp_path / "n"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(address))
        manager.settimeout(30)
        with started(Gateway(tmp_path), {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "600000000"}) as running:
            assert running.process is not None
            heard = [manager.recv(300).decode() for _ in range(2)]
            running.process.send_signal(signal.SIGHUP)
            heard += [manager.recv(300).decode() for _ in range(2)]
            assert running.stop() == 0
        heard.append(manager.recv(300).decode())
    words = [message.splitlines()[0] for message in heard]
    assert words == ["READY=1", "WATCHDOG=1", "RELOADING=1", "READY=1", "STOPPING=1"]
    assert "MONOTONIC_USEC=" in heard[2]


def test_a_gateway_and_commands_started_at_once_wait_for_each_other(tmp_path: Path) -> None:
    running = Gateway(tmp_path)
    running.data.mkdir(mode=0o700)
    create = [sys.executable, "-m", "wakeline", "key", "create", "--scope", "read", "--config", str(running.config)]
    with (running.data / "wakeline.lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        command = subprocess.Popen(create, env=environment(), stdout=subprocess.DEVNULL)
        with ThreadPoolExecutor(1) as pool:
            started = pool.submit(running.start)
            until(lambda: running.events("service.starting") if running.log.exists() else None, "the gateway starts")
            assert running.cli("config", "check").returncode == 0
            fcntl.flock(lock, fcntl.LOCK_UN)
            started.result(60)
    assert command.wait(60) == 0
    assert running.stop() == 0
    assert len(running.json("key", "list")["keys"]) == 1
