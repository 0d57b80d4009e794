"""A running `agon serve` for tests: on a free port, with the bundled tiny model, and asked by hand."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/data/models"
# Nothing is measured: the bound only ends a test that hangs.
PATIENCE = 120


def make_model(folder):
    """stories260K as folder/stories.gguf: a vocabulary of 512 and a context of 512."""
    subprocess.run([PROGRAM, "model", "convert", "--from", "llama2c", MODELS / "stories260K.bin", MODELS / "tok512.bin",
                    "-o", Path(folder) / "stories.gguf"], check=True, capture_output=True)
    return Path(folder) / "stories.gguf"


class Server:
    """With another template, since the model has none of its own."""

    def __init__(self, folder, *options, models=("stories.gguf",)):
        words = [PROGRAM, "serve", "--port", "0", "--template", "chatml", "--threads", "2"]
        for model in models:
            words += ["-m", model]
        self.process = subprocess.Popen([*words, *map(str, options)], cwd=folder, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.said = ""
        for line in self.process.stdout:
            self.said += line
            if found := re.search(r"Listening at http://(\S+):(\d+)", line):
                self.host, self.port = found[1].strip("[]"), int(found[2])
                break
        else:
            raise AssertionError(f"the server did not start: {self.process.stderr.read()}")
        self.errors = ""
        self.readers = [threading.Thread(target=self._read, args=(stream, name), daemon=True)
                        for stream, name in ((self.process.stdout, "said"), (self.process.stderr, "errors"))]
        for reader in self.readers:
            reader.start()

    def _read(self, stream, name):
        for line in stream:
            setattr(self, name, getattr(self, name) + line)
        stream.close()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}"

    def stop(self):
        """Asks it to stop and returns its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def wait(self):
        try:
            code = self.process.wait(PATIENCE)
        finally:
            self.process.kill()
        for reader in self.readers:
            reader.join()
        return code

    def connection(self):
        return http.client.HTTPConnection(self.host, self.port, timeout=PATIENCE)

    def ask(self, method, path, body=None, headers=()):
        """(status, headers, body as JSON where it is that)."""
        connection = self.connection()
        try:
            data = body if isinstance(body, (bytes, str, type(None))) else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json", **dict(headers)})
            reply = connection.getresponse()
            text = reply.read()
            is_json = reply.getheader("Content-Type", "").startswith("application/json")
            return reply.status, dict(reply.getheaders()), json.loads(text) if is_json and text else text.decode()
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers=headers)

    def post(self, path, body, **headers):
        status, _, reply = self.ask("POST", path, body, headers)
        if status != 200:
            raise AssertionError(f"{path}: {status} {reply}")
        return reply

    def stream(self, path, body, **headers):
        """The events of a streamed answer, without the last, which has to be [DONE]."""
        status, given, text = self.ask("POST", path, {**body, "stream": True}, headers)
        assert status == 200 and given["Content-Type"] == "text/event-stream", (status, text)
        events = text.split("\n\n")
        assert events[-1] == "" and events[-2] == "data: [DONE]", text[-500:]
        return [json.loads(event.removeprefix("data: ")) for event in events[:-2]]

    def raw(self, data, end=True):
        """Sends bytes as they are and returns all that comes until the server closes."""
        with socket.create_connection((self.host, self.port), PATIENCE) as client:
            try:
                client.sendall(data)
            except OSError:
                pass  # refused before it was all sent
            if not end:
                return b""
            text = b""
            while chunk := client.recv(65536):
                text += chunk
            return text

    def metric(self, name):
        """A number of /metrics, by its name with its labels; 0 when it is not there yet."""
        status, _, text = self.get("/metrics")
        assert status == 200
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE)
        return float(found[1]) if found else 0.0

    def until(self, condition, what):
        """Waits for something to become true."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end:
                raise AssertionError(f"never came: {what}")
            time.sleep(0.01)


def scratch():
    return tempfile.TemporaryDirectory()


class Scratch(unittest.TestCase):
    """Tests in a folder of their own, with the tiny model in it."""

    @classmethod
    def setUpClass(cls):
        folder = scratch()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.model = make_model(cls.folder)
