"""Runs of the verbs of the language-model engine: generate, chat, score, embed, bench-model.

With the bundled stories260K; and with SmolLM2-135M-Instruct when `make model` has fetched it, else those tests are
skipped and say so."""

import gzip
import json
import math
import os
import random
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "tests/data/models"
SMOLLM2 = ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
SHARED = ["Once upon a time", "Once upon a time, there was a little girl", "Lily saw a big", "", "Tim said: "]
ENDINGS = [" dog", " girl named Lily.", "\n", " and they played all day", "x", " é€"]


def agon(*words, cwd=None, stdin="", **environment):
    return subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, input=stdin, capture_output=True, text=True,
                          encoding="utf-8", timeout=300, env=os.environ | environment)


def items(count, seed=1):
    """Rows of score's input as JSON, with many shared beginnings."""
    draw = random.Random(seed)
    return [json.dumps({"id": f"i{i}", "context": draw.choice(SHARED),
                        "continuations": draw.sample(ENDINGS, draw.randint(1, 4))}) for i in range(count)]


class Scratch(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(scratch.cleanup)
        cls.folder = Path(scratch.name)

    def path(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def works(self, *words, **more):
        run = agon(*words, cwd=self.folder, **more)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def fails(self, code, message, *words, **more):
        run = agon(*words, cwd=self.folder, **more)
        self.assertEqual((run.returncode, run.stdout), (code, ""), run.stderr)
        self.assertIn(message, run.stderr)
        self.assertEqual(run.stderr.count("\n"), 1, run.stderr)


class Stories(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        run = agon("model", "convert", "--from", "llama2c", MODELS / "stories260K.bin", MODELS / "tok512.bin", "-o",
                   "s.gguf", cwd=cls.folder)
        assert run.returncode == 0, run.stderr
        cls.known = json.loads((MODELS / "stories260K_greedy.json").read_text(encoding="utf-8"))

    # ---- generate

    def test_the_known_story(self):
        run = json.loads(self.works("generate", "-m", "s.gguf", "--raw", "", "-n", "200", "--json"))
        ids = [token["id"] for token in run["tokens"]]
        self.assertEqual([1, *ids][:150], self.known["tokens"][:150])
        self.assertTrue(run["text"].startswith(self.known["text"][:400]), run["text"])
        self.assertEqual("".join(token["piece"] for token in run["tokens"]).lstrip(" "), run["text"])
        streamed = self.works("generate", "-m", "s.gguf", "--raw", "", "-n", "200")
        self.assertEqual(streamed, run["text"] + "\n")
        self.assertEqual(run["stopped_by"], "length")

    def test_a_prompt_from_a_file_or_a_pipe_and_an_answer_to_a_file(self):
        words = ["generate", "-m", "s.gguf", "--raw", "-n", "20"]
        direct = self.works(*words, "Lily and Tom")
        self.path("prompt.txt", "Lily and Tom")
        self.assertEqual(self.works(*words, "--file", "prompt.txt"), direct)
        self.assertEqual(self.works(*words, "--file", "-", stdin="Lily and Tom"), direct)
        self.assertEqual(self.works(*words, "Lily and Tom", "-o", "answer.txt"), "")
        self.assertEqual((self.folder / "answer.txt").read_text(encoding="utf-8"), direct)

    def test_the_same_seed_gives_the_same_bytes_on_any_threads(self):
        words = ["generate", "-m", "s.gguf", "--raw", "Once", "-n", "60", "--temperature", "1", "--top-p", "0.95"]
        texts = {self.works(*words, "--seed", "4", "--threads", threads) for threads in "123"}
        self.assertEqual(len(texts), 1)
        self.assertNotIn(self.works(*words, "--seed", "5"), texts)
        # Levels of instructions agree too.
        for level in ("plain", "avx2"):
            self.assertIn(self.works(*words, "--seed", "4", AGON_CPU=level), texts)

    def test_stop_strings_end_the_answer(self):
        whole = self.works("generate", "-m", "s.gguf", "--raw", "Once upon a time", "-n", "60")
        cut = self.works("generate", "-m", "s.gguf", "--raw", "Once upon a time", "-n", "60", "--stop", "Lily",
                         "--stop", "never said")
        self.assertEqual(cut, whole[: whole.index("Lily")] + "\n")

    def test_choices_have_the_probabilities_that_score_gives(self):
        context, choices = "Once upon a time, there was a little", [" girl", " boy", " dog"]
        words = ["generate", "-m", "s.gguf", "--raw", context, "--choice", ",".join(choices)]
        self.assertEqual(self.works(*words), " girl\n")
        run = json.loads(self.works(*words, "--json"))
        self.path("choice.jsonl", json.dumps({"context": context, "continuations": choices}))
        scored = json.loads(self.works("score", "-m", "s.gguf", "choice.jsonl"))["continuations"]
        self.assertEqual([c["logprob"] for c in run["choices"]], [s["logprob"] for s in scored])
        total = sum(math.exp(s["logprob"]) for s in scored)
        for choice, one in zip(run["choices"], scored, strict=True):
            self.assertAlmostEqual(choice["probability"], math.exp(one["logprob"]) / total, 9)
        drawn = [self.works(*words, "--temperature", "3", "--seed", seed).strip("\n") for seed in range(12)]
        self.assertLessEqual(set(drawn), set(choices))
        self.assertGreater(len(set(drawn)), 1)

    def test_constrained_answers(self):
        words = ["generate", "-m", "s.gguf", "--raw", "A girl:", "--temperature", "1"]
        self.path("person.json", json.dumps({
            "type": "object", "required": ["name", "age"], "properties": {
                "name": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 1, "maximum": 99}}}))
        for seed in range(5):
            person = json.loads(self.works(*words, "--json-schema", "person.json", "--seed", seed))
            self.assertEqual(list(person), ["name", "age"])
            self.assertLessEqual(len(person["name"]), 8)
            self.assertIn(person["age"], range(1, 100))
        self.assertRegex(self.works(*words, "--regex", "(yes|no)[!?]"), r"^(yes|no)[!?]\n$")
        run = json.loads(self.works(*words, "--regex", "[ab]{3}", "--json"))
        self.assertRegex(run["text"], "^[ab]{3}$")
        self.assertEqual(run["stopped_by"], "end")
        # Cut, it is not what was promised.
        run = agon(*words, "--json-schema", "person.json", "-n", "4", cwd=self.folder)
        self.assertEqual(run.returncode, 1)
        self.assertIn("cut after 4 tokens and not complete", run.stderr)
        self.fails(1, "not complete", *words, "--json-object", "-n", "4", "-o", "cut.json")
        self.assertFalse((self.folder / "cut.json").exists())
        cut = json.loads(self.works(*words, "--json-object", "-n", "4", "--json"))
        self.assertEqual(cut["stopped_by"], "length")
        self.path("bad.json", '{"properties": {"a": {"not": {}}}}')
        self.fails(1, "bad.json: the JSON schema at '/properties/a': the keyword 'not' is not supported",
                   *words, "--json-schema", "bad.json")
        self.fails(1, "none.json", *words, "--json-schema", "none.json")
        self.fails(2, "byte 1 of the regular expression: lookaround is not supported", *words, "--regex", "a(?=b)")

    # ---- chat

    def test_chat_from_a_pipe(self):
        words = ["chat", "-m", "s.gguf", "--template", "zephyr", "-n", "12", "--temperature", "0"]
        once = self.works(*words, stdin="Hello\n")
        self.assertEqual(self.works(*words, stdin="Hello"), once)
        twice = self.works(*words, stdin="Hello\n\n/reset\nHello\n/exit\nnever read\n")
        self.assertEqual(twice, once * 2)
        longer = self.works(*words, stdin="Hello\nAnd then?\n")
        self.assertTrue(longer.startswith(once))
        self.assertGreater(len(longer), len(once))

    def test_a_chat_that_is_too_long(self):
        words = ["chat", "-m", "s.gguf", "--template", "zephyr", "-n", "8", "--temperature", "0", "--context", "128"]
        question = "Tell me a story about a dog and a cat\n"
        run = agon(*words, cwd=self.folder, stdin=question * 12)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"the prompt has \d+ tokens, \d+ more than the context of 128 \(expected /reset")
        self.works(*words, "--truncate", stdin=question * 12)

    def test_an_interrupt_stops_the_answer_and_not_the_program(self):
        run = subprocess.Popen([PROGRAM, "chat", "-m", "s.gguf", "--template", "zephyr", "--temperature", "2", "-n", "400"],
                               cwd=self.folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        run.stdin.write(b"Hello\n")
        run.stdin.flush()
        self.assertTrue(run.stdout.read(1))  # the answer has begun
        run.send_signal(signal.SIGINT)
        time.sleep(0.2)
        out, error = run.communicate(b"/reset\nAgain\n/exit\n", timeout=120)
        self.assertEqual((run.returncode, error), (0, b""), out)

    # ---- score

    def test_scores_are_the_products_of_steps_and_the_greedy_path_is_greedy(self):
        context = "Once upon a time"
        run = json.loads(self.works("generate", "-m", "s.gguf", "--raw", context, "-n", "12", "--json"))
        self.path("one.jsonl", json.dumps({"context": context, "continuations": [run["text"], " zebra"]}))
        greedy, other = json.loads(self.works("score", "-m", "s.gguf", "one.jsonl"))["continuations"]
        self.assertEqual([t["id"] for t in greedy["tokens"]], [t["id"] for t in run["tokens"]])
        self.assertTrue(greedy["is_greedy"])
        self.assertFalse(other["is_greedy"])
        self.assertAlmostEqual(greedy["logprob"], sum(greedy["token_logprobs"]), 9)
        # Each step alone: the chain rule over contexts that grow by one token.
        pieces, rows = context, []
        for token in run["tokens"]:
            rows.append(json.dumps({"context": pieces, "continuations": [token["piece"]]}))
            pieces += token["piece"]
        steps = self.works("score", "-m", "s.gguf", "-", stdin="\n".join(rows)).splitlines()
        for step, token, logprob in zip(map(json.loads, steps), greedy["tokens"], greedy["token_logprobs"], strict=True):
            [alone] = step["continuations"]
            if [t["id"] for t in alone["tokens"]] == [token["id"]]:  # encoded alone, a piece may be other tokens
                self.assertEqual(alone["logprob"], logprob)

    def test_the_same_bytes_in_any_order_batch_and_number_of_threads(self):
        rows = items(60)
        self.path("items.jsonl", "\n".join(rows))
        expected = self.works("score", "-m", "s.gguf", "items.jsonl").splitlines()
        self.assertEqual([json.loads(line)["id"] for line in expected], [f"i{i}" for i in range(60)])
        for threads in "13":
            self.assertEqual(self.works("score", "-m", "s.gguf", "items.jsonl", "--threads", threads).splitlines(), expected)
        order = random.Random(2).sample(range(60), 60)
        shuffled = self.works("score", "-m", "s.gguf", "-", stdin="\n".join(rows[i] for i in order)).splitlines()
        self.assertEqual(shuffled, [expected[i] for i in order])
        for i in (0, 17, 59):
            self.assertEqual(self.works("score", "-m", "s.gguf", "-", stdin=rows[i]).splitlines(), [expected[i]])
        for level in ("plain", "avx2"):
            self.assertEqual(self.works("score", "-m", "s.gguf", "items.jsonl", AGON_CPU=level).splitlines(), expected)

    def test_archives_in_and_out(self):
        rows = "\n".join(items(5)).encode()
        self.path("i.jsonl", rows)
        self.path("i.jsonl.gz", gzip.compress(rows))
        plain = self.works("score", "-m", "s.gguf", "i.jsonl")
        self.assertEqual(self.works("score", "-m", "s.gguf", "i.jsonl.gz"), plain)
        self.works("score", "-m", "s.gguf", "i.jsonl", "-o", "o.jsonl.gz", "-q")
        self.assertEqual(gzip.decompress((self.folder / "o.jsonl.gz").read_bytes()).decode(), plain)

    def test_perplexity_is_that_of_the_scores(self):
        text = self.known["text"][:600]
        self.path("text.txt", text)
        figures = json.loads(self.works("score", "-m", "s.gguf", "--perplexity", "text.txt", "--json"))
        # A text that fits one window is a continuation of nothing.
        self.path("whole.jsonl", json.dumps({"context": "", "continuations": [text]}))
        [score] = json.loads(self.works("score", "-m", "s.gguf", "whole.jsonl"))["continuations"]
        losses = [-x for x in score["token_logprobs"]]
        self.assertEqual(figures["tokens"], len(losses))
        mean = sum(losses) / len(losses)
        self.assertAlmostEqual(figures["loss"], mean, 9)
        variance = sum((x - mean) ** 2 for x in losses) / (len(losses) - 1)
        self.assertAlmostEqual(figures["standard_error"], math.sqrt(variance / len(losses)), 6)
        self.assertAlmostEqual(figures["perplexity"], math.exp(mean), 6)
        self.assertAlmostEqual(figures["bits_per_byte"], sum(losses) / math.log(2) / len(text.encode()), 9)
        self.assertLess(figures["perplexity"], 4)  # the model's own story
        shorter = json.loads(self.works("score", "-m", "s.gguf", "--perplexity", "text.txt", "--window", "32", "--json"))
        self.assertEqual(shorter["tokens"], figures["tokens"])
        self.assertGreater(shorter["loss"], figures["loss"])
        self.assertRegex(self.works("score", "-m", "s.gguf", "--perplexity", "text.txt"), r"(?m)^perplexity +\d+\.\d+$")

    def test_a_text_too_long_is_cut_only_when_asked(self):
        self.path("long.jsonl", json.dumps({"id": 1, "context": "a b " * 100, "continuations": [" c"]}))
        words = ["score", "-m", "s.gguf", "long.jsonl", "--context", "50"]
        run = agon(*words, cwd=self.folder)
        self.assertEqual(run.returncode, 1)
        self.assertRegex(run.stderr, r"long.jsonl: row 1, column 'continuations\[0\]': the text has \d+ tokens, \d+ more "
                                     r"than the context of 50")
        run = agon(*words, "--truncate", cwd=self.folder)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("1 texts were longer than the context of 50 tokens", run.stderr)
        self.assertLess(json.loads(run.stdout)["continuations"][0]["logprob"], 0)

    # ---- embed and bench-model

    def test_embeddings_have_the_models_shape(self):
        self.path("texts.jsonl", '{"id": "a", "text": "Once upon a time"}\n{"id": 5, "text": "Lily"}\n')
        rows = {}
        for pooling in ("mean", "last", "none"):
            out = self.works("embed", "-m", "s.gguf", "texts.jsonl", "--layer", "2", "--pooling", pooling)
            rows[pooling] = [json.loads(line) for line in out.splitlines()]
            self.assertEqual([(row["id"], row["layer"]) for row in rows[pooling]], [("a", 2), (5, 2)])
        for mean, last, none in zip(rows["mean"], rows["last"], rows["none"], strict=True):
            self.assertEqual({len(row) for row in none["embeddings"]}, {64})
            self.assertEqual(len(none["embeddings"]), none["tokens"])
            self.assertEqual(last["embedding"], none["embeddings"][-1])
            for k, value in enumerate(mean["embedding"]):
                self.assertAlmostEqual(value, sum(row[k] for row in none["embeddings"]) / none["tokens"], 4)
        self.assertEqual(self.works("embed", "-m", "s.gguf", "texts.jsonl", "--threads", "1"),
                         self.works("embed", "-m", "s.gguf", "texts.jsonl", "--layer", "5"))

    def test_bench_model_prints_rates_beside_limits(self):
        words = ["bench-model", "-m", "s.gguf", "--prompt", "32", "--generate", "8", "--repeats", "2"]
        figures = json.loads(self.works(*words, "--json", "--sequences", "3"))
        for part in ("prompt", "generation"):
            self.assertGreater(figures[part]["tokens_per_second"], 0)
            self.assertGreaterEqual(figures[part]["tokens_per_second"], figures[part]["median_tokens_per_second"])
            self.assertTrue(0 < figures[part]["share_of_products"] < 1, figures[part])
        self.assertEqual(figures["generation"]["tokens"], 24)
        self.assertEqual(set(figures["start_up_seconds"]), {"file", "tokenizer", "weights", "first_token"})
        self.assertGreater(figures["memory_bytes"]["peak"], figures["memory_bytes"]["weights"])
        half = json.loads(self.works(*words, "--json", "--layers", "half"))
        self.assertEqual((half["layers"], half["vocabulary_product"]), (2, False))
        text = self.works(*words)
        self.assertRegex(text, r"prompt of 32 +[\d.]+ ")
        self.assertIn("this machine's limits", text)

    # ---- how bad calls and files end

    def test_files_that_are_wrong(self):
        self.path("text.gguf", "hello, this is no model at all, however long it may be")
        self.path("empty.gguf", "")
        self.path("cut.gguf", (self.folder / "s.gguf").read_bytes()[:100000])
        self.path("one.jsonl", items(1)[0])
        for verb in (["generate", "--raw", "x"], ["chat"], ["score", "one.jsonl"], ["embed", "one.jsonl"], ["bench-model"]):
            self.fails(1, "none.gguf: ", *verb, "-m", "none.gguf")
            self.fails(1, "text.gguf: ", *verb, "-m", "text.gguf")
            self.fails(1, "empty.gguf: ", *verb, "-m", "empty.gguf")
            self.fails(1, "cut.gguf: ", *verb, "-m", "cut.gguf")
        self.fails(1, "the file has none", "generate", "-m", "s.gguf", "hello")
        self.fails(1, "the file has none", "chat", "-m", "s.gguf")

    def test_rows_that_are_wrong(self):
        good = items(1)[0] + "\n"
        for row, message in [
            ('{"context": "x"', "row 2: not JSON"),
            ('{"context": "x"}', "row 2, column 'continuations': missing"),
            ('{"context": "x", "continuations": [""]}', "row 2, column 'continuations[0]': empty"),
            ('{"context": "x", "continuations": [3]}', "row 2, column 'continuations[0]': a number is no text"),
            ('{"context": null, "continuations": []}', "row 2, column 'context': null is no text"),
            ('{"messages": [{"role": "user", "content": "x"}], "continuations": ["y"]}', "row 2, column 'messages': "),
        ]:
            self.path("bad.jsonl", good + row)
            self.fails(1, f"bad.jsonl: {message}", "score", "-m", "s.gguf", "bad.jsonl", "-o", "never.jsonl")
            self.assertFalse((self.folder / "never.jsonl").exists())
        self.path("bad.jsonl", '{"text": "x"}\n{"id": 2}')
        self.fails(1, "bad.jsonl: row 2, column 'text': missing", "embed", "-m", "s.gguf", "bad.jsonl", "-o", "n.jsonl")
        self.path("short.txt", "")
        self.fails(1, "short.txt: the text is too short", "score", "-m", "s.gguf", "--perplexity", "short.txt")

    def test_command_lines_that_are_wrong(self):
        self.path("one.jsonl", items(1)[0])
        self.fails(1, "64 more than", "generate", "-m", "s.gguf", "--raw", "x", "--context", "576")
        for message, *words in [
            ("a prompt and --file", "generate", "--raw", "x", "--file", "y"),
            ("--raw has no place for --system", "generate", "--raw", "x", "--system", "y"),
            ("more than one of --choice, --json-schema", "generate", "x", "--regex", "a", "--json-object"),
            ("more than one of --choice, --json-schema", "generate", "x", "--choice", "a", "--json-schema", "b"),
            ("an empty --choice", "generate", "--raw", "x", "--choice", ""),
            ("nothing to score", "score"),
            ("items and --perplexity", "score", "one.jsonl", "--perplexity", "y"),
            ("belong to --perplexity", "score", "one.jsonl", "--json"),
            ("--layer 6: this model has layers 0 (the embeddings) to 5", "embed", "one.jsonl", "--layer", "6"),
            ("--layers '6' (expected half, or 1 to 5)", "bench-model", "--layers", "6"),
            ("leave nothing to measure", "bench-model", "--prompt", "0", "--generate", "0"),
        ]:
            self.fails(2, message, *words, "-m", "s.gguf")
        for words in (["generate", "x"], ["score", "one.jsonl"]):
            self.assertEqual(agon(*words).returncode, 2)  # no model
        self.assertEqual(agon("generate", "-m", "s.gguf", "x", "--top-p", "0").returncode, 2)
        self.fails(2, "'nonsense' is no chat template", "generate", "-m", "s.gguf", "x", "--template", "nonsense")

    def test_outputs_that_cannot_be_written(self):
        self.path("one.jsonl", items(1)[0])
        for verb in (["score", "one.jsonl"], ["generate", "--raw", "x", "-n", "9"]):
            self.fails(1, "cannot create a file in its folder", *verb, "-m", "s.gguf", "-o", "none/o")
            self.fails(1, "No space left on device", *verb, "-m", "s.gguf", "-o", "/dev/full")
        with open("/dev/full", "w", encoding="utf-8") as full:
            run = subprocess.run([PROGRAM, "score", "-m", "s.gguf", "one.jsonl"], cwd=self.folder, stdout=full,
                                 stderr=subprocess.PIPE)
        self.assertEqual(run.returncode, 1)

    def test_a_failed_or_killed_run_leaves_the_old_output(self):
        old = self.path("old.jsonl", "old")
        self.path("late.jsonl", "\n".join([*items(3), "broken"]))
        self.fails(1, "late.jsonl: row 4: not JSON", "score", "-m", "s.gguf", "late.jsonl", "-o", "old.jsonl")
        self.assertEqual(old.read_text(), "old")
        # Items come through a pipe that stays open, so that no machine is fast enough to be done before the kill.
        run = subprocess.Popen([PROGRAM, "score", "-m", "s.gguf", "-", "-o", "old.jsonl"], cwd=self.folder,
                               stdin=subprocess.PIPE, text=True)
        run.stdin.write("\n".join(items(20000)))
        run.stdin.flush()
        run.kill()
        self.assertEqual(run.wait(), -signal.SIGKILL)
        run.stdin.close()
        self.assertEqual(old.read_text(), "old")

    def test_a_closed_pipe_is_an_error_and_no_signal(self):
        run = subprocess.Popen([PROGRAM, "generate", "-m", "s.gguf", "--raw", "Once", "-n", "400"], cwd=self.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        run.stdout.close()
        self.assertIn("cannot write to standard output", run.stderr.read())
        run.stderr.close()
        self.assertEqual(run.wait(), 1)


@unittest.skipUnless(SMOLLM2.exists(), f"{SMOLLM2.relative_to(ROOT)} is not there: `make model` fetches it")
class SmolLM2(Scratch):
    def test_it_knows_the_capital_of_france(self):
        self.assertIn("Paris", self.works("generate", "-m", SMOLLM2, "What is the capital of France?", "-n", "40",
                                          "--system", "You are a helpful assistant."))
        talk = self.works("chat", "-m", SMOLLM2, "--temperature", "0", "-n", "40", "--system", "You are a helpful assistant.",
                          stdin="What is the capital of France?\n")
        self.assertIn("Paris", talk)

    def test_it_prefers_what_is_true(self):
        self.path("facts.jsonl", "\n".join(json.dumps(item) for item in [
            {"id": 0, "context": "The capital of France is", "continuations": [" Paris", " London", " banana"]},
            {"id": 1, "context": "Water freezes at zero degrees", "continuations": [" Celsius", " London"]},
            {"id": 2, "messages": [{"role": "user", "content": "What is the capital of Italy?"}],
             "continuations": ["The capital of Italy is Rome", "The capital of Italy is Berlin"]},
        ]))
        for line in self.works("score", "-m", SMOLLM2, "facts.jsonl").splitlines():
            logprobs = [c["logprob"] for c in json.loads(line)["continuations"]]
            self.assertEqual(max(logprobs), logprobs[0], line)

    def test_the_same_bytes_on_any_threads_and_levels(self):
        self.path("items.jsonl", "\n".join(items(12, seed=3)))
        expected = self.works("score", "-m", SMOLLM2, "items.jsonl", "--threads", "1")
        self.assertEqual(self.works("score", "-m", SMOLLM2, "items.jsonl", "--threads", "2"), expected)
        # Machines with tile registers read in another precision; below them all levels agree.
        below = self.works("score", "-m", SMOLLM2, "items.jsonl", AGON_CPU="vnni")
        self.assertEqual(self.works("score", "-m", SMOLLM2, "items.jsonl", AGON_CPU="avx2"), below)

    def test_exact_precision_is_near_the_fast_one(self):
        self.path("items.jsonl", "\n".join(items(6, seed=4)))
        fast, exact = (self.works("score", "-m", SMOLLM2, "items.jsonl", "--precision", mode) for mode in ("fast", "exact"))
        self.assertNotEqual(fast, exact)
        differences = [abs(a - b) for one, two in zip(fast.splitlines(), exact.splitlines(), strict=True)
                       for x, y in zip(json.loads(one)["continuations"], json.loads(two)["continuations"], strict=True)
                       for a, b in zip(x["token_logprobs"], y["token_logprobs"], strict=True)]
        self.assertLess(sum(differences) / len(differences), 0.15)

    def test_only_the_given_choices(self):
        text = self.works("generate", "-m", SMOLLM2, "Is the sky blue? Answer yes or no.", "--choice", "Yes,No")
        self.assertTrue(re.fullmatch(r"(Yes|No)\n", text), text)


if __name__ == "__main__":
    unittest.main()
