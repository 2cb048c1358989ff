"""The commands about the language alone: fmt, check, show --list, ops, and the program itself."""

from __future__ import annotations

import errno
import json
import os
import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from autodas_dsl.cli.entry import COMMANDS, cli
from autodas_dsl.language.inputs import INPUTS
from autodas_dsl.language.library import library_names
from autodas_dsl.language.operators import OPERATORS

UNTIDY = """proxy/1 tidy
better: higher
score=sum( sum(abs(W)))  # all of it
"""
TIDY = """proxy/1 tidy

better: higher
inputs: W

score = sum(sum(|W|))
"""


def run(*words: str, given: str | None = None) -> Result:
    return CliRunner().invoke(cli, list(words), input=given)


def wrong(result: Result) -> str:
    """What a command said about wrong input, once, and without a traceback."""
    assert result.exit_code == 1, result.output
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    return result.stderr


# --- the program --------------------------------------------------------------------------------


def commands(group: click.Group, *path: str) -> list[tuple[tuple[str, ...], click.Command]]:
    found = []
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        found.append(((*path, name), command))
        if isinstance(command, click.Group):
            found += commands(command, *path, name)
    return found


EVERY = commands(cli)


@pytest.mark.parametrize(("path", "command"), EVERY, ids=[" ".join(path) for path, _ in EVERY])
def test_every_command_and_option_is_explained(
    path: tuple[str, ...], command: click.Command
) -> None:
    assert command.help
    assert path[0] in COMMANDS
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{' '.join(path)} {parameter.opts}"
            assert "\n" not in parameter.help


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_examples(name: str) -> None:
    shown = run(name, "-h")
    assert shown.exit_code == 0
    assert shown.stdout == run(name, "--help").stdout
    assert f"autodas-dsl {name}" in shown.stdout.partition("Examples:")[2]


def test_help_lists_every_command() -> None:
    listed = run("-h").stdout
    for name in COMMANDS:
        assert f"  {name} " in listed
    assert "Shell completion" in listed
    assert "..." not in listed.partition("Commands:")[2].partition("Examples:")[0]


