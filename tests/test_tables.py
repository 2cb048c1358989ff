"""Reading tables: what is understood, and what is refused with which diagnostic."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autodas_dsl.language.errors import InputError
from autodas_dsl.language.files import write_atomic
from autodas_dsl.language.spans import Source
from autodas_dsl.spaces.registry import get
from autodas_dsl.tables import builtin_tables, load_table, table_text, write_table
from autodas_dsl.tables.read import read_table
from autodas_dsl.tables.table import Table, assemble

ROWS = ["1-1-1,60.20,61.87", "1-1-3,67.26,69.01", "1-1-5,69.41,71.50", "1-1-7,70.10,72.36"]


def read(text: str, name: str = "t", space: str | None = None) -> Table:
    return read_table(Source("t.csv", text), name=name, space=space)


def refused(text: str, space: str | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        read(text, space=space)
    return caught.value


# --- the tables that are there -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "space", "rows", "targets", "first"),
    [
        ("cifar_resnet_s0", "cifar-resnet", 64, 2, "1-1-1"),
        ("pit", "pit", 100, 4, "base_dim=16,mlp_ratio=6,depth=2-8-4,num_heads=2-4-4"),
        ("nasbench201", "nasbench201", 15625, 3, None),
        ("autoformer", "autoformer", 100, 6, None),
    ],
)
def test_shared_tables_read_as_they_are(
    shared: Path, name: str, space: str, rows: int, targets: int, first: str | None
) -> None:
    table = load_table(shared / "ground_truth" / f"{name}.csv")
    assert (table.name, table.space, len(table)) == (name, space, rows)
    assert len(table.targets) == targets
    if first is not None:
        assert table.architectures[0] == first
    member = get(space)
    for text in table.architectures[:50]:
        assert member.format(member.parse(text)) == text


def test_missing_cells_of_a_shared_table_are_left_out(shared: Path) -> None:
    table = load_table(shared / "ground_truth" / "autoformer.csv")
    for target in table.targets:
        rows, accuracies = table.measured(target)
        missing = int(np.isnan(table.columns[target]).sum())
        assert len(rows) == len(accuracies) == 100 - missing
        assert np.isfinite(accuracies).all()


def test_built_in_tables_load() -> None:
    for name in builtin_tables():
        table = load_table(name)
        assert table.space is not None
        assert table.target() == "kd"
        assert len(table) >= 64


# --- columns -------------------------------------------------------------------------------------


def test_arch_column_without_a_known_space() -> None:
    table = read("arch,acc\na b,1\nc,2\n")
    assert (table.space, table.architectures, table.target()) == (None, ("a b", "c"), "acc")
    np.testing.assert_array_equal(table.columns["acc"], [1.0, 2.0])


def test_text_columns_are_the_architecture_when_no_space_is_known() -> None:
    table = read("block,size,acc\nconv,s,1\nconv,m,2\n")
    assert table.architectures == ("block=conv,size=s", "block=conv,size=m")
    assert table.targets == ("acc",)


def test_the_space_comes_from_the_comment_and_the_rest_is_provenance() -> None:
    table = read("# space: digits-resnet\n# command: build\n#  it twice\narch,kd\n"
                 "\"depth=1-1-1,width=4-4-4\",0.5\n")  # fmt: skip
    assert table.space == "digits-resnet"
    assert dict(table.provenance) == {"command": "build it twice"}


def test_the_named_space_wins_over_the_comment() -> None:
    table = read("# space: digits-resnet\narch,kd\n1-1-1,2\n", space="cifar-resnet")
    assert table.space == "cifar-resnet"


def test_the_space_is_guessed_from_columns_and_values() -> None:
    assert read("depths,acc\n" + "\n".join(r[:11] for r in ROWS)).space == "cifar-resnet"
    cell = "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|"
    assert read(f"arch,acc\n{cell},1\n").space == "nasbench201"
    assert read("arch,acc\nsomething else,1\n").space is None


def test_aliases_of_fields_are_fields() -> None:
    table = read("base,mlp,depths,heads,acc\n16,6,2-8-4,2-4-4,1\n", space="pit")
    assert table.architectures == ("base_dim=16,mlp_ratio=6,depth=2-8-4,num_heads=2-4-4",)


def test_seed_columns_belong_to_their_target() -> None:
    table = read("arch,kd,kd_std,kd_seeds,kd_0,kd_1,other_3,params\na,2,1,2,1,3,5,100\n")
    assert table.targets == ("kd", "other_3")
    assert tuple(table.columns) == ("kd", "other_3", "params")
    np.testing.assert_array_equal(table.seeds["kd"], [[1.0, 3.0]])
    assert table.spreads["kd"][0] == 1
    assert table.seed_counts["kd"][0] == 2


def test_seed_columns_are_ordered_by_number() -> None:
    table = read("arch,kd,kd_10,kd_2,kd_1\na,2,3,2,1\n")
    np.testing.assert_array_equal(table.seeds["kd"], [[1.0, 2.0, 3.0]])


def test_a_detail_without_its_target_is_a_column() -> None:
    assert set(read("arch,kd_3,vanilla\na,1,2\n").columns) == {"kd_3", "vanilla"}
    assert set(read("arch,kd,kd_std\na,1,2\n").columns) == {"kd"}


def test_numbers_are_decimal_and_gaps_are_missing() -> None:
    table = read("arch,acc\na,1e-3\nb,\nc,nan\nd,+.5\ne, 7. \n")
    np.testing.assert_array_equal(table.columns["acc"], [1e-3, np.nan, np.nan, 0.5, 7.0])


def test_windows_line_ends_byte_order_mark_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "w.csv"
    path.write_bytes('\ufeff# note: x\r\narch,acc\r\n"a,b",1\r\n\r\nc,2\r\n'.encode())
    table = load_table(path)
    assert table.architectures == ("a,b", "c")
    assert dict(table.provenance) == {"note": "x"}


# --- targets -------------------------------------------------------------------------------------


def test_default_target() -> None:
    assert read("arch,vanilla,kd\na,1,2\n").target() == "kd"
    assert read("arch,acc,params\na,1,2\n").target() == "acc"


def test_several_accuracy_columns_must_be_chosen_from() -> None:
    table = read("arch,one,two\na,1,2\n")
    with pytest.raises(InputError, match=r"E512.*2 accuracy columns") as caught:
        table.target()
    assert "one, two" in str(caught.value)
    assert table.target("two") == "two"


def test_of_several_targets_a_table_takes_the_first_it_has() -> None:
    table = read("arch,one,two\na,1,2\n")
    assert table.target("kd,two,one") == "two"
    assert read('arch,"a,b",c\nx,1,2\n').target("a,b") == "a,b"
    with pytest.raises(InputError, match=r'E511.*no accuracy column "kd,on"') as caught:
        table.target("kd,on")
    assert 'did you mean "one"?' in str(caught.value)


def test_an_unknown_target_is_suggested() -> None:
    with pytest.raises(InputError, match="E511") as caught:
        read("arch,vanilla,kd\na,1,2\n").target("vanila")
    assert 'did you mean "vanilla"?' in str(caught.value)
    assert "targets: vanilla, kd" in str(caught.value)


def test_a_size_is_no_target() -> None:
    with pytest.raises(InputError, match="E511"):
        read("arch,acc,params\na,1,2\n").target("params")
    with pytest.raises(InputError, match="E512"):
        read("arch,params\na,1\n").target()


def test_fewer_than_five_accuracies_are_refused() -> None:
    text = "arch,acc\na,1\nb,2\nc,3\nd,4\ne,{}\n"
    with pytest.raises(InputError, match=r"E513.*has 4 accuracies"):
        read(text.format("")).measured()
    table, accuracies = read(text.format("5")).measured()
    assert len(table) == len(accuracies) == 5


# --- refused -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "space", "code", "where", "says"),
    [
        ("", None, "E503", "t.csv:", "empty"),
        ("# space: pit\n", None, "E503", "t.csv:", "empty"),
        ("arch,acc\n", None, "E503", "t.csv:", "empty"),
        ("arch,acc\na,1\nb\n", None, "E518", "t.csv:3:1", "1 cells, the header has 2"),
        ("arch,acc\na,1,2\n", None, "E518", "t.csv:2:1", "3 cells"),
        ('arch,acc\n"a,1\n', None, "E504", "t.csv:", "not CSV"),
        ("arch,acc,acc\na,1,2\n", None, "E505", "t.csv:", 'two columns are named "acc"'),
        ("arch,\na,1\n", None, "E505", "t.csv:", "column 2 has no name"),
        ("arch,acc\na,1\nb,6x\n", None, "E506", "t.csv:3:3", '"6x" in column "acc"'),
        ("arch,acc\na,1\nb,inf\n", None, "E506", "t.csv:3:3", "not a number"),
        ("arch,acc\na,1\nb,1e999\n", None, "E506", "t.csv:3:3", "not a number"),
        ("arch,acc\na,1\nb,1_0\n", None, "E506", "t.csv:3:3", "not a number"),
        ("arch,note,acc\na,good,1\n", None, "E507", "t.csv:", '"note"'),
        ("dephts,acc\n1-1-1,1\n", "cifar-resnet", "E508", "t.csv:", "depth"),
        ("depths,colour,acc\n1-1-1,red,1\n", "cifar-resnet", "E507", "t.csv:", '"colour"'),
        ("one,two\n1,2\n", None, "E508", "t.csv:", "no column says"),
        ("base_dim,mlp_ratio,acc\n16,6,1\n", "pit", "E508", "t.csv:", "depth and num_heads"),
        ("cell,acc\nx,1\n", "nasbench201", "E508", "t.csv:", "needs the column arch"),
        ("arch,acc\na,1\nb,2\na,1\n", None, "E509", "t.csv:4:1", "first in line 2"),
        ("arch,acc\na,1\nb,2\na,3\n", None, "E510", "t.csv:4:1", "1 in line 2, 3 here"),
        ("arch,acc\na,1\na,\n", None, "E510", "t.csv:3:1", "given twice"),
        ("arch,kd,kd_0,kd_1\na,2,1,3\nb,2,1,2\n", None, "E514", "t.csv:3:3", "seeds is 1.5"),
        ("arch,acc\na,1\n,2\n", None, "E516", "t.csv:3:1", "incomplete"),
    ],
)
def test_refused(text: str, space: str | None, code: str, where: str, says: str) -> None:
    message = str(refused(text, space))
    assert f"error[{code}]" in message
    assert message.startswith(where)
    assert says in message


def test_an_architecture_outside_its_space_is_shown_in_its_row() -> None:
    message = str(refused("depths,acc\n1-1-1,1\n1-0-1,2\n", "cifar-resnet"))
    assert message.startswith("t.csv:3:1: error[E7")
    assert "1-0-1,2" in message


def test_a_network_that_only_a_teacher_may_be_is_outside_its_space() -> None:
    message = str(refused("depths,acc\n1-1-1,1\n1-9-1,2\n", "cifar-resnet"))
    assert message.startswith("t.csv:3:1: error[E534]: 1-9-1 is outside its space")
    assert "depth is 1, 3, 5, 7 in cifar-resnet, not 9" in message


def test_a_misspelt_field_is_suggested() -> None:
    message = str(refused("base_dmi,mlp_ratio,depth,num_heads,acc\n16,6,2-8-4,2-4-4,1\n", "pit"))
    assert "needs the column base_dim" in message
    assert 'is it "base_dmi"?' in message


def test_contradiction_without_a_space_says_what_would_help() -> None:
    message = str(refused("block,width,acc\nconv,1,1\nconv,2,1\n"))
    assert "E510" in message
    assert "--space" in message


def test_no_such_table_is_suggested(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E501"):
        load_table(tmp_path / "none.csv")
    if builtin_tables():
        name = builtin_tables()[0]
        with pytest.raises(InputError, match="did you mean") as caught:
            load_table(name[:-1])
        assert name in str(caught.value)


def test_an_unknown_space_is_refused() -> None:
    with pytest.raises(InputError, match="E710"):
        read("arch,acc\na,1\n", space="nowhere")


def test_reading_a_table_runs_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    message = str(refused("# space: s.py\narch,acc\na,1\n"))
    assert "E529" in message
    assert not (tmp_path / "ran").exists()


def test_not_utf8_and_not_a_file(tmp_path: Path) -> None:
    path = tmp_path / "latin.csv"
    path.write_bytes("arch,acc\nä,1\n".encode("latin-1"))
    with pytest.raises(InputError, match=r"E502.*byte 9"):
        load_table(path)
    with pytest.raises(InputError, match="E519"):
        load_table(tmp_path)
    with pytest.raises(InputError, match="E519"):
        load_table("a" * 5000)


# --- writing -------------------------------------------------------------------------------------

finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Zl", "Zp")), min_size=1)
             .map(str.strip).filter(bool), min_size=1, max_size=6, unique=True),
    st.data(),
)  # fmt: skip
def test_a_written_table_reads_back(architectures: list[str], data: st.DataObject) -> None:
    cells = st.lists(finite, min_size=len(architectures), max_size=len(architectures))
    numbers = {"vanilla": np.array(data.draw(cells)), "acc": np.array(data.draw(cells))}
    table = assemble("t", None, architectures, numbers, {"source": "here: and there"})
    text = table_text(table)
    again = read_table(Source("t", text), name="t")
    assert again.architectures == table.architectures
    assert dict(again.provenance) == dict(table.provenance)
    for name, values in numbers.items():
        np.testing.assert_array_equal(again.columns[name], values)
    assert table_text(again) == text


def test_details_and_gaps_are_written_with_their_target(tmp_path: Path) -> None:
    source = (
        "# space: cifar-resnet\n# seeds: 2\narch,kd,kd_std,kd_seeds,kd_0,kd_1,params\n"
        "1-1-1,2,1.5,2,1,3,100\n1-1-3,,,,,,200\n"
    )
    table = read(source)
    assert table_text(table) == source
    write_table(table, tmp_path / "t.csv", decimals=2)
    assert (tmp_path / "t.csv").read_text() == source
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_numbers_can_be_rounded() -> None:
    table = assemble("t", None, ["a"], {"acc": np.array([1 / 3])}, {})
    assert table_text(table, decimals=4).endswith("a,0.3333\n")


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t.csv"
    write_atomic(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("autodas_dsl.language.files.os.fsync", full)
    with pytest.raises(InputError, match=r"E517.*No space left"):
        write_atomic(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["t.csv"]


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="E517"):
        write_atomic(tmp_path / "none" / "t.csv", "x")


def test_rows_keep_everything_together() -> None:
    table = read("arch,kd,kd_0,kd_1\na,2,1,3\nb,3,3,3\nc,4,4,4\n")
    part = table.rows([2, 0])
    assert part.architectures == ("c", "a")
    np.testing.assert_array_equal(part.columns["kd"], [4, 2])
    np.testing.assert_array_equal(part.seeds["kd"], [[4, 4], [1, 3]])


def test_every_fact_of_a_built_in_table_has_a_key_of_its_own() -> None:
    provenance = load_table("digits-vit").provenance
    assert provenance["noise ceiling kd within patch=2"].startswith("0.9")
    assert provenance["spearman flops kd"] == "0.4019"
