"""A predictor whose language model is behind a URL: trained, killed, gone on with, and used again."""

import csv
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from remote_test import Remote, clean_environment  # noqa: E402
from server import MODELS, PATIENCE, PROGRAM, ROOT, Server  # noqa: E402

VOTES = ROOT / "tests/data/votes/lmsys_sample.csv"
BUDGET = ["--lm-prompt-tokens", 8, "--lm-answer-tokens", 16]
BLOCKS = ["states", "likelihood", "verdict", "reward"]
COLUMNS = ["id", "winner_model_a", "winner_model_b", "winner_tie"]


class RemotePredictor(Remote):
    def train(self, url, *words, code=0):
        return self.agon("train", VOTES, "--lm", url, "--name", "stories", *BUDGET, "--lm-keep-all", *words, code=code)

    def predictions(self, *words):
        rows = list(csv.DictReader(self.agon("predict", *words).splitlines()))
        self.assertEqual(list(rows[0]), COLUMNS)
        return rows

    def test_every_block_of_a_server_is_read_once(self):
        proxy = self.proxy()
        words = ["--lm-blocks", ",".join(BLOCKS), "--lm-cache", "all-cache", "-o", "all.agon"]
        first = self.train(proxy.url, *words)
        for block in BLOCKS:
            self.assertRegex(first, rf"\n  {block}: [+-]\d\.\d{{4}} ")
        asked = {one.split()[1] for one in proxy.posts}
        self.assertLessEqual({"/v1/embeddings", "/v1/rerank"}, asked)
        proxy.asked.clear()
        again = self.train(proxy.url, *words[:-1], "again.agon")
        self.assertEqual(proxy.posts, [])
        figures = [[line for line in text.splitlines() if "log loss" in line] for text in (first, again)]
        self.assertEqual(figures[0], figures[1])
        rows = self.predictions("all.agon", VOTES, "--lm-cache", "all-cache")
        self.assertEqual(self.predictions("again.agon", VOTES, "--lm-cache", "all-cache"), rows)
        self.assertEqual(proxy.posts, [])

    def test_another_server_of_the_same_file_gives_the_same_predictions(self):
        other = Server(self.folder)
        self.addCleanup(other.stop)
        runs = []
        for number, url in enumerate((self.url, other.url + "/v1")):
            self.train(url, "--lm-blocks", "likelihood", "--lm-cache", f"like-{number}", "-o", f"like-{number}.agon", "--no-cv")
            runs.append(self.predictions(f"like-{number}.agon", VOTES, "--lm-cache", "none"))
        self.assertEqual(runs[0], runs[1])

    def test_a_killed_training_goes_on_and_asks_for_nothing_twice(self):
        whole = self.proxy()
        words = ["--lm-blocks", "states", "--no-cv", "--concurrency", 2]
        self.train(whole.url, *words, "--lm-cache", "whole-cache", "-o", "whole.agon")

        slow = self.proxy(delay=0.005)
        command = [PROGRAM, "train", VOTES, "--lm", slow.url, "--name", "stories", *BUDGET, "--lm-keep-all", *words, "--lm-cache", "killed-cache",
                   "-o", "killed.agon"]
        run = subprocess.Popen(list(map(str, command)), cwd=self.folder, env=clean_environment(), stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        end = time.monotonic() + PATIENCE
        while len(slow.posts) < len(whole.posts) // 3 and time.monotonic() < end:
            time.sleep(0.001)
        run.send_signal(signal.SIGKILL)
        run.wait()
        self.assertFalse((self.folder / "killed.agon").exists())
        time.sleep(0.1)  # requests on their way
        before = len(slow.posts)
        self.assertLess(before, len(whole.posts))
        self.train(slow.url, *words, "--lm-cache", "killed-cache", "-o", "killed.agon")
        # Those under way when it was killed are asked again, and the width once more where no row was kept.
        self.assertLessEqual(len(slow.posts), len(whole.posts) + 3)

    def test_another_model_or_none(self):
        self.train(self.url, "--lm-blocks", "states", "--lm-cache", "own-cache", "-o", "own.agon", "--no-cv")
        self.assertIn("language model reads", self.agon("info", "own.agon"))
        says = self.agon("predict", "own.agon", VOTES, "--lm", "stories.gguf", "--lm-cache", "none", code=1)
        self.assertIn("not the language model that the predictor was trained with", says)
        proxy = self.proxy()
        self.train(proxy.url, "--lm-blocks", "states", "--lm-cache", "wide-cache", "-o", "wide.agon", "--no-cv")
        proxy.halved = True
        says = self.agon("predict", "wide.agon", VOTES, "--lm-cache", "none", code=1)
        self.assertIn("the block 'states' has 32 numbers now (expected 64, as when the predictor was trained)", says)
        server = Server(self.folder)
        url = server.url + "/v1"
        self.train(url, "--lm-blocks", "states", "--lm-cache", "gone-cache", "-o", "gone.agon", "--no-cv")
        server.stop()
        says = self.agon("predict", "gone.agon", VOTES, "--lm-cache", "none", "--max-tries", 1, code=1)
        self.assertIn("127.0.0.1", says)


if __name__ == "__main__":
    unittest.main()
