"""The part of `make bench` on serving: `agon serve` beside llama-cpp-python's server, the same model and clients.

A client asks, reads the stream to its end, and asks again, until time is up; 1, 4, 16 and 64 of them. Prompts differ,
so that nothing but the load of shared prefixes finds anything in a cache. A token is a piece of the stream with text.
Those loads have short answers, which the peer gets done too. How far 16 clients go beyond one is measured on texts as
long as those of the Arena votes in data/votes on average, too: 88 tokens of prompt and 249 of answer, by SmolLM2's
vocabulary. With short answers much of the work is reading prompts, at which one client already takes both cores.
All clients are one thread of one process (asyncio), which takes what it needs of the same cores from both servers.
"""

import asyncio
import json
import math
import os
import random
import re
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from llm import fetched, llama_python, random_model

PEER = "llama-cpp-python 0.3.36"
WORDS = ("time river stone answer letter garden number winter machine yellow simple morning history question bridge "
         "paper music window country silver people market forest problem science summer travel water young story").split()


@dataclass
class Figures:
    """What the clients of one load saw."""
    seconds: float = 0
    requests: int = 0
    failures: list = field(default_factory=list)
    tokens: int = 0
    first: list = field(default_factory=list)  # seconds from a request to its first token
    between: list = field(default_factory=list)  # from a token to the next

    def add(self, more):
        """The figures of one more round of the same load."""
        for name in vars(self):
            setattr(self, name, getattr(self, name) + getattr(more, name))

    @staticmethod
    def quantile(values, q):
        values = sorted(values)
        return values[min(len(values) - 1, int(q * len(values)))] if values else float("nan")

    def row(self, name):
        ms = [1000 * self.quantile(values, q) for values in (self.first, self.between) for q in (0.5, 0.99)]
        print(f"{name:44} {self.requests / self.seconds:8.2f} {self.tokens / self.seconds:9.1f}"
              f"   {ms[0]:7.0f} {ms[1]:7.0f}   {ms[2]:7.1f} {ms[3]:7.1f}   {len(self.failures):4}", flush=True)

    @property
    def rate(self):
        return self.tokens / self.seconds


