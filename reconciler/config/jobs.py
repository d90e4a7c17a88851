"""Turns the tables of jobs into jobs, and judges what only shows when tables are seen together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.config.assigned import read_assignments
from reconciler.config.conversion import assignment_of, condition_of, deprovision_of
from reconciler.config.job_tables import GroupsTable, JobTable, UsersTable
from reconciler.config.lookup import lookup_tables_of
from reconciler.config.mappings import judged_mappings, judged_parting, used_domain, used_tables
from reconciler.config.profiles import load_profile, with_defined
from reconciler.config.reading import Place
from reconciler.config.report import Report
from reconciler.config.settings import (
    FileSourceSettings,
    GraphSourceSettings,
    JoinedSourceSettings,
    LdapSourceSettings,
    SourceSettings,
    SqlSourceSettings,
    TargetSettings,
)
from reconciler.config.shape import nearest
from reconciler.config.tables import ConfigTable, MailTable
from reconciler.config.values import seconds, share
from reconciler.core.mapping import Mapper
from reconciler.core.model import (
    Action,
    AllOf,
    AnyOf,
    AssignedGroup,
    AssignmentRule,
    Condition,
    Deprovision,
    DeprovisionAction,
    Direct,
    FromExpression,
    Job,
    Kind,
    MemberOf,
    Negation,
    ObjectRules,
    Role,
    SafeguardLimits,
    Scope,
    Triggers,
)
from reconciler.core.profile import Profile
from reconciler.language import LookupTable, compile_expression


def jobs_of(
    table: ConfigTable,
    sources: Mapping[str, SourceSettings],
    targets: Mapping[str, TargetSettings],
    profiles: Mapping[str, Profile],
    report: Report,
) -> tuple[dict[str, Job], dict[str, Profile]]:
    """Return the jobs and their profiles by the job's name, to be used only if the report has no problem."""
    roles = {name: Role(name, condition_of(role.when), role.value or name) for name, role in table.roles.items()}
    lookups = lookup_tables_of(table.tables, report)
    generic = load_profile("scim", report.document.directory)
    jobs: dict[str, Job] = {}
    known: dict[str, Profile] = {}
    for name, job in table.jobs.items():
        place: Place = ("jobs", name)
        _known(job.source, "source", "sources", place, report)
        _known(job.target, "target", "targets", place, report)
        source, target, profile = sources.get(job.source), targets.get(job.target), profiles.get(job.target, generic)
        known[name] = profile = _with_deletes(with_defined(profile, job), job, place, report)
        jobs[name] = made = Job(
            name=name,
            source=job.source,
            target=job.target,
            users=_rules("user", job.users, job, profile, lookups, place, report),
            groups=None if job.groups is None else _rules("group", job.groups, job, profile, lookups, place, report),
            enabled=job.enabled,
            interval_seconds=seconds(job.interval),
            full_interval_seconds=seconds(job.full_interval),
            stop_after_seconds=None if job.stop_after == "never" else seconds(job.stop_after),
            scope=Scope(job.scope),
            assigned=_assigned(job, place, report),
            service_principal=job.service_principal,
            nested=job.nested,
            roles=_roles(job, roles, place, report),
            role_choice=job.role_choice,
            role_values=dict(job.role_values),
            excluded_roles=() if job.default_access else profile.excluded_roles,
            empty_assignment=job.empty_assignment,
            require_test=job.require_test,
            active=source.active if source is not None else None,
            person=source.person if source is not None else None,
            deprovision=_deprovision(job, profile, place, report),
            safeguards=SafeguardLimits(
                deletion_threshold=job.deletion_threshold,
                deletion_share=share(job.deletion_share),
                window_seconds=seconds(job.safeguard_window),
                creation_threshold=(
                    profile.creation_threshold if job.creation_threshold is None else job.creation_threshold
                ),
                rename_threshold=job.rename_threshold,
                hold_group_deletes=job.groups is None or job.groups.hold_deletes,
            ),
            protected=target.protected if target is not None else (),
            notify=tuple(job.notify),
            triggers=Triggers(job.triggers.announced, seconds(job.triggers.debounce), job.triggers.webhook is not None),
            only=tuple(dict.fromkeys(job.only)),
        )
        _told(job, table.mail, place, report)
        _nobody(job, made, source, place, report)
        _app(made, source, sources, place, report)
        _canary(made, place, report)
        _groups_unread(made, source, place, report)
        _sign_in(job, made, place, report)
        _no_way_to_disable(made, profile, place, report)
        _unused_role_values(made, place, report)
    return jobs, known


