"""What a Target promises still holds on servers that do not follow the RFC: one quirk, one promise."""

from typing import Any

import pytest

from reconciler.core.model import Change, TargetId
from reconciler.core.outcomes import Account, Done, Failed, Fault, Found, ListEnd, MembersDone, Missing
from reconciler.core.profile import Profile
from tests.servers.schemas import ENTERPRISE
from tests.targets.opening import (
    DEPARTMENT,
    ENTRA_PROFILE,
    MANAGER,
    PROFILE,
    PUT_PROFILE,
    SPOKEN,
    WORK_MAIL,
    Spoken,
    created,
    odd,
)

pytestmark = pytest.mark.looptime
EITHER = pytest.mark.parametrize("by", list(SPOKEN.values()), ids=list(SPOKEN))
"""What is the same for a description is held here for both; what is not, in test_contract_quirks_described."""

# --- finding -----------------------------------------------------------------------------------------------------


async def test_two_of_a_name_are_two_also_on_pages_of_one() -> None:
    async with odd(lax_unique=True, page_max=1) as (server, at):
        server.put("user", userName="ann")
        server.put("user", userName="Ann")
        found = await at.target.find("user", "userName", "ann")
        assert isinstance(found, Found)
        assert len(found.accounts) == 2


async def test_letter_case_is_all_that_does_not_matter() -> None:
    async with odd(ignores_filter=True) as (server, at):
        wanted = server.put("user", userName="strasse")
        server.put("user", userName="straße")
        found = await at.target.find("user", "userName", "STRASSE")
        assert isinstance(found, Found)
        assert [account.id for account in found.accounts] == [wanted]


