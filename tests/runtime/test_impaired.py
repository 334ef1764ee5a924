"""What is wrong with a source that answers: pure, told by its polls and its parcels."""

from isthmus.runtime.impaired import Impaired
from isthmus.testing.one_source import sample, samples

BAD = 0x8034_0000


def test_source_is_bad_when_all_of_its_tags_are_and_says_so_once():
    found = Impaired(["a", "b"], 1.0)
    told = []
    for tag, quality in (("a", BAD), ("a", 0), ("b", BAD), ("a", BAD), ("a", BAD), ("b", 0)):
        one = found.take(samples(sample(tag, 1, quality=quality)))
        told.append(one.what if one else "")
    assert told == ["", "", "", "bad", "", "good"]


def test_source_without_tags_is_never_bad():
    found = Impaired([], 1.0)
    assert found.take(samples(sample("a", 1, quality=BAD))) is None


def test_slow_begins_while_a_poll_waits_and_ends_with_one_in_time():
    found = Impaired(["a"], 1.0)
    told = []
    for late in (False, True, True, False, False):
        found.began_to_read()
        told += [found.waits_long() if late else None, found.has_read()]
    assert [one.what for one in told if one] == ["slow", "in_time"]


def test_new_session_begins_well():
    found = Impaired(["a"], 1.0)
    found.waits_long()
    found.take(samples(sample("a", 1, quality=BAD)))
    found.forget()
    told = [found.waits_long(), found.take(samples(sample("a", 1, quality=BAD)))]
    assert [one.what for one in told if one] == ["slow", "bad"]