def _with_deletes(profile: Profile, job: JobTable, place: Place, report: Report) -> Profile:
    """Return the profile, without deletes of accounts where these cannot be undone and the job does not say so."""
    table, words = job.deprovision, profile.confirm_delete
    if words is None or table.confirm_delete == words:
        return profile
    at: Place = (*place, "deprovision", "confirm_delete")
    if table.confirm_delete is not None:
        report.problem(at, "is not what the profile wants to be repeated", f'"{words}"')
    causes = (table.gone, table.inactive, table.role_lost, table.out_of_scope)
    later = table.delete_after != "never" and profile.can_disable
    if table.confirm_delete is None and "delete" in job.users.actions:
        problem, hint = "is missing: nobody is deleted without it", f'confirm_delete = "{words}"'
        if "delete" in causes or (later and "delete_after" in table.model_fields_set):
            (report.problem if job.enabled else report.warning)(at, problem, hint)
        elif later:
            problem += f", not {table.delete_after} after the disable either (delete_after)"
            report.warning(at, problem, f'{hint}, or delete_after = "never" where nobody is to be')
    return replace(profile, can_delete=False)


def _known(name: str, key: str, section: str, place: Place, report: Report) -> None:
    """Note a reference to nothing. What was written counts as known, also where it is faulty itself."""
    written = report.written(section)
    known: Any = written if isinstance(written, Mapping) else {}
    if name not in known:
        report.problem((*place, key), f"unknown {key} {name!r}", nearest(name, known))


def _deprovision(job: JobTable, profile: Profile, place: Place, report: Report) -> Deprovision:
    table = job.deprovision
    at: Place = (*place, "deprovision", "set")
    parting = judged_parting(table.set_, of_gone=table.gone == "set", profile=profile, at=at, report=report)
    return replace(deprovision_of(table), parting=parting)


def _rules(
    kind: Kind,
    table: UsersTable,
    job: JobTable,
    profile: Profile,
    lookups: Mapping[str, LookupTable],
    place: Place,
    report: Report,
) -> ObjectRules:
    part: Place = (*place, "users" if kind == "user" else "groups")
    found = len(report.problems)
    mappings = judged_mappings(kind, table, profile, part, report)
    rules = ObjectRules(
        kind=kind,
        mappings=mappings,
        tables=used_tables(mappings, lookups, (*part, "attributes"), report),
        default_domain=used_domain(mappings, job.default_domain, (*part, "attributes"), report),
        actions=frozenset(Action(action) for action in table.actions),
        filter=None if table.filter is None else condition_of(table.filter),
        members=table.members if isinstance(table, GroupsTable) else "owned",
        sign_in=table.sign_in,
    )
    if len(report.problems) == found and report.whole((*part, "attributes")):
        _unusable(rules, profile, (*part, "attributes"), report)
    return rules


def _unusable(rules: ObjectRules, profile: Profile, at: Place, report: Report) -> None:
    """Note what the mapper itself finds that no entry could put right, where nothing was found before."""
    positions = {mapping.to: position for position, mapping in enumerate(rules.mappings)}
    for failure in Mapper.compile(rules, profile).problems:
        missing = failure.path not in positions
        if missing and Action.CREATE not in rules.actions:
            continue  # what the app requires matters when an account is made
        written = not missing and report.written_at((*at, positions[failure.path])) is not None
        place: Place = (*at, positions[failure.path]) if written else at
        report.problem(place, f"{failure.path}: {failure.reason}")


def _assigned(job: JobTable, place: Place, report: Report) -> tuple[AssignmentRule, ...]:
    rules = {assignment_of(one): None for one in job.assigned}
    if job.assignments is not None:
        listed, problems = read_assignments(*report.document.file(job.assignments))
        rules |= dict.fromkeys(listed)
        report.outside.extend(problems)
        if not listed and not problems:
            report.warning((*place, "assignments"), "the file assigns nobody")
    return tuple(rules)


def _roles(job: JobTable, roles: Mapping[str, Role], place: Place, report: Report) -> tuple[Role, ...]:
    written = report.written("roles")
    known: Any = written if isinstance(written, Mapping) else {}
    given: list[Role] = []
    for position, name in enumerate(job.roles):
        if name in job.roles[:position]:
            report.problem((*place, "roles", position), f"the role {name!r} is named twice")
        elif name not in known:
            report.problem((*place, "roles", position), f"unknown role {name!r}", nearest(name, known))
        elif name in roles:
            given.append(roles[name])
    if job.scope == "roles" and not job.roles and report.whole((*place, "roles")):
        report.problem((*place, "scope"), 'scope = "roles" without any role', "name some in roles")
    return tuple(given)


def _told(job: JobTable, mail: MailTable | None, place: Place, report: Report) -> None:
    """Warn where nobody would be told what needs a person, although somebody meant to."""
    if job.notify and mail is None and report.whole(("mail",)):
        report.warning(
            (*place, "notify"), "nothing says how mails are sent: none will be", "add [mail] with host and from"
        )
    elif job.enabled and not job.notify and mail is not None and not mail.to and report.whole((*place, "notify")):
        hint = "name people in notify, or in [mail] to for all jobs"
        report.warning((*place, "notify"), "nobody gets a mail when the job needs a person", hint)


def _canary(made: Job, place: Place, report: Report) -> None:
    if made.only:
        problem = f"the job is restricted to {', '.join(made.only)}: nobody else is created, changed or taken out"
        report.warning((*place, "only"), problem, "take it away when the trial is over; an initial cycle follows")


