"""The paper's numbers: what one table says of another."""

import pytest

from pams_tf.reproduce import paper


def test_every_table_is_whole():
    rows = {(name, scale) for name in paper.SETS for scale in (2, 4)}
    assert set(paper.TABLE_1) == rows
    assert {len(columns) for columns in paper.TABLE_1.values()} == {7}
    assert set(paper.TABLE_2) == {(name, bits) for name in paper.SETS for bits in (8, 4)}
    for row in (*paper.TABLE_4.values(), *paper.TABLE_5.values(), *paper.TABLE_6.values()):
        assert len(row) == len(paper.SETS)
    for columns in (*paper.TABLE_1.values(), *paper.TABLE_2.values()):
        for psnr, ssim in columns.values():
            assert 20 < psnr < 40
            assert 0.6 < ssim < 1


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("name", paper.SETS)
def test_pams_is_the_same_in_tables_1_and_2(name, bits):
    assert paper.TABLE_2[name, bits]["pams"] == paper.TABLE_1[name, 4][f"PAMS-EDSR {bits}"]


@pytest.mark.parametrize("index", range(4))
def test_table_4_is_the_gap_of_tables_1_and_2_with_either_sign(index):
    name = paper.SETS[index]
    float_psnr = paper.TABLE_1[name, 4]["EDSR"][0]
    pact, pams = (paper.TABLE_2[name, 8][method][0] for method in ("pact", "pams"))
    assert paper.TABLE_4["pact", False][index] == pytest.approx(float_psnr - pact, abs=1e-6)
    assert paper.TABLE_4["pams", False][index] == pytest.approx(pams - float_psnr, abs=1e-6)


def test_savings_of_table_3_follow_from_its_storage():
    for bits, saved in paper.TABLE_3_SAVED["EDSR"].items():
        words = paper.TABLE_3["EDSR"]
        assert 100 * (1 - words[bits] / words[32]) == pytest.approx(saved, abs=0.05)
