"""agon serve as a client sees it: every path, streams, disconnects, refusals, keys, signals."""

import base64
import json
import math
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import unittest
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from server import PROGRAM, Scratch, Server  # noqa: E402

RUNNING, QUEUED = 'agon_requests_running{model="stories"}', 'agon_requests_queued{model="stories"}'
GONE = 'agon_clients_gone_total{model="stories"}'
CHAT = {"messages": [{"role": "user", "content": "Once upon a time"}], "max_tokens": 12, "temperature": 0}
# No story ends by itself here, so that whoever streams it is not done before the test looks.
ENDLESS = {"prompt": "Once upon a time", "ignore_eos": True, "max_tokens": 480, "temperature": 1, "seed": 1}


def agon(*words, cwd, stdin=""):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, input=stdin, capture_output=True, text=True, check=True).stdout


class Served(Scratch):
    OPTIONS = ()

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server = Server(cls.folder, *cls.OPTIONS)
        cls.addClassCleanup(cls.check_end)

    @classmethod
    def check_end(cls):
        code = cls.server.stop()
        assert code == 0, (code, cls.server.errors)

    def refused(self, status, body, path="/v1/completions", method="POST", param=None, says=None, **headers):
        got, given, reply = self.server.ask(method, path, body, headers)
        self.assertEqual(got, status, reply)
        error = reply["error"]
        self.assertEqual(set(error), {"message", "type", "param", "code"})
        self.assertTrue(error["message"])
        if param:
            self.assertEqual(error["param"], param, error)
        if says:
            self.assertIn(says, error["message"])
        return given, error