@pytest.mark.parametrize(
    "words",
    [["nope"], ["fmt"], ["check", "W", "--format", "csv"], ["show"], ["show", "x", "--list"]],
)
def test_a_wrong_command_line_is_status_2(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


def test_version() -> None:
    import autodas_dsl

    assert run("--version").stdout == f"autodas-dsl {autodas_dsl.__version__}\n"


# --- formulas that begin with a minus ---------------------------------------------------------

NEGATIVE = (
    "-mean(|grad W|_F)", "-params", "-2 * params", "-|sum(sum(W))|", "- params", "-snip + 1",
    "-(params)", "--mean(|W|_F)", "-[params, flops] @ [1, 2]", "-params^2", "-sum(sum(|hess W|))",
    "-√params", "-.5 * params",
)  # fmt: skip


@pytest.mark.parametrize("formula", NEGATIVE)
def test_a_formula_may_begin_with_a_minus(formula: str) -> None:
    for command in ("check", "show", "compile"):
        plain, after = run(command, formula), run(command, "--", formula)
        assert plain.exit_code in (0, 1), plain.stderr
        assert (plain.stdout, plain.stderr) == (after.stdout, after.stderr)


def test_a_formula_with_a_minus_beside_options(tmp_path: Path) -> None:
    assert run("check", "--format", "json", "-params", "-snip").stdout == "[]\n"
    assert run("show", "-params", "--as", "unicode").stdout == "−params\n"
    assert run("show", "--as", "text", "-hess(W)").stderr.count("E202") == 1
    assert "E109" in run("check", "-sum(W").stdout
    out = tmp_path / "o.proxy"
    for words in ([f"-o{out}"], ["-o", str(out), "--force"], [f"--out={out}", "--force"]):
        assert run("simplify", "-params", *words).exit_code == 0
        assert "score = -params" in out.read_text()
    assert run("latex", "-params", "--digits", "2").stdout.count("params") > 0
    assert run("simplify", "params", "-o", str(tmp_path / "not a name.proxy")).exit_code == 1


@pytest.mark.parametrize(
    "words",
    [
        ["check", "-x"], ["check", "--fromat", "json", "W"], ["check", "-paramz"],
        ["show", "--params"], ["show", "params", "-o"], ["compile", "-f", "params"],
        ["simplify", "params", "--rnk"], ["show", "--digits=-mean(W)", "params"],
    ],
)  # fmt: skip
def test_a_mistyped_option_is_still_a_usage_error(words: list[str]) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert "Usage:" in result.stderr


# --- whose formula ------------------------------------------------------------------------------


def test_a_file_that_shadows_the_library_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("show", "snip").stderr == ""
    Path("snip.proxy").write_text("proxy/1 snip\n\nscore = params\n", encoding="utf-8")
    told = "note: `snip` is the library's; the file is snip.proxy\n"
    assert run("show", "snip").stderr == told
    assert run("show", "snip.proxy").stderr == ""
    mine = run("check", "snip.proxy")
    assert mine.exit_code == 0
    assert "warning[E321]: the library has another `snip`" in mine.stdout
    Path("snip.proxy").write_text(
        run("show", "snip").stdout, encoding="utf-8"
    )  # a copy is not another formula
    assert "E321" not in run("check", "snip.proxy").stdout
    assert "E321" not in run("check", "snip").stdout


def test_a_document_without_a_head_is_told_about_itself(tmp_path: Path) -> None:
    file = tmp_path / "mine.proxy"
    file.write_text("score = params\n")
    assert "write `proxy/1 mine` above it" in run("check", str(file)).stdout
    odd = tmp_path / "not-a-name.proxy"
    odd.write_text("score = params\n")
    assert "rename the file" in run("check", str(odd)).stdout
    assert "a document named snip" in run("check", "-", given="score = params\n").stdout


def test_a_tab_is_shown_as_a_space() -> None:
    shown = run("check", "-", given="proxy/1 a\nbetter: higher\n\tscore = params\n").stdout
    assert "E304" in shown
    assert "�" not in shown
    assert "product" not in shown
    assert shown.count("error[") == 1


# --- fmt ----------------------------------------------------------------------------------------


def test_fmt_writes_the_canonical_text_once(tmp_path: Path) -> None:
    file = tmp_path / "tidy.proxy"
    file.write_text(UNTIDY.replace("  # all of it", ""))
    file.chmod(0o600)
    first = run("fmt", str(file))
    assert (first.exit_code, first.stdout, first.stderr) == (0, "", "1 reformatted\n")
    assert file.read_text() == TIDY
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("fmt", str(file)).stderr == "1 already formatted\n"
    assert [path.name for path in tmp_path.iterdir()] == ["tidy.proxy"]


def test_fmt_keeps_comments_of_standard_input() -> None:
    shown = run("fmt", "-", given=UNTIDY)
    assert shown.exit_code == 0
    assert "# all of it" in shown.stdout
    assert run("fmt", "-", given=shown.stdout).stdout == shown.stdout


def test_fmt_check_and_diff_write_nothing(tmp_path: Path) -> None:
    file = tmp_path / "tidy.proxy"
    file.write_text(UNTIDY)
    check = run("fmt", "--check", str(tmp_path))
    assert check.exit_code == 1
    assert f"would reformat {file}" in check.stderr
    diff = run("fmt", "--diff", str(tmp_path))
    assert diff.exit_code == 1
    assert "-score=sum( sum(abs(W)))  # all of it\n" in diff.stdout
    assert diff.stdout.startswith(f"--- {file}\n+++ {file}\n")
    assert file.read_text() == UNTIDY


def test_fmt_check_passes_the_library() -> None:
    folder = Path(__file__).parent.parent / "proxies"
    result = run("fmt", "--check", str(folder))
    assert result.exit_code == 0
    assert result.stderr == f"{len(library_names())} already formatted\n"


def test_fmt_keeps_line_ends_and_removes_byte_order_marks(tmp_path: Path) -> None:
    file = tmp_path / "tidy.proxy"
    windows = TIDY.replace("\n", "\r\n").encode()
    file.write_bytes(windows)
    assert run("fmt", "--check", str(file)).exit_code == 0
    assert run("check", str(file)).exit_code == 0
    file.write_bytes(b"\xef\xbb\xbf" + windows)
    assert run("fmt", "--check", str(file)).exit_code == 1
    assert run("fmt", str(file)).exit_code == 0
    assert file.read_bytes() == windows
    untidy = UNTIDY.replace("  # all of it", "").replace("\n", "\r\n")
    file.write_bytes(untidy.encode())
    shown = run("fmt", "--diff", str(file))
    assert "-score=sum( sum(abs(W)))\r\n+inputs: W\r\n" in shown.stdout_bytes.decode()
    assert run("fmt", str(file)).exit_code == 0
    assert file.read_bytes() == windows
    assert run("fmt", "-", given=untidy).stdout_bytes == windows


def test_fmt_makes_mixed_line_ends_those_of_the_first_line(tmp_path: Path) -> None:
    file = tmp_path / "tidy.proxy"
    file.write_bytes(TIDY.replace("\n", "\r", 3).encode())
    assert "proxy/1 tidy\\r\\rbetter" in run("fmt", "--diff", str(file)).stdout
    assert run("fmt", str(file)).exit_code == 0
    assert file.read_bytes() == TIDY.encode()


def test_fmt_reports_a_wrong_file_and_formats_the_others(tmp_path: Path) -> None:
    (tmp_path / "tidy.proxy").write_text(UNTIDY)
    bad = tmp_path / "bad.proxy"
    bad.write_text("proxy/1 bad\n\nscore = sum(\n")
    result = run("fmt", str(tmp_path))
    assert result.exit_code == 1
    assert f"{bad}:3:12: error[E109]: `(` is never closed" in result.stderr
    assert result.stderr.endswith("1 reformatted, 1 wrong\n")
    assert bad.read_text().endswith("sum(\n")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "not UTF-8"),
        (b"", "the document is empty"),
        (b"proxy/2 x\n", "this is a `proxy/2` document"),
        (b"x" * (1024 * 1024 + 1), "larger than 1 MiB"),
        (b"proxy/1 other\n\nscore = params\n", "the document is named `other`"),
    ],
)
def test_fmt_of_what_is_no_document(tmp_path: Path, data: bytes, message: str) -> None:
    file = tmp_path / "x.proxy"
    file.write_bytes(data)
    assert message in wrong(run("fmt", str(file)))
    assert file.read_bytes() == data


