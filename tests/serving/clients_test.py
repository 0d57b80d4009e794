"""The clients that people use, installed as they are and talking to a running server: the openai package, and
lm-evaluation-harness's local-completions, whose log-likelihoods have to be those of `agon score`.

They are installed into the build folder, once; where that cannot be done the test is skipped (exit code 77) and says
why. ctest -L clients runs it, -LE clients leaves it out."""

import json
import math
import os
import subprocess
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
REQUIREMENTS = HERE / "requirements.txt"
SKIPPED = 77
INSTALL_SECONDS = 500  # within the test's own limit


def enter_environment():
    """Goes on in a Python that has the clients."""
    folder = Path(os.environ["AGON_BUILD"]) / "serving-clients"
    python, done = folder / "bin/python", folder / "done"
    if not done.exists() or done.read_text() != REQUIREMENTS.read_text():
        for command in ([sys.executable, "-m", "venv", folder],
                        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--retries", "1", "-r", REQUIREMENTS]):
            try:
                run = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_SECONDS)
            except subprocess.TimeoutExpired:
                print(f"skipped: the clients were not installed in {INSTALL_SECONDS} s")
                sys.exit(SKIPPED)
            if run.returncode != 0:
                print(f"skipped: the clients cannot be installed here: {' '.join(run.stderr.split()[-40:])}")
                sys.exit(SKIPPED)
        done.write_text(REQUIREMENTS.read_text())
    os.execve(python, [python, __file__, *sys.argv[1:]], os.environ | {
        "AGON_CLIENTS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(folder / "cache"),
        "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": "1"})


if __name__ == "__main__" and "AGON_CLIENTS" not in os.environ:
    enter_environment()

sys.path.insert(0, str(HERE))
from server import PROGRAM, Scratch, Server  # noqa: E402

STORIES = json.loads((ROOT / "tests/data/models/stories260K_greedy.json").read_text(encoding="utf-8"))