class Answers(Served):
    def test_it_says_how_to_call_it(self):
        self.assertIn("this machine only", self.server.said)
        self.assertIn(f"curl {self.server.url}/v1/chat/completions", self.server.said)
        self.assertIn("stories: context 512", self.server.said)

    def test_models(self):
        status, _, reply = self.server.get("/v1/models")
        self.assertEqual((status, reply["object"]), (200, "list"))
        self.assertEqual([m["id"] for m in reply["data"]], ["stories"])
        self.assertEqual(reply["data"][0]["max_model_len"], 512)
        self.assertEqual(self.server.get("/v1/models/stories")[2]["id"], "stories")
        self.assertEqual(self.server.get("/v1/models/other")[0], 404)

    def test_health_page_and_metrics(self):
        self.assertEqual(self.server.get("/health")[::2], (200, {"status": "ok"}))
        status, headers, page = self.server.get("/")
        self.assertEqual(status, 200)
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        for outside in ("http://", "https://", "<link rel=\"stylesheet\"", "src="):
            self.assertNotIn(outside, page)
        status, headers, text = self.server.get("/metrics")
        self.assertEqual((status, headers["Content-Type"]), (200, "text/plain; version=0.0.4; charset=utf-8"))
        for line in text.splitlines():
            self.assertRegex(line, r'^(# (HELP|TYPE) agon_\w+ .+|agon_\w+(\{(\w+="[^"]*",?)+\})? [0-9.e+-]+)$')
        for name in ("agon_requests_running", "agon_first_token_seconds", "agon_cache_pages_used"):
            self.assertIn(f"# TYPE {name} ", text)

    def test_a_completion_is_what_generate_says(self):
        reply = self.server.post("/v1/completions", {"model": "stories", "prompt": "Once upon a time", "max_tokens": 30,
                                                     "temperature": 0})
        self.assertEqual(reply["object"], "text_completion")
        self.assertTrue(reply["id"].startswith("cmpl-"))
        text = agon("generate", "-m", "stories.gguf", "--raw", "Once upon a time", "-n", 30, cwd=self.folder)
        self.assertEqual(reply["choices"], [{"index": 0, "text": text[:-1], "logprobs": None, "finish_reason": "length"}])
        self.assertEqual(reply["usage"]["completion_tokens"], 30)
        self.assertEqual(reply["usage"]["total_tokens"], reply["usage"]["prompt_tokens"] + 30)

    def test_a_chat_and_its_stream_agree(self):
        body = {**CHAT, "temperature": 0.9, "seed": 7, "logprobs": True, "top_logprobs": 3, "n": 2}
        whole = self.server.post("/v1/chat/completions", body)
        self.assertEqual((whole["object"], whole["model"]), ("chat.completion", "stories"))
        self.assertEqual(whole, {**self.server.post("/v1/chat/completions", body), "id": whole["id"],
                                 "created": whole["created"], "usage": whole["usage"]})
        events = self.server.stream("/v1/chat/completions", {**body, "stream_options": {"include_usage": True}})
        self.assertEqual({e["object"] for e in events}, {"chat.completion.chunk"})
        self.assertEqual(len({e["id"] for e in events}), 1)
        last = events.pop()
        self.assertEqual(last["choices"], [])
        self.assertEqual(last["usage"]["completion_tokens"], whole["usage"]["completion_tokens"])
        self.assertTrue(all(e["usage"] is None for e in events))
        for choice in whole["choices"]:
            mine = [e["choices"][0] for e in events if e["choices"][0]["index"] == choice["index"]]
            self.assertEqual(mine[0]["delta"], {"role": "assistant", "content": ""})
            self.assertEqual(mine[-1]["delta"], {})
            self.assertEqual([c["finish_reason"] for c in mine], [None] * (len(mine) - 1) + [choice["finish_reason"]])
            self.assertEqual("".join(c["delta"].get("content", "") for c in mine), choice["message"]["content"])
            logprobs = [t for c in mine if c["logprobs"] for t in c["logprobs"]["content"]]
            self.assertEqual(logprobs, choice["logprobs"]["content"])
            self.assertEqual(b"".join(bytes(t["bytes"]) for t in logprobs).decode(), choice["message"]["content"])
            for token in logprobs:
                self.assertEqual(len(token["top_logprobs"]), 3)
                tops = [t["logprob"] for t in token["top_logprobs"]]
                self.assertEqual(tops, sorted(tops, reverse=True))
                self.assertLessEqual(token["logprob"], tops[0])

    def test_a_completion_and_its_stream_agree(self):
        body = {"prompt": ["Once upon a time", "Lily"], "max_tokens": 9, "n": 2, "seed": 3, "logprobs": 2, "echo": True}
        whole = self.server.post("/v1/completions", body)
        events = self.server.stream("/v1/completions", body)
        self.assertTrue(all("usage" not in e for e in events))
        for choice in whole["choices"]:
            mine = [e["choices"][0] for e in events if e["choices"][0]["index"] == choice["index"]]
            self.assertEqual("".join(c["text"] for c in mine), choice["text"])
            for name, values in choice["logprobs"].items():
                self.assertEqual([v for c in mine if c["logprobs"] for v in c["logprobs"][name]], values, name)
        self.assertEqual([c["index"] for c in whole["choices"]], [0, 1, 2, 3])
        self.assertNotEqual(whole["choices"][0]["text"], whole["choices"][1]["text"])

    def test_the_same_seed_gives_the_same_bytes_in_company(self):
        body = {"prompt": "Lily and Tom", "max_tokens": 40, "seed": 11, "temperature": 1.2, "logprobs": 1}
        alone = self.server.post("/v1/completions", body)["choices"]
        with ThreadPoolExecutor(24) as pool:
            others = [pool.submit(self.server.post, "/v1/completions", {**body, "seed": i, "prompt": f"Lily and {i}"}) for i in range(16)]
            same = [pool.submit(self.server.post, "/v1/completions", body) for _ in range(8)]
            for reply in same:
                self.assertEqual(reply.result()["choices"], alone)
            for reply in others:
                reply.result()

    def test_echo_gives_the_prompts_log_probabilities(self):
        context, continuation = "Once upon a time", ", there was a little girl"
        row = json.dumps({"id": 1, "context": context, "continuations": [continuation]})
        score = json.loads(agon("score", "-m", "stories.gguf", "-", cwd=self.folder, stdin=row))["continuations"][0]
        tokens = self.server.post("/tokenize", {"prompt": context + continuation})["tokens"]
        first = len(tokens) - len(score["tokens"])
        asked = {"max_tokens": 1, "logprobs": 1, "echo": True, "seed": 1234, "temperature": 0}
        for prompt in (context + continuation, tokens, [tokens, tokens[:3]], [context + continuation]):
            logprobs = self.server.post("/v1/completions", {**asked, "prompt": prompt})["choices"][0]["logprobs"]
            self.assertEqual(len(logprobs["tokens"]), len(tokens) + 1)
            self.assertIsNone(logprobs["token_logprobs"][0])
            self.assertIsNone(logprobs["top_logprobs"][0])
            self.assertEqual(logprobs["token_logprobs"][first:-1], score["token_logprobs"])
            greedy = all(p == max(top.values()) for p, top in
                         zip(logprobs["token_logprobs"][first:-1], logprobs["top_logprobs"][first:-1], strict=True))
            self.assertEqual(greedy, score["is_greedy"])
        # Only the prompt.
        only = self.server.post("/v1/completions", {**asked, "prompt": tokens, "max_tokens": 0})["choices"][0]
        self.assertEqual(only["logprobs"]["token_logprobs"], logprobs["token_logprobs"][:-1])
        self.assertEqual(only["text"], context + continuation)

    def test_offsets_point_at_the_tokens(self):
        text = "Tim's café: “naïve” 🙂 dog"
        choice = self.server.post("/v1/completions", {"prompt": text, "echo": True, "logprobs": 0, "max_tokens": 12, "seed": 5})["choices"][0]
        logprobs = choice["logprobs"]
        self.assertTrue(choice["text"].startswith(text))
        self.assertEqual(logprobs["text_offset"][0], 0)
        for i, (token, offset) in enumerate(zip(logprobs["tokens"], logprobs["text_offset"], strict=True)):
            if not token.startswith("bytes:") and token != "<s>":
                shown = token[1:] if offset == 0 and token.startswith(" ") else token
                self.assertEqual(choice["text"][offset:offset + len(shown)], shown, i)
            if i > 0:
                self.assertEqual(set(logprobs["top_logprobs"][i]), {token})

    def test_an_echo_gives_the_token_that_ends_a_text(self):
        # Who takes the last token off (as lm-evaluation-harness does) must not lose one of the prompt's.
        logprobs = self.server.post("/v1/completions", {"prompt": "x", "echo": True, "logprobs": 1, "max_tokens": 1, "temperature": 0,
                                                        "logit_bias": {"2": 100}})["choices"][0]["logprobs"]
        self.assertEqual(logprobs["tokens"][-1], "</s>")

    def test_best_of_gives_the_most_probable(self):
        body = {"prompt": "Lily", "max_tokens": 10, "seed": 2, "temperature": 1.5, "logprobs": 0}
        many = self.server.post("/v1/completions", {**body, "n": 6})["choices"]
        best = self.server.post("/v1/completions", {**body, "n": 2, "best_of": 6})["choices"]
        mean = lambda c: sum(c["logprobs"]["token_logprobs"]) / len(c["logprobs"]["token_logprobs"])
        self.assertEqual([mean(c) for c in best], sorted(map(mean, many), reverse=True)[:2])

    def test_sampling_options_do_what_they_say(self):
        body = {"prompt": "Once upon a time", "max_tokens": 20, "seed": 1}
        text = lambda **more: self.server.post("/v1/completions", {**body, **more})["choices"][0]["text"]
        greedy = text(temperature=0)
        for narrow in ({"top_k": 1}, {"top_p": 1e-6}, {"min_p": 1}):
            self.assertEqual(text(temperature=2, **narrow), greedy)
        dot = self.server.post("/tokenize", {"prompt": ".", "add_special_tokens": False})["tokens"][-1]
        self.assertNotIn(".", text(temperature=0, max_tokens=60, logit_bias={str(dot): -100}))
        for penalty in ({"presence_penalty": 2}, {"frequency_penalty": 2}, {"repetition_penalty": 1.8}):
            self.assertNotEqual(text(temperature=0, max_tokens=80, **penalty), text(temperature=0, max_tokens=80))
        self.assertNotEqual(text(temperature=1, seed=1), text(temperature=1, seed=2))

    def test_stop_strings(self):
        body = {"prompt": "Once upon a time", "max_tokens": 60, "temperature": 0}
        whole = self.server.post("/v1/completions", body)["choices"][0]["text"]
        for stop in ("little", ["xyzzy", " little gi"]):
            choice = self.server.post("/v1/completions", {**body, "stop": stop})["choices"][0]
            words = [stop] if isinstance(stop, str) else stop
            self.assertEqual(choice["text"], whole.split(words[-1])[0])
            self.assertEqual(choice["finish_reason"], "stop")
            events = self.server.stream("/v1/completions", {**body, "stop": stop})
            self.assertEqual("".join(e["choices"][0]["text"] for e in events), choice["text"])

    def test_a_shared_prefix_is_counted_as_cached(self):
        long = "Once upon a time, there was a little girl named Lily. She liked to play with her toys in the park. " * 3
        self.server.post("/v1/completions", {"prompt": long, "max_tokens": 1})
        usage = self.server.post("/v1/completions", {"prompt": long + "One day", "max_tokens": 1})["usage"]
        self.assertGreater(usage["prompt_tokens_details"]["cached_tokens"], usage["prompt_tokens"] // 2)

    def test_constrained_answers(self):
        chat = lambda **more: self.server.post("/v1/chat/completions", {**CHAT, "max_tokens": 100, **more})["choices"][0]["message"]["content"]
        self.assertIn(chat(guided_choice=["yes", "no"]), ("yes", "no"))
        self.assertIn(chat(structured_outputs={"choice": ["red", "green"]}, temperature=1), ("red", "green"))
        self.assertRegex(chat(guided_regex="[0-9]{3}-[a-c]+x"), r"^[0-9]{3}-[a-c]+x$")
        schema = {"type": "object", "properties": {"ok": {"type": "boolean"}, "n": {"enum": [1, 2, 3]}},
                  "required": ["ok", "n"], "additionalProperties": False}
        forms = [{"response_format": {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}},
                 {"guided_json": schema}, {"structured_outputs": {"json": json.dumps(schema)}}]
        for form in forms:
            answer = json.loads(chat(**form))
            self.assertEqual(set(answer), {"ok", "n"})
            self.assertIn(answer["n"], (1, 2, 3))
        self.assertTrue(chat(response_format={"type": "json_object"}).startswith("{"))
        for field, value in (("guided_regex", "(?=x)"), ("guided_json", {"type": "object", "not": {}}), ("guided_regex", "(")):
            self.refused(400, {**CHAT, field: value}, "/v1/chat/completions", param=field)

    def test_embeddings(self):
        texts = ["a dog", "a cat", "Once upon a time"]
        floats = self.server.post("/v1/embeddings", {"input": texts, "model": "stories"})
        self.assertEqual([d["index"] for d in floats["data"]], [0, 1, 2])
        self.assertGreater(floats["usage"]["prompt_tokens"], 3)
        packed = self.server.post("/v1/embeddings", {"input": texts, "encoding_format": "base64"})
        for one, two in zip(floats["data"], packed["data"], strict=True):
            raw = base64.b64decode(two["embedding"])
            self.assertEqual(list(struct.unpack(f"<{len(raw) // 4}f", raw)), one["embedding"])
            self.assertAlmostEqual(math.hypot(*one["embedding"]), 1, places=5)
        alone = self.server.post("/v1/embeddings", {"input": texts[2]})["data"][0]["embedding"]
        self.assertEqual(alone, floats["data"][2]["embedding"])
        plain = self.server.post("/v1/embeddings", {"input": texts[2], "normalize": False})["data"][0]["embedding"]
        length = math.hypot(*plain)
        for a, b in zip(plain, alone, strict=True):
            self.assertAlmostEqual(a / length, b, places=5)
        last = self.server.post("/v1/embeddings", {"input": texts[2], "pooling": "last"})["data"][0]["embedding"]
        self.assertNotEqual(last, alone)

    def test_rerank_and_score_agree(self):
        documents, query = ["The dog ran in the park.", "Mom baked a cake.", "x"], "Where did the dog run?"
        reply = self.server.post("/v1/rerank", {"query": query, "documents": documents})
        items = [{"context": f"Document: {d}\n\nQuery:", "continuations": [" " + query]} for d in documents]
        scores = self.server.post("/v1/score", {"items": items})
        means = [s["continuations"][0]["logprob"] / len(s["continuations"][0]["tokens"]) for s in scores["data"]]
        self.assertEqual([r["index"] for r in reply["results"]], sorted(range(3), key=lambda i: -means[i]))
        for result in reply["results"]:
            self.assertAlmostEqual(result["relevance_score"], math.exp(means[result["index"]]), places=9)
            self.assertEqual(result["document"]["text"], documents[result["index"]])
        short = self.server.post("/v1/rerank", {"query": query, "documents": [{"text": d} for d in documents], "top_n": 1,
                                                "return_documents": False})["results"]
        self.assertEqual(len(short), 1)
        self.assertNotIn("document", short[0])

    def test_scores_are_those_of_agon_score(self):
        items = [{"context": "Once upon a time", "continuations": [" there", ", there was a dog", "x"]},
                 {"context": "", "continuations": ["Lily"]},
                 {"messages": [{"role": "user", "content": "Who are you?"}], "continuations": ["Lily", "Tom"]}]
        rows = "\n".join(json.dumps({"id": i, **item}) for i, item in enumerate(items))
        lines = agon("score", "-m", "stories.gguf", "--template", "chatml", "-", cwd=self.folder, stdin=rows).splitlines()
        reply = self.server.post("/v1/score", {"items": items})
        self.assertEqual([d["continuations"] for d in reply["data"]], [json.loads(line)["continuations"] for line in lines])
        self.assertEqual(self.server.post("/v1/score", items[0])["data"][0]["continuations"], reply["data"][0]["continuations"])

    def test_tokens_there_and_back(self):
        text = "Once upon a time, é🙂"
        tokens = self.server.post("/tokenize", {"prompt": text, "add_special_tokens": False, "return_token_strs": True})
        self.assertEqual((tokens["count"], tokens["max_model_len"]), (len(tokens["tokens"]), 512))
        self.assertEqual(len(tokens["token_strs"]), tokens["count"])
        self.assertEqual(self.server.post("/detokenize", {"tokens": tokens["tokens"]})["prompt"], text)
        with_bos = self.server.post("/tokenize", {"prompt": text})["tokens"]
        self.assertEqual(with_bos[1:], tokens["tokens"])
        self.assertEqual(self.server.post("/tokenize", {"prompt": "<s>" + text, "add_special_tokens": False})["tokens"][0], with_bos[0])
        self.assertEqual(self.server.post("/detokenize", {"tokens": with_bos, "skip_special_tokens": True})["prompt"], text)
        self.assertGreater(self.server.post("/tokenize", {"messages": CHAT["messages"]})["count"], 5)
        info = self.server.get("/tokenizer_info")[2]
        self.assertEqual((info["bos_token"], info["eos_token"]), ("<s>", "</s>"))


class Refusals(Served):
    OPTIONS = ("--max-body", "0.02", "--request-timeout", "2", "--alias", "tale=stories.gguf")

    def test_bodies_that_are_broken_or_wrong(self):
        for body, says in ((b"", "empty"), (b"{", "line 1"), (b'{"prompt": "x",\n "n": }', "byte 22 (line 2, column 7)"),
                           (b'{"prompt": "\xff"}', "byte 12 (line 1, column 13): this is no well-formed UTF-8"),
                           (b'{"prompt": "x"} {}', "byte 16"), (b"[]", "a list"), (b'{"prompt":' + b"[" * 5000, "byte 73 (line 1, column 74): nested"),
                           (b'{"prompt":"a",\n"prompt":"b"}', "byte 22 (line 2, column 8): the name 'prompt' is given twice")):
            self.refused(400, body, says=says)
        self.refused(400, {"prompt": "x", "colour": 1}, param="colour", says="not known")
        self.refused(400, {"prompt": "x", "suffix": "y"}, param="suffix", says="not supported")
        self.refused(400, {"prompt": [9999]}, param="prompt", says="9999")
        self.refused(400, {"prompt": []}, param="prompt")
        self.refused(400, {"prompt": "x", "logit_bias": {"9999": 1}}, param="logit_bias", says="9999")
        self.refused(400, {"prompt": "x", "logit_bias": {str(i): 1 for i in range(1025)}}, param="logit_bias", says="1025")
        self.refused(400, {"prompt": "x", "stop": ["a", "b" * 4097]}, param="stop", says="4097 bytes")
        self.refused(400, {"prompt": [[5] * 500] * 2, "n": 128, "max_tokens": 0, "echo": True, "logprobs": 20}, param="logprobs")
        self.refused(400, {**CHAT, "tools": [{"type": "function"}]}, "/v1/chat/completions", param="tools")
        self.refused(400, {"input": ""}, "/tokenize", param="prompt")
        self.refused(400, {"tokens": [600]}, "/detokenize", param="tokens[0]")

    def test_a_prompt_over_the_context_is_told_by_how_much(self):
        self.refused(400, {"prompt": [5] * 600}, param="prompt", says="600 tokens, 88 more than the context of 512")
        self.refused(400, {"prompt": [5] * 500, "max_tokens": 20}, says="8 more than the context of 512")
        self.refused(400, {"messages": [{"role": "user", "content": "dog " * 600}]}, "/v1/chat/completions", says="more than the context")
        self.refused(400, {"context": "dog " * 600, "continuations": ["x"]}, "/v1/score", says="512")
        self.refused(400, {"input": ["a", "dog " * 600]}, "/v1/embeddings", param="input[1]")
        self.refused(400, {"query": "q", "documents": ["a", "dog " * 600]}, "/v1/rerank", param="documents[1]")

    def test_a_smaller_context_counts_for_all(self):
        server = Server(self.folder, "--max-context", "100")
        for path, body in (("/v1/completions", {"prompt": [5] * 120}), ("/v1/score", {"context": "", "continuations": [" dog" * 120]}),
                           ("/v1/rerank", {"query": "q", "documents": [" dog" * 120]}), ("/v1/embeddings", {"input": [5] * 120})):
            status, _, reply = server.ask("POST", path, body)
            self.assertEqual((status, reply["error"]["code"]), (400, "context_length_exceeded"), reply)
            self.assertRegex(reply["error"]["message"], r"\d+ more than the context of 100")
        server.stop()

    def test_a_full_context_ends_an_answer(self):
        choice = self.server.post("/v1/completions", {"prompt": [5] * 511})["choices"][0]
        self.assertEqual(choice["finish_reason"], "length")

    def test_paths_methods_and_models(self):
        for path in ("/v1", "/v1/nothing", "/v1/completions/", "//", "/%2e%2e/etc/passwd"):
            self.refused(404, None, path, "GET")
        given, _ = self.refused(405, None, "/v1/completions", "GET")
        self.assertEqual(given["Allow"], "POST")
        given, _ = self.refused(405, {}, "/health")
        self.assertEqual(given["Allow"], "GET, HEAD")
        for method in ("PUT", "DELETE", "OPTIONS", "PATCH", "BREW"):
            self.refused(405, b"x" if method == "PUT" else None, "/v1/completions", method)
        self.refused(404, {"prompt": "x", "model": "gpt"}, param="model", says="'gpt'")
        self.refused(400, {"prompt": "x"}, "/v1/completions?temperature=0", param="temperature", says="'temperature'")
        self.refused(400, None, "/tokenizer_info?model=tale&x=1", "GET", param="x")
        self.assertEqual(self.server.get("/tokenizer_info?model=tal%65")[0], 200)
        self.assertEqual(self.server.get("/?from=a-link")[0], 200)
        self.assertEqual(self.server.post("/v1/completions", {"prompt": "x", "model": "tale", "max_tokens": 1})["model"], "tale")
        self.assertEqual([m["id"] for m in self.server.get("/v1/models")[2]["data"]], ["stories", "tale"])

    def test_a_body_over_the_limit(self):
        limit = int(0.02 * 1048576)
        self.refused(413, b" " * (limit + 1), says=f"{limit + 1} bytes, 1 more than the limit of {limit}")
        self.refused(413, b" " * 5_000_000)
        chunked = b"POST /v1/completions HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n"
        self.assertTrue(self.server.raw(chunked + (b"1000\r\n" + b" " * 4096 + b"\r\n") * 10).startswith(b"HTTP/1.1 413 "))

    def test_half_a_request_is_let_go(self):
        for half in (b"POST /v1/comp", b"POST /v1/completions HTTP/1.1\r\nContent-Length: 50\r\n\r\n{\"prompt\":"):
            reply = self.server.raw(half)
            self.assertTrue(reply.startswith(b"HTTP/1.1 408 "), reply)
            self.assertIn(b'"error"', reply)

    def test_what_is_no_http(self):
        for bytes_ in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", b"hello\r\n\r\n", b"GET / HTTP/3.0\r\n\r\n"):
            self.assertRegex(self.server.raw(bytes_), rb"^HTTP/1\.1 (400|505) ")
        for size in (40_000, 4_000_000):
            self.assertTrue(self.server.raw(b"GET / HTTP/1.1\r\nX: " + b"a" * size).startswith(b"HTTP/1.1 431 "))
        self.assertEqual(self.server.get("/health")[0], 200)

    def test_pages_of_other_origins(self):
        ours = f"127.0.0.1:{self.server.port}"
        body = {"prompt": "x", "max_tokens": 1}
        for origin, host in (("http://evil.example", ours), ("null", ours), ("http://127.0.0.1:1", ours),
                             ("http://evil.example:80", "evil.example:80")):
            self.refused(403, body, Origin=origin, Host=host)
        for origin, host in ((f"http://{ours}", ours), ("http://localhost:5", "localhost:5")):
            self.assertEqual(self.server.ask("POST", "/v1/completions", body, {"Origin": origin, "Host": host})[0], 200)


class Keys(Scratch):
    def test_a_key_is_asked_for_and_never_shown(self):
        keys = self.folder / "keys"
        keys.write_text("# ours\nsecret-key-1\nsecret-key-2\n")
        server = Server(self.folder, "--api-key-file", keys, "--host", "0.0.0.0")
        server.host = "127.0.0.1"
        self.assertIn("other machines can reach it", server.said)
        for headers in ({}, {"Authorization": "Bearer wrong-key"}, {"Authorization": "secret-key-1"}, {"Authorization": "Basic secret-key-1"}):
            for method, path, body in (("POST", "/v1/completions", {"prompt": "x"}), ("GET", "/v1/models", None), ("GET", "/metrics", None)):
                status, given, reply = server.ask(method, path, body, headers)
                self.assertEqual((status, given["WWW-Authenticate"]), (401, "Bearer"))
                self.assertEqual(reply["error"]["code"], "invalid_api_key")
                self.assertNotIn("secret", reply["error"]["message"])
        for path in ("/", "/health"):
            self.assertEqual(server.get(path)[0], 200)
        for key in ("secret-key-1", "secret-key-2"):
            server.post("/v1/completions", {"prompt": "x", "max_tokens": 1}, Authorization=f"Bearer {key}")
        self.assertEqual(server.stop(), 0)
        self.assertNotIn("secret", server.said + server.errors)
        self.assertNotIn("warning", server.errors)

    def test_an_open_server_without_a_key_warns(self):
        server = Server(self.folder, "--host", "0.0.0.0")
        self.assertEqual(server.stop(), 0)
        self.assertIn("warning: anybody who reaches 0.0.0.0", server.errors)

    def test_command_lines_that_are_wrong(self):
        (self.folder / "empty").write_text("# nothing\n")
        (self.folder / "copy").mkdir()
        (self.folder / "copy/stories.gguf").write_bytes((self.folder / "stories.gguf").read_bytes())
        taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(taken.close)
        model = ["-m", "stories.gguf", "--port", "0"]
        for code, says, words in ((1, "no key in it", [*model, "--api-key-file", "empty"]),
                                  (1, "none.gguf", ["-m", "none.gguf", "--port", "0"]),
                                  (1, "two models are called 'stories'", [*model, "-m", "copy/stories.gguf"]),
                                  (2, "--alias small", [*model, "--alias", "small"]),
                                  (2, "no -m gives 'b'", [*model, "--alias", "small=b"]),
                                  (1, "two models are called", [*model, "--alias", "stories=stories.gguf"]),
                                  (2, "--max-context 1000", [*model, "--max-context", "1000"]),
                                  (1, "cannot listen at 127.0.0.1 port", ["-m", "stories.gguf", "--port", str(taken.getsockname()[1])]),
                                  (1, "no address to listen at", [*model, "--host", "no such host."]),
                                  (2, "--model is required", ["--port", "0"])):
            run = subprocess.run([PROGRAM, "serve", *words], cwd=self.folder, capture_output=True, text=True, timeout=60)
            self.assertEqual(run.returncode, code, (words, run.stderr))
            self.assertIn(says, run.stderr)


class Load(Served):
    OPTIONS = ("--slots", "2", "--queue", "2", "--stall-timeout", "60")

    def open_stream(self, body=ENDLESS):
        """A connection on which a stream has begun."""
        connection = self.server.connection()
        connection.request("POST", "/v1/completions", json.dumps({**body, "stream": True}))
        reply = connection.getresponse()
        self.assertEqual(reply.status, 200)
        return connection, reply

    def quiet(self):
        self.server.until(lambda: self.server.metric(RUNNING) == 0 and self.server.metric(QUEUED) == 0, "an idle server")

    def test_a_client_that_hangs_up_gives_its_slot_back(self):
        gone = self.server.metric(GONE)
        # Many choices, so that it would run for long.
        connection, reply = self.open_stream({**ENDLESS, "n": 100, "logprobs": 5})
        self.assertTrue(reply.readline().startswith(b"data: "))
        # Between two choices that end in one step and the next two, nothing runs for a moment.
        self.server.until(lambda: self.server.metric(RUNNING) == 2, "full slots")
        reply.close()
        connection.close()
        self.quiet()
        self.assertEqual(self.server.metric(GONE), gone + 1)
        self.assertGreater(self.server.metric('agon_requests_finished_total{model="stories",reason="cancelled"}'), 90)

    def test_a_client_that_hangs_up_while_it_waits(self):
        gone = self.server.metric(GONE)
        body = json.dumps({**ENDLESS, "n": 100}).encode()
        with socket.create_connection((self.server.host, self.server.port)) as client:
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            self.server.until(lambda: self.server.metric(RUNNING) == 2, "a running request")
        self.quiet()
        self.assertEqual(self.server.metric(GONE), gone + 1)

    def test_a_full_queue(self):
        connections = [self.open_stream({**ENDLESS, "n": 50}) for _ in range(1)]
        self.server.until(lambda: self.server.metric(RUNNING) == 2, "full slots")
        while len(connections) < 10:
            # A submission counts until all its requests run, so this one and two more fit.
            connection = self.server.connection()
            connection.request("POST", "/v1/completions", json.dumps({**ENDLESS, "n": 50, "stream": True}))
            reply = connection.getresponse()
            connections.append((connection, reply))
            if reply.status != 200:
                break
        self.assertEqual(reply.status, 429)
        self.assertGreaterEqual(int(reply.getheader("Retry-After")), 1)
        error = json.loads(reply.read())["error"]
        self.assertEqual((error["type"], error["code"]), ("rate_limit_error", "queue_full"))
        self.assertEqual(self.server.get("/health")[0], 200)
        for connection, reply in connections:
            reply.close()
            connection.close()
        self.quiet()
        self.server.post("/v1/completions", {"prompt": "x", "max_tokens": 1})

    def test_many_streams_at_once(self):
        def one(seed):
            while True:
                try:
                    events = self.server.stream("/v1/completions", {"prompt": "Lily", "max_tokens": 20, "seed": seed, "ignore_eos": True})
                    return "".join(e["choices"][0]["text"] for e in events)
                except AssertionError as error:
                    if "429" not in str(error):
                        raise
        with ThreadPoolExecutor(64) as pool:
            texts = list(pool.map(one, [i % 8 for i in range(64)]))
        for i, text in enumerate(texts):
            self.assertEqual(text, texts[i % 8])


class SlowReader(Served):
    OPTIONS = ("--slots", "2", "--stall-timeout", "1")

    def test_it_holds_up_nobody_and_is_let_go(self):
        with socket.create_connection((self.server.host, self.server.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            body = json.dumps({**ENDLESS, "n": 60, "logprobs": 20, "stream": True}).encode()
            client.sendall(b"POST /v1/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
            client.recv(100)
            for i in range(3):
                self.server.post("/v1/completions", {"prompt": f"dog {i}", "max_tokens": 5})
            # It takes nothing more, but its connection stays open.
            self.server.until(lambda: self.server.metric(GONE) == 1, "the end of a client that takes nothing")
            self.server.until(lambda: self.server.metric(RUNNING) == 0, "free slots")


class Signals(Scratch):
    def test_it_finishes_what_runs_and_stops(self):
        for which in (signal.SIGTERM, signal.SIGINT):
            server = Server(self.folder, "--slots", "2")
            replies, started = {}, threading.Barrier(4)

            def ask(i):
                started.wait()
                replies[i] = server.ask("POST", "/v1/completions", {**ENDLESS, "n": 4})

            threads = [threading.Thread(target=ask, args=(i,)) for i in range(3)]
            for thread in threads:
                thread.start()
            started.wait()
            server.until(lambda: server.metric("agon_requests_total{model=\"stories\"}") == 12, "three requests")
            server.process.send_signal(which)
            for thread in threads:
                thread.join()
            self.assertEqual(server.wait(), 0, server.errors)
            for status, _, reply in replies.values():
                self.assertEqual(status, 200, reply)
                self.assertEqual([c["finish_reason"] for c in reply["choices"]], ["length"] * 4)
            self.assertIn("stopping", server.errors)
            with self.assertRaises(OSError):
                socket.create_connection((server.host, server.port), 5)

    def test_a_second_signal_stops_at_once(self):
        server = Server(self.folder, "--slots", "1")
        connection = server.connection()
        connection.request("POST", "/v1/completions", json.dumps({**ENDLESS, "n": 100, "stream": True}))
        self.assertEqual(connection.getresponse().status, 200)
        server.process.send_signal(signal.SIGTERM)
        server.until(lambda: "stopping" in server.errors, "that it stops")
        server.process.send_signal(signal.SIGTERM)
        self.assertEqual(server.wait(), -signal.SIGTERM)
        connection.close()

    def test_a_model_file_that_goes_away(self):
        copy = self.folder / "gone.gguf"
        copy.write_bytes((self.folder / "stories.gguf").read_bytes())
        server = Server(self.folder, models=["gone.gguf"])
        before = server.post("/v1/completions", {**ENDLESS, "max_tokens": 50})["choices"]
        copy.unlink()
        self.assertEqual(server.post("/v1/completions", {**ENDLESS, "max_tokens": 50, "prompt": ENDLESS["prompt"]})["choices"], before)
        self.assertEqual(server.stop(), 0)

    def test_a_model_file_that_shrinks_ends_it_by_name_or_does_no_harm(self):
        copy = self.folder / "cut.gguf"
        copy.write_bytes((self.folder / "stories.gguf").read_bytes())
        server = Server(self.folder, models=["cut.gguf"])
        before = server.post("/v1/completions", {**ENDLESS, "max_tokens": 50})["choices"]
        os.truncate(copy, 10)
        try:
            self.assertEqual(server.post("/v1/completions", {**ENDLESS, "max_tokens": 50})["choices"], before)
        except OSError:
            pass
        if server.stop() != 0:
            self.assertEqual(server.process.returncode, 1)
            self.assertIn("cut.gguf: was truncated while it was in use", server.errors)


class SeveralModels(Scratch):
    def test_files_of_one_name(self):
        (self.folder / "copy").mkdir()
        (self.folder / "copy/stories.gguf").write_bytes((self.folder / "stories.gguf").read_bytes())
        server = Server(self.folder, "--alias", "my copy=copy/stories.gguf", "--alias", "first=stories.gguf",
                        models=["stories.gguf", "copy/stories.gguf"])
        self.assertEqual([m["id"] for m in server.get("/v1/models")[2]["data"]], ["stories", "my copy", "first"])
        self.assertEqual(server.get("/v1/models/first")[2]["root"], "stories")
        for address in ("my%20copy", "my+copy"):
            self.assertEqual(server.get(f"/tokenizer_info?model={address}")[0], 200)
        self.assertEqual(server.stop(), 0)

    def test_each_by_its_name(self):
        (self.folder / "b.gguf").write_bytes((self.folder / "stories.gguf").read_bytes())
        server = Server(self.folder, "--alias", "small=b.gguf", models=["stories.gguf", "b.gguf"])
        self.assertIn("also called small", server.said)
        body = {"prompt": "Lily", "max_tokens": 5, "temperature": 0}
        texts = {server.post("/v1/completions", {**body, "model": m})["choices"][0]["text"] for m in ("stories", "b", "small")}
        self.assertEqual(len(texts), 1)
        status, _, reply = server.ask("POST", "/v1/completions", body)
        self.assertEqual((status, reply["error"]["param"]), (400, "model"))
        self.assertEqual(server.get("/v1/models/small")[2]["root"], "b")
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
