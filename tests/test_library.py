"""The shipped library: every file checks, is canonical, cites its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from autodas_dsl.language.check import NO_LIBRARY
from autodas_dsl.language.documents import parse_document, read_document
from autodas_dsl.language.errors import FormulaError, InputError
from autodas_dsl.language.library import (
    library_files,
    library_names,
    library_proxy,
    load,
)

GROUPS = {"parameter", "activation", "teacher_student", "discovered"}
NAMES = {
    "params", "flops", "grad_norm", "snip", "plain", "grasp", "fisher", "synflow", "synflow_bn",
    "l2_norm", "jacob_cov", "nwot", "zico", "meco", "swap", "dims", "zen", "te_nas", "tf_tas",
    "diswot_relation", "diswot_semantic", "diswot", "kd", "at", "sp", "cc", "rkd", "pkt", "nst",
    "ickd", "rho_cnn", "rho_vit", "rho_cnn_s0", "rho_cnn_s0_aligned", "rho_vit_released",
    "az_expressivity", "az_progressivity", "az_trainability", "az_nas", "vkdnw", "vkdnw_single",
    "vkdnw_agg", "zico_nonzero", "gradsign", "log_synflow", "knas", "ntk_trace", "epe_nas", "near",
    "synaptic_diversity", "synaptic_saliency", "pruner_zero", "meco_released", "meco_opt", "wrcor",
    "swap_regularised", "epsinas", "croze", "dextr", "attention_confidence", "head_confidence",
    "head_importance", "head_sensitivity", "lpzero", "pruner_zero_released",
}  # fmt: skip
FILES = [pytest.param(path, id=name) for name, path in library_files().items()]


def test_library_is_complete() -> None:
    assert set(library_names()) >= NAMES
    assert {path.parent.name for path in library_files().values()} == GROUPS


@pytest.mark.parametrize("path", FILES)
def test_file_checks_and_is_canonical(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    proxy = read_document(path)
    proxy.typed()
    assert proxy.check().diagnostics == []
    assert str(proxy) == text
    assert str(proxy) == text
    assert str(parse_document(str(proxy))) == text


@pytest.mark.parametrize("path", FILES)
def test_file_says_what_it_is(path: Path) -> None:
    proxy = read_document(path)
    assert proxy.about.endswith(".")
    assert proxy.source
    assert proxy.better == "higher"


def test_sources_carry_a_year() -> None:
    undated = [name for name in library_names() if "20" not in library_proxy(name).source]
    assert undated == []


def test_a_library_name_stands_for_its_score() -> None:
    statistics = load("diswot + synflow").check().statistics
    assert {str(s) for s in statistics} == {"F_s", "F_t", "grad V_s", "grad V_t", "W",
                                            "grad[flow] W"}  # fmt: skip


def test_load_finds_names_files_and_expressions(tmp_path: Path) -> None:
    file = tmp_path / "mine.proxy"
    file.write_text("proxy/1 mine\nscore = sum(|W|_F)\n", encoding="utf-8")
    assert load("snip").name == "snip"
    assert load(str(file)).name == "mine"
    assert load("params / flops").name == "expression"


def test_a_missing_name_is_suggested() -> None:
    with pytest.raises(FormulaError, match="did you mean `synflow`"):
        load("synflw")
    with pytest.raises(InputError, match="E318"):
        library_proxy("synflw")


def test_inputs_of_a_formula_that_names_proxies_are_verified(tmp_path: Path) -> None:
    file = tmp_path / "both.proxy"
    file.write_text("proxy/1 both\ninputs: W, grad W\nscore = snip + l2_norm\n", encoding="utf-8")
    assert load(str(file)).name == "both"
    file.write_text("proxy/1 both\ninputs: W\nscore = snip + l2_norm\n", encoding="utf-8")
    with pytest.raises(FormulaError, match="E315"):
        load(str(file))


def test_canonical_derives_inputs_through_the_library() -> None:
    proxy = parse_document("proxy/1 both\nscore = snip + l2_norm\n")
    assert "inputs: W, grad W\n" in str(proxy)
    assert proxy.check(NO_LIBRARY).ok  # a formula that has checked is not checked again
    assert not parse_document("proxy/1 both\nscore = snip + l2_norm\n").check(NO_LIBRARY).ok
