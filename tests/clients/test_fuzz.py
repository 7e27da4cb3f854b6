"""Generated input over the whole OpenAPI document, as schemathesis makes it.

For each role: whatever is sent, no answer is a failure of ours, none has a
status or a content type that the document does not name, and none breaks its
schema. The signs of a check that cannot fail are looked for as well.
"""

import json
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import salus_server

CHECKS = ",".join(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
# They would end the session that the others need.
LEFT_OUT = ["logout", "login"]


class Fuzz(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = salus_server.Server()

    @classmethod
    def tearDownClass(cls):
        cls.server.stop()

    def run_against(self, document, token, examples):
        """The report of a run and how many cases were sent."""
        command = [
            sys.executable,
            "-m",
            "schemathesis.cli",
            "run",
            str(document),
            "--url",
            self.server.url,
            "--header",
            f"Authorization: Bearer {token}",
            "--max-examples",
            str(examples),
            "--phases",
            "examples,coverage,fuzzing",
            "--checks",
            CHECKS,
            "--continue-on-failure",
            "--no-shrink",
            "--seed",
            "1",
            # Python's parser counts the depth of its recursion wrongly when two
            # threads parse at once, and the library gives up an operation then.
            "--workers",
            "1",
            "--warnings",
            "off",
            "--request-timeout",
            "60",
        ]
        for operation in LEFT_OUT:
            command += ["--exclude-operation-id", operation]
        with tempfile.TemporaryDirectory() as folder:
            run = subprocess.run(
                command,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=1200,
            )
        said = run.stdout + run.stderr
        sent = re.search(r"(\d+) generated", said)
        self.assertTrue(sent, said[-4000:])
        return run.returncode, int(sent.group(1)), said

    def holds(self, email, examples):
        token = self.server.sign_in(email)["access_token"]
        document = salus_server.ROOT / "adapters/rest/openapi.json"
        code, sent, said = self.run_against(document, token, examples)
        # What it could not do stands under errors, and what broke under failures.
        faults = re.search(r"=+ (ERRORS|FAILURES) =+.*", said, re.DOTALL)
        self.assertEqual(code, 0, faults[0][:6000] if faults else said[-6000:])
        operations = json.loads(document.read_text())["paths"]
        self.assertGreater(sent, 10 * len(operations))

    def test_a_super_admin_breaks_nothing(self):
        self.holds("super.admin@salus.example", 3)

    def test_a_provider_breaks_nothing(self):
        self.holds("maren.lindqvist@salus.example", 1)

    def test_a_broken_promise_would_be_found(self):
        document = salus_server.ROOT / "adapters/rest/openapi.json"
        document = json.loads(document.read_text())
        path = "/api/categories"
        # The document without the one answer that the operation gives.
        del document["paths"][path]["get"]["responses"]["200"]
        document["paths"] = {path: document["paths"][path]}
        token = self.server.sign_in("super.admin@salus.example")
        with tempfile.TemporaryDirectory() as folder:
            wrong = Path(folder) / "openapi.json"
            wrong.write_text(json.dumps(document))
            code, _, said = self.run_against(wrong, token["access_token"], 1)
        self.assertNotEqual(code, 0)
        self.assertIn("Undocumented status code", said)
