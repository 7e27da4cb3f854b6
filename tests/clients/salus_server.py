"""A server of the built binary for the checks, and the calls that they make.

The binary is named by SALUS_BINARY. Every server runs on a temporary folder
and a free port of its own and is stopped by its own process id.
"""

import contextlib
import functools
import json
import os
import queue
import secrets
import shutil
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
BINARY = os.environ.get("SALUS_BINARY", "")
# The password of the seeded staff.
PASSWORD = secrets.token_hex(12)
# Vendors' keys that the server is configured with, as an operator would, so
# that a vendor's own client can hold them too.
STRIPE_KEY = f"sk_test_{secrets.token_hex(16)}"
STRIPE_WEBHOOK_SECRET = f"whsec_{secrets.token_hex(16)}"
OPENTOK_KEY = "47112233"
OPENTOK_SECRET = secrets.token_hex(20)

START_SECONDS = 180
STOP_SECONDS = 60

_running = []


def eventually(what, probe, seconds=60):
    """Asks until `probe` has a value, and gives it."""
    deadline = time.monotonic() + seconds
    while True:
        found = probe()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {seconds} s in vain for {what}")
        time.sleep(0.05)


class NotUp(Exception):
    """A server did not start, so that nothing can be checked."""


class Server:
    """`salus serve --demo` with these settings of the environment."""

    def __init__(self, **settings):
        self.folder = Path(tempfile.mkdtemp(prefix="salus-clients-"))
        # The private cluster runs as another user when root starts it, and
        # that user has to come through.
        self.folder.chmod(0o755)
        self.data_dir = self.folder / "data"
        self.log = self.folder / "server.log"
        self.process = None
        self.session = requests.Session()
        _running.append(self)
        inherited = {
            name: value
            for name, value in os.environ.items()
            if name == "SALUS_PG_BIN"
            or not (name.startswith("SALUS_") or name == "DATABASE_URL")
        }
        self.environment = {
            **inherited,
            **settings,
            "SALUS_DEMO_PASSWORD": PASSWORD,
            "SALUS_TELEMETRY__LOG": "warn",
            "SALUS_SERVER__INTERNAL_LISTEN": "127.0.0.1:0",
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    BINARY,
                    "serve",
                    "--demo",
                    "--port",
                    "0",
                    "--data-dir",
                    str(self.data_dir),
                ],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        self.url, self.internal = self._announced()

    def _announced(self):
        """The two addresses that the server prints once it is up."""
        url = None
        lines = queue.Queue()

        def read():
            for line in self.process.stdout:
                lines.put(line.split())
            lines.put(None)

        threading.Thread(target=read, daemon=True).start()
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                words = lines.get(
                    timeout=max(0.0, deadline - time.monotonic())
                )
            except queue.Empty:
                raise NotUp("the server does not come up") from None
            if words is None:
                raise NotUp("the server ended before it was up")
            if words[:1] == ["API"]:
                url = words[1].removesuffix("/api")
            if words[:1] == ["health"]:
                return url, words[1].removesuffix("/health")

    def stop(self):
        """Stops it as an operator does, and says whether it ended well."""
        _running.remove(self)
        code = None
        if self.process is not None:
            self.process.terminate()
            try:
                code = self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.session.close()
        shutil.rmtree(self.folder, ignore_errors=True)
        return code == 0

    def call(self, method, path, body=None, *, token=None, key=None, **more):
        headers = dict(more.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if key:
            headers["Idempotency-Key"] = key
        return self.session.request(
            method,
            self.url + path,
            json=body,
            headers=headers,
            timeout=30,
            **more,
        )

    def done(self, method, path, body=None, **more):
        """A call that has to succeed; gives its JSON."""
        answer = self.call(method, path, body, **more)
        if not answer.ok:
            raise AssertionError(
                f"{method} {path}: {answer.status_code}: {answer.text[:600]}"
            )
        return answer.json() if answer.content else None

    def sign_in(self, email, password=PASSWORD):
        return self.done(
            "POST", "/api/auth/login", {"email": email, "password": password}
        )

    def emulator(self, vendor):
        """The address of a vendor's emulator."""
        health = self.session.get(f"{self.internal}/health", timeout=30)
        for entry in health.json()["vendors"]:
            if entry["name"] == vendor and entry["emulator"]:
                return entry["emulator"]
        raise AssertionError(f"{vendor} is not emulated")

    def control(self, vendor, method, path, body=None):
        """A call to the control surface of a vendor's emulator."""
        url = f"{self.emulator(vendor)}/_control{path}"
        answer = self.session.request(method, url, json=body, timeout=30)
        if not answer.ok:
            raise AssertionError(f"{method} {url}: {answer.status_code}")
        return answer.json() if answer.content else None

    @functools.cached_property
    def walked(self):
        """Where the demo left what it brought home, after ten good steps."""
        out = self.folder / "demo-out"
        walk = subprocess.run(
            [
                BINARY,
                "demo",
                "--url",
                self.url,
                "--internal",
                self.internal,
                "--out",
                str(out),
            ],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=600,
        )
        if walk.returncode != 0:
            raise AssertionError(
                f"the demo failed: {walk.stdout}{walk.stderr}"
            )
        return out


@functools.cache
def shared():
    """The server that most checks use: all vendors emulated, with our keys."""
    return Server(
        SALUS_EMULATORS=json.dumps(["stripe", "opentok"]),
        SALUS_STRIPE__SECRET_KEY=STRIPE_KEY,
        SALUS_STRIPE__WEBHOOK_SECRET=STRIPE_WEBHOOK_SECRET,
        SALUS_OPENTOK__API_KEY=OPENTOK_KEY,
        SALUS_OPENTOK__API_SECRET=OPENTOK_SECRET,
    )


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:12]}"


def logs():
    """The end of what each running server said."""
    for server in _running:
        with contextlib.suppress(OSError):
            lines = server.log.read_text(errors="replace").splitlines()
            yield from lines[-20:]


def stop_all():
    """Stops every server; says whether all ended well."""
    return all([server.stop() for server in list(_running)])
