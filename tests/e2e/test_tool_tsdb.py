# SPDX-License-Identifier: Apache-2.0
"""narthex tool tsdb beside promtool tsdb on the same directories; verify and repair on damaged ones."""
import random
import shutil

import pytest

import harness

START_S = 1700000000


def promtool(world, *arguments):
    return harness.subprocess.run([harness.original("promtool"), "tsdb", *map(str, arguments)], cwd=world.directory,
                                  capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)


@pytest.fixture
def tool(world):
    def run(*arguments):
        return harness.subprocess.run([str(world.binary), "tool", "tsdb", *map(str, arguments)], cwd=world.directory,
                                      capture_output=True, text=True, timeout=harness.DEADLINE_S, check=False)
    return run


def page(seed):
    """OpenMetrics text of seven hours, values of every kind."""
    rng = random.Random(seed)
    lines = []
    for i in range(20):
        for k in range(400):
            value = rng.choice([k, rng.random() * 1e9, 1e-7 * k, float("nan"), float("inf"), -0.0])
            lines.append(f'm{i % 4}{{i="{i}",job="j{i % 3}",odd="a\\"b\\\\c\\n☃"}} {value!r} {START_S + k * 61}.{i:03d}')
    return "\n".join(lines) + "\n# EOF\n"


@pytest.fixture
def blocks(world):
    """A directory that promtool has made."""
    (world.directory / "page").write_text(page(3))
    made = promtool(world, "create-blocks-from", "openmetrics", "page", "db")
    assert made.returncode == 0, made.stderr
    (world.directory / "db" / "wal").mkdir()
    shutil.rmtree(world.directory / "db" / "chunks_head", ignore_errors=True)
    return world.directory / "db"


def test_a_page_with_line_ends_of_another_system_is_refused_and_told_why(world, tool):
    (world.directory / "page").write_bytes(b"m 1 1700000000\r\n# EOF\r\n")
    theirs, ours = (run("create-blocks-from", "openmetrics", "page", "out") for run in (lambda *words: promtool(world, *words), tool))
    assert (theirs.returncode, ours.returncode) == (1, 1)
    assert "line 1 column 5" in ours.stderr
    assert "the line ends with a carriage return" in ours.stderr


@pytest.mark.parametrize("arguments", [
    ["list"], ["list", "-r"], ["dump"], ["dump", "--match={i='3'}"], ["dump", "--min-time=1700002000000"],
    ["dump", "--max-time=1700002000000", "--match=m1"], ["dump", "--match={nothing='x'}"]])
def test_prints_what_the_original_prints(world, tool, blocks, arguments):
    theirs, ours = promtool(world, *arguments, "db"), tool(*arguments, "db")

    assert (ours.returncode, theirs.returncode) == (0, 0), (ours.stderr, theirs.stderr)
    assert ours.stdout == theirs.stdout


@pytest.mark.parametrize("arguments", [
    ["list", "--human-readable"], ["list", "--no-human-readable"], ["dump", "--max-time=-5"],
    ["dump", "--min-time=1700002000000", "--max-time=1700001000000"], ["dump", "--match=m1{i=~'1|5'}"]])
def test_flags_that_leave_little_or_change_the_look(world, tool, blocks, arguments):
    theirs, ours = promtool(world, *arguments, "db"), tool(*arguments, "db")

    assert (ours.returncode, theirs.returncode) == (0, 0), (ours.stderr, theirs.stderr)
    assert ours.stdout == theirs.stdout


@pytest.mark.parametrize("place", [None, 0, -1])
def test_analyze_tells_what_the_original_tells(world, tool, blocks, place):
    block = [] if place is None else [sorted(path.name for path in blocks.glob("01*"))[place]]
    theirs = promtool(world, "analyze", "--limit=1000", "db", *block)
    ours = tool("analyze", "--limit=1000", "db", *block)

    assert (ours.returncode, theirs.returncode) == (0, 0), (ours.stderr, theirs.stderr)
    # The original leaves open which of equals comes first, and 3.x has another word for the third line.
    assert sorted(ours.stdout.replace("Total Series:", "Series:").splitlines()) == sorted(
        theirs.stdout.replace("Total Series:", "Series:").splitlines())


def test_extended_analysis_counts_every_chunk(tool, blocks):
    shown = tool("analyze", "--extended", "db")

    assert shown.returncode == 0, shown.stderr
    assert "samples per float chunk (min/avg/max): 59/59/59\n" in shown.stdout
    assert "samples per histogram chunk: N/A\n" in shown.stdout


def test_a_block_that_is_not_there_is_told_as_by_the_original(world, tool, blocks):
    theirs, ours = promtool(world, "analyze", "db", "NOBLOCK"), tool("analyze", "db", "NOBLOCK")

    assert (ours.returncode, ours.stderr) == (theirs.returncode, theirs.stderr) == (1, "block NOBLOCK not found\n")


