"""The text of --metrics."""

import pytest

from pgtf.metrics.plan import Plan, Request, parse_plan


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fdi", "no metric `fdi`. Did you mean `fid`"),
        ("swd:16m", "must be like swd:16k,fid:10k. Received: 'swd:16m'"),
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


def test_default_numbers_are_limited_by_what_there_is():
    assert Request("swd").images_for(None, 10**6) == 16384
    assert Request("swd").images_for(200, None) == 200
    assert Request("fid", 300).images_for(300, 400) == 300


def test_too_few_images_are_refused_with_the_remedy():
    with pytest.raises(ValueError, match="asked for 500 images, and there are only 300.*fid:300"):
        Request("fid", 500).images_for(1000, 300)
    with pytest.raises(ValueError, match="`is` needs 10 images or more. Received: 4"):
        Request("is", 4).images_for(None)
    with pytest.raises(ValueError, match="`pr` needs 4 images or more. Received: 3"):
        Request("pr").images_for(3)
