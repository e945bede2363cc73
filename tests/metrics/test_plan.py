"""The text of --metrics."""

import pytest

from pgtf.metrics.interface import Counts
from pgtf.metrics.plan import FIELD_NAMES, Plan, Request, parse_plan


def test_a_k_is_1024_images_for_swd_and_1000_for_others():
    assert parse_plan("swd:16k,fid:10k@every=10") == Plan(
        (Request("swd", 16384), Request("fid", 10000)), every=10
    )
    assert parse_plan("is") == Plan((Request("is", None),), every=1)


def test_num_images_is_for_metrics_without_a_number():
    assert parse_plan("kid,swd:100", num_images=64).requests == (
        Request("kid", 64),
        Request("swd", 100),
    )


NAMES = {
    "fid50k_full": Request("fid", 50000, "all"),
    "fid50k": Request("fid", 50000, "same"),
    "fid-50k": Request("fid", 50000, "same"),  # as the original release names its logs
    "fid:50k": Request("fid", 50000),
    "fid:50k_full": Request("fid", 50000, "all"),
    "fid_full": Request("fid", None, "all"),
    "fid10k": Request("fid", 10000, "same"),
    "FID10K_Full": Request("fid", 10000, "all"),
    "kid50k_full": Request("kid", 50000, "all"),
    "kid50k": Request("kid", 50000, "same"),
    "pr50k3_full": Request("pr", 50000, "all"),
    "pr50k3": Request("pr", 50000, "same"),
    "is50k": Request("is", 50000, "same"),
    "swd16k": Request("swd", 16384, "same"),
    "SWD:16K": Request("swd", 16384),
    "swd-16k": Request("swd", 16384, "same"),
    "swd500": Request("swd", 500, "same"),
    "msssim10k": Request("msssim", 10000, "same"),
    "msssim-20k": Request("msssim", 20000, "same"),
    "ms-ssim10k": Request("msssim", 10000, "same"),
    "MS_SSIM": Request("msssim"),
    "modes10x25600": Request("modes", 25600, "same", 10),
    "modes:10x256": Request("modes", 256, None, 10),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_of_the_field_say_the_number_of_fakes_and_of_reals(name):
    assert parse_plan(name).requests == (NAMES[name],)


def test_the_help_lists_names_that_are_understood():
    assert set(FIELD_NAMES) <= NAMES.keys()
    assert parse_plan("fid50k_full,swd16k@every=3").every == 3


def test_num_reals_is_for_all_metrics_that_use_reals():
    found = parse_plan("fid:50k,kid50k,is,msssim", num_reals=300).requests
    assert [r.num_reals for r in found] == [300, 300, None, 300]
    assert parse_plan("fid50k", num_reals="all").requests == (Request("fid", 50000, "all"),)
    assert parse_plan("fid50k_full", num_reals="all").requests[0].num_reals == "all"


# request, reals and fakes there are -> fakes, reals
COUNTS = {
    "fid:50k": [(400, None, 50000, 400), (70000, None, 50000, 70000)],
    "fid50k_full": [(400, None, 50000, 400), (70000, None, 50000, 70000)],
    "fid50k": [(400, None, 50000, 400), (70000, None, 50000, 50000)],
    "fid": [(400, 300, 300, 400), (400, None, 50000, 400)],
    "kid": [(2_000_000, None, 10000, 1_000_000)],
    "pr": [(2_000_000, None, 50000, 200_000)],
    "swd": [(400, None, 400, 400), (10**6, None, 16384, 16384), (400, 300, 300, 300)],
    "swd:16k": [(400, None, 16384, 400), (10**6, None, 16384, 16384)],
    "msssim:2000": [(400, None, 2000, 400), (5000, 2000, 2000, 2000)],
    "msssim": [(400, None, 400, 400), (30000, None, 20000, 20000)],
    "is": [(400, None, 50000, 0)],
    "modes:10x256": [(400, None, 256, 0)],
}


@pytest.mark.parametrize("name", COUNTS)
def test_fakes_are_as_many_as_asked_and_reals_as_many_as_there_are(name):
    for num_reals, num_fakes, *expected in COUNTS[name]:
        found = parse_plan(name).requests[0].counts(num_reals, num_fakes)
        assert [found.images, found.reals] == expected
        assert found.fakes == found.images * found.evaluations


def test_sets_of_one_size_are_the_default_of_swd_and_ms_ssim():
    assert Request("msssim", None, 100).counts(400, None) == Counts(100, 100)
    assert Request("swd", None, 100).counts(400, None) == Counts(100, 100)
    assert Request("swd", None, "all").counts(400, None) == Counts(400, 400)
    assert Request("swd", 50, "all").counts(400, None) == Counts(50, 400)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fdi", "no metric `fdi`. Did you mean `fid`"),
        ("fdi50k_full", "no metric `fdi50k_full`. Did you mean `fid50k_full`"),
        ("SDW:16k", "no metric `SDW:16k`. Did you mean `swd:16k`"),
        ("fid50k_ful", "Did you mean `fid50k_full`"),
        ("inception_score50k", "no metric `inception_score50k`. Did you mean `is50k`"),
        ("frechet-inception-distance", "Did you mean `fid`"),
        ("ssim:2k", "no metric `ssim:2k`. Did you mean `msssim:2k`"),
        ("ppl2_wend", "must be like .* Received: 'ppl2_wend'. Known: swd, msssim, fid, .*pr50k3"),
        ("swd:16m", "must be like swd:16k,fid:10k or fid50k_full.* Received: 'swd:16m'"),
        ("swd:", "must be like"),
        ("pr50k5", "pr50k5: after the k there may be nothing or 3. Received: 5"),
        ("fid50k3", "fid50k3: after the k there may be nothing. Received: 3"),
        ("is50k_full", "is50k_full: `is` uses no reals. Drop _full"),
        ("fid:10x5k", "fid:10x5k: only modes can be evaluated several times"),
        ("modes:0x5k", "one image or more. Received: modes:0x5k"),
        ("swd,,fid", "must be like"),
        ("", "must be like"),
        ("swd:0", "one image or more. Received: swd:0"),
        ("swd,swd:2k", "each metric once"),
        ("swd@10", "must end in @every=N, N snapshots from 1. Received: @10"),
        ("swd@every=0", "@every=N"),
        ("swd@every=2,fid", "@every=N"),
    ],
)
def test_a_wrong_plan_is_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        parse_plan(text)


def test_too_few_images_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="asked for 500 images, and there are only 300.*fid:300"):
        Request("fid", 500).counts(1000, 300)
    with pytest.raises(ValueError, match="asked for 500 images, and there are only 300"):
        Request("modes", 50, None, 10).counts(None, 300)
    with pytest.raises(ValueError, match="`is` needs 10 images or more. Received: 4"):
        Request("is", 4).counts(None, None)
    with pytest.raises(ValueError, match="`pr` needs 4 reals or more. Received: 3"):
        Request("pr").counts(3, None)
    with pytest.raises(ValueError, match="at most 30, .* or all. Received: num_reals=31"):
        Request("pr", 50, 31).counts(30, None)


def test_a_number_of_reals_beside_a_name_that_says_all_is_refused():
    with pytest.raises(ValueError, match="fid50k_full uses all reals. Received: num_reals=5."):
        parse_plan("fid50k_full", num_reals=5)
    with pytest.raises(ValueError, match="is,modes uses no reals. Received: num_reals=all."):
        parse_plan("is,modes", num_reals="all")
