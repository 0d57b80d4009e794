"""Runs of the whole program: what it prints and writes, and how every bad call ends.

Nothing here depends on how well the predictor is tuned: numbers are compared by their form."""

import csv
import json
import os
import re
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

PROGRAM = os.environ["AGON_PROGRAM"]
VOTES = Path(__file__).resolve().parents[1] / "data/votes"
SAMPLE, SMALL, TEST = VOTES / "lmsys_sample.csv", VOTES / "lmsys_small.csv", VOTES / "lmsys_test_3.csv"
HEADER = "id,model_a,model_b,prompt,response_a,response_b,winner_model_a,winner_model_b,winner_tie\n"
ROW = '{},x,y,"[""p""]","[""a""]","[""b""]",{}\n'


FIGURES = [
    "agon # % interval length only prior",
    "log loss # [#, #] # #",
    "where A won # [#, #] # #",
    "where B won # [#, #] # #",
    "where they tied # [#, #] # #",
    "accuracy # [#, #] # #",
    "AUC of A against B # [#, #] # #",
    "Brier score # [#, #] # #",
    "calibration error # [#, #] # #",
]


def agon(*words, cwd=None, stdin=""):
    return subprocess.run(
        [PROGRAM, *map(str, words)], cwd=cwd, input=stdin, capture_output=True, text=True, timeout=300
    )


def form(text):
    """The text with every number as #, runs of spaces as one and rules left out."""
    text = re.sub(r"[-+]?\d+(?:,\d{3})*(?:\.\d+)?", "#", text)
    lines = [re.sub(r" +", " ", line).strip() for line in text.splitlines()]
    return [line for line in lines if line and not set(line) <= {"─", " "}]