def test_fmt_of_a_file_that_is_not_there() -> None:
    assert wrong(run("fmt", "nowhere.proxy")).startswith(
        "error[E301]: cannot read nowhere.proxy: No such file or directory\n"
    )


def test_fmt_on_a_full_disk_leaves_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    file = tmp_path / "tidy.proxy"
    file.write_text(UNTIDY)
    monkeypatch.setattr("autodas_dsl.language.files.os.fsync", full)
    assert "cannot write" in wrong(run("fmt", str(file)))
    assert file.read_text() == UNTIDY
    assert [path.name for path in tmp_path.iterdir()] == ["tidy.proxy"]


def test_fmt_goes_through_a_link(tmp_path: Path) -> None:
    real = tmp_path / "elsewhere" / "tidy.proxy"
    real.parent.mkdir()
    real.write_text(UNTIDY)
    link = tmp_path / "tidy.proxy"
    link.symlink_to(real)
    assert run("fmt", str(link)).exit_code == 0
    assert link.is_symlink()
    assert real.read_text() != UNTIDY


# --- check --------------------------------------------------------------------------------------


def test_check_says_what_a_formula_reads_and_requires() -> None:
    result = run("check", "rho_cnn")
    assert result.exit_code == 0
    assert result.stdout == (
        "rho_cnn: ok\n"
        "  reads F_s, F_t, grad W\n"
        "  requires C_s = C_t\n"
        "  requires H_s = H_t\n"
        "  requires W_s = W_t\n"
    )


def test_check_passes_the_canonical_example() -> None:
    text = "KL(sigmoid(F_s), sigmoid(F_t)) + mean(|logsoftmax(grad W)|_F)"
    assert run("check", text).stdout.startswith(f"{text}: ok\n")


GOLDEN = {
    "sum(": """<expression>:1:4: error[E109]: `(` is never closed
  1 | sum(
    |    ^
""",
    "sum(softmx(W))": """<expression>:1:5: error[E202]: there is no operator `softmx`
  1 | sum(softmx(W))
    |     ^^^^^^
    = help: did you mean `softmax`?
""",
    "|grad W|_F": """<expression>:1:1: error[E203]: the score must be one number; this is one number per layer
  1 | |grad W|_F
    | ^^^^^^^^^^
    = help: wrap it in mean(…) or sum(…)
""",
    "mean(|W|_F) + sinp": """<expression>:1:15: error[E201]: there is no statistic, let or proxy `sinp`
  1 | mean(|W|_F) + sinp
    |               ^^^^
    = help: did you mean `snip`?
""",
}


@pytest.mark.parametrize("formula", GOLDEN)
def test_check_points_at_the_mistake(formula: str) -> None:
    result = run("check", formula)
    assert result.exit_code == 1
    assert result.stdout == GOLDEN[formula]


