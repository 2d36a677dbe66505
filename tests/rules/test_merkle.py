"""The tree against the published vectors, and against RFC 9162 written down a second time."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.merkle import (
    EMPTY,
    Frontier,
    Node,
    blocks,
    consistency,
    fold,
    hashes_of,
    inclusion,
    leaf,
)
from tests.support.holding import proves_consistency, proves_inclusion
from tests.support.rfc9162 import mth, path, proof, root_from_path, roots_from_proof

INPUTS = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The eight leaves of the Certificate Transparency reference tests."""
ROOTS = """
e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d
fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125
aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77
d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7
4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4
76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef
ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c
5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328
""".split()  # noqa: SIM905 - one a line
L0 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
L1 = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
L4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
N01 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
N23 = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
N67 = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N03 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"
N47 = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
INCLUSIONS = [
    (0, 1, []),
    (0, 2, [L1]),
    (1, 2, [L0]),
    (2, 3, [N01]),
    (1, 5, [L0, N23, L4]),
    (0, 8, [L1, N23, N47]),
    (5, 8, [L4, N67, N03]),
]
CONSISTENCIES = [
    (1, 1, []),
    (1, 8, [L1, N23, N47]),
    (2, 5, [N23, L4]),
    (6, 8, [N45, N67, N03]),
]
SIZES = st.integers(1, 300)


class Nodes(dict[Node, bytes]):
    """Every complete subtree over some leaves."""

    def __init__(self, leaves: list[bytes]) -> None:
        frontier = Frontier()
        for data in leaves:
            for level, hashed in frontier.append(leaf(data)):
                self[level, (frontier.size >> level) - 1] = hashed
        self.root = frontier.root


def some(size: int) -> list[bytes]:
    return [number.to_bytes(3) for number in range(size)]


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_published_vectors(size: int) -> None:
    assert Nodes(INPUTS[:size]).root.hex() == ROOTS[size] == mth(INPUTS[:size]).hex()


@pytest.mark.parametrize(("index", "size", "expected"), INCLUSIONS)
def test_inclusion_proofs_are_those_of_the_published_vectors(
    index: int, size: int, expected: list[str]
) -> None:
    nodes = Nodes(INPUTS[:size])
    made = hashes_of(inclusion(index, size), lambda _: nodes)
    assert [each.hex() for each in made] == expected
    assert proves_inclusion(leaf(INPUTS[index]), index, size, made, nodes.root)


@pytest.mark.parametrize(("old", "size", "expected"), CONSISTENCIES)
def test_consistency_proofs_are_those_of_the_published_vectors(
    old: int, size: int, expected: list[str]
) -> None:
    nodes = Nodes(INPUTS[:size])
    made = hashes_of(consistency(old, size), lambda _: nodes)
    assert [each.hex() for each in made] == expected
    assert proves_consistency(old, size, bytes.fromhex(ROOTS[old]), nodes.root, made)


@given(SIZES, st.data())
def test_inclusion_proofs_equal_those_of_the_rfc_and_hold(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    leaves, nodes = some(size), Nodes(some(size))
    made = hashes_of(inclusion(index, size), lambda _: nodes)
    assert made == path(index, leaves)
    assert proves_inclusion(leaf(leaves[index]), index, size, made, nodes.root)
    assert root_from_path(leaf(leaves[index]), index, size, made) == nodes.root


@given(SIZES, st.data())
def test_consistency_proofs_equal_those_of_the_rfc_and_hold(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size))
    leaves, nodes = some(size), Nodes(some(size))
    made = hashes_of(consistency(old, size), lambda _: nodes)
    assert made == proof(old, leaves)
    was = mth(leaves[:old])
    assert proves_consistency(old, size, was, nodes.root, made)
    if made:
        assert roots_from_proof(old, size, was, made) == (was, nodes.root)


@given(SIZES, st.data())
def test_no_other_proof_holds(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    nodes, hashed = Nodes(some(size)), leaf(some(size)[index])
    made = hashes_of(inclusion(index, size), lambda _: nodes)
    other = data.draw(st.integers(0, size).filter(lambda each: each != index))
    assert not proves_inclusion(hashed, other, size, made, nodes.root)
    assert not proves_inclusion(hashed[::-1], index, size, made, nodes.root)
    assert not proves_inclusion(hashed, index, size, [*made, hashed], nodes.root)
    if made:
        assert not proves_inclusion(hashed, index, size, made[:-1], nodes.root)
        assert not proves_inclusion(hashed, index, size, [made[0][::-1], *made[1:]], nodes.root)


@given(st.integers(2, 300), st.data())
def test_a_rewritten_history_is_not_consistent(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    changed = data.draw(st.integers(0, old - 1))
    forged = some(size)
    forged[changed] = b"forged"
    nodes = Nodes(forged)
    made = hashes_of(consistency(old, size), lambda _: nodes)
    assert not proves_consistency(old, size, mth(some(old)), nodes.root, made)
    assert not proves_consistency(size, old, nodes.root, mth(some(old)), made)


def test_everything_grew_out_of_the_empty_tree() -> None:
    root = mth(some(5))
    assert proves_consistency(0, 5, EMPTY, root, [])
    assert not proves_consistency(0, 5, root, root, [])


@given(SIZES, st.data())
def test_a_frontier_goes_on_where_it_was_left(size: int, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, size))
    nodes = Nodes(some(size))
    frontier = Frontier(at, [nodes[node] for node in blocks(0, at)])
    assert frontier.root == mth(some(at))
    for level, number in blocks(at, size):
        frontier.append(nodes[level, number], level)
    assert (frontier.size, frontier.root) == (size, mth(some(size)))


def test_what_is_not_in_the_tree_has_no_proof() -> None:
    for index, size in ((1, 1), (-1, 4), (0, 0)):
        with pytest.raises(ValueError):
            inclusion(index, size)
    for old, size in ((0, 3), (4, 3)):
        with pytest.raises(ValueError):
            consistency(old, size)
    frontier = Frontier()
    frontier.append(b"x")
    with pytest.raises(ValueError):
        frontier.append(b"y", 1)


def test_the_empty_tree_is_the_hash_of_nothing() -> None:
    assert fold([]) == EMPTY == hashlib.sha256().digest()
