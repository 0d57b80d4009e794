"""A language model behind a URL that reads the answers: a server that fails on purpose, and runs that end early."""

import hashlib
import http.server
import json
import os
import subprocess
import tempfile
import threading
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
HEAD = 32  # bytes before a predictor's checksum
VOTES = Path(__file__).resolve().parents[1] / "data/votes/lmsys_sample.csv"


class Server:
    """Embeds texts by their letters. From request `good` on it does what `fault` says."""

    def __init__(self):
        self.good, self.fault = 10**9, None
        self.answered, self.asked, self.stalled, self.release = [], 0, threading.Event(), threading.Event()
        self.keys = set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.keys.add(self.headers["Authorization"])
                outer.asked += 1
                if outer.asked > outer.good:
                    if outer.fault == "stall":
                        outer.stalled.set()
                        outer.release.wait(60)
                        return
                    return self.answer(400, {"error": {"message": "no more"}})
                outer.answered += body["input"]
                data = [{"index": i, "embedding": [len(t) / 100, t.count("e") / 10, t.count("a") / 10]}
                        for i, t in enumerate(body["input"])]
                self.answer(200, {"model": body["model"], "data": data, "usage": {"prompt_tokens": 10, "total_tokens": 10}})

            def answer(self, status, value):
                text = json.dumps(value).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.http.server_port}/v1"

    def behave(self, good=10**9, fault=None):
        self.good, self.fault, self.asked = good, fault, 0

    def close(self):
        self.release.set()
        self.http.shutdown()
        self.http.server_close()


def with_sum(model):
    """A predictor's file, changed, with the checksum of what it holds now: see model_file.cpp."""
    return bytes(model[:HEAD]) + hashlib.sha256(model[HEAD + 64:]).hexdigest().encode() + bytes(model[HEAD + 64:])


class LmRemote(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.folder = Path(temporary.name)
        self.server = Server()
        self.addCleanup(self.server.close)
        self.environment = {k: v for k, v in os.environ.items() if k != "AGON_API_KEY"}

    def words(self, *words):
        return [PROGRAM, *map(str, words), "--lm-cache", "cache", "--concurrency", "1"]

    def agon(self, *words, expect=0):
        run = subprocess.run(self.words(*words), cwd=self.folder, capture_output=True, text=True, timeout=300, env=self.environment)
        self.assertEqual(run.returncode, expect, (words, run.stderr))
        return run

    def lm(self):
        return ["--lm", self.server.url, "--name", "m", "--lm-keep-all"]

    def journals(self):
        return sorted(self.folder.glob("cache/*.journal"))

    def trained(self):
        self.agon("train", VOTES, *self.lm(), "--no-cv", "-o", "p.agon")
        self.server.answered.clear()
        for rows in self.folder.glob("cache/*.rows"):
            rows.unlink()
        return self.folder / "p.agon"

    def test_a_failed_training_without_an_output_pays_for_nothing_twice(self):
        self.server.behave(good=3)
        failed = self.agon("train", VOTES, *self.lm(), expect=1)
        self.assertIn("finished items", failed.stderr)
        self.assertEqual(len(self.journals()), 1)
        self.assertIn(str(self.journals()[0].relative_to(self.folder)), failed.stderr)
        first = len(self.server.answered)
        self.assertGreater(first, 16)
        self.server.behave()
        self.agon("train", VOTES, *self.lm())
        self.assertGreater(len(self.server.answered), first)
        self.assertEqual(len(self.server.answered), len(set(self.server.answered)))
        self.assertEqual(self.journals(), [])

    def test_killed_predictions_and_evaluations_too(self):
        predictor = self.trained()
        for words in (["predict", predictor, VOTES], ["evaluate", predictor, VOTES]):
            self.server.behave(good=2, fault="stall")
            self.server.stalled.clear()
            self.server.answered.clear()
            run = subprocess.Popen(self.words(*words), cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=self.environment)
            self.assertTrue(self.server.stalled.wait(60))
            run.kill()
            run.wait()
            self.assertEqual(len(self.journals()), 1)
            self.server.behave()
            self.agon(*words)
            self.assertEqual(len(self.server.answered), len(set(self.server.answered)))
            self.assertEqual(self.journals(), [])
            for rows in self.folder.glob("cache/*.rows"):
                rows.unlink()

    def test_runs_of_other_files_have_other_journals(self):
        predictor = self.trained()
        copy = self.folder / "copy.csv"
        copy.write_bytes(VOTES.read_bytes())
        self.server.behave(good=2, fault="stall")
        self.server.stalled.clear()
        first = subprocess.Popen(self.words("predict", predictor, VOTES), cwd=self.folder, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=self.environment)
        self.assertTrue(self.server.stalled.wait(60))
        again = self.agon("predict", predictor, VOTES, expect=1)
        self.assertIn("another run is using this journal", again.stderr)
        self.server.behave()
        self.agon("predict", predictor, copy)
        self.assertEqual(len(self.journals()), 1)
        first.kill()
        first.wait()

    def test_a_budget_needs_a_journal_and_has_one_in_the_cache(self):
        stopped = self.agon("train", VOTES, *self.lm(), "--max-tokens-total", 1, expect=1)
        self.assertIn("stopped before the budget is exceeded", stopped.stderr)
        predictor = self.trained()
        run = subprocess.run([PROGRAM, "evaluate", predictor, VOTES, "--lm-cache", "none", "--max-tokens-total", "1"],
                             cwd=self.folder, capture_output=True, text=True, timeout=300, env=self.environment)
        self.assertEqual(run.returncode, 2, run.stderr)
        self.assertIn("--journal FILE, or a folder for --lm-cache", run.stderr)
        self.assertNotIn("-o OUT", run.stderr)

    def test_a_predictor_does_not_choose_where_texts_and_keys_go(self):
        predictor = self.trained()
        self.agon("predict", predictor, VOTES)  # this machine is used unasked
        self.assertTrue(self.server.answered)
        self.server.answered.clear()
        self.server.keys.clear()
        # The same predictor with another machine's URL of the same length in it; 127.0.0.1 is not that machine.
        url = self.server.url.encode()
        other = url.replace(b"127.0.0.1", b"192.0.2.1")
        moved = bytearray(predictor.read_bytes())
        self.assertIn(url, moved)
        moved_path = self.folder / "moved.agon"
        moved_path.write_bytes(with_sum(moved.replace(url, other)))
        self.environment["AGON_API_KEY"] = "sk-secret"
        for words in (["predict", moved_path, VOTES], ["evaluate", moved_path, VOTES]):
            run = self.agon(*words, "--max-tries", 1, "--connect-timeout", 1, expect=2)
            self.assertIn(f"at {other.decode()}, which is another machine", run.stderr)
            self.assertIn(f"--lm {other.decode()} if that is meant", run.stderr)
            self.assertNotIn("sk-secret", run.stderr)


if __name__ == "__main__":
    unittest.main()
