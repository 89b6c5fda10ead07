"""The example that draws the pictures of docs/solvers.md runs."""

from xml.etree import ElementTree


def test_it_prints_the_table_and_writes_both_pictures(example, tmp_path, capsys):
    example("compare_solvers").main(tmp_path, max_iter=2)
    assert capsys.readouterr().out.startswith("solver")
    for name in ("solvers-digits.svg", "solvers-paths.svg"):
        assert ElementTree.parse(tmp_path / name).getroot().tag.endswith("svg")
