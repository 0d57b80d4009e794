"""A reward model at the program and at the server: its outputs are logits of the model it was made of."""

import json
import math
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from gguf_head import add_head  # noqa: E402
from server import PROGRAM, Scratch, Server  # noqa: E402

CONTEXT = "Once upon a time, there was a little"


def agon(*words, cwd, lines=()):
    run = subprocess.run([PROGRAM, *map(str, words)], cwd=cwd, input="\n".join(map(json.dumps, lines)),
                         capture_output=True, text=True)
    return run.returncode, run.stdout, run.stderr


class Rewards(Scratch):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        causal = cls.model
        _, out, _ = agon("score", "-m", causal, "-", "--precision", "exact", cwd=cls.folder,
                         lines=[{"context": CONTEXT, "continuations": [" girl", " boy"]}])
        firsts = [(c["tokens"][0]["id"], c["token_logprobs"][0]) for c in json.loads(out)["continuations"]]
        cls.tokens, cls.logprobs = zip(*firsts)
        assert cls.tokens[0] != cls.tokens[1]
        add_head(causal, cls.folder / "reward.gguf", cls.tokens, ("girl", "boy"))
        add_head(causal, cls.folder / "one.gguf", cls.tokens[:1])

    def embed(self, model, lines, *options):
        code, out, err = agon("embed", "-m", model, "-", "--pooling", "rank", *options, cwd=self.folder, lines=lines)
        self.assertEqual(code, 0, err)
        return [json.loads(line) for line in out.splitlines()]

    def test_outputs_are_logits(self):
        (line,) = self.embed("reward.gguf", [{"id": "x", "text": CONTEXT}], "--precision", "exact")
        girl, boy = line["outputs"]
        self.assertEqual(line["reward"], girl)
        self.assertAlmostEqual(girl - boy, self.logprobs[0] - self.logprobs[1], places=3)
        (single,) = self.embed("one.gguf", [{"id": "x", "text": CONTEXT}], "--precision", "exact")
        self.assertEqual(single, {"id": "x", "tokens": line["tokens"], "reward": girl})

    def test_a_reward_model_gives_no_probabilities(self):
        for words in (("generate", "--raw", "x"), ("score", "-")):
            code, _, err = agon(*words, "-m", "reward.gguf", cwd=self.folder,
                                lines=[{"context": "a", "continuations": ["b"]}])
            self.assertEqual(code, 1)
            self.assertIn("no output matrix", err)
        code, _, err = agon("embed", "-m", "stories.gguf", "-", "--pooling", "rank", cwd=self.folder, lines=[{"text": "a"}])
        self.assertEqual(code, 1)
        self.assertIn("no classification head", err)

    def test_info_shows_the_head(self):
        _, out, _ = agon("info", "reward.gguf", cwd=self.folder)
        self.assertRegex(out, r"classification head +2 outputs \(girl, boy\)")
        self.assertIn("no probabilities of next tokens", out)

    def test_the_server_ranks_by_it(self):
        server = Server(self.folder, models=("reward.gguf",))
        try:
            documents = ["A dog ran.", "The girl is here, and she is happy.", "x"]
            reply = server.post("/v1/rerank", {"query": "Who?", "documents": documents})
            lines = [{"id": i, "messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": d}]}
                     for i, d in enumerate(documents)]
            expected = self.embed("reward.gguf", lines, "--template", "chatml")
            self.assertEqual([r["index"] for r in reply["results"]],
                             sorted(range(3), key=lambda i: -expected[i]["reward"]))
            for result in reply["results"]:
                mine = expected[result["index"]]
                self.assertTrue(math.isclose(result["relevance_score"], mine["reward"], rel_tol=1e-6))
                self.assertEqual([o["label"] for o in result["outputs"]], ["girl", "boy"])
                for output, number in zip(result["outputs"], mine["outputs"]):
                    self.assertTrue(math.isclose(output["score"], number, rel_tol=1e-6))
            self.assertEqual(reply["usage"]["prompt_tokens"], sum(line["tokens"] for line in expected))
            for path, body in (("/v1/completions", {"prompt": "a"}),
                               ("/v1/chat/completions", {"messages": [{"role": "user", "content": "a"}]}),
                               ("/v1/score", {"context": "a", "continuations": ["b"]})):
                status, _, error = server.ask("POST", path, body)
                self.assertEqual(status, 400, error)
                self.assertIn("no output matrix", error["error"]["message"])
            self.assertEqual(len(server.post("/v1/embeddings", {"input": "a"})["data"][0]["embedding"]), 64)
        finally:
            self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