@pytest.mark.parametrize(
    "quirks",
    [
        {"ignores_filter": True},
        {"filter_repeats_rows": True},
        {"filter_refused": 400},
        {"filter_refused": 501},
        {"filter_refused_for": ("userName",), "html_errors": True},
        {"page_max": 5, "ignores_filter": True},
        {"wrong_total_results": "missing"},
        {"wrong_total_results": 0},
    ],
)
async def test_a_filter_never_hides_nor_mistakes_an_account(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        for n in range(30):
            server.put("user", userName=f"user{n:02}", externalId="user29")
        wanted = TargetId(server.user("user29")["id"])
        found = await at.target.find("user", "userName", "USER29")
        if isinstance(found, Found):
            assert [account.id for account in found.accounts] == [wanted]
        else:
            assert found.fault in (Fault.UNSUPPORTED, Fault.NOT_SCIM)
        nobody = await at.target.find("user", "userName", "nobody")
        assert nobody == Found(()) or (isinstance(nobody, Failed) and nobody.fault is Fault.UNSUPPORTED)


async def test_a_server_that_looks_into_another_attribute_is_not_believed() -> None:
    async with odd(filter_confuses={"userName": "externalId"}) as (server, at):
        ids = [server.put("user", userName=f"user{n}", externalId="user2") for n in range(3)]
        for name, wanted in (("user2", [ids[2]]), ("nobody", [])):
            found = await at.target.find("user", "userName", name)
            assert isinstance(found, Found)
            assert [account.id for account in found.accounts] == wanted


async def test_a_value_that_the_filter_cannot_say_keeps_nobody_else_from_being_asked_for() -> None:
    async with odd(filter_without_escapes=True) as (server, at):
        server.put("user", userName='the "boss"')
        ann = server.put("user", userName="ann")
        odd_one = await at.target.find("user", "userName", 'the "boss"')
        assert isinstance(odd_one, Failed)
        assert odd_one.fault is Fault.UNSUPPORTED
        found = await at.target.find("user", "userName", "ann")
        assert isinstance(found, Found)
        assert [account.id for account in found.accounts] == [ann]


async def test_an_ignored_filter_on_a_page_that_shows_everyone_still_answers() -> None:
    async with odd(ignores_filter=True) as (server, at):
        for name in ("ann", "bea"):
            server.put("user", userName=name)
        found = await at.target.find("user", "userName", "ann")
        assert isinstance(found, Found)
        assert [account.resource["userName"] for account in found.accounts] == ["ann"]
        assert await at.target.find("user", "userName", "cleo") == Found(())


async def test_two_accounts_of_one_name_are_two() -> None:
    async with odd(lax_unique=True) as (_, at):
        ids = {(await at.user("ann@example.com")).id, (await at.user("Ann@example.com")).id}
        found = await at.target.find("user", "userName", "ANN@example.com")
        assert isinstance(found, Found)
        assert {account.id for account in found.accounts} == ids


@pytest.mark.parametrize("quirks", [{}, {"understands_entra_filters": True}, {"filter_refused_for": ("emails",)}])
@pytest.mark.parametrize("profile", [PROFILE, ENTRA_PROFILE])
async def test_a_filtered_path_is_found_or_refused_in_either_form(profile: Profile, quirks: dict[str, Any]) -> None:
    async with odd(profile, **quirks) as (_, at):
        account = await at.user(**{WORK_MAIL: "ann@example.com"})
        found = await at.target.find("user", WORK_MAIL, "ANN@example.com")
        if quirks.get("filter_refused_for"):
            assert isinstance(found, Failed)
            assert found.fault is Fault.UNSUPPORTED
        else:
            assert found == Found((account,))


# --- creating ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "quirks",
    [
        {"created_without_id": True},
        {"created_without_body": True},
        {"created_without_location": True, "created_without_meta": True},
        {"created_without_id": True, "created_without_location": True, "created_without_meta": True},
        {"locations": "relative"},
        {"locations": "without_version"},
        {"locations": "user_name"},
        {"ids": "number"},
        {"unknown_attributes": "stored"},
        {"user_name_normalised_lower": True},
        {"closes_connections": True},
        {"spc_missing": True},
        {"spc_odd": True},
        {"spc_missing": True, "html_errors": True},
        {"etag_supported": False},
    ],
)
async def test_a_created_account_is_known_by_its_id(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        done = await at.target.create("user", {"userName": "Ann@example.com", "title": "Agent"})
        account = created(done)
        assert account.id == str(server.user("ann@example.com")["id"])
        assert account.resource["title"] == "Agent"
        group = await at.group("Sales")
        assert group.id == str(server.group("Sales")["id"])
        changed = await at.target.update("user", account.id, [Change("title", "Agent", "Lead")], account.resource)
        assert isinstance(changed, Done)
        assert server.user("ann@example.com")["title"] == "Lead"


async def test_what_the_target_makes_of_a_value_is_shown() -> None:
    async with odd(user_name_normalised_lower=True, drops_attributes=("title",)) as (_, at):
        account = await at.user("Ann@Example.com", title="Agent", displayName="Ann")
        assert account.resource == {"userName": "ann@example.com", "displayName": "Ann"}
        again = await at.target.update("user", account.id, [Change("title", None, "Agent")], account.resource)
        assert isinstance(again, Done)
        assert again.account == account


@pytest.mark.parametrize(
    ("quirks", "fault"),
    [
        ({}, Fault.CONFLICT),
        ({"conflict_without_scim_type": True}, Fault.CONFLICT),
        ({"conflict_status": 400}, Fault.CONFLICT),
        ({"html_errors": True}, Fault.CONFLICT),
        ({"html_errors": True, "html_labelled_scim": True}, Fault.CONFLICT),
        ({"empty_errors": True}, Fault.CONFLICT),
        ({"text_errors": True}, Fault.CONFLICT),
        ({"integer_error_status": True}, Fault.CONFLICT),
        ({"conflict_status": 500}, Fault.SERVER_ERROR),
        ({"soft_delete": True}, Fault.CONFLICT),
    ],
)
async def test_a_taken_name_is_told(quirks: dict[str, Any], fault: Fault) -> None:
    async with odd(**quirks) as (server, at):
        account = await at.user()
        if quirks.get("soft_delete"):
            assert isinstance(await at.target.delete("user", account.id), Done)
        second = await at.target.create("user", {"userName": "Ann@example.com"})
        assert isinstance(second, Failed)
        assert second.fault is fault
        assert len(server.users) == 1


async def test_a_soft_deleted_account_is_found_and_enabled() -> None:
    async with odd(soft_delete=True) as (_, at):
        account = await at.user(active=True)
        await at.target.delete("user", account.id)
        found = await at.target.find("user", "userName", "ann@example.com")
        assert isinstance(found, Found)
        assert [each.resource["active"] for each in found.accounts] == [False]
        done = await at.target.update("user", account.id, [Change("active", False, True)], found.accounts[0].resource)
        assert isinstance(done, Done)
        assert (await at.shown("user", account.id))["active"] is True


@pytest.mark.parametrize("form", ["digits", "number", "spaces", "email", "reserved"])
@pytest.mark.parametrize("profile", [PROFILE, PUT_PROFILE])
async def test_any_id_works_everywhere(profile: Profile, form: str) -> None:
    async with odd(profile, ids=form) as (server, at):
        ann, bea = await at.user("ann"), await at.user("bea")
        assert await at.target.get("user", ann.id) == ann
        changed = await at.target.update("user", ann.id, [Change("title", None, "Lead")], ann.resource)
        assert isinstance(changed, Done)
        assert server.users[ann.id]["title"] == "Lead"
        group = await at.group()
        added = await at.target.change_members(group.id, [ann.id, bea.id], [])
        assert isinstance(added, MembersDone)
        assert set(added.done) == {ann.id, bea.id}
        assert await at.target.members(group.id) == frozenset({ann.id, bea.id})
        removed = await at.target.change_members(group.id, [], [ann.id])
        assert isinstance(removed, MembersDone)
        assert await at.target.members(group.id) == frozenset({bea.id})
        accounts, end = await at.listed("user")
        assert ({account.id for account in accounts}, end) == ({ann.id, bea.id}, ListEnd(complete=True))
        assert isinstance(await at.target.delete("user", ann.id), Done)
        assert await at.target.get("user", ann.id) == Missing()


# --- updating ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "quirks"),
    [
        (PROFILE, {"patch_unsupported": True}),
        (PROFILE, {"patch_unsupported": True, "spc_missing": True}),
        (PROFILE, {"patch_unsupported_for": ("title",)}),
        (PROFILE, {"patch_no_content": True}),
        (PROFILE, {"patch_no_content_when_unchanged": True}),
        (PROFILE, {"pathless_patch_refused": True}),
        (PROFILE, {"patch_capitals_refused": True}),
        (PROFILE, {"spc_overrides": {"patch": {"supported": False}}}),
        (PROFILE, {"etag_ignored": True}),
        (PROFILE, {"html_errors": True, "patch_unsupported_for": ("title",)}),
        (PUT_PROFILE, {}),
        (PUT_PROFILE, {"put_resets": False}),
        (PUT_PROFILE, {"etag_supported": False}),
        (ENTRA_PROFILE, {"string_booleans": "understood"}),
    ],
)
async def test_an_update_keeps_what_others_wrote(profile: Profile, quirks: dict[str, Any]) -> None:
    async with odd(profile, **quirks) as (server, at):
        account = await at.user(active=True, title="Agent", **{WORK_MAIL: "ann@example.com", DEPARTMENT: "Sales"})
        held = server.user("ann@example.com")
        held["nickName"] = "Annie"
        held["emails"].append({"type": "home", "value": "ann@home.example"})
        changes = [
            Change("active", True, False),
            Change("title", "Agent", "Lead"),
            Change(WORK_MAIL, "ann@example.com", "ann2@example.com"),
            Change(DEPARTMENT, "Sales", "R&D"),
        ]
        done = await at.target.update("user", account.id, changes, account.resource)
        assert isinstance(done, Done), done
        after = server.user("ann@example.com")
        assert (after["active"], after["title"], after[ENTERPRISE]) == (False, "Lead", {"department": "R&D"})
        assert after["nickName"] == "Annie"
        assert sorted(each["value"] for each in after["emails"]) == ["ann2@example.com", "ann@home.example"]


