"""The example that draws the pictures of docs/solvers.md runs."""


def test_it_prints_the_table_and_writes_both_pictures(example, tmp_path, capsys):
    example("compare_solvers").main(tmp_path, max_iter=2)
    assert capsys.readouterr().out.startswith("solver")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["solvers-digits.png", "solvers-paths.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.iterdir())