def test_several_selectors_give_what_any_of_them_selects(world, tool, blocks):
    one, two = (promtool(world, "dump", f"--match={name}", "db").stdout.splitlines() for name in ("m1", "m2"))

    both = tool("dump", "--match=m1", "--match=m2", "--sandbox-dir-root=.", "db")

    assert both.returncode == 0, both.stderr
    assert sorted(both.stdout.splitlines()) == sorted(one + two)
    assert "Matched series: 5\n" in tool("analyze", "--match=m1", "db").stdout


def test_series_as_json_are_those_of_the_dump(world, tool, blocks):
    shown = tool("dump", "--format=seriesjson", "db")

    assert shown.returncode == 0, shown.stderr
    series = [harness.json.loads(line) for line in shown.stdout.splitlines()]
    assert len(series) == 20 and len({line["i"] for line in series}) == 20
    assert all(line["odd"] == 'a"b\\c\n☃' and line["__name__"] == f"m{int(line['i']) % 4}" for line in series)


def test_a_dump_as_a_page_makes_the_same_blocks_again(world, tool, blocks):
    dumped = tool("dump-openmetrics", "db")
    assert dumped.returncode == 0 and dumped.stdout.endswith("# EOF\n"), dumped.stderr

    (world.directory / "again").write_text(dumped.stdout)
    made = promtool(world, "create-blocks-from", "openmetrics", "again", "second")

    assert made.returncode == 0, made.stderr
    (world.directory / "second" / "wal").mkdir(exist_ok=True)
    assert promtool(world, "dump", "second").stdout == promtool(world, "dump", "db").stdout
    some = tool("dump-openmetrics", "--match=m1", "--min-time=1700002000000", "--max-time=1700003000000", "db")
    assert some.stdout.splitlines()[:-1] == [
        line for line in dumped.stdout.splitlines() if line.startswith("m1{")
        and 1700002000 <= float(line.split()[-1]) <= 1700003000]


def test_a_page_of_odd_names_and_values_is_read_again(world, tool):
    page = '{"a b","x y"="1",z="2"} 1 1700000000.000\nc{} 2 1700000000.000\nd{v="\\\\ \\" \\n \t \u200b"} 3 1700000000.000\n# EOF\n'
    (world.directory / "page").write_text(page)
    assert tool("create-blocks-from", "openmetrics", "page", "db").returncode == 0

    assert tool("dump-openmetrics", "db").stdout == page


def spoil(block, part):
    if part == "meta.json":
        (block / part).unlink()
    elif part == "all of it":
        shutil.rmtree(block)
        block.mkdir()
    else:
        content = bytearray((block / part).read_bytes())
        content[40 if part.startswith("chunks") else 6] ^= 1
        (block / part).write_bytes(content)


@pytest.mark.parametrize("part, told", [("meta.json", "meta.json"), ("tombstones", "tombstones"), ("all of it", "meta.json"),
                                        ("chunks/000001", "corrupt chunk")])
def test_what_is_good_beside_a_damaged_block_is_dumped_and_the_block_told(tool, blocks, part, told):
    whole = tool("dump", "db").stdout.splitlines()
    bad = sorted(blocks.glob("01*"))[-1]
    spoil(bad, part)

    dumped, page, analyzed = tool("dump", "db"), tool("dump-openmetrics", "db"), tool("analyze", "db")

    left = set(dumped.stdout.splitlines())
    assert dumped.returncode == page.returncode == 1
    assert bad.name in dumped.stderr and told in dumped.stderr and "missing" in dumped.stderr
    assert 0.5 * len(whole) < len(left) < len(whole) and left < set(whole)
    assert len(page.stdout.splitlines()) == len(left) + 1 and page.stdout.endswith("# EOF\n")
    if "/" not in part:  # the block before it is analyzed, and that is said
        assert analyzed.returncode == 1 and bad.name in analyzed.stderr and bad.name not in analyzed.stdout


@pytest.mark.parametrize("arguments", [["dump"], ["dump-openmetrics"], ["verify"], ["repair"], ["analyze"]])
def test_a_directory_of_nothing_is_told(world, tool, arguments):
    (world.directory / "db" / "deeper").mkdir(parents=True)

    told = tool(*arguments, "db")

    assert told.returncode == 1 and "db" in told.stderr and "WARN" not in told.stderr
    assert [path.name for path in (world.directory / "db").iterdir()] == ["deeper"]


def test_a_label_without_a_name_is_told(world, tool):
    (world.directory / "page").write_text("a 1 1\n# EOF\n")

    told = tool("create-blocks-from", "openmetrics", "--label==b", "page", "db")

    assert told.returncode == 1 and '"=b" has no name' in told.stderr