async def test_what_patch_cannot_do_is_learned_once() -> None:
    async with odd(patch_unsupported_for=("title",)) as (server, at):
        account = await at.user(title="Agent")
        for old, new in (("Agent", "Lead"), ("Lead", "Head"), ("Head", "Chief")):
            done = await at.target.update(
                "user", account.id, [Change("title", old, new)], {**account.resource, "title": old}
            )
            assert isinstance(done, Done)
        assert server.user("ann@example.com")["title"] == "Chief"
        assert len(server.sent("PATCH")) == 1


async def test_a_value_that_is_not_kept_is_shown_as_it_is() -> None:
    async with odd(patch_silent_no_op=("title",)) as (_, at):
        account = await at.user(title="Agent")
        done = await at.target.update("user", account.id, [Change("title", "Agent", "Lead")], account.resource)
        assert done == Done(account)


async def test_an_extension_that_the_target_misreads_is_written_by_put() -> None:
    async with odd(splits_urn_at_dot=True) as (server, at):
        account = await at.user(**{DEPARTMENT: "Sales"})
        for old, new in (("Sales", "R&D"), ("R&D", "Legal")):
            agreed = {**account.resource, DEPARTMENT: old}
            done = await at.target.update("user", account.id, [Change(DEPARTMENT, old, new)], agreed)
            assert isinstance(done, Done)
            assert done.account is not None
            assert done.account.resource[DEPARTMENT] == new
        assert server.user("ann@example.com")[ENTERPRISE]["department"] == "Legal"
        assert (len(server.sent("PATCH")), len(server.sent("PUT"))) == (1, 2), "learned at the first time"


