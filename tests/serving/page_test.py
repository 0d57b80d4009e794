"""The page at / in a real browser, when Chromium is there (scripts/install_deps.sh test): a prompt, a streamed answer with
coloured tokens, what a token's alternatives were, stopping, errors. Pictures go to the build folder, to be looked at."""

import os
import sys
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import browser  # noqa: E402
from server import ROOT, Server, make_model, scratch  # noqa: E402

SMOLLM2 = ROOT / "models/SmolLM2-135M-Instruct.Q4_1.gguf"
PICTURES = Path(os.environ["AGON_BUILD"])


class Page(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = scratch()
        cls.addClassCleanup(folder.cleanup)
        make_model(folder.name)
        model = str(SMOLLM2) if SMOLLM2.exists() else "stories.gguf"
        cls.server = Server(folder.name, "--alias", "keep=stories.gguf" if model == "stories.gguf" else f"keep={model}", models=[model])
        cls.addClassCleanup(cls.server.stop)

    def open(self, wishes="", **how):
        view = browser.Browser(**how)
        self.addCleanup(view.close)
        view.call("Page.navigate", url=self.server.url + "/" + wishes)
        view.wait("document.getElementById('model') && document.getElementById('model').options.length > 0")
        return view

    def answer(self, view, mode, prompt, tokens=60):
        view.run(f"$('{mode}Mode').click(); $('prompt').value = {prompt!r}; $('maxTokens').value = {tokens}; $('seed').value = 3;"
                 "$('system').value = 'You are a helpful assistant.'; $('go').click()")
        view.wait("running === null && (tokens.length > 0 || !$('wrong').hidden)")
        if tokens < 1000:
            self.assertEqual(view.run("$('wrong').hidden ? '' : $('wrong').textContent"), "")

    def test_an_answer_in_both_modes_and_colours(self):
        for dark in (False, True):
            view = self.open(dark=dark)
            self.answer(view, "text" if dark else "chat", "Once upon a time" if dark else "Tell me a story about a fox.", 90)
            count = view.run("tokens.length")
            self.assertEqual(view.run("document.querySelectorAll('#answer .tok').length"), count)
            self.assertEqual(view.run("Number($('count').textContent)"), count)
            self.assertTrue(all(p <= 1e-9 for p in view.run("tokens.map(t => t.logprob)")))
            self.assertGreater(view.run("new Set([...document.querySelectorAll('.tok')].map(t => t.style.background)).size"), 3)
            view.run("const look = document.querySelector(`.tok[data-at='${tokens.findIndex(t => t.logprob < -1)}']`);"
                     "look.dispatchEvent(new MouseEvent('mouseover', {bubbles: true}))")
            self.assertFalse(view.run("$('tip').hidden"))
            self.assertGreaterEqual(view.run("document.querySelectorAll('#tip .row').length"), 5)
            self.assertEqual(view.run("document.querySelectorAll('#tip .row.drawn').length"), 1)
            view.picture(PICTURES / f"serve_page_{'dark' if dark else 'light'}.png")
            self.assertEqual(view.complaints(), [])
            outside = [a for a in view.addresses() if not a.startswith((self.server.url, "data:"))]
            self.assertEqual(outside, ["about:blank"] * len(outside))

    def test_stopping_frees_the_slot(self):
        view = self.open()
        view.run("$('textMode').click(); $('prompt').value = 'Once'; $('maxTokens').value = 450; $('temperature').value = 2; $('go').click()")
        view.wait("tokens.length > 2")
        view.run("if (running) $('go').click()")
        view.wait("running === null")
        self.server.until(lambda: "agon_requests_running{" in self.server.get("/metrics")[2] and
                          all(line.endswith(" 0") for line in self.server.get("/metrics")[2].splitlines() if line.startswith("agon_requests_running{")),
                          "a free slot")

    def test_an_error_is_shown(self):
        view = self.open()
        self.answer(view, "chat", "x", 100000)
        self.assertIn("more than the context", view.run("$('wrong').textContent"))

    def test_a_narrow_window(self):
        view = self.open(width=400, height=1200)
        self.answer(view, "text", "Once upon a time", 40)
        self.assertLessEqual(view.run("document.documentElement.scrollWidth"), 400)
        view.picture(PICTURES / "serve_page_narrow.png")


if __name__ == "__main__":
    if not browser.PROGRAM:
        print("skipped: no Chromium here (scripts/install_deps.sh test installs it)")
        sys.exit(77)
    unittest.main()