def test_larger_blocks_are_those_of_the_original(world, tool):
    (world.directory / "page").write_text(page(7))

    def listed(run, out):
        made = run("create-blocks-from", "openmetrics", "-r", "--max-block-duration=24h", "page", out)
        assert made.returncode == 0, made.stderr
        # All but the id and the size in bytes.
        return [line.split()[1:-1] for line in made.stdout.splitlines()]
    assert listed(tool, "ours") == listed(lambda *words: promtool(world, *words), "theirs")


def test_a_damaged_block_is_found_and_written_anew(world, tool, blocks):
    before = tool("dump", "db").stdout.splitlines()
    block = sorted(blocks.glob("01*"))[0]
    segment = block / "chunks" / "000001"
    body = bytearray(segment.read_bytes())
    body[len(body) // 2] ^= 0x55
    segment.write_bytes(body)

    found = tool("verify", "db")
    assert found.returncode == 1
    assert [line for line in found.stdout.splitlines() if line.startswith("BAD")][0].startswith(f"BAD  {block.name}: ")
    repaired = tool("repair", "db")
    assert repaired.returncode == 0, repaired.stdout
    assert "written anew" in repaired.stdout
    assert (blocks / (block.name + ".corrupt")).is_dir() and not block.exists()
    assert tool("verify", "db").returncode == 0
    after = tool("dump", "db").stdout.splitlines()
    assert set(after) < set(before) and 0 < len(before) - len(after) <= 121  # one chunk
    assert promtool(world, "dump", "db").stdout.splitlines() == after
    assert tool("repair", "db").returncode == 0  # again: nothing to do
    assert tool("dump", "db").stdout.splitlines() == after


@pytest.mark.parametrize("part", ["meta.json", "tombstones"])
def test_a_block_that_lost_a_small_file_is_written_anew_and_the_original_reads_it(world, tool, blocks, part):
    before = promtool(world, "dump", "db").stdout.splitlines()
    block = sorted(blocks.glob("01*"))[0]
    spoil(block, part)

    repaired = tool("repair", "db")

    assert repaired.returncode == 0, repaired.stdout
    assert "written anew" in repaired.stdout and part in repaired.stdout
    assert (blocks / (block.name + ".corrupt")).is_dir() and not block.exists()
    theirs = promtool(world, "dump", "db")
    assert (theirs.returncode, sorted(theirs.stdout.splitlines())) == (0, sorted(before)), theirs.stderr
    assert promtool(world, "list", "db").stdout == tool("list", "db").stdout
    assert tool("verify", "db").returncode == 0


def test_makes_the_blocks_that_the_original_makes(world, tool):
    (world.directory / "page").write_text(page(5))
    theirs = promtool(world, "create-blocks-from", "openmetrics", "page", "theirs")
    ours = tool("create-blocks-from", "openmetrics", "page", "ours")
    assert ours.returncode == theirs.returncode == 0, ours.stderr

    def without_ulid_and_size(text):
        return [line.split()[1:7] for line in text.splitlines()]
    assert without_ulid_and_size(ours.stdout) == without_ulid_and_size(theirs.stdout)
    for name in ["theirs", "ours"]:
        (world.directory / name / "wal").mkdir(exist_ok=True)
    assert promtool(world, "dump", "ours").stdout == promtool(world, "dump", "theirs").stdout
    labelled = tool("create-blocks-from", "openmetrics", "-q", "--label=from=backup", "page", "labelled")
    assert (labelled.returncode, labelled.stdout) == (0, ""), labelled.stderr
    assert '{__name__="m0", from="backup", i="0"' in tool("dump", "labelled").stdout


@pytest.mark.parametrize("text, complaint", [
    ("a 1\n# EOF\n", "expected timestamp"), ("a 1 1\nb 2\n# EOF\n", "series b"), ("a{ 1 1\n# EOF\n", "")])
def test_a_page_that_cannot_become_blocks_makes_none(world, tool, text, complaint):
    (world.directory / "page").write_text(text)

    ours = tool("create-blocks-from", "openmetrics", "page", "db")

    assert ours.returncode == 1 and complaint in ours.stderr
    assert promtool(world, "create-blocks-from", "openmetrics", "page", "other").returncode == 1
    assert not list((world.directory / "db").glob("01*"))


def test_bench_write_leaves_a_directory_that_the_original_reads(world, tool):
    ran = tool("bench", "write", "--metrics=100", "--scrapes=700", "--out=bench")
    assert ran.returncode == 0, ran.stderr
    assert " > total samples: 70000\n" in ran.stdout
    assert tool("list", "bench").stdout == promtool(world, "list", "bench").stdout
    assert len(promtool(world, "dump", "bench").stdout.splitlines()) == 70000
    again = tool("bench", "write", "--metrics=100", "--out=bench")
    assert again.returncode == 1 and "is there already" in again.stderr
