"""A synchronization schema as Entra exports it: forty mappings of users, groups and three scoping filters."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]
SOURCE, TARGET = "Azure Active Directory", "customappsso"
USER_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP_URN = "urn:ietf:params:scim:schemas:core:2.0:Group"

DIRECT = {
    "displayName": "displayName",
    "title": "jobTitle",
    "name.givenName": "givenName",
    "name.familyName": "surname",
    "name.formatted": "displayName",
    'emails[type eq "work"].value': "mail",
    'addresses[type eq "work"].formatted': "physicalDeliveryOfficeName",
    'addresses[type eq "work"].streetAddress': "streetAddress",
    'addresses[type eq "work"].locality': "city",
    'addresses[type eq "work"].region': "state",
    'addresses[type eq "work"].postalCode': "postalCode",
    'addresses[type eq "work"].country': "country",
    'phoneNumbers[type eq "work"].value': "telephoneNumber",
    'phoneNumbers[type eq "mobile"].value': "mobile",
    'phoneNumbers[type eq "fax"].value': "facsimileTelephoneNumber",
    f"{USER_URN}:department": "department",
    f"{USER_URN}:employeeNumber": "employeeId",
    f"{USER_URN}:costCenter": "extension_0a1b_costCenter",
    f"{USER_URN}:division": "companyName",
    f"{USER_URN}:manager": "manager",
    "name.middleName": "extension_0a1b_middleName",
    "name.honorificPrefix": "extension_0a1b_prefix",
    "name.honorificSuffix": "extension_0a1b_suffix",
}
EXPRESSIONS = {
    "active": 'Switch([IsSoftDeleted], , "False", "True", "True", "False")',
    "externalId": 'Coalesce([mailNickname], Word([userPrincipalName], 1, "@"))',
    "nickName": "ToLower(NormalizeDiacritics(StripSpaces([givenName])))",
    "preferredLanguage": 'Switch([country], "en", "CH", "de-CH", "FR", "fr-FR")',
    "locale": 'IIF([country]="CH", "de-CH", IIF([country]="FR", "fr-FR", "en-US"))',
    "timezone": 'Switch([state], "Europe/Zurich", "QLD", "Australia/Brisbane")',
    "userType": 'IIF(IsPresent([employeeId]), "Employee", "Guest")',
    'emails[type eq "other"].value': 'Append([mailNickname], "@other.example.com")',
    'phoneNumbers[type eq "home"].value': 'Replace([telephoneNumber], , "[()\\\\s-]+", , "", , )',
    'roles[primary eq "True"].value': "SingleAppRoleAssignment([appRoleAssignments])",
    f"{USER_URN}:organization": 'Join(", ", [companyName], [department])',
    'addresses[type eq "other"].formatted': 'Join(", ", [streetAddress], [city])',
    'emails[type eq "home"].value': "IgnoreFlowIfNullOrEmpty([extension_0a1b_home])",
}


def attribute(expression: str, name: str) -> Json:
    return {"expression": expression, "name": name, "type": "Attribute", "parameters": []}


def mapping(target: str, source: Json | None, **more: Any) -> Json:
    return {
        "defaultValue": None,
        "exportMissingReferences": False,
        "flowBehavior": "FlowWhenChanged",
        "flowType": "Always",
        "matchingPriority": 0,
        "targetAttributeName": target,
        "source": source,
        **more,
    }


def direct(target: str, source: str, **more: Any) -> Json:
    return mapping(target, attribute(f"[{source}]", source), **more)


def function(target: str, expression: str, **more: Any) -> Json:
    name = expression.split("(")[0]
    parameters = [{"key": "source", "value": attribute("[x]", "x")}]
    source = {"expression": expression, "name": name, "type": "Function", "parameters": parameters}
    return mapping(target, source, **more)


def clause(attribute_name: str, operator: str, *values: str) -> Json:
    return {"operatorName": operator, "sourceOperandName": attribute_name, "targetOperand": {"values": [*values]}}


def schema() -> Json:
    """Return a schema of its own, to be changed at will."""
    users = [
        direct("userName", "userPrincipalName", matchingPriority=1),
        *(direct(target, source) for target, source in DIRECT.items()),
        *(function(target, expression) for target, expression in EXPRESSIONS.items()),
        mapping("profileUrl", None, defaultValue="https://intranet.example.com", flowType="AttributeAddOnly"),
        mapping(
            'addresses[type eq "other"].country',
            {"expression": '"CH"', "name": "CH", "type": "Constant", "parameters": []},
            flowType="ObjectAddOnly",
        ),
        direct('addresses[type eq "other"].locality', "city", defaultValue="-", flowBehavior="FlowAlways"),
    ]
    return {
        "@odata.context": "https://graph.microsoft.com/beta/$metadata#synchronizationSchema",
        "id": "4f1a",
        "version": "v1.81",
        "provisioningTaskIdentifier": "scim.4f1a",
        "directories": [directory(SOURCE, "User", "objectId"), directory(TARGET, USER_URN, "id")],
        "synchronizationRules": [
            {
                "id": "r1",
                "name": "USER_OUTBOUND_USER",
                "priority": 1,
                "editable": True,
                "sourceDirectoryName": SOURCE,
                "targetDirectoryName": TARGET,
                "metadata": [],
                "objectMappings": [
                    object_mapping("User", USER_URN, users, scope()),
                    object_mapping(
                        "Group",
                        GROUP_URN,
                        [
                            direct("displayName", "displayName", matchingPriority=1),
                            direct("externalId", "objectId"),
                            direct("members", "members"),
                        ],
                        None,
                    ),
                ],
            }
        ],
    }


def scope() -> Json:
    return {
        "categoryFilterGroups": [],
        "inputFilterGroups": [],
        "groups": [
            {
                "name": "Sales with a title",
                "clauses": [clause("department", "EQUALS", "Sales"), clause("jobTitle", "IS NOT NULL")],
            },
            {"name": "Staff", "clauses": [clause("userPrincipalName", "REGEX MATCH", r".*\@example\.com")]},
            {"name": "High numbers", "clauses": [clause("level", "Greater_Than_OR_EQUALS", "7")]},
        ],
    }


def object_mapping(source: str, target: str, mappings: list[Json], scope_: Json | None) -> Json:
    return {
        "name": f"Provision {source}",
        "enabled": True,
        "flowTypes": "Add, Update, Delete",
        "sourceObjectName": source,
        "targetObjectName": target,
        "metadata": [
            {"key": "EscrowBehavior", "value": '"Default"'},
            {"key": "Disposition", "value": '"Normal"'},
            {"key": "Unsynchronized", "value": "false"},
        ],
        "scope": scope_,
        "attributeMappings": mappings,
    }


def directory(name: str, object_name: str, anchor: str) -> Json:
    return {
        "id": name,
        "name": name,
        "discoverabilities": "AttributeNames, AttributeDataTypes",
        "readOnly": name == SOURCE,
        "version": "1",
        "metadata": [],
        "objects": [
            {
                "name": object_name,
                "supportedApis": [],
                "metadata": [{"key": "IsSoftDeletionSupported", "value": "true"}],
                "attributes": [
                    definition(anchor, anchor=True),
                    definition("userPrincipalName"),
                    definition("nickName", caseExact=True),
                    definition("manager", type="Reference"),
                ],
            }
        ],
    }


def definition(name: str, **more: Any) -> Json:
    return {
        "anchor": False,
        "caseExact": False,
        "defaultValue": None,
        "flowNullValues": False,
        "multivalued": False,
        "mutability": "ReadWrite",
        "name": name,
        "required": False,
        "type": "String",
        "apiExpressions": [],
        "metadata": [],
        "referencedObjects": [],
        **more,
    }
