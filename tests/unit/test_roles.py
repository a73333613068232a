"""People who signed in: their names, the scope of their roles, and what they may do with it."""

from __future__ import annotations

import pytest

from app.desk.local import LocalDesk
from app.desk.searching import say
from app.facade.caller import Caller, NotAllowed
from app.facade.roles import Person, rights_of, sign_in_rules
from app.settings import Location
from indexing.errors import BadInput

CLAIMS = {"sub": "4711", "email": "ann@example.org", "email_verified": True, "iat": 1000}
ROLES = {"STLIB_ROLES": "readers=read, editors=write,admins=admin, a=b=write"}


def person(claims, **environment):
    return sign_in_rules({**ROLES, **environment}).person_of({**CLAIMS, **claims})


@pytest.mark.parametrize(
    ("roles", "scope"),
    [
        (["editors"], "write"),
        ("editors", "write"),
        (["readers", "admins", "editors"], "admin"),
        ("a=b", "write"),
        ("not editors", None),
        ("editors,admins", None),
        (["Editors", 1, None], None),
        (["*"], None),
        ({"editors": True}, None),
        (None, None),
    ],
)
def test_the_widest_scope_of_ones_roles_counts(roles, scope):
    assert person({"roles": roles}).scope == scope


def test_anybody_who_signed_in_may_have_a_scope():
    everybody = {"STLIB_ROLES": "*=read,editors=write"}
    assert person({}, **everybody).scope == "read"
    assert person({"roles": ["editors"]}, **everybody).scope == "write"
    assert person({"roles": ["editors"]}, STLIB_ROLES="").scope is None


def test_a_claim_may_lie_in_objects_or_have_dots_in_its_name():
    inner = {"realm_access": {"roles": ["admins"]}}
    assert person(inner, STLIB_ROLE_CLAIM="realm_access.roles").scope == "admin"
    assert person({"https://x.org/roles": "admins"}, STLIB_ROLE_CLAIM="https://x.org/roles").scope == "admin"
    assert person(inner, STLIB_ROLE_CLAIM="realm_access.roles.deeper").scope is None


@pytest.mark.parametrize(
    ("claims", "environment", "name"),
    [
        ({}, {}, "ann@example.org"),
        ({"email_verified": "true"}, {}, "ann@example.org"),
        ({"email_verified": False}, {}, "4711"),
        ({"email_verified": None}, {}, "4711"),
        ({"email_verified": "false"}, {}, "4711"),
        ({"email_verified": None}, {"STLIB_NAME_CLAIM": "email"}, "ann@example.org"),
        ({"email": ["x"]}, {}, "4711"),
        ({"upn": " Ann \n B\u202e"}, {"STLIB_NAME_CLAIM": "upn"}, r"Ann B\u202e"),
        ({}, {"STLIB_NAME_CLAIM": "upn"}, "4711"),
    ],
)
def test_a_name_is_what_the_issuer_vouches_for(claims, environment, name):
    assert person(claims, **environment).name == name


def test_who_has_no_name_or_no_time_is_nobody():
    assert person({"email": None, "sub": " "}) is None
    assert person({"iat": None}) is None and person({"iat": True}) is None


def test_nobody_is_believed_for_ever():
    assert person({}).until == 1000 + 12 * 3600
    assert person({}, STLIB_SIGN_IN_HOURS="1").until == 4600


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("STLIB_ROLES", "editors", "write role=scope"),
        ("STLIB_ROLES", "editors=root", "one of read, write, admin"),
        ("STLIB_ROLES", "=read", "write role=scope"),
        ("STLIB_SIGN_IN_HOURS", "0", "1 to 720"),
        ("STLIB_SIGN_IN_HOURS", "1.5", "a whole number of hours"),
    ],
)
def test_a_setting_that_cannot_be_is_named(variable, value, words):
    with pytest.raises(BadInput, match=words):
        sign_in_rules({variable: value})


def test_rights_are_those_of_the_scope_that_visitors_may_have(monkeypatch):
    ann = Person("ann", "write", 0, 0)
    assert rights_of(ann) == {"search", "judge", "write"}
    assert rights_of(Person("ann", None, 0, 0)) == frozenset()
    monkeypatch.setenv("STLIB_RIGHTS", "search,manage")
    assert rights_of(ann) == {"search"}
    assert rights_of(Person("ann", "admin", 0, 0)) == {"search", "manage"}


def test_the_facade_refuses_what_a_role_does_not_allow_and_who_signed_in_too_long_ago(tmp_path):
    reader = Caller("ann", "page", "s", rights_of(Person("ann", "read", 0, 0)))
    with pytest.raises(NotAllowed, match="right to judge"):
        LocalDesk(reader, Location(tmp_path)).ask(say, "notes", "q", "d", "up")
    with pytest.raises(NotAllowed, match="sign in again"):
        LocalDesk(reader, Location(tmp_path), until=1.0).ask(say, "notes", "q", "d", "up")