def _nobody(job: JobTable, made: Job, source: SourceSettings | None, place: Place, report: Report) -> None:
    sound = report.whole((*place, "assigned")) and report.whole((*place, "assignments"))
    if (
        made.scope is Scope.ASSIGNED
        and not made.assigned
        and made.service_principal is None
        and sound
        and isinstance(source, FileSourceSettings | LdapSourceSettings | SqlSourceSettings | GraphSourceSettings)
    ):
        problem = 'scope = "assigned" and nobody is assigned: the job has nobody in scope'
        report.warning((*place, "scope" if "scope" in job.model_fields_set else "assigned"), problem)


def _app(
    made: Job, source: SourceSettings | None, sources: Mapping[str, SourceSettings], place: Place, report: Report
) -> None:
    """Note an app whose assignments nobody can be asked for, or that would decide nothing."""
    at: Place = (*place, "service_principal")
    if made.service_principal is None:
        return
    hint = "leave it out"
    if isinstance(source, JoinedSourceSettings):
        hint = f"the first that {source.name} joins must be one, or leave it out"
        source = sources.get(source.of[0])
    if source is not None and not isinstance(source, GraphSourceSettings):
        report.problem(at, "only a source of type graph knows assignments to an app", hint)
    elif made.scope is not Scope.ASSIGNED:
        report.problem(at, f'decides nothing with scope = "{made.scope}"', 'scope = "assigned"')


def _groups_unread(made: Job, source: SourceSettings | None, place: Place, report: Report) -> None:
    """Warn where rules ask for groups and the source has no file of them."""
    if not isinstance(source, FileSourceSettings | SqlSourceSettings):
        return
    if source.groups is None:
        hint = f"name groups in [sources.{source.name}]"
        if made.groups is not None and report.whole(("sources", source.name)):
            report.warning((*place, "groups"), "the source reads no groups", hint)
        asked = any(isinstance(rule, AssignedGroup) for rule in made.assigned) or _asks_for_groups(made)
        if asked and report.whole(("sources", source.name)):
            report.warning(
                place, "asks who is in a group, and the source reads no groups: nobody's answer is known", hint
            )
    if source.users is None and report.whole(("sources", source.name)):
        report.warning((*place, "source"), "the source reads no users", f"name users in [sources.{source.name}]")


def _asks_for_groups(job: Job) -> bool:
    for rules in (job.users, job.groups):
        for mapping in rules.mappings if rules is not None else ():
            if isinstance(mapping.source, FromExpression) and compile_expression(mapping.source.text).groups:
                return True
    conditions = [role.when for role in job.roles]
    conditions += [rules.filter for rules in (job.users, job.groups) if rules is not None and rules.filter is not None]
    return any(map(_has_membership, conditions))


def _has_membership(condition: Condition) -> bool:
    match condition:
        case MemberOf():
            return True
        case AllOf(of) | AnyOf(of):
            return any(map(_has_membership, of))
        case Negation(of):
            return _has_membership(of)
        case _:
            return False


def _sign_in(job: JobTable, made: Job, place: Place, report: Report) -> None:
    """Warn where userName is mapped from another attribute than the one that single sign-on sends."""
    sent = job.users.sign_in
    if sent is None or made.users is None:
        return
    for mapping in made.users.mappings:
        if mapping.to == "userName" and mapping.source != Direct(sent):
            problem = f"userName does not come from {sent}: single sign-on may not find the accounts"
            report.warning((*place, "users", "sign_in"), problem, f'{{ to = "userName", from = "{sent}", match = 1 }}')


def _no_way_to_disable(job: Job, profile: Profile, place: Place, report: Report) -> None:
    if job.users is None or not report.whole((*place, "users")):
        return
    deprovision = job.deprovision
    actions = (deprovision.gone, deprovision.inactive, deprovision.role_lost, deprovision.out_of_scope)
    mapped = any(mapping.to == profile.active for mapping in job.users.mappings)
    if DeprovisionAction.DISABLE in actions and not profile.can_disable:
        problem = "the app cannot disable accounts: where a cause says disable, leavers keep theirs"
        report.warning((*place, "deprovision"), problem, '"delete", or "keep" where that is what you want')
    if DeprovisionAction.DISABLE in actions and profile.can_disable and not mapped:
        problem = f"nothing is mapped to {profile.active}: leavers are not disabled"
        hint = f'{{ to = "{profile.active}", expression = "Not([IsSoftDeleted])" }}'
        report.warning((*place, "users", "attributes"), problem, hint)


def _unused_role_values(job: Job, place: Place, report: Report) -> None:
    """Warn of names in role_values that are no role of the job; those of an app in the source are not known here."""
    if job.service_principal is not None:
        return
    given = {role.name for role in job.roles} | {rule.role for rule in job.assigned if rule.role is not None}
    for name in job.role_values:
        if name not in given and report.whole((*place, "roles")) and report.whole((*place, "assigned")):
            report.warning((*place, "role_values", name), "the job gives no such role", nearest(name, given))
