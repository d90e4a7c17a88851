"""Turns single sound tables into the words of the domain."""

from __future__ import annotations

from reconciler.config.active_table import ActiveTable
from reconciler.config.job_tables import (
    AssignedTable,
    Condition,
    DeprovisionTable,
    MappingTable,
    TimezoneTable,
    clause_value,
)
from reconciler.config.values import seconds
from reconciler.core import model


def condition_of(table: Condition) -> model.Condition:
    """Return the tree of a condition."""
    if table.all is not None:
        return model.AllOf(tuple(condition_of(part) for part in table.all))
    if table.any is not None:
        return model.AnyOf(tuple(condition_of(part) for part in table.any))
    if table.not_ is not None:
        return model.Negation(condition_of(table.not_))
    if table.member_of is not None:
        return model.MemberOf(table.member_of, table.nested)
    assert table.attribute is not None and table.operator is not None  # one form, judged with the table
    return model.Clause(table.attribute, table.operator, clause_value(table.value), table.of_list)


def mapping_of(table: MappingTable) -> model.AttributeMapping:
    """Return an attribute mapping."""
    return model.AttributeMapping(
        to=table.to,
        source=_source_of(table),
        match=table.match,
        apply=model.Apply(table.apply),
        when_null=model.WhenNull(table.null),
        default=table.default,
    )


def _source_of(table: MappingTable) -> model.MappingSource:
    if table.from_ is not None:
        return model.Direct(table.from_)
    if table.expression is not None:
        return model.FromExpression(table.expression)
    if table.constant is not None:
        return model.Constant(table.constant)
    return model.Untouched()


def assignment_of(table: AssignedTable) -> model.AssignmentRule:
    """Return one assignment."""
    if table.user is not None:
        return model.AssignedUser(table.user, table.role)
    assert table.group is not None  # exactly one of the two, judged with the table
    return model.AssignedGroup(table.group, table.role)


def active_of(table: ActiveTable | None) -> model.ActiveRule | None:
    """Return which attribute says that somebody is active."""
    return None if table is None else model.ActiveRule(table.from_, tuple(table.is_))


def deprovision_of(table: DeprovisionTable) -> model.Deprovision:
    """Return what each cause does."""
    skips = table.skip_out_of_scope_deletions
    return model.Deprovision(
        gone=model.DeprovisionAction(table.gone),
        inactive=model.DeprovisionAction(table.inactive),
        role_lost=model.DeprovisionAction.KEEP if skips else model.DeprovisionAction(table.role_lost),
        out_of_scope=model.DeprovisionAction.KEEP if skips else model.DeprovisionAction(table.out_of_scope),
        disable_after_seconds=seconds(table.disable_after),
        delete_after_seconds=None if table.delete_after == "never" else seconds(table.delete_after),
        leave_date=_leave_date(table),
    )


def _leave_date(table: DeprovisionTable) -> model.LeaveDate | None:
    if table.leave_date is None:
        return None
    zone = table.timezone
    fixed, attribute = (zone.default, zone.from_) if isinstance(zone, TimezoneTable) else (zone, None)
    return model.LeaveDate(table.leave_date.from_, table.leave_date.means, fixed, attribute)
