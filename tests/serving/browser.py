"""A browser without a screen, driven over its debugging protocol with the standard library only."""

import base64
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

PROGRAM = shutil.which("chromium") or shutil.which("google-chrome")


class Browser:
    def __init__(self, dark=False, width=1200, height=1300):
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        # Inter stands in for the fonts of a desktop (scripts/report_picture.sh).
        fonts = Path(self.folder.name) / "fonts.conf"
        same = "".join(f"<match target='pattern'><test name='family'><string>{name}</string></test><edit name='family' mode='assign' "
                       "binding='strong'><string>Inter</string></edit></match>" for name in ("system-ui", "ui-sans-serif"))
        fonts.write_text("<?xml version='1.0'?><!DOCTYPE fontconfig SYSTEM 'fonts.dtd'><fontconfig>"
                         f"<include>/etc/fonts/fonts.conf</include>{same}</fontconfig>")
        self.process = subprocess.Popen(
            [PROGRAM, "--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--remote-debugging-port=0",
             "--remote-allow-origins=*", f"--user-data-dir={self.folder.name}/profile", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=os.environ | {"FONTCONFIG_FILE": str(fonts)})
        for line in self.process.stderr:
            if found := re.search(r"DevTools listening on (ws://\S+)", line):
                break
        else:
            raise AssertionError("the browser did not start")
        self.number, self.events = 0, []
        address = urlsplit(found[1])
        self.socket = socket.create_connection((address.hostname, address.port), 120)
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET {address.path} HTTP/1.1\r\nHost: {address.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        reply = b""
        while not reply.endswith(b"\r\n\r\n"):
            reply += self.socket.recv(1)
        self.session = None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        data, mask = json.dumps(message).encode(), os.urandom(4)
        size = bytes([0x80 | 126]) + struct.pack(">H", len(data)) if 125 < len(data) < 65536 else (
            bytes([0x80 | len(data)]) if len(data) < 126 else bytes([0x80 | 127]) + struct.pack(">Q", len(data)))
        self.socket.sendall(b"\x81" + size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
        while True:
            reply = self._receive()
            if reply.get("id") == self.number:
                if "error" in reply:
                    raise AssertionError(reply["error"])
                return reply["result"]
            self.events.append(reply)

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise AssertionError("the browser is gone")
            data += more
        return data

    def _receive(self):
        text = b""
        while True:
            first, size = self._exactly(2)
            size &= 127
            size = struct.unpack(">H", self._exactly(2))[0] if size == 126 else struct.unpack(">Q", self._exactly(8))[0] if size == 127 else size
            text += self._exactly(size)
            if first & 0x80:
                return json.loads(text)

    def run(self, script):
        """The value of an expression on the page; promises are waited for."""
        reply = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in reply:
            raise AssertionError(reply["exceptionDetails"])
        return reply["result"].get("value")

    def wait(self, condition):
        self.run(f"new Promise(done => {{ const look = () => ({condition}) ? done() : setTimeout(look, 20); look(); }})")

    def picture(self, path):
        Path(path).write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def complaints(self):
        """What the page said that it should not."""
        return [e for e in self.events if e["method"] == "Runtime.exceptionThrown" or
                (e["method"] == "Log.entryAdded" and e["params"]["entry"]["level"] == "error")]

    def addresses(self):
        return [e["params"]["request"]["url"] for e in self.events if e["method"] == "Network.requestWillBeSent"]

    def close(self):
        self.socket.close()
        self.process.kill()
        self.process.stderr.close()
        self.process.wait()
        self.folder.cleanup()