def test_check_reports_every_mistake_of_every_argument(tmp_path: Path) -> None:
    file = tmp_path / "x.proxy"
    file.write_text("proxy/1 x\n\nscore = foo(W) + bar\n")
    result = run("check", str(file), "params", "sum(")
    assert result.exit_code == 1
    assert [line for line in result.stdout.split("\n") if "error[" in line or ": ok" in line] == [
        f"{file}:3:9: error[E202]: there is no operator `foo`",
        f"{file}:3:18: error[E201]: there is no statistic, let or proxy `bar`",
        "params: ok",
        "<expression>:1:4: error[E109]: `(` is never closed",
    ]


def test_check_reports_headers_and_formulas_together(tmp_path: Path) -> None:
    file = tmp_path / "x.proxy"
    file.write_text('proxy/1 x\nabot: "a"\nlet y = softmx(W)\nscore = |W|_F\n')
    result = run("check", str(file))
    assert [line.partition("]")[0][-4:] for line in result.stdout.split("\n") if "error[" in line] == [
        "E310", "E202", "E203",
    ]  # fmt: skip


def test_check_json_has_positions() -> None:
    result = run("check", "--format", "json", "-", given="proxy/1 x\n\nscore = sum(softmx(W))\n")
    assert result.exit_code == 1
    assert json.loads(result.stdout) == [
        {
            "file": "<stdin>", "code": "E202", "severity": "error",
            "message": "there is no operator `softmx`", "help": "did you mean `softmax`?",
            "line": 3, "column": 13, "end_line": 3, "end_column": 19,
            "fix": {
                "applicability": "safe", "text": "softmax",
                "line": 3, "column": 13, "end_line": 3, "end_column": 19,
            },
        }
    ]  # fmt: skip
    assert run("check", "--format", "json", "params").stdout == "[]\n"


def test_check_warns_without_failing(tmp_path: Path) -> None:
    file = tmp_path / "x.proxy"
    file.write_text("proxy/1 x\n\nlet spare = params\nscore = flops\n")
    result = run("check", str(tmp_path))
    assert result.exit_code == 0
    assert "warning[E316]: the let `spare` is never used" in result.stdout
    assert f"{file}: ok\n" in result.stdout


@pytest.mark.parametrize("text", ["", "params/" * 300 + "(1 )", "a\nb", "W\0"])
def test_check_of_odd_texts_is_a_diagnostic(text: str) -> None:
    result = run("check", text)
    assert result.exit_code == 1
    assert "error[E" in result.stdout
    assert result.exception is None or isinstance(result.exception, SystemExit)


def test_a_quotient_without_spaces_is_taken_for_a_file_and_says_so() -> None:
    assert "a quotient is written with spaces" in run("check", "params/flops").stdout
    assert run("check", "params / flops").exit_code == 0


# --- show and ops -------------------------------------------------------------------------------


def test_show_prints_the_document() -> None:
    assert run("show", "l2_norm").stdout == (
        "proxy/1 l2_norm\n\n"
        'about: "Sum over the layers of the norm of the weights."\n'
        'source: "Abdelfattah et al., Zero-Cost Proxies for Lightweight NAS, ICLR 2021"\n'
        "better: higher\n"
        "inputs: W\n\n"
        "score = sum(|W|_F)\n\n"
        "reported: nasbench201-cifar10 spearman=0.665 seeds=5\n"
        "reported: nasbench201-cifar100 spearman=0.703 seeds=5\n"
        "reported: nasbench201-imagenet16-120 spearman=0.693 seeds=5\n"
    )


def test_show_list_groups_the_library() -> None:
    shown = run("show", "--list").stdout
    groups = [line for line in shown.split("\n") if line and not line.startswith("  ")]
    assert groups[:4] == ["parameter-level", "activation-level", "teacher-student", "discovered"]
    for name in library_names():
        assert f"\n  {name} " in shown
    found = json.loads(run("show", "--list", "--as", "json").stdout)
    assert sorted(entry["name"] for entry in found) == library_names()
    assert next(e for e in found if e["name"] == "snip")["formula"] == "sum(sum(|W * grad W|))"


def test_show_of_an_unknown_name_suggests() -> None:
    assert "did you mean `snip`?" in wrong(run("show", "snipp"))


def test_ops_lists_every_operator_and_statistic() -> None:
    lines = run("ops").stdout.split("\n")
    for entry in [*OPERATORS.values(), *INPUTS.values()]:
        assert any(line.endswith(f"  {entry.doc}") for line in lines), entry.name


