"""scim2-models, which others wrote, reads every kind of answer that the double gives."""

from scim2_models import EnterpriseUser, Error, Group, ListResponse, ResourceType, Schema, ServiceProviderConfig, User
from scim2_models.context import Context

from tests.servers.asking import Asking, put
from tests.servers.scim import ScimServer


async def test_every_answer_is_valid() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        person = User[EnterpriseUser]
        created = await ask.user(
            "ann@example.com",
            externalId="1",
            active=True,
            name={"givenName": "Ann"},
            emails=[{"type": "work", "value": "ann@example.com", "primary": True}],
            enterprise={"department": "Sales", "manager": {"value": "9"}},
        )
        read = person.model_validate(created.body, scim_ctx=Context.RESOURCE_CREATION_RESPONSE)
        assert read.user_name == "ann@example.com"
        assert read[EnterpriseUser].department == "Sales"
        changed = await ask.patch(f"/Users/{read.id}", put("active", False))
        assert person.model_validate(changed.body, scim_ctx=Context.RESOURCE_PATCH_RESPONSE).active is False
        group = await ask.group("Sales", str(read.id))
        members = Group.model_validate(group.body, scim_ctx=Context.RESOURCE_CREATION_RESPONSE).members
        assert members is not None
        assert [each.value for each in members] == [read.id]
        listed = ListResponse[person].model_validate(
            (await ask("GET", "/Users")).body, scim_ctx=Context.RESOURCE_QUERY_RESPONSE
        )
        assert listed.total_results == 1
        refused = await ask.user("ANN@example.com")
        assert Error.model_validate(refused.body).scim_type == "uniqueness"


async def test_what_the_server_says_of_itself_is_valid() -> None:
    async with ScimServer() as server, Asking(server) as ask:
        config = (await ask("GET", "/ServiceProviderConfig")).body
        assert ServiceProviderConfig.model_validate(config).patch is not None
        for document in (await ask("GET", "/Schemas")).rows:
            assert Schema.model_validate(document).attributes
        for document in (await ask("GET", "/ResourceTypes")).rows:
            assert ResourceType.model_validate(document).endpoint