async def test_an_extension_that_the_target_drops_is_tried_by_put_and_shown_as_it_is() -> None:
    async with odd(drops_attributes=(DEPARTMENT,)) as (_, at):
        account = await at.user()
        done = await at.target.update("user", account.id, [Change(DEPARTMENT, None, "R&D")], account.resource)
        assert done == Done(account)


@pytest.mark.parametrize(
    "quirks", [{}, {"creates_on_no_target": True}, {"no_target_answer": 501}, {"no_target_on_remove": True}]
)
async def test_an_element_that_is_missing_is_made(quirks: dict[str, Any]) -> None:
    async with odd(**quirks) as (server, at):
        account = await at.user(displayName="Ann")
        changes = [Change(WORK_MAIL, None, "ann@example.com"), Change("displayName", "Ann", "Ann B")]
        done = await at.target.update("user", account.id, changes, account.resource)
        assert isinstance(done, Done), done
        after = server.user("ann@example.com")
        assert after["emails"] == [{"type": "work", "value": "ann@example.com"}]
        assert after["displayName"] == "Ann B"


async def test_an_element_that_somebody_removed_is_made_again() -> None:
    async with odd() as (server, at):
        account = await at.user(**{WORK_MAIL: "ann@example.com"})
        del server.user("ann@example.com")["emails"]
        change = Change(WORK_MAIL, "ann@example.com", "ann2@example.com")
        assert isinstance(await at.target.update("user", account.id, [change], account.resource), Done)
        assert server.user("ann@example.com")["emails"] == [{"type": "work", "value": "ann2@example.com"}]


async def test_an_element_that_is_gone_already_is_cleared() -> None:
    async with odd(no_target_on_remove=True) as (server, at):
        account = await at.user(**{WORK_MAIL: "ann@example.com"})
        del server.user("ann@example.com")["emails"]
        change = Change(WORK_MAIL, "ann@example.com", None)
        assert isinstance(await at.target.update("user", account.id, [change], account.resource), Done)


