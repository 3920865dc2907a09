"""The command line `python -m evaluation.power`."""

import re
import subprocess
import sys

import pytest

from evaluation.power import main


def say(capsys, command):
    code = main(command.split())
    told = capsys.readouterr()
    return code, told.out, told.err


def test_it_finds_questions_samples_or_seeds(capsys):
    code, out, _ = say(capsys, "--difference 3 --samples 4 --seeds 1")
    assert code == 0
    assert out.startswith("questions needed: 526\n")
    code, out, _ = say(capsys, "--difference 3 --questions 500 --seeds 1")
    assert code == 0
    assert out.startswith("samples needed: 5\n")
    code, out, _ = say(capsys, "--difference 3 --questions 500 --samples 4 --seed-variance 0.0001")
    assert code == 0
    assert out.startswith("seeds needed: 5\n")


def test_all_given_it_says_the_power_and_the_minimum_difference(capsys):
    _, out, _ = say(capsys, "--difference 3 --questions 500 --samples 4 --seeds 1")
    assert "power to see 3 points: 0.780" in out
    assert "minimum detectable difference: 3.07 points" in out
    _, out, _ = say(capsys, "--questions 30 --samples 1 --seeds 1 --normal")
    assert "minimum detectable difference: 23.4 points" in out
    assert "power to see" not in out


def test_without_numbers_it_prints_a_table_of_minimum_differences(capsys):
    code, out, _ = say(capsys, "--normal")
    rows = {row.split("|")[0].strip(): row.split("|")[1].split() for row in out.splitlines() if "|" in row}
    assert code == 0
    assert rows["samples"][:4] == ["30", "40", "198", "500"]
    assert rows["1"][0] == "23.4"
    assert rows["1"][3:5] == ["5.7", "4.9"]
    assert rows["32"][:2] == ["6.5", "5.6"]
    assert "Power" not in out
    _, out, _ = say(capsys, "--difference 3 --questions 500")
    assert "Power to see 3 points" in out
    assert re.search(r"^ +4 \| +0\.78$", out, re.MULTILINE)


def test_it_says_what_limits_and_what_would_help(capsys):
    code, out, _ = say(capsys, "--difference 3 --questions 30 --seeds 1")
    assert code == 1
    assert "no number of samples shows 3 points with power 0.8: 30 questions limit it" in out
    assert "any number of samples shows is 5.29 points" in out
    assert "526 questions with 4 samples" in out
    code, out, _ = say(capsys, "--difference 1 --samples 4 --seeds 2 --seed-variance 0.0004")
    assert code == 1
    assert "2 seeds limit it" in out
    assert "313 seeds with 1,000 questions" in out


def test_an_accuracy_bounds_the_variance_of_an_answer(capsys):
    _, derived, _ = say(capsys, "--accuracy 0.3 --questions 500 --samples 2 --seeds 1")
    _, given, _ = say(capsys, "--within 0.21 --questions 500 --samples 2 --seeds 1")
    assert derived == given
    # Two proportions by the normal approximation: 7.849 · 2 · .25/.01 = 392.4.
    _, out, _ = say(capsys, "--difference 10 --samples 1 --seeds 1 --unpaired --accuracy 0.5 --normal")
    assert out.startswith("questions needed: 393\n")


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("--difference 0", "--difference 0"),
        ("--difference 120", "at most 100 points"),
        ("--questions 1", "--questions 1"),
        ("--questions 0", "--questions 0"),
        ("--questions 9 --samples 0 --seeds 1", "--samples 0"),
        ("--questions 9 --samples 1 --seeds 0", "--seeds 0"),
        ("--within 0.3", "--within 0.3"),
        ("--between -0.1", "--between -0.1"),
        ("--accuracy 35", "35 % is 0.35"),
        ("--accuracy 0.3 --within 0.1", "leave out one"),
        ("--alpha 5", "alpha=5"),
        ("--power 80", "power=80"),
        ("--questions 9 --samples 1 --seeds 3", "--seed-variance"),
        ("--difference 3 --questions 500 --samples 4", "--seeds 1 to compare two checkpoints"),
        ("--questions 9 --samples 1 --seeds 1 --seed-variance 0.001", "--seeds 2 or more"),
        ("--difficulty 0.1", "--unpaired"),
        ("--unpaired --between 0.1", "--difficulty"),
        ("--unpaired --within 0.2 --difficulty 0.2", "0.25 together"),
        ("--questions 9 --samples 1 --seeds 1 --within 0 --between 0", "all variances are 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(capsys, command, text):
    code, out, err = say(capsys, command)
    assert code == 2
    assert not out
    assert err.startswith("error: ")
    assert text in " ".join(err.split())


def test_unknown_words_are_refused_by_the_parser(capsys):
    with pytest.raises(SystemExit) as exit:
        main(["--question", "3"])
    assert exit.value.code == 2


def test_it_runs_as_a_module():
    words = [sys.executable, "-m", "evaluation.power", "--difference", "3", "--samples", "4", "--seeds", "1"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "526" in done.stdout