class WithServer(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (cls.folder / "keys").write_text("a-key-for-tests\n")
        cls.server = Server(cls.folder, "--api-key-file", "keys")
        cls.addClassCleanup(lambda: cls.server.stop())


class OpenAI(WithServer):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        import openai
        cls.openai = openai
        cls.client = openai.OpenAI(base_url=cls.server.url + "/v1", api_key="a-key-for-tests", max_retries=0)
        cls.chat = {"model": "stories", "messages": [{"role": "user", "content": "Tell me a story."}], "max_tokens": 20, "seed": 4}

    def test_models(self):
        self.assertEqual([m.id for m in self.client.models.list()], ["stories"])
        self.assertEqual(self.client.models.retrieve("stories").id, "stories")

    def test_chat_and_stream(self):
        whole = self.client.chat.completions.create(**self.chat, n=2, user="me", metadata={"a": "b"})
        self.assertEqual(len(whole.choices), 2)
        self.assertEqual(whole.usage.total_tokens, whole.usage.prompt_tokens + whole.usage.completion_tokens)
        texts, usage = ["", ""], None
        for chunk in self.client.chat.completions.create(**self.chat, n=2, stream=True, stream_options={"include_usage": True}):
            usage = chunk.usage or usage
            for choice in chunk.choices:
                texts[choice.index] += choice.delta.content or ""
        self.assertEqual(texts, [c.message.content for c in whole.choices])
        self.assertEqual(usage.completion_tokens, whole.usage.completion_tokens)

    def test_the_helper_for_streams(self):
        # It takes an answer that was cut off for a failure.
        asked = {**self.chat, "max_tokens": 200, "stop": ["."]}
        with self.client.chat.completions.stream(**asked) as stream:
            kinds = {event.type for event in stream}
            final = stream.get_final_completion()
        self.assertIn("content.delta", kinds)
        self.assertEqual(final.choices[0].message.content, self.client.chat.completions.create(**asked).choices[0].message.content)

    def test_log_probabilities(self):
        choice = self.client.chat.completions.create(**self.chat, logprobs=True, top_logprobs=2).choices[0]
        content = choice.logprobs.content
        self.assertEqual(b"".join(bytes(t.bytes) for t in content).decode(), choice.message.content)
        self.assertTrue(all(len(t.top_logprobs) == 2 and t.logprob <= 0 for t in content))
        old = self.client.completions.create(model="stories", prompt="Once upon a time", max_tokens=3, logprobs=2, echo=True, seed=1).choices[0]
        self.assertIsNone(old.logprobs.token_logprobs[0])
        self.assertEqual(len(old.logprobs.tokens), len(old.logprobs.text_offset))

    def test_structured_output(self):
        import pydantic

        class Pet(pydantic.BaseModel):
            is_dog: bool
            legs: int = pydantic.Field(ge=0, le=9)

        reply = self.client.chat.completions.parse(**{**self.chat, "max_tokens": 60}, response_format=Pet)
        self.assertIsInstance(reply.choices[0].message.parsed, Pet)

    def test_embeddings(self):
        # The package asks for base64 by itself.
        one, two = (e.embedding for e in self.client.embeddings.create(model="stories", input=["a dog", "a cat"]).data)
        self.assertAlmostEqual(math.hypot(*one), 1, places=5)
        self.assertNotEqual(one, two)

    def test_errors_have_their_classes(self):
        with self.assertRaises(self.openai.NotFoundError):
            self.client.chat.completions.create(**{**self.chat, "model": "gpt"})
        with self.assertRaises(self.openai.BadRequestError) as caught:
            self.client.chat.completions.create(**self.chat, tools=[{"type": "function", "function": {"name": "f"}}])
        self.assertEqual(caught.exception.param, "tools")
        with self.assertRaises(self.openai.AuthenticationError):
            self.openai.OpenAI(base_url=self.server.url + "/v1", api_key="wrong", max_retries=0).models.list()


class Harness(WithServer):
    def test_log_likelihoods_are_those_of_agon_score(self):
        import lm_eval
        from lm_eval.tasks import TaskManager

        # Parts of a story, and how they may go on. The harness sends no BOS of its own, so the text has it.
        rows = []
        words = STORIES["text"].split(" ")
        for i in range(24):
            begin, cut = i % 3 * 10, i % 3 * 10 + 3 + 3 * i
            rows.append({"context": " ".join(words[begin:cut]), "label": 0,
                         "choices": [" " + " ".join(words[cut:cut + 4]), " a big red dog", " " + words[i], " é 🙂"]})
        (self.folder / "task.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        (self.folder / "story.yaml").write_text(f"""
task: story
dataset_path: json
dataset_kwargs:
  data_files:
    test: {self.folder}/task.jsonl
test_split: test
output_type: multiple_choice
doc_to_text: "<s>{{{{context}}}}"
doc_to_choice: "{{{{choices}}}}"
doc_to_target: label
target_delimiter: ""
metric_list:
  - metric: acc
""")
        items = "\n".join(json.dumps({"id": i, "context": row["context"], "continuations": row["choices"]}) for i, row in enumerate(rows))
        run = subprocess.run([PROGRAM, "score", "-m", "stories.gguf", "-"], input=items, cwd=self.folder, capture_output=True,
                             text=True, check=True)
        truth = [[(c["logprob"], c["is_greedy"]) for c in json.loads(line)["continuations"]] for line in run.stdout.splitlines()]
        os.environ["OPENAI_API_KEY"] = "a-key-for-tests"
        for more in ({"batch_size": 1}, {"batch_size": 5}, {"batch_size": 2, "num_concurrent": 4}):
            batch = more.pop("batch_size")
            result = lm_eval.simple_evaluate(
                model="local-completions", tasks=["story"], batch_size=batch, bootstrap_iters=0, log_samples=True,
                model_args={"model": "stories", "base_url": self.server.url + "/v1/completions", "tokenizer_backend": "remote",
                            "auth_token": "a-key-for-tests", "max_length": 512, "max_retries": 1, **more},
                task_manager=TaskManager(include_path=str(self.folder), include_defaults=False))
            samples = sorted(result["samples"]["story"], key=lambda s: s["doc_id"])
            self.assertEqual(len(samples), len(rows))
            for sample, expected in zip(samples, truth, strict=True):
                for (got, greedy), (logprob, is_greedy) in zip(sample["filtered_resps"], expected, strict=True):
                    self.assertAlmostEqual(float(got), logprob, delta=1e-5)
                    self.assertEqual(str(greedy), str(is_greedy))
            best = [max(range(4), key=lambda i: scores[i][0]) for scores in truth]
            self.assertAlmostEqual(result["results"]["story"]["acc,none"], best.count(0) / len(best))


if __name__ == "__main__":
    unittest.main()
