"""Why something was not done, or not wholly: one reason for each cause, closed, each with what to do about it.

The provisioning log shows them as `errorCode`, by Entra's names where it has one. Each has its
page in docs/reasons.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

Reason = Literal[
    "WebExceptionProtocolError",
    "Timeout",
    "TooManyRequests",
    "Unauthorized",
    "InsufficientRights",
    "InvalidAnchor",
    "EntryConflict",
    "PreconditionFailed",
    "RequestTooLarge",
    "UnprocessableEntity",
    "NoTarget",
    "MethodNotAllowed",
    "NotImplemented",
    "InternalServerError",
    "SystemForCrossDomainIdentityManagementServiceIncompatible",
    "UnusableAnswer",
    "DisableNotKept",
    "RemovalNotKept",
    "ValueNotKept",
    "ExpressionFailed",
    "InvalidValue",
    "SchemaPropertyCanOnlyAcceptValue",
    "MandatoryFieldsMissing",
    "DomainNotInTenant",
    "ChangeLimitReached",
    "OnPremisesMastered",
    "SelectUniqueValueExhausted",
    "IgnoreObjectFlow",
    "ImportSkipped",
    "DuplicateSourceEntries",
    "DuplicateTargetEntries",
    "AccountTaken",
    "OwnedByOtherJob",
    "Busy",
    "RedundantExport",
    "NotEffectivelyEntitled",
    "HasNoRole",
    "FilteredOut",
    "NotActive",
    "Gone",
    "Unknown",
    "Protected",
    "CreateNotAllowed",
    "UpdateNotAllowed",
    "DeleteNotAllowed",
    "DisableNotAllowed",
    "SkipOutOfScopeDeletion",
    "AttributesSet",
    "AdoptedGroup",
    "GroupNotRenamed",
    "GracePeriod",
    "UnableToResolveReferenceAttributeValue",
    "TooManyDeletes",
    "TooManyRemovals",
    "GroupDeleteHeld",
    "AdoptedAccountHeld",
    "LockedAccountHeld",
    "ClockInDoubt",
    "TooManyRenames",
    "RejectedByOperator",
    "TooManyCreates",
    "NotInOnly",
    "Unreachable",
    "SourceNotRead",
]

Category = Literal["failure", "nonServiceFailure", "success"]
"""Graph's errorCategory. failure: the target or the way to it; nonServiceFailure: the source's data, the rules, or a
word that a person has to say; success: nothing went wrong."""


class Meaning(NamedTuple):
    category: Category
    what: str
    """What happened, as a heading."""
    action: str
    """What to do (Graph's recommendedAction)."""


OUT_OF_SCOPE: frozenset[Reason] = frozenset(
    {"NotEffectivelyEntitled", "HasNoRole", "FilteredOut", "NotActive", "Gone", "Unknown"}
)
"""Where the scope decided, and nothing after it was looked at."""

MEANINGS: Mapping[Reason, Meaning] = {
    # Refused or failed by the target
    "WebExceptionProtocolError": Meaning(
        "failure",
        "The target could not be reached",
        "Mend the network, the name, the certificate or the proxy; the entry is tried again by itself.",
    ),
    "Timeout": Meaning(
        "failure",
        "No answer came in time",
        "Nothing by hand: the account is looked at before anything is sent again. If it happens often, "
        "ask the target's operator, or lower `concurrency`.",
    ),
    "TooManyRequests": Meaning(
        "failure",
        "The target asked us to slow down",
        "Set `requests_per_second` below the target's limit; the entry is tried again by itself.",
    ),
    "Unauthorized": Meaning(
        "failure",
        "The target refuses our credential",
        "Put a new credential where the configuration reads it from; no restart is needed.",
    ),
    "InsufficientRights": Meaning(
        "failure",
        "The target does not let us do this",
        "Give the credential the right to do it, or leave the account out: name it in `protected`, or filter it.",
    ),
    "InvalidAnchor": Meaning(
        "failure",
        "The account that was linked is not there any more",
        "Usually nothing: the entry is matched again, and created if it is in scope. If it comes back "
        "each cycle, find out who deletes the account.",
    ),
    "EntryConflict": Meaning(
        "failure",
        "The target says that the name is taken",
        "Free the name in the app, or map a matching attribute by which the target shows that account.",
    ),
    "PreconditionFailed": Meaning(
        "failure",
        "The account changed while it was being changed",
        "Nothing by hand: the account is read again and the change is tried again.",
    ),
    "RequestTooLarge": Meaning(
        "failure",
        "The request is too large for the target",
        "Map a smaller value, or none.",
    ),
    "UnprocessableEntity": Meaning(
        "failure",
        "The target does not accept the values",
        "Correct the value in the source or in the mapping.",
    ),
    "NoTarget": Meaning(
        "failure",
        "The target does not find the attribute that was to change",
        "Map a path that the target has, or choose another `patch` dialect for the target.",
    ),
    "MethodNotAllowed": Meaning(
        "failure",
        "The target does not allow this kind of request",
        "Take the action out of `actions`, or correct `url` or the profile.",
    ),
    "NotImplemented": Meaning(
        "failure",
        "The target cannot do this",
        "Take the action out of `actions`, or choose a profile that does without it.",
    ),
    "InternalServerError": Meaning(
        "failure",
        "The target failed by itself",
        "Nothing by hand at first: it is tried again in the next cycle. If it stays, tell the target's "
        "operator the time and the request.",
    ),
    "SystemForCrossDomainIdentityManagementServiceIncompatible": Meaning(
        "failure",
        "The answer is not SCIM",
        "Correct `url` (or the proxy); it is the base of the SCIM interface, without /Users.",
    ),
    "UnusableAnswer": Meaning(
        "failure",
        "The target's answer cannot be used",
        "Report it to the target's operator; until then nothing is decided by that answer.",
    ),
    "DisableNotKept": Meaning(
        "failure",
        "The target says that it disabled the account, and shows it active",
        "Disable the account in the app by hand, and ask the target's operator why it was not kept; it "
        "is tried again in each cycle.",
    ),
    "RemovalNotKept": Meaning(
        "failure",
        "The target says that it took a member out of the group, and shows the member in it",
        "Take the member out in the app by hand, and ask the target's operator why it was not kept; it is "
        "tried again, at last once a day.",
    ),
    "ValueNotKept": Meaning(
        "success",
        "The target took a value and does not show it",
        "Take the attribute out of the mapping, or bring the value into the form that the target shows.",
    ),
    # Stopped by the mapping
    "ExpressionFailed": Meaning(
        "nonServiceFailure",
        "An expression cannot be evaluated",
        "Correct the source's value, or make the expression bear it (IIF, IsPresent, Coalesce).",
    ),
    "InvalidValue": Meaning(
        "nonServiceFailure",
        "A value does not fit the target's attribute",
        "Map the value to one that the attribute takes, with Switch for instance, or correct it in the source.",
    ),
    "SchemaPropertyCanOnlyAcceptValue": Meaning(
        "nonServiceFailure",
        "The attribute takes one plain value, and there are several, or an object",
        "Choose one value with Item, or combine them with Join.",
    ),
    "MandatoryFieldsMissing": Meaning(
        "nonServiceFailure",
        "The target requires an attribute that has no value",
        "Fill the attribute in the source, or give the mapping a `default`.",
    ),
    "DomainNotInTenant": Meaning(
        "nonServiceFailure",
        "The address is in a domain that the target does not own",
        "Correct the address in the source, verify the domain in the tenant, or filter such people out.",
    ),
    "ChangeLimitReached": Meaning(
        "nonServiceFailure",
        "An attribute was changed as often as the target allows",
        "Change it by hand, or make a new account; a wrong limit is corrected in `define`.",
    ),
    "OnPremisesMastered": Meaning(
        "nonServiceFailure",
        "Another directory is the master of the account",
        "Change the account where it is mastered, or filter these people out, or name them in `protected`.",
    ),
    "SelectUniqueValueExhausted": Meaning(
        "nonServiceFailure",
        "Every candidate for a unique value is taken",
        "Add candidates to the expression, or free one at the target.",
    ),
    "IgnoreObjectFlow": Meaning(
        "success",
        "The mapping leaves the whole entry out",
        "Nothing, if this is meant; else correct the expression.",
    ),
    # Stopped by matching
    "ImportSkipped": Meaning(
        "nonServiceFailure",
        "No matching attribute has a value",
        "Fill the matching attribute in the source, or add another matching attribute.",
    ),
    "DuplicateSourceEntries": Meaning(
        "nonServiceFailure",
        "Two entries of the source want the same account",
        "Correct the source, so that each person is there once; or map `person`, so that somebody under "
        "a new id is known.",
    ),
    "DuplicateTargetEntries": Meaning(
        "nonServiceFailure",
        "Several accounts of the target match",
        "Delete or rename the accounts that are not meant, or say which one is by `reconciler link`.",
    ),
    "AccountTaken": Meaning(
        "nonServiceFailure",
        "The account belongs to another entry",
        "If it is the same person, map `person` or `reconciler unlink` the other; else correct the "
        "matching value of one of them.",
    ),
    "OwnedByOtherJob": Meaning(
        "success",
        "Another job looks after this account",
        "Nothing, if both jobs are meant to serve this target.",
    ),
    "Busy": Meaning(
        "success",
        "A running cycle has the entry in hand",
        "Ask again when the cycle has ended.",
    ),
    # Left alone by the rules
    "RedundantExport": Meaning(
        "success",
        "There is nothing to change",
        "Nothing.",
    ),
    "NotEffectivelyEntitled": Meaning(
        "success",
        "The entry is not assigned",
        'Assign the user or a group of theirs, if they are to have the app; or use scope "all".',
    ),
    "HasNoRole": Meaning(
        "success",
        "The entry has none of the job's roles",
        "Correct the attribute in the source or the role's condition, if the entry is to have the app.",
    ),
    "FilteredOut": Meaning(
        "success",
        "A scoping filter keeps the entry out",
        "Correct the attribute in the source or the clause, if the entry is to have the app.",
    ),
    "NotActive": Meaning(
        "success",
        "The person is not active in the source",
        "Nothing, if the person has left; else correct the source.",
    ),
    "Gone": Meaning(
        "success",
        "The entry is no longer in the source",
        "Nothing.",
    ),
    "Unknown": Meaning(
        "nonServiceFailure",
        "It cannot be told whether the entry is in scope",
        "Mend the source, so that it can be read whole; or correct the name of the group in the rules.",
    ),
    "Protected": Meaning(
        "success",
        "The account is protected",
        "Nothing, if this is meant.",
    ),
    "CreateNotAllowed": Meaning(
        "success",
        "The rules do not let accounts be created",
        'Make the account in the app, or add "create" to `actions`.',
    ),
    "UpdateNotAllowed": Meaning(
        "success",
        "The rules do not let accounts be changed",
        'Change the account in the app, or add "update" to `actions`.',
    ),
    "DeleteNotAllowed": Meaning(
        "success",
        "The rules do not let accounts be deleted",
        'Delete the account in the app, or allow the delete: add "delete" to `actions`, or `confirm_delete` where it '
        "is missing.",
    ),
    "DisableNotAllowed": Meaning(
        "nonServiceFailure",
        "The account cannot be disabled",
        'Map that attribute, for instance `{ to = "active", expression = "Not([IsSoftDeleted])" }`; '
        "until then disable the account by hand.",
    ),
    "SkipOutOfScopeDeletion": Meaning(
        "success",
        "The rules keep the accounts of those who leave",
        "Nothing, if this is meant.",
    ),
    "AttributesSet": Meaning(
        "success",
        "The rules only write attributes into the accounts of those who leave",
        "Nothing, if this is meant.",
    ),
    "AdoptedGroup": Meaning(
        "success",
        "A group that was there before is never deleted",
        "Delete the group in the app, if nobody needs it any more.",
    ),
    "GroupNotRenamed": Meaning(
        "success",
        "The app does not rename groups",
        "Nothing, or rename the group in the app by hand: it stays the same group for this job.",
    ),
    "GracePeriod": Meaning(
        "success",
        "The account is disabled, or deleted, later",
        "Nothing; to have the person out at once, do it in the app, or shorten `disable_after`.",
    ),
    "UnableToResolveReferenceAttributeValue": Meaning(
        "success",
        "Somebody whom the entry refers to has no account yet",
        "Nothing: it is set when that account is there. If it never comes, bring that person into scope,"
        " or take the reference out of the mapping.",
    ),
    # Held by a safeguard
    "TooManyDeletes": Meaning(
        "nonServiceFailure",
        "Too many accounts would be disabled or deleted at once",
        "Mend the source, and the hold is gone with the next good cycle; or `reconciler approve JOB` if "
        "all of them are meant.",
    ),
    "TooManyRemovals": Meaning(
        "nonServiceFailure",
        "Too many members would leave a group at once",
        "Mend the source, or `reconciler approve JOB`.",
    ),
    "GroupDeleteHeld": Meaning(
        "nonServiceFailure",
        "The deletion of a group waits for a person",
        "`reconciler approve JOB` to delete it, `reconciler reject JOB` to keep it.",
    ),
    "AdoptedAccountHeld": Meaning(
        "nonServiceFailure",
        "The disable of an account that was found just now waits for a person",
        "`reconciler approve JOB` to disable it, `reconciler reject JOB` to leave it alone.",
    ),
    "LockedAccountHeld": Meaning(
        "nonServiceFailure",
        "Somebody locked the account in the app",
        "`reconciler approve JOB` to switch it on again, `reconciler reject JOB` to leave it locked.",
    ),
    "ClockInDoubt": Meaning(
        "nonServiceFailure",
        "The machine's clock may be ahead, so nothing is deleted yet",
        "Set the clock where it is wrong; where it is right, wait for a day or `reconciler approve JOB`.",
    ),
    "TooManyRenames": Meaning(
        "nonServiceFailure",
        "Too many user names would change at once",
        "Mend the source or the mapping, or `reconciler approve JOB`.",
    ),
    "RejectedByOperator": Meaning(
        "nonServiceFailure",
        "A person refused the operation",
        "Nothing, if the refusal still holds; `reconciler restart JOB` has it proposed again.",
    ),
    "TooManyCreates": Meaning(
        "nonServiceFailure",
        "Too many accounts would be created at once",
        "Correct the rules or the source, or `reconciler approve JOB`.",
    ),
    # On demand
    "NotInOnly": Meaning(
        "success",
        "The job is restricted to others",
        "Nothing, if this is meant; else add the entry to `only`, or take `only` out.",
    ),
    "Unreachable": Meaning(
        "failure",
        "The source or the target could not be reached",
        "Mend the connection, and ask again.",
    ),
    "SourceNotRead": Meaning(
        "failure",
        "The source could not be read whole",
        "Mend the source, and ask again.",
    ),
}
