"""The whole server under a mixed load: sixteen clients on all paths at once, with prompts that share a prefix, clients that
hang up in mid-stream and requests that are wrong. Every answer has to be what it is alone, and whatever a sanitizer
has to say about it is a failure. Nothing is measured."""

import json
import os
import random
import signal
import socket
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from gguf_head import add_head  # noqa: E402
from server import Scratch, Server  # noqa: E402

CLIENTS = 16
ROUNDS = int(os.environ.get("AGON_LOAD_ROUNDS", "12"))
RULES = "Once upon a time there was a little girl who had a red ball, and she liked to play with it in the park. "
NAMES = ["Lily", "Tom", "Sue", "Ben"]
# Of two models in one server: the clients' requests meet in both.
STORIES, REWARD = {"model": "stories"}, {"model": "reward"}


def questions():
    """(path, body) whose answers depend on nothing but themselves."""
    for i, name in enumerate(NAMES):
        chat = [{"role": "system", "content": RULES}, {"role": "user", "content": f"Tell me of {name}."}]
        yield "/v1/chat/completions", {**STORIES, "messages": chat, "max_tokens": 12, "temperature": 0}
        yield "/v1/chat/completions", {**STORIES, "messages": chat, "max_tokens": 8, "seed": i, "logprobs": True,
                                       "top_logprobs": 3, "n": 2}
        yield "/v1/completions", {**STORIES, "prompt": RULES + name, "max_tokens": 10, "temperature": 0, "echo": True,
                                  "logprobs": 2}
        yield "/v1/completions", {**STORIES, "prompt": [RULES, name], "max_tokens": 6, "seed": 3, "best_of": 3}
        yield "/v1/completions", {**STORIES, "prompt": name, "max_tokens": 20, "seed": 1,
                                  "guided_regex": " (said|was) [a-z]{1,6}\\."}
        yield "/v1/score", {**STORIES, "context": RULES + name, "continuations": [" said", " ran", " and the dog"]}
        yield "/v1/embeddings", {**STORIES, "input": [RULES, name], "pooling": "last" if i % 2 else "mean"}
        yield "/v1/rerank", {**STORIES, "query": name, "documents": [RULES, "A dog.", name]}
        yield "/v1/rerank", {**REWARD, "query": name, "documents": [RULES, "A dog.", name]}
        yield "/tokenize", {**STORIES, "prompt": RULES + name}


WRONG = [("/v1/completions", b"{\"prompt\": ", 400), ("/v1/completions", {**STORIES, "prompt": RULES * 40}, 400),
         ("/v1/completions", {"model": "other", "prompt": "a"}, 404), ("/v1/score", {**REWARD, "context": "a", "continuations": ["b"]}, 400),
         ("/nowhere", {}, 404)]


def content(reply):
    """What of an answer is the same each time."""
    return json.dumps({key: value for key, value in reply.items() if key not in ("id", "created", "usage")}, sort_keys=True)


class Load(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        add_head(cls.model, cls.folder / "reward.gguf", (300, 301))

    def start(self, *options):
        server = Server(self.folder, *options, models=("stories.gguf", "reward.gguf"))
        self.addCleanup(server.process.kill)
        return server

    def check_end(self, server, told=False):
        self.assertEqual(server.wait() if told else server.stop(), 0, server.errors)  # a second signal would end it at once
        for sign in ("Sanitizer", "runtime error", "check failed"):
            self.assertNotIn(sign, server.errors)

    def hang_up(self, server, chance):
        """Reads a few bytes of a stream and is gone, with or without a farewell."""
        body = json.dumps({**STORIES, "prompt": RULES + chance.choice(NAMES), "stream": True, "ignore_eos": True,
                           "max_tokens": 400, "seed": chance.randrange(100)}).encode()
        head = f"POST /v1/completions HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\n"
        with socket.create_connection((server.host, server.port), 60) as client:
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            if chance.random() < 0.8:
                client.recv(1 << chance.randrange(4, 12))
            if chance.random() < 0.5:
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")  # a reset

    def ask(self, server, path, body, expected):
        """Until a place in the queue is free."""
        while True:
            status, headers, reply = server.ask("POST", path, body)
            if status != 429:
                break
            self.assertIn("Retry-After", headers)
        self.assertEqual(status, 200, reply)
        self.assertEqual(content(reply), expected, path)

    def client(self, server, number, known):
        chance = random.Random(number)
        for _ in range(ROUNDS):
            kind = chance.random()
            if kind < 0.15:
                self.hang_up(server, chance)
            elif kind < 0.25:
                path, body, status = chance.choice(WRONG)
                self.assertEqual(server.ask("POST", path, body)[0], status, path)
            elif kind < 0.3:
                for path in ("/metrics", "/v1/models", "/health", "/"):
                    self.assertEqual(server.get(path)[0], 200)
            else:
                path, body, expected = chance.choice(known)
                self.ask(server, path, body, expected)

    def test_answers_are_what_they_are_alone(self):
        quiet = self.start()
        known = [(path, body, content(quiet.post(path, body))) for path, body in questions()]
        self.check_end(quiet)
        # A cache that is too small for all, so that requests are put back; a queue that fills.
        server = self.start("--slots", 6, "--queue", 12, "--cache-tokens", 1600)
        with ThreadPoolExecutor(CLIENTS) as pool:
            for done in [pool.submit(self.client, server, i, known) for i in range(CLIENTS)]:
                done.result()
        running = 'agon_requests_running{model="stories"}'
        server.until(lambda: server.metric(running) == 0, "no request is running")
        for path, body, expected in known:
            self.ask(server, path, body, expected)
        # What runs when it is told to stop comes to its end.
        streams = []
        began = [threading.Event() for _ in range(4)]

        def stream(i):
            connection = server.connection()
            connection.request("POST", "/v1/completions", json.dumps(
                {**STORIES, "prompt": RULES, "stream": True, "ignore_eos": True, "max_tokens": 60, "seed": i}))
            reply = connection.getresponse()
            text = reply.readline()
            began[i].set()
            streams.append(text + reply.read())
            connection.close()

        threads = [threading.Thread(target=stream, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for event in began:
            event.wait(60)
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()
        self.assertEqual([text.endswith(b"data: [DONE]\n\n") for text in streams], [True] * 4)
        self.check_end(server, told=True)


if __name__ == "__main__":
    unittest.main()
