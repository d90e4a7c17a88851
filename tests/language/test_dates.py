"""Dates read, printed, added up, compared as the published tables have it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.errors import EvaluationError, ExpressionSyntaxError
from reconciler.language import Context, compile_expression

NOW = datetime(2021, 8, 25, 17, 41, 18, tzinfo=UTC)


def of(expression: str, attributes: dict[str, Any] | None = None) -> Any:
    return compile_expression(expression).evaluate(Context(attributes or {}, now=lambda: NOW))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2021-06-30+08:00", "6/29/2021 4:00:00 PM"),
        ("2009-06-15T01:45:30-07:00", "6/15/2009 8:45:30 AM"),
        ("2009-06-15T01:45:30Z", "6/15/2009 1:45:30 AM"),
        ("2009-06-15T01:45:30.1234567Z", "6/15/2009 1:45:30 AM"),
        ("2020-12-31 23:59:59-08:00", "1/1/2021 7:59:59 AM"),
        ("2020-12-31", "12/31/2020 12:00:00 AM"),
        (" 2020/1/2 ", "1/2/2020 12:00:00 AM"),
        ("1/2/2020", "1/2/2020 12:00:00 AM"),
        ("1/2/2020 12:05:00 AM", "1/2/2020 12:05:00 AM"),
        ("1/2/2020 12:05 pm", "1/2/2020 12:05:00 PM"),
        ("1/2/2020 23:05", "1/2/2020 11:05:00 PM"),
        ("Tue, 15 Nov 1994 08:12:31 GMT", "11/15/1994 8:12:31 AM"),
        ("15 November 1994", "11/15/1994 12:00:00 AM"),
        ("15-Nov-1994", "11/15/1994 12:00:00 AM"),
        ("November 15, 1994 8:12 PM", "11/15/1994 8:12:00 PM"),
        ("2024-02-29", "2/29/2024 12:00:00 AM"),
    ],
)
def test_a_date_is_read_with_months_first_and_told_in_utc(written: str, read: str) -> None:
    assert of("CDate([d])", {"d": written}) == read


@pytest.mark.parametrize(
    "written", ["31/12/2020", "2021-02-29", "20200101", "soon", "2020-01-01T25:00:00", "13:00 PM", "2020-01-01+15:00"]
)
def test_what_is_no_date_is_an_error_that_keeps_the_value_to_itself(written: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        of("CDate([d])", {"d": written})
    assert written not in str(raised.value)


@pytest.mark.parametrize(
    ("interval", "value", "expected"),
    [
        ("d", "7", "3/23/2012 7:00:00 AM"),
        ("d", "-10", "3/6/2012 7:00:00 AM"),
        ("ww", "2", "3/30/2012 7:00:00 AM"),
        ("m", "10", "1/16/2013 7:00:00 AM"),
        ("m", "-3", "12/16/2011 7:00:00 AM"),
        ("yyyy", "2", "3/16/2014 7:00:00 AM"),
        ("h", '"10"', "3/16/2012 5:00:00 PM"),
        ("n", "1.9", "3/16/2012 7:01:00 AM"),
        ("s", "-1", "3/16/2012 6:59:59 AM"),
    ],
)
def test_date_add(interval: str, value: str, expected: str) -> None:
    assert of(f'DateAdd("{interval}", {value}, CDate([d]))', {"d": "2012-03-16-07:00"}) == expected


def test_a_month_later_stays_in_its_month() -> None:
    assert of('DateAdd("m", 1, "2023-01-31")') == "2/28/2023 12:00:00 AM"
    assert of('DateAdd("yyyy", 1, "2024-02-29")') == "2/28/2025 12:00:00 AM"


@pytest.mark.parametrize(
    ("interval", "first", "second", "expected"),
    [
        ("d", "2021-08-18+08:00", "2021-08-31+08:00", 13),
        ("d", "8/25/2021 5:41:18 PM", "2012-03-16-07:00", -3449),
        ("ww", "8/25/2021 5:41:18 PM", "2012-03-16-07:00", -493),
        ("m", "8/25/2021 5:41:18 PM", "2012-03-16-07:00", -113),
        ("yyyy", "8/25/2021 5:41:18 PM", "2012-03-16-07:00", -9),
        ("d", "2021-08-31+08:00", "2021-08-31+08:00", 0),
        ("h", "2021-08-24", "2021-08-25", 24),
        ("n", "2021-08-24", "2021-08-25", 1440),
        ("s", "2021-08-24", "2021-08-25", 86400),
        ("d", "2021-08-24T23:00:00Z", "2021-08-25T01:00:00Z", 0),
        ("yyyy", "2021-12-31", "2022-01-01", 1),
        ("ww", "2021-08-21", "2021-08-22", 1),
    ],
)
def test_date_diff(interval: str, first: str, second: str, expected: int) -> None:
    assert of(f'DateDiff("{interval}", CDate([a]), CDate([b]))', {"a": first, "b": second}) == expected


def test_now_is_the_time_that_was_passed_in() -> None:
    assert of("Now()") == "8/25/2021 5:41:18 PM"
    assert compile_expression("Now()").evaluate(Context({}, now=datetime(2021, 7, 2, 15, 33))) == "7/2/2021 3:33:00 PM"
    assert (
        of(
            'Switch([Active], , "1", IIF(DateDiff("d", Now(), [d]) > 5, "False", "True"), "0", "False")',
            {
                "Active": "1",
                "d": "2021-08-27",
            },
        )
        == "True"
    )


@pytest.mark.parametrize(
    ("written", "reads", "prints", "expected"),
    [
        ("20150123105347.1Z", "yyyyMMddHHmmss.fZ", "yyyy-MM-dd", "2015-01-23"),
        ("2020-12-31-08:00", "yyyy-MM-ddzzz", "yyyy-MM-dd", "2020-12-31"),
        ("2020-12-31+08:00", "yyyy-MM-ddzzz", "yyyy-MM-dd HH:mm", "2020-12-30 16:00"),
        ("1/5/2021 12:00:00 AM", "M/d/yyyy hh:mm:ss tt", "yyyy-MM-dd", "2021-01-05"),
        ("1/5/2021 01:07:09 PM", "M/d/yyyy hh:mm:ss tt", "H-m-s HH h tt t", "13-7-9 13 1 PM P"),
        ("05.01.2021", "dd.MM.yyyy", "dddd, d MMMM yy", "Tuesday, 5 January 21"),
        ("5 Jan 50", "d MMM yy", "ddd MMM yyyy", "Thu Jan 1950"),
        ("5 January 49", "d MMMM yy", "yyyy", "2049"),
        ("2021-01-05T10:11:12.1230000Z", "yyyy-MM-ddTHH:mm:ss.fffffffZ", "o", "2021-01-05T10:11:12.1230000Z"),
        ("2021-01-05T10:11:12", "s", "o", "2021-01-05T10:11:12.0000000"),
        ("2021-01-05T10:11:12Z", "yyyy-MM-ddTHH:mm:ssK", "r", "Tue, 05 Jan 2021 10:11:12 GMT"),
        ("2021-01-05T10:11:12", "yyyy-MM-ddTHH:mm:ssK", "zzz zz z K", "+00:00 +00 +0 "),
        ("2021-01-05 10:11:12.5", "yyyy-MM-dd HH:mm:ss.FFF", "s.FFF fff", "12.5 500"),
        ("at 5 of 1", "'at' d 'of' M", "%d", "5"),
        ("5h", r"d\h", r"d\d\'", "5d'"),
        ("29/02", "dd/MM", "MM-dd", "02-29"),
        ("2021-01-05", "yyyy-MM-dd", "d", "01/05/2021"),
    ],
)
def test_format_date_time(written: str, reads: str, prints: str, expected: str) -> None:
    attributes = {"d": written, "r": reads, "p": prints}
    assert of("FormatDateTime([d], , [r], [p])", attributes) == expected


@pytest.mark.parametrize(
    "source", ['DateAdd("yyyy", 5, CDate([d]))', 'CDate("2030-01-15")', "DateFromNum(135391392000000000)"]
)
def test_format_date_time_reads_what_date_functions_print_whatever_the_format_says(source: str) -> None:
    found = of(f'FormatDateTime({source}, , "yyyy.MM", "yyyy-MM-dd")', {"d": "2025-01-15"})
    assert found == "2030-01-15"


def test_format_date_time_without_styles_or_input_format() -> None:
    assert of('FormatDateTime("20150123105347.1Z", "yyyyMMddHHmmss.fZ", "yyyy-MM-dd")') == "2015-01-23"
    assert of('FormatDateTime("3/16/2020 7:00:00 AM", , , "yyyyMMdd")') == "20200316"
    assert of('FormatDateTime("2020", "AssumeUniversal, AdjustToUniversal", "yyyy", "yy")') == "20"


@pytest.mark.parametrize(
    ("expression", "says"),
    [
        ('FormatDateTime([d], , "yyyy", )', "outputFormat"),
        ('FormatDateTime([d], "Nonsense", "yyyy", "yy")', "dateTimeStyles"),
        ('FormatDateTime([d], , "q", "yy")', "no date format"),
        ('FormatDateTime([d], , "yyyy", "yyyy \'x")', "not closed"),
        ('DateAdd("w", 1, [d])', "interval must be"),
        ('DateDiff("D", [d], [d])', "interval must be"),
    ],
)
def test_a_wrong_format_or_interval_is_refused_before_it_runs(expression: str, says: str) -> None:
    with pytest.raises(ExpressionSyntaxError, match=says):
        compile_expression(expression)


@pytest.mark.parametrize("written", ["2020-1-01", "2020-01-01x", "20-01-01", "2020-02-30"])
def test_a_date_in_another_form_fails_and_names_the_form(written: str) -> None:
    with pytest.raises(EvaluationError) as raised:
        of('FormatDateTime([d], , "yyyy-MM-dd", "yy")', {"d": written})
    assert written not in str(raised.value)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('NumFromDate("2012-01-01T23:00:00Z")', "129699324000000000"),
        ('NumFromDate("1601-01-01")', "0"),
        ("DateFromNum(0)", "1601-01-01T00:00:00Z"),
        ('DateFromNum("129699324005000000")', "2012-01-01T23:00:00.5Z"),
    ],
)
def test_file_times(expression: str, expected: str) -> None:
    assert of(expression) == expected
