import pytest

from config.accounts import scopes


@pytest.mark.parametrize(
    ("held", "needed", "allowed"),
    [
        (["catalogue:read"], "catalogue:read", True),
        (["catalogue:read"], "catalogue:write", False),
        (["catalogue:write"], "catalogue:read", True),
        (["catalogue:write"], "catalogue:write", True),
        (["orders:write"], "catalogue:read", False),
        (["catalogue"], "catalogue:read", False),
        ([], "ledger:read", False),
    ],
)
def test_write_includes_read_and_nothing_else_is_implied(held, needed, allowed):
    assert scopes.allows(held, needed) is allowed


def test_all_names_both_accesses_of_every_area():
    assert len(scopes.ALL) == 2 * len(scopes.AREAS) == len(set(scopes.ALL))
