"""Models behind a URL: agon serve asked by score, embed and generate, runs that are killed, TLS, keys."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import unittest
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from server import PATIENCE, PROGRAM, Scratch, Server  # noqa: E402

KEY = "sk-test-0123456789"
CONTEXTS = ["Once upon a time, there was a little", "Lily saw a ", "", "Tim and Tom  ", "She said: \u20ac", "The end.\n"]
ENDINGS = [" girl named Lily", "big dog", " boy", " x", "\u20ac\u20ac", "."]


class Proxy:
    """Stands before a server, counts what is asked of it, and may hide what the server is, wait, speak TLS, or halve embeddings."""

    def __init__(self, port, hidden=False, delay=0.0, certificate=None):
        proxy = self
        self.hidden, self.delay, self.asked, self.keys, self.halved = hidden, delay, [], [], False

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def forward(self):
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                proxy.asked.append(f"{self.command} {self.path}")
                proxy.keys.append(self.headers.get("Authorization"))
                time.sleep(proxy.delay)
                if proxy.hidden and self.path == "/v1/models":
                    return self.give(404, b"{}")
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
                connection.request(self.command, self.path, body or None, {"Content-Type": "application/json"})
                reply = connection.getresponse()
                body = reply.read()
                if proxy.halved and self.path == "/v1/embeddings":
                    told = json.loads(body)
                    for one in told["data"]:
                        one["embedding"] = one["embedding"][::2]
                    body = json.dumps(told).encode()
                self.give(reply.status, body)
                connection.close()

            def give(self, status, body):
                try:
                    self.send_response(status)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the client was killed

            do_GET = do_POST = forward

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # refused handshakes
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if certificate else ''}://localhost:{self.server.server_port}/v1"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def posts(self):
        return [one for one in self.asked if one.startswith("POST")]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def clean_environment(**more):
    kept = {k: v for k, v in os.environ.items() if k not in ("AGON_API_KEY", "OPENAI_API_KEY", "SSL_CERT_FILE")}
    return kept | more


class Remote(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Server(cls.folder)
        cls.addClassCleanup(cls.server.stop)
        cls.url = cls.server.url + "/v1"
        items = [{"id": i, "context": c, "continuations": [e, e + " and"]}
                 for i, (c, e) in enumerate((c, e) for c in CONTEXTS for e in ENDINGS)]
        cls.count = len(items)
        cls.write("items.jsonl", items)
        cls.write("chats.jsonl", [{"messages": [{"role": "user", "content": "Who is Lily?"}], "continuations": ["A girl", "B"]}])
        cls.write("texts.jsonl", [{"id": i, "text": f"{c} {i}"} for i, c in enumerate(CONTEXTS * 5)])

    @classmethod
    def write(cls, name, rows):
        (cls.folder / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")

    def rows(self, name):
        return [json.loads(line) for line in (self.folder / name).read_text(encoding="utf-8").splitlines()]

    def proxy(self, **options):
        proxy = Proxy(self.server.port, **options)
        self.addCleanup(proxy.close)
        return proxy

    def agon(self, *words, code=0, **environment):
        run = subprocess.run([PROGRAM, *map(str, words)], cwd=self.folder, capture_output=True, text=True,
                             stdin=subprocess.DEVNULL, timeout=PATIENCE, env=clean_environment(**environment))
        self.assertEqual(run.returncode, code, run.stdout + run.stderr)
        self.assertNotIn(KEY, run.stdout + run.stderr)
        return run.stdout if code == 0 else run.stderr

    def check_near(self, got, expected, tokens=True):
        self.assertEqual(len(got), len(expected))
        for one, other in zip(got, expected):
            self.assertEqual(one["id"], other["id"])
            for a, b in zip(one["continuations"], other["continuations"], strict=True):
                self.assertAlmostEqual(a["logprob"], b["logprob"], delta=1e-5)
                self.assertEqual(len(a["token_logprobs"]), len(b["token_logprobs"]), (one, other))
                for x, y in zip(a["token_logprobs"], b["token_logprobs"]):
                    self.assertAlmostEqual(x, y, delta=1e-5)
                self.assertEqual(a["is_greedy"], b["is_greedy"])
                if tokens:
                    self.assertEqual(a["tokens"], b["tokens"])


class Equal(Remote):
    def test_score_is_the_embedded_score(self):
        for name in ("items", "chats"):
            self.agon("score", "-m", "stories.gguf", "--template", "chatml", f"{name}.jsonl", "-o", "local.jsonl")
            self.agon("score", "-m", self.url, f"{name}.jsonl", "-o", "remote.jsonl")
            self.check_near(self.rows("remote.jsonl"), self.rows("local.jsonl"))
            self.assertFalse((self.folder / "remote.jsonl.journal").exists())

    def test_score_by_echo(self):
        proxy = self.proxy(hidden=True)
        self.agon("score", "-m", "stories.gguf", "items.jsonl", "-o", "local.jsonl")
        self.agon("score", "-m", proxy.url, "--name", "stories", "items.jsonl", "-o", "remote.jsonl")
        self.check_near(self.rows("remote.jsonl"), self.rows("local.jsonl"), tokens=False)
        self.assertEqual(set(proxy.posts), {"POST /v1/completions"})
        says = self.agon("score", "-m", proxy.url, "--name", "stories", "chats.jsonl", code=1)
        self.assertIn("chats.jsonl: row 1, column 'messages'", says)

    def test_embeddings_and_answers(self):
        self.agon("embed", "-m", self.url, "texts.jsonl", "-o", "remote.jsonl")
        rows = self.rows("remote.jsonl")
        self.assertEqual([row["id"] for row in rows], list(range(30)))
        direct = self.server.post("/v1/embeddings", {"input": self.rows("texts.jsonl")[7]["text"]})
        self.assertEqual(set(rows[7]), {"id", "embedding"})
        for number, expected in zip(rows[7]["embedding"], direct["data"][0]["embedding"], strict=True):
            self.assertAlmostEqual(number, expected, delta=1e-7)
        for words in (["--raw", "Once upon a time", "-n", 20], ["Who is Lily?", "-n", 12],
                      ["--raw", "Lily was", "--choice", " happy, sad"]):
            local = self.agon("generate", "-m", "stories.gguf", *([] if "--raw" in words else ["--template", "chatml"]), *words)
            self.assertEqual(self.agon("generate", "-m", self.url, *words), local)
        schema = self.folder / "schema.json"
        schema.write_text('{"type": "array", "items": {"enum": [1, 2]}, "minItems": 2, "maxItems": 3}')
        answer = json.loads(self.agon("generate", "-m", self.url, "Numbers?", "-n", 60, "--json-schema", schema))
        self.assertIn(len(answer), (2, 3))


class Runs(Remote):
    def lines(self, path):
        return path.read_bytes().count(b"\n") - 1 if path.exists() else 0

    def test_a_killed_run_goes_on_and_pays_for_nothing_twice(self):
        """SIGKILL again and again; every request is sent once, but those that were in flight at a kill."""
        proxy = self.proxy(delay=0.01)
        words = [PROGRAM, "score", "-m", proxy.url, "items.jsonl", "-o", "out.jsonl", "--concurrency", "1"]
        journal = self.folder / "out.jsonl.journal"
        kept = kills = 0
        for goal in (3, 9, 20):
            run = subprocess.Popen(words, cwd=self.folder, env=clean_environment(), stderr=subprocess.PIPE)
            end = time.monotonic() + PATIENCE
            while len(proxy.posts) < goal and run.poll() is None and time.monotonic() < end:
                time.sleep(0.001)
            run.send_signal(signal.SIGKILL)
            run.stderr.close()
            self.assertEqual(run.wait(), -signal.SIGKILL)
            kills += 1
            self.assertGreaterEqual(self.lines(journal), kept)
            kept = self.lines(journal) // 2
            self.assertFalse((self.folder / "out.jsonl").exists())
        with open(journal, "ab") as file:  # as if the last write had been torn
            file.write(b'{"key":"0123')
        before = len(proxy.posts)
        self.assertLess(before, self.count)
        self.agon("score", "-m", proxy.url, "items.jsonl", "-o", "out.jsonl", "--concurrency", "1")
        self.assertLessEqual(len(proxy.posts), self.count + kills)
        self.assertEqual(len(proxy.posts) - before, self.count - kept)
        self.agon("score", "-m", "stories.gguf", "items.jsonl", "-o", "local.jsonl")
        self.check_near(self.rows("out.jsonl"), self.rows("local.jsonl"))
        self.assertFalse(journal.exists())

    def test_a_named_journal_is_kept_and_pays_once(self):
        proxy = self.proxy()
        words = ["embed", "-m", proxy.url, "texts.jsonl", "--journal", "named.journal", "--name", "stories"]
        first = self.agon(*words)
        sent = len(proxy.posts)
        self.assertEqual(self.agon(*words), first)
        self.assertEqual(len(proxy.posts), sent)
        text = (self.folder / "named.journal").read_text().splitlines()
        text[3] = text[3].replace("numbers", "nombres")
        (self.folder / "named.journal").write_text("\n".join(text) + "\n")
        self.assertIn("named.journal: row 4: a damaged line", self.agon(*words, code=1))

    def test_a_journal_is_for_one_run_at_a_time(self):
        proxy = self.proxy(delay=0.2)
        words = ["score", "-m", proxy.url, "items.jsonl", "-o", "both.jsonl", "--concurrency", "1"]
        first = subprocess.Popen([PROGRAM, *words], cwd=self.folder, env=clean_environment(), stderr=subprocess.PIPE)
        end = time.monotonic() + PATIENCE
        while not proxy.posts and time.monotonic() < end:
            time.sleep(0.001)
        self.assertIn("both.jsonl.journal: another run is using this journal", self.agon(*words, code=1))
        first.kill()
        first.stderr.close()
        first.wait()

    def test_budget(self):
        words = ["score", "-m", self.url, "items.jsonl", "-o", "budget.jsonl"]
        says = self.agon(*words, "--max-tokens-total", 300, code=1)
        self.assertRegex(says, r"stopped before the budget is exceeded: \d+ of 300 tokens are spent; finished items \(\d+\) "
                               r"are kept in budget.jsonl.journal, and the same command with a higher --max-tokens-total")
        self.assertFalse((self.folder / "budget.jsonl").exists())
        self.assertIn("--max-cost", self.agon(*words, "--max-cost", "0.000001", "--price-in", "1", code=1))
        self.agon(*words, "--max-cost", "5", "--price-in", "1", "--price-out", "2")
        self.assertEqual(len(self.rows("budget.jsonl")), self.count)
        self.assertIn("a budget without a place", self.agon("score", "-m", self.url, "items.jsonl", "--max-tokens-total", 9, code=2))
        self.assertIn("without a price", self.agon(*words, "--max-cost", 1, code=2))

    def test_a_full_disk_stops_before_more_is_paid(self):
        proxy = self.proxy()
        script = 'ulimit -f 2; exec "$0" "$@"'  # blocks of 1,024 bytes
        run = subprocess.run(["bash", "-c", f"trap '' XFSZ; {script}", PROGRAM, "score", "-m", proxy.url, "items.jsonl", "-o", "full.jsonl",
                              "--concurrency", "1"], cwd=self.folder, env=clean_environment(), capture_output=True, text=True)
        self.assertEqual(run.returncode, 1, run.stderr)
        self.assertIn("full.jsonl.journal: cannot write the journal: File too large", run.stderr)
        self.assertLess(len(proxy.posts), 10)
        before = len(proxy.posts)
        self.agon("score", "-m", proxy.url, "items.jsonl", "-o", "full.jsonl")
        self.assertEqual(len(proxy.posts), self.count + 1, before)  # the one that found no room


class Refused(Remote):
    def test_options_that_make_no_sense(self):
        for verb, words in (("score", ["--precision", "exact"]), ("score", ["--truncate"]), ("score", ["--perplexity", "items.jsonl"]),
                            ("embed", ["--layer", "2"]), ("embed", ["--pooling", "last"]), ("generate", ["--template", "chatml"]),
                            ("generate", ["--regex", "x"]), ("generate", ["--threads", "2"])):
            says = self.agon(verb, "-m", self.url, *([] if "--perplexity" in words or verb == "generate" else ["items.jsonl"]), *words, code=2)
            self.assertIn(f"{words[0]} is for model files", says)
        self.assertIn("--max-tries is for remote models", self.agon("score", "-m", "stories.gguf", "items.jsonl", "--max-tries", 2, code=2))
        self.assertIn("is a URL", self.agon("chat", "-m", self.url, code=2))
        self.assertIn("scheme 'ftp'", self.agon("score", "-m", "ftp://host/v1", "items.jsonl", code=2))

    def test_other_names(self):
        self.assertIn("no model 'other'", self.agon("score", "-m", self.url, "--name", "other", "items.jsonl", code=1))

    def test_keys(self):
        proxy = self.proxy()
        (self.folder / "key").write_text(KEY + "\n")
        words = ["embed", "-m", proxy.url, "--name", "stories", "texts.jsonl", "--journal"]
        for options, environment in ((["--key-file", "key"], {}), (["--key-env", "MY_KEY"], {"MY_KEY": KEY}), ([], {"AGON_API_KEY": KEY})):
            proxy.keys.clear()
            journal = f"key-{len(options)}-{len(environment)}.journal"
            self.agon(*words, journal, *options, **environment)
            self.assertEqual(set(proxy.keys), {f"Bearer {KEY}"})
            self.assertNotIn(KEY, (self.folder / journal).read_text())
        proxy.keys.clear()
        self.agon(*words, "none.journal", OPENAI_API_KEY=KEY)
        self.assertEqual(set(proxy.keys), {None})
        self.assertIn("MY_KEY is not set", self.agon(*words, "none.journal", "--key-env", "MY_KEY", code=1))
        far = ["score", "-m", "http://192.0.2.1/v1", "--name", "m", "items.jsonl"]
        self.assertIn("anybody on the way can read the key", self.agon(*far, code=2, AGON_API_KEY=KEY))

    def test_certificates_are_verified(self):
        pem = self.folder / "server.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", pem, "-out", self.folder / "cert.pem",
                        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"], check=True, capture_output=True)
        with open(pem, "ab") as file:
            file.write((self.folder / "cert.pem").read_bytes())
        proxy = self.proxy(certificate=pem)
        words = ["score", "-m", proxy.url, "--name", "stories", "items.jsonl"]
        says = self.agon(*words, code=1, AGON_API_KEY=KEY)
        self.assertIn("certificate", says)
        self.assertEqual(proxy.asked, [])
        expected = self.agon("score", "-m", self.url, "items.jsonl")
        self.assertEqual(self.agon(*words, "--ca-file", "cert.pem", AGON_API_KEY=KEY), expected)
        self.assertEqual(self.agon(*words, SSL_CERT_FILE="cert.pem"), expected)
        # Its name counts too.
        other = proxy.url.replace("localhost", "127.0.0.1")
        self.assertIn("certificate", self.agon("score", "-m", other, *words[3:], "--ca-file", "cert.pem", code=1))
        self.assertIn("missing.pem", self.agon(*words, "--ca-file", "missing.pem", code=1))


if __name__ == "__main__":
    unittest.main()