async def test_a_silent_no_op_on_a_missing_element_is_seen() -> None:
    async with odd(no_target_answer=200) as (_, at):
        account = await at.user()
        done = await at.target.update("user", account.id, [Change(WORK_MAIL, None, "a@example.com")], account.resource)
        assert done == Done(account)


async def test_only_no_target_is_tried_in_another_form() -> None:
    async with odd(no_target_answer=500) as (server, at):
        account = await at.user()
        done = await at.target.update("user", account.id, [Change(WORK_MAIL, None, "a@example.com")], account.resource)
        assert isinstance(done, Failed)
        assert done.fault is Fault.SERVER_ERROR
        assert len(server.sent("PATCH")) <= 5


@pytest.mark.parametrize("stored", ["False", "false", "True"])
async def test_a_boolean_that_is_shown_as_text_is_read_as_one(stored: str) -> None:
    async with odd(string_booleans="stored") as (server, at):
        identifier = TargetId(server.put("user", userName="ann", active=stored))
        account = await at.target.get("user", identifier)
        assert isinstance(account, Account)
        assert account.resource["active"] is (stored == "True")


async def test_a_real_boolean_is_sent() -> None:
    async with odd(string_booleans="stored") as (server, at):
        account = await at.user(active=True)
        await at.target.update("user", account.id, [Change("active", True, False)], account.resource)
        assert server.user("ann@example.com")["active"] is False


async def test_the_entra_form_disables_where_text_is_understood() -> None:
    async with odd(ENTRA_PROFILE, string_booleans="understood", accepts_simple_manager=True) as (server, at):
        account, boss = await at.user(active=True), await at.user("boss")
        changes = [Change("active", True, False), Change("title", None, "Lead"), Change(MANAGER, None, boss.id)]
        done = await at.target.update("user", account.id, changes, account.resource)
        assert isinstance(done, (Done, Failed))
        operations = server.sent("PATCH")[0].body["Operations"]
        assert {each["op"] for each in operations} == {"Add", "Replace"}
        assert next(each["value"] for each in operations if each["path"] == "active") == "False"


async def test_an_unknown_attribute_is_named_and_nothing_is_written() -> None:
    async with odd() as (server, at):
        account = await at.user(title="Agent")
        changes = [Change("title", "Agent", "Lead"), Change("favouriteColour", None, "red")]
        outcome = await at.target.update("user", account.id, changes, account.resource)
        assert isinstance(outcome, Failed)
        assert (outcome.fault, outcome.attribute) == (Fault.INVALID, "favouriteColour")
        assert server.user("ann@example.com")["title"] == "Agent"


@pytest.mark.parametrize(
    "quirks",
    [
        {},
        {"html_errors": True},
        {"html_errors": True, "html_labelled_scim": True},
        {"empty_errors": True},
        {"text_errors": True},
        {"integer_error_status": True},
        {"not_found_says_invalid_syntax": True},
        {"errors_without_scim_type": True},
    ],
)
@EITHER
async def test_what_is_gone_is_told(by: Spoken, quirks: dict[str, Any]) -> None:
    await _is_told_what_is_gone(by, quirks)


async def test_what_is_gone_is_told_though_the_server_says_500() -> None:
    await _is_told_what_is_gone(SPOKEN["scim"], {"missing_answers_500": True})


async def _is_told_what_is_gone(by: Spoken, quirks: dict[str, Any]) -> None:
    async with by.odd(**quirks) as (server, at):
        account = await at.user()
        server.forget()
        assert await at.target.get("user", account.id) == Missing()
        outcome = await at.target.update("user", account.id, [Change("title", None, "Lead")], account.resource)
        assert isinstance(outcome, Failed)
        assert outcome.fault is Fault.NOT_FOUND
        assert await at.target.delete("user", account.id) == Missing()


@EITHER
async def test_a_delete_may_answer_with_a_body(by: Spoken) -> None:
    async with by.odd(delete_answers_body=True) as (server, at):
        account = await at.user()
        assert isinstance(await at.target.delete("user", account.id), Done)
        assert server.users == {}
