"""Writes tests/data/tokenizer/chat_golden.json: what Jinja2 makes of the templates in chat_templates.json.

    python3 make_chat_golden.py      # needs Jinja2 3.1

The environment is the one that Hugging Face's transformers gives to chat templates: trim_blocks and lstrip_blocks
on, raise_exception to refuse. The leading BOS is taken off, as agon leaves it to the tokenizer. `null` stands for
a template that raised an exception. Templates that need today's date, and have none to fall back to, get "<DATE>".
"""

import json
from pathlib import Path

from jinja2.sandbox import ImmutableSandboxedEnvironment

DATA = Path(__file__).resolve().parents[1] / "data/tokenizer"
BOS, EOS = "<BOS>", "<EOS>"


def system(text):
    return ["system", text]


def user(text):
    return ["user", text]


def assistant(text):
    return ["assistant", text]


CONVERSATIONS = [
    [user("Hi")],
    [system("Be brief."), user("Hi")],
    [user("Hi"), assistant("Hello!"), user("And?")],
    [system("Be brief."), user("  Hi \n"), assistant(" Hello! \u3000"), user("\n\nAnd?\u00a0\x1c ")],
    [user("a"), assistant("b"), user("c"), assistant("d"), user("e")],
    [system(""), user("Hi")],
    [user(""), assistant(""), user("")],
    [user("Hi"), assistant("Hello!")],
    [system("s"), user("Hi"), assistant("Hello!")],
    [user("q"), assistant("<think>\nhmm\n</think>\n\nanswer"), user("r")],
    [user("q"), assistant("<think>\nhmm\n</think>\n\nanswer")],
    [system("x"), user("q"), assistant("</think>\n\n\nodd"), user("z"), assistant("<think>a</think>b<think>c</think>\nd")],
    [user("<tool_response>\nx\n</tool_response>"), assistant("k")],
    [user("q"), assistant("<think>\n\n\nx\n\n</think>\n\n\n\ny\n"), assistant("second")],
    [system("a"), user("b"), system("c"), user("d")],
    [assistant("starts"), user("x")],
    [user("a"), user("b")],
    [user("日本 😀 <|im_end|> [INST] </s>")],
]


def refuse(message):
    raise ValueError(message)


def main():
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    templates = json.loads((DATA / "chat_templates.json").read_text(encoding="utf-8"))["known"]
    golden = {"bos": BOS, "eos": EOS, "conversations": CONVERSATIONS, "rendered": {}}
    for name, text in templates.items():
        needs_date = "strftime_now(" in text and "strftime_now is defined" not in text
        template = environment.from_string(text, {"strftime_now": lambda form: "<DATE>"} if needs_date else {})
        rows = golden["rendered"][name] = []
        for conversation in CONVERSATIONS:
            messages = [{"role": role, "content": content} for role, content in conversation]
            pair = []
            for generate in (False, True):
                try:
                    out = template.render(messages=messages, add_generation_prompt=generate, bos_token=BOS, eos_token=EOS)
                    pair.append(out.removeprefix(BOS))
                except ValueError:
                    pair.append(None)
            rows.append(pair)
    text = json.dumps(golden, ensure_ascii=False, indent=0, separators=(",", ":"))
    (DATA / "chat_golden.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
