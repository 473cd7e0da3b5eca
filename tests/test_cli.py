import subprocess
import sys
import time

import hrlm


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def test_help_names_the_commands_and_answers_at_once() -> None:
    took = []
    for _ in range(3):
        start = time.perf_counter()
        shown = python("-c", "import sys; from hrlm.cli import main; sys.argv[1:] = ['--help']; main()")
        took.append(time.perf_counter() - start)
    assert shown.returncode == 0
    assert all(name in shown.stdout for name in ("detect", "annotate", "benchmark", "train"))
    # twice what it may take on an idle machine
    assert min(took) < 0.8


def test_nothing_heavy_is_imported_for_help() -> None:
    shown = python("-c", "import sys, hrlm.cli; print(sorted({'torch', 'cv2', 'numpy', 'PIL'} & set(sys.modules)))")
    assert shown.stdout.strip() == "[]", shown.stderr


def test_version() -> None:
    shown = python("-c", "import sys; from hrlm.cli import main; sys.argv[1:] = ['--version']; main()")
    assert shown.stdout.strip() == f"hrlm {hrlm.__version__}"


def test_wrong_usage_ends_with_2() -> None:
    shown = python("-c", "import sys; from hrlm.cli import main; sys.argv[1:] = ['detect']; main()")
    assert shown.returncode == 2
    assert "--out" in shown.stderr