async def ask(address, body, figures, until):
    """One streamed completion over a connection of its own; what comes after `until` is not in its rates."""
    begin = time.perf_counter()
    reader, writer = await asyncio.open_connection(*address)
    try:
        data = json.dumps(body).encode()
        writer.write(b"POST /v1/completions HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                     b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        await writer.drain()
        status = await reader.readline()
        if b" 200 " not in status:
            raise OSError(status.decode().strip())
        last, ended = None, False
        while line := await reader.readline():
            if line.startswith(b"data: [DONE]"):
                ended = True
            elif line.startswith(b"data: "):
                event = json.loads(line[6:])
                if "error" in event:
                    raise OSError(str(event["error"]))
                if event["choices"] and event["choices"][0]["text"]:
                    now = time.perf_counter()
                    (figures.first if last is None else figures.between).append(now - (begin if last is None else last))
                    last = now
                    figures.tokens += now < until
        if not ended:
            raise OSError("the stream broke off")
        figures.requests += time.perf_counter() < until
    finally:
        writer.close()


async def load(address, clients, seconds, prompt, tokens, requests=None):
    """`clients` ask again and again for `seconds`, or until `requests` are done in all."""
    figures, begin, asked = Figures(), time.perf_counter(), 0
    until = math.inf if requests else begin + seconds

    async def client(number):
        nonlocal asked
        draw = random.Random(number)
        while (asked < requests) if requests else (time.perf_counter() < until):
            asked += 1
            try:
                await ask(address, {"model": "bench", "prompt": prompt(draw), "max_tokens": tokens, "temperature": 0.8,
                                    "seed": asked, "stream": True}, figures, until)
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                figures.failures.append(str(error))
                await asyncio.sleep(0.1)

    await asyncio.gather(*(client(i) for i in range(clients)))
    figures.seconds = min(time.perf_counter(), until) - begin
    return figures


def text_of(words):
    return lambda draw: " ".join(draw.choice(WORDS) for _ in range(words))


class Running:
    """A server process."""

    def __init__(self, command, port):
        self.address = ("127.0.0.1", port)
        environment = {k: v for k, v in os.environ.items() if not k.startswith("OPENBLAS_")}
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        env=environment)
        while True:
            try:
                socket.create_connection(self.address, 1).close()
                break
            except OSError:
                if self.process.poll() is not None:
                    sys.exit(f"{' '.join(map(str, command))}\nended with {self.process.returncode}")
                time.sleep(0.1)
        # It may listen before its model is open.
        self.load(1, 0, text_of(4), 2, requests=1)

    def load(self, *args, **more):
        return asyncio.run(load(self.address, *args, **more))

    def memory(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return int(re.search(r"VmRSS:\s+(\d+) kB", status.read())[1]) / 1024

    def metric(self, name):
        time.sleep(0.2)  # a step's counts come behind its tokens
        async def text():
            reader, writer = await asyncio.open_connection(*self.address)
            writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
            reply = await reader.read()
            writer.close()
            return reply.decode()
        return float(re.search(rf"^{name}\{{.*\}} (\S+)$", asyncio.run(text()), re.MULTILINE)[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def speed(options, agon, build, work, table):
    threads = os.cpu_count()
    if options.quick:
        shape = ["--layers", 2, "--embedding", 256, "--heads", 4, "--kv-heads", 2, "--feed-forward", 512]
        name, model = "random tiny Q4_0", random_model(build, work, "tiny_Q4_0", *shape, "--format", "Q4_0")
        seconds, rounds, counts, many, soak = 2, 1, (1, 4), 100, 0
    else:
        name, model = "SmolLM2-135M Q4_1", fetched("smollm2")
        seconds, rounds, counts, many, soak = 40, 4, (1, 4, 16, 64), 10000, 600
    if not model:
        return
    full = not options.quick

    def ours(**more):
        port = free_port()
        words = [word for key, value in more.items() for word in (f"--{key}", value)]
        return Running([agon, "serve", "-m", model, "--alias", f"bench={model}", "--port", port, "--threads", threads, "-q", *words], port)

    print(f"\nServing {name} on {threads} threads; the peer is {PEER}'s server")
    print(f"{'':44} {'requests':>8} {'tokens':>9}   {'first token, ms':>15}   {'between, ms':>15}   {'bad':>4}")
    print(f"{'load':44} {'a second':>8} {'a second':>9}   {'p50':>7} {'p99':>7}   {'p50':>7} {'p99':>7}", flush=True)
    prompt, tokens = text_of(64), 48
    chat_prompt, chat_tokens = text_of(88), 249
    busy = counts[-1] if options.quick else 16
    system = text_of(300 if options.quick else 1000)(random.Random(0))

    def shared(draw):
        return system + " " + text_of(8)(draw)

    # Both servers and all loads take turns, round by round, so that other work on the machine slows all of them.
    seen, peer = ({clients: Figures() for clients in counts} for _ in range(2))
    chats = {clients: Figures() for clients in (1, busy)}
    with ExitStack() as running:
        sides = [("agon", running.enter_context(ours()), seen)]
        if not options.no_peer:
            port = free_port()
            # By default a new request ends the one that runs.
            command = [llama_python(build), "-m", "llama_cpp.server", "--model", model, "--model_alias", "bench", "--port", port,
                       "--n_threads", threads, "--n_threads_batch", threads, "--n_ctx", 2048, "--interrupt_requests", "false",
                       "--verbose", "false"]
            sides.append(("peer", running.enter_context(Running(command, port)), peer))
        for _ in range(rounds):
            for clients in counts:
                for _, server, figures in sides:
                    figures[clients].add(server.load(clients, seconds / rounds, prompt, tokens))
            for clients, figures in chats.items():
                figures.add(sides[0][1].load(clients, 2 * seconds / rounds, chat_prompt, chat_tokens))
        for name, _, figures in sides:
            for clients in counts:
                figures[clients].row(f"{name}, {clients} clients")
        for clients, figures in chats.items():
            figures.row(f"agon, {clients} clients, as long as votes")
        if not options.no_peer:
            server = sides[1][1]
            server.load(1, 0, lambda draw: system, 1, requests=1)
            server.load(busy, seconds, shared, tokens).row(f"peer, {busy} clients, a shared prefix")
    table.line(f"agon, {busy} clients over one, short answers", f"{seen[busy].rate / seen[1].rate:.2f} times")
    table.line(f"agon, {busy} clients over one, as long as votes", f"{chats[busy].rate / chats[1].rate:.2f} times",
               "5 times or more" if full else None, chats[busy].rate >= 5 * chats[1].rate or not full)
    if not options.no_peer:
        ratio = seen[busy].rate / peer[busy].rate if peer[busy].tokens else float("inf")
        table.line(f"agon over peer, {busy} clients, tokens a second", f"{ratio:.2f} times",
                   "4 times or more" if full else None, ratio >= 4 or not full)

    with ours() as server:
        # The first one reads it; all others find it.
        server.load(1, 0, lambda draw: system, 1, requests=1)
        prefix = server.metric("agon_prompt_tokens_computed_total")
        before = server.metric("agon_prompt_tokens_total")
        figures = server.load(busy, seconds, shared, tokens)
        figures.row(f"agon, {busy} clients, a shared prefix of {prefix:.0f} tokens")
        asked = server.metric("agon_prompt_tokens_total") - before
        computed = server.metric("agon_prompt_tokens_computed_total") - prefix
        table.line("prompt tokens computed, of those asked", f"{computed:.0f} of {asked:.0f}",
                   "the prefix only once" if full else None, asked - computed >= 0.98 * len(figures.first) * prefix or not full)

        memory = []
        for _ in range(4):
            figures = server.load(16, 0, text_of(12), 4, requests=many // 4)
            memory.append(server.memory())
            if figures.failures:
                table.missed.append(f"short requests: {len(figures.failures)} failed, first: {figures.failures[0]}")
        grown = memory[-1] / memory[0] - 1
        table.line(f"memory over {many} requests", " ".join(f"{m:.0f}" for m in memory) + " MiB",
                   "flat to 3 %" if full else None, grown < 0.03 or not full)
    if soak:
        with ours() as server:
            figures = server.load(64, soak, prompt, tokens)
            figures.row(f"agon, 64 clients for {soak} s")
            table.line("failed requests", str(len(figures.failures)), "none", not figures.failures)
