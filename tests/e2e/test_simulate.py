"""`wakeline simulate` as its users start it."""

from __future__ import annotations

import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import httpx2

from processes import end, environment


def test_it_says_one_line_of_json_and_nothing_more(tmp_path: Path) -> None:
    flags = ["--apns-port", "0", "--fcm-port", "0", "--control-port", "0", "--state-dir", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "wakeline", "simulate", *flags],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        assert httpx2.get(f"{ready['control']}/counts", trust_env=False, timeout=60).status_code == 200
        with socket.create_connection(("127.0.0.1", ready["apns_port"]), 30) as plain:
            trust.set_alpn_protocols(["h2"])
            with trust.wrap_socket(plain, server_hostname="localhost") as secure:
                assert secure.selected_alpn_protocol() == "h2"
        process.terminate()
        assert process.wait(30) == 0
        assert process.stdout.read() == ""
    finally:
        end(process)


def test_a_port_in_use_is_exit_code_5(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "wakeline", "simulate", "--apns-port", port, "--state-dir", str(tmp_path)],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 5
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