class Program(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.scratch.cleanup)
        cls.folder = Path(cls.scratch.name)
        cls.trained = agon("train", SAMPLE, "-o", "model.agon", "--json", "cv.json", "--seed", "3", cwd=cls.folder)
        assert cls.trained.returncode == 0, cls.trained.stderr
        cls.model = cls.folder / "model.agon"
        cls.bytes = cls.model.read_bytes()

    def path(self, name, content):
        path = self.folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def fails(self, code, message, *words):
        run = agon(*words, cwd=self.folder)
        self.assertEqual((run.returncode, run.stdout), (code, ""), run.stderr)
        self.assertIn(message, run.stderr)
        if code == 1:
            self.assertTrue(run.stderr.startswith("agon: "), run.stderr)
            self.assertEqual(run.stderr.count("\n"), 1, run.stderr)
        return run

    # ---- what it prints and writes

    def test_train_prints_the_figures(self):
        self.assertEqual(self.trained.stderr, "")
        lines = form(self.trained.stdout)
        self.assertEqual(lines[:10], ["Cross-validated on # votes, # prompt-grouped folds, seed #:", *FIGURES])
        self.assertIn("log loss # (mean of # drawing of # folds: #)", lines)
        self.assertEqual(lines[-1], "model model.agon")
        figures = json.loads((self.folder / "cv.json").read_text())
        self.assertEqual(figures["overall"]["rows"], 60)
        self.assertIn({"what": "seed", "value": "3"}, figures["made_by"])
        self.assertIn(f"{figures['overall']['log_loss']['value']:.4f}", self.trained.stdout)

    def test_evaluate_prints_the_figures_and_takes_submissions(self):
        run = agon("evaluate", "model.agon", SAMPLE, "--json", "figures.json", cwd=self.folder)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        lines = form(run.stdout)
        self.assertEqual(lines[0], f"model.agon on # votes of {form(str(SAMPLE))[0]}:")
        self.assertEqual(lines[1:10], FIGURES)
        figures = json.loads((self.folder / "figures.json").read_text())
        # The same figures from the file that predict writes.
        agon("predict", "model.agon", SAMPLE, "-o", "all.csv", "-q", cwd=self.folder)
        run = agon("evaluate", "model.agon", SAMPLE, "--predictions", "all.csv", "--json", "-", "-q", cwd=self.folder)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertAlmostEqual(
            json.loads(run.stdout)["overall"]["log_loss"]["value"], figures["overall"]["log_loss"]["value"], 6
        )

    def test_predict_writes_the_competitions_form(self):
        run = agon("predict", "model.agon", TEST, "-o", "p.csv", cwd=self.folder)
        self.assertEqual((run.returncode, run.stdout), (0, ""))
        self.assertEqual(run.stderr, "3 rows predicted: p.csv\n")
        rows = list(csv.reader((self.folder / "p.csv").read_text().splitlines()))
        self.assertEqual(rows[0], ["id", "winner_model_a", "winner_model_b", "winner_tie"])
        self.assertEqual([row[0] for row in rows[1:]], ["136060", "211333", "1233961"])
        for row in rows[1:]:
            units = [int(cell.removeprefix("0.")) for cell in row[1:]]
            self.assertTrue(all(re.fullmatch(r"0\.\d{9}", cell) for cell in row[1:]), row)
            self.assertEqual(sum(units), 10**9)
        run = agon("predict", "model.agon", TEST, "--explain", "why.jsonl", "--threads", "1", cwd=self.folder)
        self.assertEqual(run.stdout, (self.folder / "p.csv").read_text())
        for line, row in zip((self.folder / "why.jsonl").read_text().splitlines(), rows[1:], strict=True):
            why = json.loads(line)
            self.assertEqual(why["id"], row[0])
            self.assertEqual(list(why["features"][0]), ["name", "to_a", "to_tie"])

    def test_a_file_from_a_pipe_is_the_same(self):
        piped = agon("predict", self.model, "-", "-q", stdin=SMALL.read_text())
        self.assertEqual(piped.returncode, 0, piped.stderr)
        self.assertEqual(piped.stdout, agon("predict", self.model, SMALL, "-q").stdout)

    def test_info_prints_the_card(self):
        run = agon("info", "model.agon", cwd=self.folder)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        keys = [re.split(r"  +", line)[0] for line in run.stdout.splitlines()[2:]]
        self.assertEqual(
            keys,
            ["kind", "cross-validated log loss", "95 % interval", "baselines", "inputs", "limits", "file",
             "strengths of models", "seed", "versions", "command", "chosen in inner folds", "blend", "columns"],
        )  # fmt: skip

    def test_data_check_prints_what_is_approved(self):
        run = agon("data", "check", SAMPLE, "--json", "check.json", cwd=self.folder)
        self.assertEqual((run.returncode, run.stderr), (0, ""))
        self.assertIn("60", run.stdout)
        report = json.loads((self.folder / "check.json").read_text())
        self.assertTrue(report)

    def test_the_same_seed_gives_the_same_bytes(self):
        for threads in ("1", "2"):
            run = agon("train", SMALL, "--no-cv", "-o", f"t{threads}.agon", "--threads", threads, cwd=self.folder)
            self.assertEqual(run.returncode, 0, run.stderr)
        one, two = (self.card_free((self.folder / f"t{n}.agon").read_bytes()) for n in "12")
        self.assertEqual(one, two)

    @staticmethod
    def card_free(model):
        """The payload behind the card, which holds the command line."""
        return model[model.index(b"length", 96) :]

    def test_bad_rows_are_skipped_counted_and_listed(self):
        rows = [ROW.format(i, "1,0,0" if i % 2 else "0,0,1") for i in range(6)]
        rows.insert(2, ROW.format(90, "1,1,0"))
        rows.insert(4, ROW.format(91, "x,0,0"))
        bad = self.path("bad.csv", HEADER + "".join(rows))
        self.fails(1, "bad.csv: row 3: two winners", "train", "bad.csv", "--no-cv")
        run = agon("train", bad, "--no-cv", "--skip-bad", "-o", "skipped.agon", cwd=self.folder)
        self.assertEqual(run.returncode, 0, run.stderr)
        lines = run.stderr.splitlines()
        self.assertEqual(lines[0], f"agon: {bad}: 2 bad rows skipped")
        self.assertIn("row 3: two winners", lines[1])
        self.assertIn("row 5", lines[2])
        self.assertEqual(len(lines), 3)

    # ---- how bad calls end

    def test_command_lines_that_are_wrong_end_with_2(self):
        self.fails(2, "A subcommand is required")
        self.fails(2, "not expected: --bogus", "train", SMALL, "--bogus")
        self.fails(2, "files is required", "train")
        self.fails(2, "file is required", "predict", "model.agon")
        self.fails(2, "--folds: Value 200 not in range", "train", SMALL, "--folds", "200")
        self.fails(2, "--folds 1 leaves nothing to learn from", "train", SMALL, "--folds", "1")
        self.fails(2, "--threads: Value -1", "predict", "model.agon", TEST, "--threads", "-1")
        self.fails(2, "--seed", "train", SMALL, "--seed", "x")
        self.fails(2, "'0' is no weight", "train", f"{SMALL}:0")
        self.fails(2, "--no-cv leaves nothing to put into", "train", SMALL, "--no-cv", "--html", "r.html")
        self.assertFalse((self.folder / "r.html").exists())

    def test_help_and_version_end_with_0(self):
        self.assertEqual(agon("--help").returncode, 0)
        self.assertRegex(agon("--version").stdout, r"^agon \d+\.\d+\.\d+\n$")

    def test_files_of_votes_that_are_wrong_end_with_1(self):
        self.path("empty.csv", "")
        self.path("header.csv", HEADER)
        self.path("columns.csv", "a,b\n1,2\n")
        self.path("cut.csv.gz", (VOTES / "lmsys_small.csv.gz").read_bytes()[:2000])
        self.path("huge.csv", HEADER + ROW.format(1, "1,0,0").replace("a", "a" * (33 << 20), 1))
        for verb in (["train"], ["predict", "model.agon"], ["evaluate", "model.agon"], ["data", "check"]):
            self.fails(1, "missing.csv: cannot open: No such file or directory", *verb, "missing.csv")
            self.fails(1, "empty.csv: the file is empty", *verb, "empty.csv")
            self.fails(1, "columns.csv: missing columns ", *verb, "columns.csv")
            self.fails(1, "cut.csv.gz: row 7, byte 2000: gzip archive is cut short", *verb, "cut.csv.gz")
            self.fails(1, "huge.csv: row 1", *verb, "huge.csv")
            self.fails(1, ": is a folder, not a file", *verb, VOTES)
        for verb in (["train"], ["evaluate", "model.agon"]):
            self.fails(1, "these rows have no labels", *verb, TEST)
        self.fails(1, "header.csv: ", "train", "header.csv")

    def test_submissions_that_are_wrong_end_with_1(self):
        head = "id,winner_model_a,winner_model_b,winner_tie\n"
        evaluate = ["evaluate", "model.agon", SMALL, "--predictions"]
        self.path("nan.csv", head + "1,nan,0.5,0.5\n")
        self.fails(1, "nan.csv: row 1, column 'winner_model_a': nan is no probability", *evaluate, "nan.csv")
        self.path("other.csv", head + "1,0.2,0.3,0.5\n")
        self.fails(1, "other.csv: no prediction for the id ", *evaluate, "other.csv")
        self.path("twice.csv", head + "1,0.2,0.3,0.5\n1,0.2,0.3,0.5\n")
        self.fails(1, "twice", *evaluate, "twice.csv")
        self.path("sum.csv", head + "1,0.2,0.3,0.6\n")
        self.fails(1, "sum.csv: row 1", *evaluate, "sum.csv")

    def test_models_that_are_damaged_end_with_1(self):
        flipped = bytearray(self.bytes)
        flipped[len(flipped) // 2] ^= 4
        newer = bytearray(self.bytes)
        newer[16] = 99
        for name, content, message in [
            ("cut.agon", self.bytes[:3000], "the model is cut short (2904 bytes of "),
            ("flipped.agon", flipped, "the model is damaged: its checksum does not match"),
            ("newer.agon", newer, "model format 99 is newer than this program reads"),
            ("none.agon", b"", "not a model of agon"),
            ("text.agon", b"id,prompt\n", "not a model of agon"),
        ]:
            self.path(name, bytes(content))
            for call in (["info", name], ["predict", name, TEST], ["evaluate", name, SMALL]):
                self.fails(1, f"{name}: {message}", *call)
        self.fails(1, "gone.agon: cannot open", "predict", "gone.agon", TEST)

    def test_outputs_that_cannot_be_written_end_with_1(self):
        predict = ["predict", "model.agon", TEST, "-o"]
        self.fails(1, "cannot create a file in its folder: No such file", *predict, "none/p.csv")
        self.fails(1, "/dev/full: cannot write: No space left on device", *predict, "/dev/full")
        self.fails(1, ": is a folder, not a file", *predict, self.folder)
        self.fails(1, "No space left on device", "train", SMALL, "--no-cv", "-o", "/dev/full")
        if os.geteuid() != 0:  # root may write anywhere
            closed = self.folder / "closed"
            closed.mkdir(mode=0o500)
            self.fails(1, "Permission denied", *predict, closed / "p.csv")
        with open("/dev/full", "w") as full:
            run = subprocess.run([PROGRAM, *map(str, predict[:3]), "-q"], cwd=self.folder, stdout=full,
                                 stderr=subprocess.PIPE, text=True)  # fmt: skip
        self.assertEqual(run.returncode, 1, run.stderr)

    def test_a_model_that_could_not_be_kept_is_not_trained(self):
        begin = time.monotonic()
        self.fails(1, "none/m.agon: cannot create", "train", SAMPLE, "--cv-seeds", "100", "-o", "none/m.agon")
        self.fails(1, "none/r.html: cannot create", "train", SAMPLE, "--cv-seeds", "100", "--html", "none/r.html")
        self.assertLess(time.monotonic() - begin, 20)  # all hundred would take minutes

    def test_a_failed_run_leaves_the_old_output_and_no_litter(self):
        old = self.path("old.csv", "old")
        self.path("late.csv", HEADER + ROW.format(1, "1,0,0") + ROW.format(2, "1,0,0").replace('[""p""]', "[broken"))
        before = sorted(os.listdir(self.folder))
        self.fails(1, "late.csv: row 2", "predict", "model.agon", "late.csv", "-o", "old.csv")
        self.assertEqual(old.read_text(), "old")
        self.assertEqual(sorted(os.listdir(self.folder)), before)

    def test_a_killed_run_leaves_the_old_output(self):
        old = self.path("kept.agon", "old")
        for delay in (0.02, 0.1, 0.25):
            run = subprocess.Popen(
                [PROGRAM, "train", SAMPLE, "--cv-seeds", "20", "-o", "kept.agon", "-q"], cwd=self.folder
            )
            time.sleep(delay)
            run.send_signal(signal.SIGKILL)
            self.assertEqual(run.wait(), -signal.SIGKILL)
            self.assertEqual(old.read_text(), "old")

    def test_two_trainings_of_one_output_leave_one_of_them_whole(self):
        words = [PROGRAM, "train", SMALL, "--no-cv", "-q", "-o", "both.agon", "--seed"]
        for attempt in range(3):
            runs = [subprocess.Popen([*words, seed], cwd=self.folder) for seed in ("1", "2")]
            self.assertEqual([run.wait() for run in runs], [0, 0])
            card = agon("info", "both.agon", cwd=self.folder)
            self.assertEqual(card.returncode, 0, card.stderr)
            self.assertRegex(card.stdout, r"(?m)^seed +[12]$")
        self.assertEqual([f for f in os.listdir(self.folder) if f.endswith(".tmp") and "both" in f], [])

    def test_a_closed_pipe_is_an_error_and_no_signal(self):
        run = subprocess.Popen([PROGRAM, "predict", "model.agon", SAMPLE, "-q"], cwd=self.folder,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip
        run.stdout.close()
        self.assertIn("Broken pipe", run.stderr.read())
        run.stderr.close()
        self.assertEqual(run.wait(), 1)

    def test_names_that_are_no_utf8_do_no_harm(self):
        name = os.fsencode(self.folder) + b"/caf\xe9.csv"
        with open(name, "wb") as file:
            file.write(SMALL.read_bytes())
        run = subprocess.run([PROGRAM, "train", name, "--folds", "2", "-o", "latin.agon", "--json", "latin.json",
                              "--html", "latin.html", "-q"], cwd=self.folder, capture_output=True)  # fmt: skip
        # Fourteen votes: a learning curve whose smallest shares hold no prompt must not stop it.
        self.assertEqual(run.returncode, 0, run.stderr)
        json.loads((self.folder / "latin.json").read_text(encoding="utf-8"))
        self.assertEqual(agon("info", "latin.agon", cwd=self.folder).returncode, 0)


if __name__ == "__main__":
    unittest.main()
