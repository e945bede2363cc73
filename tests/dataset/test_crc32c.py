import numpy as np
import pytest

from pgtf.dataset import crc32c


def bytewise(message):
    """CRC-32C as RFC 3720 defines it, a bit at a time."""
    register = 0xFFFFFFFF
    for byte in message:
        register ^= byte
        for _ in range(8):
            register = register >> 1 ^ (crc32c.POLYNOMIAL if register & 1 else 0)
    return register ^ 0xFFFFFFFF


def test_the_check_value_of_the_standard():
    message = np.frombuffer(b"123456789", np.uint8)[np.newaxis]
    assert crc32c.crc32c(message).tolist() == [0xE3069283]  # the polynomial's published check value


# Around one and two levels of tables, and around the lengths where folding starts.
@pytest.mark.parametrize("length", [4, 5, 63, 64, 65, 1024, 1025, 5685, 5686, 10008, 10009])
def test_crc_equals_the_bytewise_definition(length, rng):
    messages = rng.integers(0, 256, (3, length), np.uint8)
    assert crc32c.crc32c(messages).tolist() == [bytewise(m.tobytes()) for m in messages]


def test_the_fold_is_a_multiple_of_the_polynomial():
    a, b, c = crc32c.FOLD[2], crc32c.FOLD[2] - crc32c.FOLD[0], crc32c.FOLD[2] - crc32c.FOLD[1]
    message = np.zeros((1, a + 1), np.uint8)
    for degree in (0, c, b, a):
        message[0, a - degree] = 1
    zeros = np.zeros_like(message)
    assert crc32c.crc32c(message) == crc32c.crc32c(zeros)


def test_many_messages_in_cached_steps_equal_one_by_one(rng):
    messages = rng.integers(0, 256, (1000, 98), np.uint8)
    one_by_one = [crc32c.crc32c(message[np.newaxis])[0] for message in messages]
    assert crc32c.crc32c(messages).tolist() == one_by_one


def test_the_argument_is_not_changed(rng):
    messages = rng.integers(0, 256, (2, 6000), np.uint8)
    before = messages.copy()
    crc32c.crc32c(messages)
    np.testing.assert_array_equal(messages, before)


def test_no_messages_have_no_crcs():
    assert crc32c.crc32c(np.zeros((0, 10), np.uint8)).tolist() == []