def test_ops_explains_an_operator() -> None:
    assert run("ops", "softmax").stdout == (
        "softmax(x): Probabilities along the class or channel axis.\n"
        "  name       softmax (normalise)\n"
        "  signature  x -> x\n"
        "  axes       C, B, HW (default C)\n"
        "  laws       shift-invariant: f(x + c) = f(x) for a number c\n"
        "             nonnegative: f >= 0\n"
        "  torch      torch.softmax({0}, {axis})\n"
        "  LaTeX      \\operatorname{softmax}\\!\\left(x\\right)\n"
        "  example    softmax(W)\n"
    )


def test_ops_explains_a_statistic() -> None:
    assert run("ops", "grad", "W").stdout == (
        "grad W: Gradient of the loss with respect to each weight.\n"
        "  name       grad W (statistic, weights)\n"
        "  kind       one [C HW] tensor per Conv/Linear layer\n"
        "  needs      forward and backward\n"
        "  attributes grad[flow] W, grad[flow_bn] W, grad[ones] W, grad[absolute] W, "
        "grad[robust] W, grad[split=8] W\n"
        "  LaTeX      \\frac{\\partial\\mathcal{L}}{\\partial W_{\\ell}}\n"
        "  example    mean(|grad W|_F)\n"
    )


@pytest.mark.parametrize("name", [*OPERATORS, *INPUTS])
def test_ops_explains_everything(name: str) -> None:
    shown = run("ops", name)
    assert shown.exit_code == 0
    assert "  LaTeX " in shown.stdout
    assert "  example " in shown.stdout


def test_the_example_of_every_statistic_is_a_formula() -> None:
    for entry in json.loads(run("ops", "--format", "json").stdout):
        if entry["type"] == "statistic":
            assert run("check", entry["example"]).exit_code == 0, entry


def test_ops_knows_aliases_and_spellings() -> None:
    assert run("ops", "silu").stdout == run("ops", "swish").stdout
    assert [line for line in run("ops", "max").stdout.split("\n") if line[:1].strip()] == [
        "max(x): Largest value.",
        "max(x, y): The larger of two, elementwise.",
    ]


def test_ops_of_an_unknown_name_suggests() -> None:
    assert wrong(run("ops", "softmx")) == (
        "error[E210]: there is no operator or statistic `softmx`\n"
        "    = help: did you mean `softmax`?\n"
    )


# --- how much is said ---------------------------------------------------------------------------

SCORED = ("score", "examples/resnet20.py", "-p", "params")


@pytest.mark.parametrize(
    "words",
    [("-q", *SCORED), (*SCORED, "--quiet"), (*SCORED[:1], "-qp", "params", "-q", SCORED[1])],
)
def test_quiet_leaves_the_result_alone_wherever_it_stands(words: tuple[str, ...]) -> None:
    usual, quiet = run(*SCORED), run(*words)
    assert usual.stderr.startswith("data: ")
    assert (quiet.stdout, quiet.stderr) == (usual.stdout, "")
    assert run(*SCORED).stderr == usual.stderr


def test_quiet_still_tells_what_is_wrong() -> None:
    assert "error[E2" in run("-q", "score", "examples/resnet20.py", "-p", "parms").stderr


@pytest.mark.parametrize("words", [("--verbose", *SCORED), (*SCORED, "-v")])
def test_verbose_tells_when_what_was_done(words: tuple[str, ...], tmp_path: Path) -> None:
    defaults = tmp_path / "mine.toml"
    defaults.write_text("[score]\nseed = 0\n", encoding="utf-8")
    usual, verbose = run(*SCORED), run("--config", str(defaults), *words)
    assert verbose.stdout == usual.stdout
    said = re.findall(r"^ +\d+\.\d\d s  (.*)$", verbose.stderr, re.M)
    assert (said[0], said[-1]) == (f"defaults of options are those of {defaults}", "done")
    assert len(set(said)) == len(said)
    assert "done" not in run(*SCORED).stderr


@pytest.mark.parametrize(
    "words", [("-q", "-v", *SCORED), ("-q", *SCORED, "-v"), ("table", "-v", "info", "x", "-q")]
)
def test_quiet_and_verbose_exclude_each_other(words: tuple[str, ...]) -> None:
    refused = run(*words)
    assert refused.exit_code == 2
    assert "exclude each other" in refused.stderr


def test_each_command_takes_and_explains_them() -> None:
    for words in (*([name] for name in COMMANDS), ["table", "build"], ["table", "import"]):
        helped = run(*words, "-q", "-h")
        assert helped.exit_code == 0, words
        assert len(re.findall("-q, --quiet|-v, --verbose", helped.stdout)) == 2, words


def test_a_note_after_two_dashes_is_no_option() -> None:
    assert "error[E" in run("check", "--", "-q").stdout
