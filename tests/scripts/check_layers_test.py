"""The layer check finds what it is there to find, and leaves the real tree alone."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import check_layers  # noqa: E402


class CheckLayers(unittest.TestCase):
    def complaints(self, files):
        with tempfile.TemporaryDirectory() as folder:
            for name, text in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            return check_layers.check_tree(Path(folder))[0]

    BASE = {
        "src/agon/base/error.h": "#pragma once\n",
        "src/agon/data/vote.h": '#include "agon/base/error.h"\n',
        "src/agon/stats/metrics.h": '#include "agon/data/vote.h"\n#include <vector>\n',
        "src/agon/preference/model.h": '#include "agon/stats/metrics.h"\n',
        "src/agon/ranking/elo.h": '#include "agon/stats/metrics.h"\n',
        "apps/agon/train.cpp": '#include "agon/preference/model.h"\n#include "agon/ranking/elo.h"\n',
    }

    def test_downward_arrows_pass(self):
        self.assertEqual(self.complaints(self.BASE), [])

    def test_upward_arrow(self):
        found = self.complaints(self.BASE | {"src/agon/base/log.cpp": '\n#include "agon/data/vote.h"\n'})
        self.assertEqual(found, ['src/agon/base/log.cpp:2: "agon/data/vote.h": layer base reaches up to layer data'])

    def test_layer_reaches_pillar(self):
        found = self.complaints(self.BASE | {"src/agon/stats/x.cpp": '#include "agon/preference/model.h"\n'})
        self.assertEqual(len(found), 1)
        self.assertIn("layer stats reaches up to pillar preference", found[0])

    def test_pillar_includes_pillar(self):
        found = self.complaints(self.BASE | {"src/agon/ranking/x_test.cpp": '# include  "agon/preference/model.h"\n'})
        self.assertEqual(len(found), 1)
        self.assertIn("pillar ranking includes pillar preference", found[0])

    def test_every_pair_of_layers(self):
        for i, low in enumerate(check_layers.LAYERS):
            for j, high in enumerate(check_layers.LAYERS):
                files = {f"src/agon/{high}/h.h": "", f"src/agon/{low}/x.cpp": f'#include "agon/{high}/h.h"\n'}
                self.assertEqual(len(self.complaints(files)), 1 if j > i else 0, (low, high))

    def test_bad_forms(self):
        for text in (
            "#include <agon/base/error.h>\n",
            '#include "error.h"\n',
            '#include "../base/error.h"\n',
            '#include "agon/base/error.cpp"\n',
            '#include "agon/base/gone.h"\n',
            '#include "agon/nowhere/error.h"\n',
        ):
            self.assertEqual(len(self.complaints(self.BASE | {"src/agon/data/x.cpp": text})), 1, text)

    def test_unknown_room(self):
        self.assertIn("no known room", self.complaints({"src/agon/shiny/x.h": ""})[0])
        self.assertIn("no known room", self.complaints({"src/agon/x.h": ""})[0])

    def test_tests_may_not_reach_apps(self):
        found = self.complaints(self.BASE | {"tests/x_test.cpp": '#include "apps/agon/train.h"\n'})
        self.assertEqual(len(found), 1)

    def test_comments_do_not_count(self):
        text = (
            '// #include "agon/preference/model.h"\n'
            '/* #include "agon/preference/model.h" */\n'
            '/*\n#include "agon/preference/model.h"\n*/\n'
            '#include <string>  // a comment with /* in it\n'
            '#include <vector>  /* opens\nand closes */\n'
        )
        self.assertEqual(self.complaints(self.BASE | {"src/agon/base/x.cpp": text}), [])
        text += '#include "agon/preference/model.h"\n'
        self.assertEqual(len(self.complaints(self.BASE | {"src/agon/base/x.cpp": text})), 1)

    def test_exit_codes(self):
        script = [sys.executable, str(ROOT / "scripts" / "check_layers.py")]
        real = subprocess.run(script + [str(ROOT)], capture_output=True, text=True)
        self.assertEqual((real.returncode, real.stderr), (0, ""))
        with tempfile.TemporaryDirectory() as folder:
            self.assertEqual(subprocess.run(script + [folder], capture_output=True).returncode, 2)
            bad = Path(folder, "src/agon/base/x.h")
            bad.parent.mkdir(parents=True)
            bad.write_text('#include "agon/arena/y.h"\n')
            self.assertEqual(subprocess.run(script + [folder], capture_output=True).returncode, 1)


if __name__ == "__main__":
    unittest.main()
